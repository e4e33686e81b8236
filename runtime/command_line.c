/* Parsing: see command_line.h. */
#include "runtime/command_line.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_WORD = 40, CLOSE_ENOUGH = 2 };

static int least_of(int a, int b)
{
    return a < b ? a : b;
}

/* Edits (insert, delete, replace, swap neighbours) from one word to another: optimal string
 * alignment. Long words count as far apart. */
static int distance(const char *from, const char *to)
{
    int rows[3][LONGEST_WORD + 1], n = (int)strlen(from), m = (int)strlen(to);
    if (n > LONGEST_WORD || m > LONGEST_WORD)
        return LONGEST_WORD;
    int *before = rows[0], *last = rows[1], *now = rows[2];
    for (int j = 0; j <= m; j++)
        last[j] = before[j] = j;
    for (int i = 1; i <= n; i++) {
        now[0] = i;
        for (int j = 1; j <= m; j++) {
            now[j] = least_of(least_of(last[j], now[j - 1]) + 1,
                              last[j - 1] + (from[i - 1] != to[j - 1]));
            if (i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1])
                now[j] = least_of(now[j], before[j - 2] + 1);
        }
        int *spare = before;
        before = last;
        last = now;
        now = spare;
    }
    return last[m];
}

/* Keeps the closer of two suggestions; `*best` is the distance of the one kept. */
static void consider(const char *word, const char *candidate, const char **closest, int *best)
{
    int edits = distance(word, candidate);
    if (edits < *best && edits < (int)strlen(word)) {
        *best = edits;
        *closest = candidate;
    }
}

static rt_status unknown_verb(const struct command_table *table, const char *word)
{
    const char *closest = "";
    int best = CLOSE_ENOUGH + 1;
    for (int i = 0; i < table->verb_count; i++)
        if (table->verbs[i].tasks & table->task)
            consider(word, table->verbs[i].name, &closest, &best);
    consider(word, "--version", &closest, &best);
    consider(word, "--help", &closest, &best);
    return rt_fail(VERB_UNKNOWN, word, *closest ? "did you mean " : "a verb comes first",
                   closest);
}

static rt_status unknown_option(const struct command_table *table, int verb, const char *word)
{
    const char *closest = "";
    char bare[LONGEST_WORD + 1], shown[LONGEST_WORD + 24] = "check the spelling";
    int best = CLOSE_ENOUGH + 1;
    snprintf(bare, sizeof bare, "%.*s", (int)strcspn(word + strspn(word, "-"), "="),
             word + strspn(word, "-"));
    for (int i = 0; i < table->option_count; i++)
        if (table->options[i].verbs >> verb & 1)
            consider(bare, table->options[i].name, &closest, &best);
    if (*closest)
        snprintf(shown, sizeof shown, "did you mean --%s", closest);
    return rt_fail(OPTION_UNKNOWN, word, table->verbs[verb].name, shown, "");
}

/* The option of a word such as --name, --name=value, -n, -nvalue; NULL if there is none.
 * `*value` becomes what stands in the same word, or NULL. */
static const struct option_row *find_option(const struct command_table *table, int verb,
                                            const char *word, const char **value)
{
    bool is_long = word[1] == '-';
    size_t length = is_long ? strcspn(word + 2, "=") : 1;
    for (int i = 0; i < table->option_count; i++) {
        const struct option_row *row = &table->options[i];
        if (!(row->verbs >> verb & 1))
            continue;
        bool same = is_long ? strlen(row->name) == length
                                  && strncmp(row->name, word + 2, length) == 0
                            : row->letter == word[1];
        if (!same)
            continue;
        const char *rest = is_long ? word + 2 + length : word + 2;
        *value = *rest == '\0' ? NULL : is_long ? rest + 1 : rest;
        return row;
    }
    return NULL;
}

static rt_status parse_number(const struct option_row *row, const char *text, void *field)
{
    char least[32], most[32], *end = NULL;
    snprintf(least, sizeof least, "%.10g", row->least);
    snprintf(most, sizeof most, "%.10g", row->most);
    errno = 0;
    long long whole = row->kind == INTEGER ? strtoll(text, &end, 10) : 0;
    double number = row->kind == INTEGER ? (double)whole : strtod(text, &end);
    if (end == text || *end != '\0' || number != number)
        return rt_fail(OPTION_NUMBER, text, row->name, least, most);
    if (errno == ERANGE || number < row->least || number > row->most)
        return rt_fail(OPTION_RANGE, text, row->name, least, most);
    if (row->kind == INTEGER)
        *(rt_i64 *)field = whole;
    else
        *(double *)field = number;
    return 0;
}

