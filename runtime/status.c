/* The record of the first failure: see status.h. */
#include "status.h"

#include <stdarg.h>
#include <stdio.h>

static char first_failure[2048];

rt_status rt_fail_with(enum message_id id, const char *format, ...)
{
    if (first_failure[0] == '\0') {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(first_failure, sizeof first_failure, format, arguments);
        va_end(arguments);
    }
    return message_exit_code[id];
}

const char *rt_status_text(void)
{
    return first_failure;
}

void rt_status_clear(void)
{
    first_failure[0] = '\0';
}
