/*
 * The runtime's error policy: every fallible function returns a status, 0 or the exit code that
 * the program would end with; the text stands in one process-wide record. The first failure
 * wins until rt_status_clear, so that clean-up cannot hide it. Nothing here exits.
 */
#ifndef SINTER_STATUS_H
#define SINTER_STATUS_H

#include "messages.h"

typedef int rt_status;

/* Records MESSAGE `name` with its arguments and yields its exit code:
 *     return rt_fail(FILE_OPEN, path, strerror(errno));                                       */
#define rt_fail(name, ...) rt_fail_with(MESSAGE_##name, message_format_##name, ##__VA_ARGS__)

rt_status rt_fail_with(enum message_id id, const char *format, ...)
    __attribute__((format(printf, 2, 3), cold));

/* "WHAT; WHERE; WHAT TO DO" of the first failure since the last clear, "" if there was none. */
const char *rt_status_text(void);
void rt_status_clear(void);

#endif