/* The number of a word in "first|second|...", from 1; 0 if it is not there. */
static int choice_of(const char *choices, const char *word)
{
    size_t length = strlen(word);
    for (int number = 1;; number++) {
        size_t next = strcspn(choices, "|");
        if (next == length && strncmp(choices, word, length) == 0)
            return number;
        if (choices[next] == '\0')
            return 0;
        choices += next + 1;
    }
}

static rt_status set_option(const struct command_table *table, struct command_line *options,
                            const struct option_row *row, const char *value)
{
    void *field = (char *)options + row->offset;
    const char *verb = table->verbs[options->verb].name;
    struct rt_list *list = field;
    switch (row->kind) {
    case FLAG:
        *(bool *)field = true;
        return 0;
    case TEXT:
        *(const char **)field = value;
        return 0;
    case LIST:
        if (list->count == RT_LIST_MAX)
            return rt_fail(OPTION_TOO_MANY, row->name, verb, RT_LIST_MAX);
        list->items[list->count++] = value;
        return 0;
    case CHOICE:
        *(int *)field = choice_of(row->value, value);
        return *(int *)field ? 0 : rt_fail(OPTION_CHOICE, value, row->name, verb, row->value);
    default:
        return parse_number(row, value, field);
    }
}

static void set_defaults(const struct command_table *table, struct command_line *options)
{
    for (int i = 0; i < table->option_count; i++) {
        const struct option_row *row = &table->options[i];
        void *field = (char *)options + row->offset;
        if (row->kind == INTEGER)
            *(rt_i64 *)field = (rt_i64)row->standard;
        else if (row->kind == REAL)
            *(double *)field = row->standard;
    }
}

/* One option at argv[*at]; moves *at over a value in a word of its own. */
static rt_status parse_option(const struct command_table *table, struct command_line *options,
                              int argc, char **argv, int *at)
{
    const char *value = NULL;
    const struct option_row *row = find_option(table, options->verb, argv[*at], &value);
    if (!row)
        return unknown_option(table, options->verb, argv[*at]);
    if (row->kind == FLAG && value)
        return rt_fail(OPTION_FLAG_VALUE, row->name, value);
    if (row->kind != FLAG && !value) {
        if (*at + 1 >= argc)
            return rt_fail(OPTION_NO_VALUE, row->name, table->verbs[options->verb].name,
                           row->name, row->value);
        value = argv[++*at];
    }
    return set_option(table, options, row, value);
}

static rt_status parse_rest(const struct command_table *table, struct command_line *options,
                            int argc, char **argv)
{
    bool only_arguments = false;
    rt_status status = 0;
    options->arguments = argv;
    for (int i = 0; i < argc && !status; i++) {
        if (only_arguments || argv[i][0] != '-' || argv[i][1] == '\0')
            argv[options->argument_count++] = argv[i];
        else if (strcmp(argv[i], "--") == 0)
            only_arguments = true;
        else
            status = parse_option(table, options, argc, argv, &i);
    }
    return status;
}

static rt_status check_arguments(const struct command_table *table,
                                 const struct command_line *options)
{
    const struct verb_row *verb = &table->verbs[options->verb];
    if (options->help)
        return 0;
    if (options->argument_count < verb->least)
        return rt_fail(ARGUMENTS_MISSING, verb->name, verb->arguments);
    if (options->argument_count > verb->most)
        return rt_fail(ARGUMENTS_MANY, verb->name, options->arguments[verb->most],
                       *verb->arguments ? verb->arguments : "none");
    return 0;
}

static rt_status find_verb(const struct command_table *table, struct command_line *options,
                           const char *word)
{
    for (int i = 0; i < table->verb_count; i++) {
        if (strcmp(word, table->verbs[i].name) != 0)
            continue;
        if (!(table->verbs[i].tasks & table->task))
            return rt_fail(VERB_TASK, word, table->task_name);
        options->verb = i;
        return 0;
    }
    return unknown_verb(table, word);
}

static bool is_word(const char *word, const char *first, const char *second)
{
    return strcmp(word, first) == 0 || strcmp(word, second) == 0;
}

rt_status rt_command_line_parse(const struct command_table *table, struct command_line *options,
                                int argc, char **argv)
{
    const char *name = argc > 0 && argv[0] ? argv[0] : "program";
    options->verb = table->verb_count;
    options->program = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
    set_defaults(table, options);
    for (int i = 1; i < argc && !options->json; i++) /* also for errors before it */
        options->json = strcmp(argv[i], "--json") == 0;
    if (argc < 2)
        return rt_fail(VERB_MISSING, options->program);
    options->help = is_word(argv[1], "-h", "--help") || strcmp(argv[1], "help") == 0;
    options->version = is_word(argv[1], "--version", "--version");
    if (options->help || options->version)
        return 0;
    rt_status status = find_verb(table, options, argv[1]);
    if (!status)
        status = parse_rest(table, options, argc - 2, argv + 2);
    return status ? status : check_arguments(table, options);
}
