/*
 * How failures and warnings reach the user: one line on standard error,
 * "PROGRAM: error: WHAT; WHERE; WHAT TO DO", or the parts as one JSON object.
 */
#ifndef SINTER_REPORT_H
#define SINTER_REPORT_H

#include "runtime/status.h"

#include <stdbool.h>

/* The name is kept, not copied. */
void rt_report_open(const char *program, bool json);

/* From now on warnings and progress are not shown: the process is not ours, but that of a program
 * which uses a model as a library. */
void rt_report_silence(void);
bool rt_report_silent(void);

/* Prints the text of rt_status_text for a failure `code`; nothing for EXIT_OK and EXIT_PIPE. */
void rt_report_failure(int code);

/* Prints one JSON object of a failure, its text split into parts unless `place` says where. */
void rt_report_json(int code, const char *text, const char *place);

/* Prints MESSAGE `name` with its arguments as a warning. */
#define rt_warn(name, ...) rt_report_warning(message_format_##name, __VA_ARGS__)

void rt_report_warning(const char *format, ...) __attribute__((format(printf, 1, 2), cold));

#endif
