/* The tables verbs.def and options.def as data, for the two files that walk over them. */
#ifndef SINTER_OPTIONS_TABLE_H
#define SINTER_OPTIONS_TABLE_H

#include "runtime/options.h"

#include <stddef.h>

enum { TASK_GENERATE = 1, TASK_FIT = 2, TASK_PREDICT = 4 };
enum option_kind { FLAG, INTEGER, REAL, TEXT, LIST, CHOICE };

struct verb_row {
    const char *name;
    unsigned tasks;
    int least, most;
    const char *arguments, *summary;
};

struct option_row {
    const char *name;
    char letter;
    enum option_kind kind;
    const char *value;
    double standard, least, most;
    unsigned verbs; /* bit i: enum rt_verb i */
    const char *help;
    size_t offset; /* in struct rt_options */
};

extern const struct verb_row rt_verb_rows[];
extern const struct option_row rt_option_rows[];
extern const int rt_option_row_count;

/* The bit of a task's name; 0 if the name is unknown. */
unsigned rt_task_bit(const char *task);

#endif
