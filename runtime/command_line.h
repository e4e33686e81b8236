/*
 * Command lines of the form PROGRAM VERB [OPTION...] [ARGUMENT...], from tables of verbs and
 * options: parsing, help, suggestions for misspelt words, completion scripts. The compiler and
 * the executables have tables of their own.
 */
#ifndef SINTER_COMMAND_LINE_H
#define SINTER_COMMAND_LINE_H

#include "runtime/program.h"
#include "runtime/status.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

enum { RT_LIST_MAX = 64, ANY_COUNT = INT_MAX };

/* Values of an option that may be repeated, in their order. */
struct rt_list {
    const char *items[RT_LIST_MAX];
    int count;
};

/* The C type of an option's field, by its kind. */
typedef bool rt_option_FLAG;
typedef rt_i64 rt_option_INTEGER;
typedef double rt_option_REAL;
typedef const char *rt_option_TEXT;
typedef struct rt_list rt_option_LIST;
typedef int rt_option_CHOICE;

enum option_kind { FLAG, INTEGER, REAL, TEXT, LIST, CHOICE };

struct verb_row {
    const char *name;
    unsigned tasks; /* bits of the tasks that have the verb */
    int least, most;
    const char *arguments, *summary;
};

struct option_row {
    const char *name;
    char letter; /* 0 = none */
    enum option_kind kind;
    const char *value; /* as the help shows it; the choices of a CHOICE */
    double standard, least, most;
    unsigned verbs; /* bit i: row i of the verbs takes it */
    const char *help;
    size_t offset; /* of the field in the struct of results */
};

struct command_table {
    const struct verb_row *verbs;
    int verb_count;
    const struct option_row *options;
    int option_count;
    unsigned task; /* verbs of other tasks do not exist */
    const char *task_name;
};

/*
 * What every struct of results begins with. verb is a row's number, verb_count if only help or
 * the version was asked for.
 */
#define COMMAND_LINE_FIELDS \
    int verb;               \
    const char *program; /* the base name of argv[0] */ \
    bool version;        /* --version instead of a verb */ \
    bool help, json;     \
    char **arguments;    \
    int argument_count

struct command_line {
    COMMAND_LINE_FIELDS;
};

/*
 * Parses argv into *results, which begins with COMMAND_LINE_FIELDS and is zero. Arguments are
 * moved to the front of argv; strings are not copied.
 */
rt_status rt_command_line_parse(const struct command_table *table, struct command_line *results,
                                int argc, char **argv);

/* Help of the verb, or of the program if there is none, to standard output. */
void rt_command_line_help(const struct command_table *table, const struct command_line *results);

/* The completion script for a shell (bash, zsh, fish) to standard output. */
rt_status rt_command_line_completion(const struct command_table *table, const char *program,
                                     const char *shell);

#endif
