/* The command line of an executable, from the tables verbs.def and options.def. */
#ifndef SINTER_OPTIONS_H
#define SINTER_OPTIONS_H

#include "runtime/command_line.h"

enum rt_verb {
#define VERB(id, ...) RT_VERB_##id,
#include "runtime/verbs.def"
    RT_VERB_COUNT,
    RT_VERB_none = RT_VERB_COUNT, /* only help or the version was asked for */
};

struct rt_options {
    COMMAND_LINE_FIELDS; /* verb: enum rt_verb */
#define COMMON(...)
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
