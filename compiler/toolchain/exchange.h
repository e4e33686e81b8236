/*
 * Bytes by path, for LLD, which reads and writes files only. Inputs are memory files seen under
 * /proc/self/fd, the result comes back through a pipe: writing the program is then ours, with
 * exact errors. Without /proc, inputs and a named pipe stand in a temporary folder beside the
 * program; the folder goes away with the exchange, also when a fatal message ends the process.
 */
#ifndef SINTER_TOOLCHAIN_EXCHANGE_H
#define SINTER_TOOLCHAIN_EXCHANGE_H

#include <limits.h>
#include <stddef.h>

struct exchange_input {
    char *path;
    int descriptor; /* of a memory file; -1 for a file in the folder */
};

struct exchange {
    const char *beside;    /* the program's path */
    char folder[PATH_MAX]; /* "" where /proc serves */
    struct exchange_input *inputs;
    size_t count, capacity;
    int reader, writer; /* the pipe; -1 when closed */
    char output[PATH_MAX];
    char *image; /* what came through it */
    size_t image_length, image_capacity;
};

/* Begins an exchange for at most `capacity` inputs. Failures here and below are fatal. One
 * exchange at a time. */
struct exchange *exchange_begin(const char *beside, size_t capacity);

/* Makes bytes readable by the path that it returns, which the exchange owns. */
const char *exchange_give(struct exchange *exchange, const void *bytes, size_t length);

/* The path where another process, forked after this call, writes the result. */
const char *exchange_receive(struct exchange *exchange);

/* Reads the result until that process has ended. The bytes are the exchange's. */
const char *exchange_result(struct exchange *exchange, size_t *length);

void exchange_end(struct exchange *exchange);

#endif
