/*
 * The compiler's error policy: the first error is fatal. Messages come from the one table
 * runtime/messages.def. Errors in model or IR text carry a location and print the line and a
 * caret; all others are one line "PROGRAM: error: WHAT; WHERE; WHAT TO DO".
 */
#ifndef SINTER_DIAG_H
#define SINTER_DIAG_H

#include "runtime/messages.h"

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

/* A place in a source text. file is an index given by diag_add_source, 0 = nowhere. */
struct location {
    uint32_t file, line, column; /* line and column count from 1; column in bytes */
};

struct source {
    const char *name; /* as the user wrote it */
    const char *text; /* NULL if only the name is known (a dump of an earlier run) */
    size_t length;
};

/* Registers a text (kept, not copied; it must outlive every later diagnostic). Returns its
 * index, from 1. The same name with NULL text is registered once, and the name is copied. */
uint32_t diag_add_source(const char *name, const char *text, size_t length);
const struct source *diag_source(uint32_t file);

/* fatal(NAME, arguments...) and fatal_at(location, NAME, arguments...) never return: they print
 * MESSAGE(NAME) and end the process with its exit code. warn and warn_at print and go on. */
#define fatal(name, ...) \
    diag_fatal((struct location){0}, MESSAGE_##name, message_format_##name, ##__VA_ARGS__)
#define fatal_at(location, name, ...) \
    diag_fatal((location), MESSAGE_##name, message_format_##name, ##__VA_ARGS__)
#define warn(name, ...) \
    diag_warn((struct location){0}, MESSAGE_##name, message_format_##name, ##__VA_ARGS__)
#define warn_at(location, name, ...) \
    diag_warn((location), MESSAGE_##name, message_format_##name, ##__VA_ARGS__)

_Noreturn void diag_fatal(struct location location, enum message_id id, const char *format, ...)
    __attribute__((format(printf, 3, 4), cold));
void diag_warn(struct location location, enum message_id id, const char *format, ...)
    __attribute__((format(printf, 3, 4), cold));

/* Ends the process with `code`, as a fatal message does, printing `text` as the message: for
 * failures that the runtime's own code (status.h) reported. */
_Noreturn void diag_fatal_text(int code, const char *text);

/*
 * Replaces the printing of fatal messages (--json). `place` is "FILE:LINE:COL", or "" where the
 * text itself says "WHAT; WHERE; WHAT TO DO". NULL restores.
 */
void diag_set_reporter(void (*report)(int code, const char *text, const char *place));

/* The name before "error:"; "sinter" until set. Kept, not copied. */
void diag_set_program(const char *name);

/*
 * For tests and fuzzers: a fatal message jumps to `trap` with its exit code instead of ending
 * the process, its text is kept in diag_last_message, and nothing is printed. NULL restores.
 * Gives the trap that was set before.
 */
jmp_buf *diag_set_trap(jmp_buf *trap);
const char *diag_last_message(void);

/* Called just before a fatal message ends the process (remove temporary files). At most 8;
 * called last first. */
void diag_at_fatal(void (*clean)(void *), void *object);

#endif
