/* From the command line to a verb, and from its status to the exit code: see main.h. */
#include "runtime/main.h"

#include "runtime/generator.h"
#include "runtime/mapping.h"
#include "runtime/process.h"
#include "runtime/report.h"
#include "runtime/verbs.h"

#include <stdio.h>
#include <string.h>

typedef rt_status verb_body(const struct rt_program *program, const struct rt_options *options);

static verb_body *const verb_bodies[] = {
#define VERB(id, ...) rt_run_##id,
#include "runtime/verbs.def"
};

struct command {
    const struct rt_program *program;
    struct rt_options options;
};

rt_status rt_open_session(struct rt_session *session, const struct rt_program *program,
                          const struct rt_options *options)
{
    struct rt_session_options wanted = {
        .device = (enum rt_device_choice)options->device,
        .weights = options->weights,
        .threads = (int)options->threads,
        .anywhere = strcmp(program->task, "generate") != 0,
        .random = options->init != 0,
        .seed = (rt_u64)options->seed,
    };
    return rt_session_open(session, program, &wanted);
}

rt_status rt_length_limit(const struct rt_program *program, const struct rt_options *options,
                          rt_i64 *limit)
{
    *limit = options->max_length ? options->max_length : program->max_length;
    if (*limit > program->max_length)
        return rt_fail(LENGTH_TOO_LARGE, (long long)*limit, (long long)program->max_length);
    return 0;
}

rt_status rt_vocabulary(const struct rt_session *session, rt_i64 *vocabulary)
{
    const struct rt_port *logits = rt_session_state(session, "logits");
    if (!logits || logits->rank < 1)
        return rt_fail(PORT_MISSING, "logits", session->program->task);
    *vocabulary = logits->dims[logits->rank - 1];
    return 0;
}

void rt_sampling_of(const struct rt_options *options, struct rt_sampling *sampling)
{
    *sampling = (struct rt_sampling){
        .temperature = options->temperature,
        .top_k = options->top_k,
        .top_p = options->top_p,
        .min_p = options->min_p,
        .penalty = options->penalty,
        .seed = (rt_u64)options->seed,
        .ignore_eos = options->ignore_eos,
    };
}

rt_status rt_run_completion(const struct rt_program *program, const struct rt_options *options)
{
    return rt_options_completion(options, program->task);
}

static int run_verb(void *argument)
{
    const struct command *command = argument;
    return verb_bodies[command->options.verb](command->program, &command->options);
}

static rt_status run(struct command *command, int argc, char **argv)
{
    struct rt_options *options = &command->options;
    rt_status status = rt_options_parse(options, argc, argv, command->program->task);
    rt_report_open(options->program, options->json);
    if (status)
        return status;
    if (options->help)
        rt_options_help(options, command->program->task);
    else if (options->version)
        printf("%s: %s, built by %s\n", options->program, command->program->model,
               command->program->compiler);
    else
        status = rt_process_with_stack(run_verb, command);
    return status;
}

int rt_main(int argc, char **argv, const struct rt_program *program)
{
    static struct command command; /* static: it is large, and the stack may be small */
    command = (struct command){.program = program};
    rt_status_clear();
    rt_process_signals();
    rt_map_guard(argc > 0 && argv[0] ? argv[0] : "program");
    rt_status status = run(&command, argc, argv);
    rt_status flushed = rt_flush(stdout, "standard output");
    if (!status || (flushed == EXIT_PIPE && status != EXIT_INTERNAL))
        status = flushed ? flushed : status;
    rt_report_failure(status);
    return status;
}
