/*
 * The command line of an executable, from the two tables verbs.def and options.def: parsing,
 * help, suggestions for misspelt words, completion scripts.
 */
#ifndef SINTER_OPTIONS_H
#define SINTER_OPTIONS_H

#include "runtime/program.h"
#include "runtime/status.h"

#include <stdbool.h>

enum { RT_LIST_MAX = 64 };

/* Values of an option that may be repeated, in their order. */
struct rt_list {
    const char *items[RT_LIST_MAX];
    int count;
};

typedef bool rt_option_FLAG;
typedef rt_i64 rt_option_INTEGER;
typedef double rt_option_REAL;
typedef const char *rt_option_TEXT;
typedef struct rt_list rt_option_LIST;
typedef int rt_option_CHOICE;

enum rt_verb {
#define VERB(id, ...) RT_VERB_##id,
#include "runtime/verbs.def"
    RT_VERB_COUNT,
    RT_VERB_none = RT_VERB_COUNT, /* only help or the version was asked for */
};

struct rt_options {
    enum rt_verb verb;
    const char *program; /* the base name of argv[0] */
    bool version;        /* --version instead of a verb */
    char **arguments;
    int argument_count;
#define OPTION(field, name, letter, kind, ...) rt_option_##kind field;
#include "runtime/options.def"
};

/* Parses argv for a program built with `task` ("generate", "fit", "predict"). Arguments are moved
 * to the front of argv; the strings are not copied. */
rt_status rt_options_parse(struct rt_options *options, int argc, char **argv, const char *task);

/* Help of options->verb, or of the program if that is RT_VERB_none, to standard output. */
void rt_options_help(const struct rt_options *options, const char *task);

/* The script for options->arguments[0]. */
rt_status rt_options_completion(const struct rt_options *options, const char *task);

#endif
