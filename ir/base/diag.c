/* Printing of messages, carets, and the end of the process: see diag.h. */
#include "diag.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SOURCES = 4096, CLEANERS = 8, LINE_SHOWN = 160 };

static struct source sources[SOURCES];
static uint32_t source_count;
static const char *program = "sinter";
static jmp_buf *trap;
static void (*reporter)(int code, const char *text, const char *place);
static char last_message[2048];
static struct { void (*clean)(void *); void *object; } cleaners[CLEANERS];
static int cleaner_count;

uint32_t diag_add_source(const char *name, const char *text, size_t length)
{
    for (uint32_t i = 0; !text && i < source_count; i++)
        if (!sources[i].text && strcmp(sources[i].name, name) == 0)
            return i + 1;
    if (!text && source_count == SOURCES)
        return SOURCES;
    uint32_t index = source_count < SOURCES ? source_count++ : SOURCES - 1;
    const char *kept = text ? name : strdup(name);
    sources[index] = (struct source){kept ? kept : "?", text, length};
    return index + 1;
}

const struct source *diag_source(uint32_t file)
{
    return file >= 1 && file <= source_count ? &sources[file - 1] : NULL;
}

void diag_set_program(const char *name)
{
    program = name;
}

jmp_buf *diag_set_trap(jmp_buf *new_trap)
{
    jmp_buf *old = trap;
    trap = new_trap;
    return old;
}

const char *diag_last_message(void)
{
    return last_message;
}

void diag_at_fatal(void (*clean)(void *), void *object)
{
    if (cleaner_count == CLEANERS)
        fatal(INTERNAL, "too many cleaners", __func__);
    cleaners[cleaner_count].clean = clean;
    cleaners[cleaner_count++].object = object;
}

/* The start of a line of a text, or NULL if the text is not that long. */
static const char *line_start(const struct source *source, uint32_t line)
{
    const char *at = source->text, *end = source->text + source->length;
    for (; at && line > 1; line--) {
        at = memchr(at, '\n', (size_t)(end - at));
        at = at ? at + 1 : NULL;
    }
    return at && at <= end ? at : NULL;
}

/* Prints the line of `location`, control bytes as spaces, and a caret under its column. */
static void print_caret(struct location location)
{
    const struct source *source = diag_source(location.file);
    const char *start = source && source->text ? line_start(source, location.line) : NULL;
    if (!start)
        return;
    const char *end = source->text + source->length;
    char shown[LINE_SHOWN + 1], below[LINE_SHOWN + 1];
    int length = 0, caret = 0;
    for (; length < LINE_SHOWN && start + length < end && start[length] != '\n'; length++)
        shown[length] = (unsigned char)start[length] < ' ' ? ' ' : start[length];
    shown[length] = '\0';
    for (uint32_t i = 0; i + 1 < location.column && i < (uint32_t)length; i++)
        if (((unsigned char)shown[i] & 0xc0) != 0x80) /* one column for a UTF-8 sequence */
            below[caret++] = ' ';
    below[caret] = '\0';
    fprintf(stderr, "%s\n%s^\n", shown, below);
}

static void print_message(struct location location, const char *kind)
{
    const struct source *source = diag_source(location.file);
    fflush(stdout);
    if (!source) {
        fprintf(stderr, "%s: %s: %s\n", program, kind, last_message);
        return;
    }
    fprintf(stderr, "%s:%u:%u: %s: %s\n", source->name, location.line, location.column, kind,
            last_message);
    print_caret(location);
}

static void report(struct location location, int code)
{
    const struct source *source = diag_source(location.file);
    char place[512] = "";
    if (!reporter) {
        print_message(location, "error");
        return;
    }
    if (source)
        snprintf(place, sizeof place, "%s:%u:%u", source->name, location.line, location.column);
    fflush(stdout);
    reporter(code, last_message, place);
}

void diag_set_reporter(void (*new_reporter)(int code, const char *text, const char *place))
{
    reporter = new_reporter;
}

static _Noreturn void finish(int code)
{
    while (cleaner_count > 0) {
        cleaner_count--;
        cleaners[cleaner_count].clean(cleaners[cleaner_count].object);
    }
    exit(code);
}

/* User text reaches messages: keep every message on one line. */
static void flatten_message(void)
{
    for (char *at = last_message; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = ' ';
}

void diag_fatal(struct location location, enum message_id id, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(last_message, sizeof last_message, format, arguments);
    va_end(arguments);
    flatten_message();
    if (trap)
        longjmp(*trap, message_exit_code[id]);
    report(location, message_exit_code[id]);
    finish(message_exit_code[id]);
}

void diag_fatal_text(int code, const char *text)
{
    snprintf(last_message, sizeof last_message, "%s", text);
    flatten_message();
    if (trap)
        longjmp(*trap, code);
    report((struct location){0}, code);
    finish(code);
}

void diag_warn(struct location location, enum message_id id, const char *format, ...)
{
    (void)id;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(last_message, sizeof last_message, format, arguments);
    va_end(arguments);
    flatten_message();
    if (!trap)
        print_message(location, "warning");
}
