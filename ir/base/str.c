/* See str.h. */
#include "str.h"

#include "arena.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct str str_create(struct arena *arena)
{
    return (struct str){.arena = arena, .text = ""};
}

static char *reserve(struct str *str, size_t extra)
{
    if (str->capacity - str->length < extra + 1 || str->capacity == 0) {
        size_t capacity = (str->capacity + extra + 1) * 2;
        char *text = arena_alloc(str->arena, capacity, 1);
        memcpy(text, str->text, str->length);
        str->text = text;
        str->capacity = capacity;
    }
    return str->text + str->length;
}

void str_printf(struct str *str, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    size_t room = str->capacity - str->length;
    char *end = room ? str->text + str->length : NULL;
    size_t length = (size_t)vsnprintf(end, room, format, arguments);
    va_end(arguments);
    if (length >= room)
        vsnprintf(reserve(str, length), length + 1, format, again);
    va_end(again);
    str->length += length;
}

void str_bytes(struct str *str, const char *bytes, size_t length)
{
    char *end = reserve(str, length);
    if (length)
        memcpy(end, bytes, length);
    end[length] = '\0';
    str->length += length;
}

void str_double(struct str *str, double value)
{
    char text[32];
    if (isnan(value)) {
        str_printf(str, "nan");
        return;
    }
    if (fabs(value) < 1e15 && value == trunc(value) && !(value == 0 && signbit(value))) {
        str_printf(str, "%.0f", value); /* "40", not "4e+01" */
        return;
    }
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    str_printf(str, "%s", text);
}
