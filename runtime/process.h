/*
 * What belongs to the process as a whole: signals, the stack of the main thread, the end of the
 * standard streams, the clock.
 */
#ifndef SINTER_PROCESS_H
#define SINTER_PROCESS_H

#include "runtime/program.h"
#include "runtime/status.h"

#include <stdbool.h>
#include <stdio.h>

/* Ignores SIGPIPE, since writes are checked; SIGINT and SIGTERM are noted once, a second one
 * ends the process at once. */
void rt_process_signals(void);

/* A failure if SIGINT or SIGTERM came: asked between steps. */
rt_status rt_process_interrupted(void);

/* Calls body(argument) on a stack that fits every kernel and returns its result. */
int rt_process_with_stack(int (*body)(void *argument), void *argument);

/* Flushes and checks a stream called `name`: EXIT_PIPE if its reader went away, EXIT_FILE for
 * any other failure since it was opened. */
rt_status rt_flush(FILE *stream, const char *name);

/* EXIT_PIPE or EXIT_FILE, for the reason in errno, if writing to the stream has failed. The caller
 * set errno to 0 before it wrote: only the call that met the failure is told the reason. */
rt_status rt_written(FILE *stream, const char *name);

/* As rt_flush, then closes the stream, also on failure. */
rt_status rt_close(FILE *stream, const char *name);

/* Nanoseconds of a clock that never goes back. */
rt_u64 rt_now(void);

#endif
