/* Runs rt_main of a program in a child process and keeps what it wrote. */
#ifndef SINTER_RUN_PROGRAM_H
#define SINTER_RUN_PROGRAM_H

#include "runtime/program.h"

#include <stddef.h>

struct run {
    int code; /* 128 + signal if it was killed by one */
    char *out, *err;
    size_t out_length, err_length;
};

/* What else the child is given; zero is the ordinary. */
struct run_setting {
    const char *input;  /* on standard input; NULL: nothing, at its end */
    const char *output; /* this file as standard output instead of a pipe */
    int closed_pipe;    /* standard output is a pipe without a reader */
    int interrupt_ms;   /* SIGINT after so many milliseconds */
    size_t stack;       /* RLIMIT_STACK */
};

/* The words of `line` become argv behind the program's name "toy"; ' quotes. The result is valid
 * until the next call of either function. */
struct run run_line(const struct rt_program *program, const struct run_setting *setting,
                    const char *line);

/* As run_line, from argv (argv[0] included), ended by NULL. */
struct run run_words(const struct rt_program *program, const struct run_setting *setting,
                     char **argv);

#endif
