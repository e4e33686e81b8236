/* The tables verbs.def and options.def as data: see options.h. */
#include "runtime/options.h"

#include <string.h>

enum { TASK_GENERATE = 1, TASK_FIT = 2, TASK_PREDICT = 4 };

static const struct verb_row verb_rows[] = {
#define VERB(id, name, tasks, least, most, arguments, summary) \
    {name, tasks, least, most, arguments, summary},
#include "runtime/verbs.def"
};

enum verb_bit {
#define VERB(id, ...) V_##id = 1 << RT_VERB_##id,
#include "runtime/verbs.def"
};

static const struct option_row option_rows[] = {
#define OPTION(field, name, letter, kind, value, standard, least, most, verbs, help)    \
    {name, letter, kind, value, standard, least, most, (unsigned)(verbs), help, \
     offsetof(struct rt_options, field)},
#define COMMON(...) OPTION(__VA_ARGS__)
#include "runtime/options.def"
};

static unsigned task_bit(const char *task)
{
    return strcmp(task, "generate") == 0  ? TASK_GENERATE
           : strcmp(task, "fit") == 0     ? TASK_FIT
           : strcmp(task, "predict") == 0 ? TASK_PREDICT
                                          : 0;
}

static struct command_table table_of(const char *task)
{
    return (struct command_table){verb_rows, RT_VERB_COUNT, option_rows,
                                  sizeof option_rows / sizeof *option_rows, task_bit(task), task};
}

rt_status rt_options_parse(struct rt_options *options, int argc, char **argv, const char *task)
{
    const struct command_table table = table_of(task);
    *options = (struct rt_options){0};
    return rt_command_line_parse(&table, (struct command_line *)options, argc, argv);
}

void rt_options_help(const struct rt_options *options, const char *task)
{
    const struct command_table table = table_of(task);
    rt_command_line_help(&table, (const struct command_line *)options);
}

rt_status rt_options_completion(const struct rt_options *options, const char *task)
{
    const struct command_table table = table_of(task);
    return rt_command_line_completion(&table, options->program, options->arguments[0]);
}
