/* Printing of failures and warnings: see report.h. */
#include "runtime/report.h"

#include "runtime/json_write.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MESSAGE_BYTES = 2048 };

static const char *program_name = "program";
static bool as_json, silent;

void rt_report_open(const char *program, bool json)
{
    program_name = program;
    as_json = json;
}

void rt_report_silence(void)
{
    silent = true;
}

bool rt_report_silent(void)
{
    return silent;
}

/* User text reaches messages: keep every message on one line. */
static void flatten(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            *text = ' ';
}

/* Splits at the first and the last "; "; absent parts are empty. */
static void split(char *text, const char **where, const char **todo)
{
    char *first = strstr(text, "; "), *last = first;
    *where = *todo = "";
    if (!first)
        return;
    for (char *next = strstr(first + 2, "; "); next; next = strstr(next + 2, "; "))
        last = next;
    *first = '\0';
    *where = last == first ? "" : first + 2;
    *last = '\0';
    *todo = last + 2;
}

void rt_report_json(int code, const char *message, const char *place)
{
    struct rt_json_writer json;
    char text[MESSAGE_BYTES];
    const char *where = place, *todo = "";
    snprintf(text, sizeof text, "%s", message);
    if (*place == '\0')
        split(text, &where, &todo);
    rt_json_write_open(&json, stderr, false);
    rt_json_write_object(&json, NULL);
    rt_json_write_object(&json, "error");
    rt_json_write_text(&json, "what", text);
    rt_json_write_text(&json, "where", where);
    rt_json_write_text(&json, "todo", todo);
    rt_json_write_int(&json, "code", code);
    rt_json_write_end(&json);
    rt_json_write_end(&json);
}

void rt_report_failure(int code)
{
    char text[MESSAGE_BYTES];
    if (code == EXIT_OK || code == EXIT_PIPE)
        return;
    snprintf(text, sizeof text, "%s", rt_status_text());
    flatten(text);
    if (as_json)
        rt_report_json(code, text, "");
    else
        fprintf(stderr, "%s: error: %s\n", program_name, text);
}

void rt_report_warning(const char *format, ...)
{
    char text[MESSAGE_BYTES];
    va_list arguments;
    if (silent)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    flatten(text);
    fflush(stdout);
    fprintf(stderr, "%s: warning: %s\n", program_name, text);
}
