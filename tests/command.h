/* Runs a program as a user does and keeps what it wrote, for tests of whole commands. */
#ifndef SINTER_TESTS_COMMAND_H
#define SINTER_TESTS_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

enum { COMMAND_WRITES = 4096 };

struct outcome {
    int code; /* 128 + signal if it was killed by one */
    char *out, *err;
    size_t out_length, err_length;
    double seconds;
    size_t writes[COMMAND_WRITES]; /* bytes of each write to standard output, if asked for */
    int write_count;
};

/* How to run it; zero is the ordinary. */
struct command_setting {
    const char *directory;          /* to run in */
    const char *input;              /* on standard input; NULL: nothing, at its end */
    const char *const *environment; /* NAME=VALUE to add, ended by NULL */
    bool writes;                    /* keep the borders of writes to standard output */
};

/*
 * words: the program and its arguments, ended by NULL. The result is valid until the next call.
 * Ends the test program if the command cannot be run at all.
 */
const struct outcome *command_run(const struct command_setting *setting, const char *const *words);

/* command_run with the words of `line`, split at blanks; ' quotes. */
const struct outcome *command_line(const struct command_setting *setting, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A new directory under /tmp, and its removal with all in it. */
void command_folder(char *out, size_t capacity, const char *name);
void command_remove(const char *directory);

/* The whole file, by malloc; ends the test program if it cannot be read. */
char *command_read_file(const char *path, size_t *length);
void command_write_file(const char *path, const void *bytes, size_t length);

#endif
