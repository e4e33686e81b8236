/* See emit.h. */
#include "backends/emit.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct writer writer_create(struct arena *arena, int level)
{
    return (struct writer){.text = str_create(arena), .level = level};
}

static void write_line(struct writer *w, const char *format, va_list arguments)
{
    char line[4096];
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(line, sizeof line, format, arguments);
    str_printf(&w->text, "%*s", w->level * 4, "");
    if ((size_t)length < sizeof line) {
        str_bytes(&w->text, line, (size_t)length);
    } else {
        char *longer = arena_alloc(w->text.arena, (size_t)length + 1, 1);
        vsnprintf(longer, (size_t)length + 1, format, again);
        str_bytes(&w->text, longer, (size_t)length);
    }
    va_end(again);
    str_bytes(&w->text, "\n", 1);
}

void writer_line(struct writer *w, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_line(w, format, arguments);
    va_end(arguments);
}

void writer_open(struct writer *w, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_line(w, format, arguments);
    va_end(arguments);
    w->level++;
}

void writer_close(struct writer *w, const char *line)
{
    w->level--;
    writer_line(w, "%s", line);
}

const char *emit_identifier(struct arena *arena, const char *name)
{
    enum { LONGEST = 60 };
    bool letter = isalpha((unsigned char)name[0]);
    char *text = arena_printf(arena, "%s%.*s", letter ? "" : "k_", LONGEST, name);
    for (char *c = text; *c; c++)
        if (!isalnum((unsigned char)*c) || (unsigned char)*c > 127)
            *c = '_';
    return text;
}

void emit_string(struct str *out, const char *text, size_t length)
{
    if (!text) {
        str_printf(out, "0");
        return;
    }
    str_printf(out, "\"");
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= ' ' && c < 127 && c != '"' && c != '\\' && c != '?')
            str_bytes(out, text + i, 1);
        else
            str_printf(out, "\\%03o", c);
    }
    str_printf(out, "\"");
}

const char *emit_real(struct arena *arena, enum dtype dtype, double value)
{
    bool wide = dtype == DTYPE_f64;
    double rounded = wide ? value : dtype_round(dtype, value);
    if (isnan(rounded))
        return wide ? "__builtin_nan(\"\")" : "__builtin_nanf(\"\")";
    if (isinf(rounded))
        return rounded > 0 ? "m_infinity" : "(-m_infinity)";
    char digits[40];
    snprintf(digits, sizeof digits, wide ? "%.17g" : "%.9g", rounded);
    if (!wide) { /* the shortest text of the same float */
        for (int count = 1; count < 9; count++) {
            snprintf(digits, sizeof digits, "%.*g", count, rounded);
            if (strtof(digits, NULL) == (float)rounded)
                break;
        }
    }
    bool point = strpbrk(digits, ".e") != NULL;
    const char *format = rounded < 0 || signbit(rounded) ? "(%s%s%s)" : "%s%s%s";
    return arena_printf(arena, format, digits, point ? "" : ".0", wide ? "" : "f");
}

const char *emit_suffix(enum dtype dtype)
{
    switch (dtype) {
    case DTYPE_f64: return "f64";
    case DTYPE_i64: return "i64";
    case DTYPE_i32:
    case DTYPE_u8:
    case DTYPE_bool: return "i32";
    default: return "f32";
    }
}

const char *emit_compute_type(enum dtype dtype)
{
    switch (dtype) {
    case DTYPE_f64: return "double";
    case DTYPE_i64: return "rt_i64";
    case DTYPE_i32:
    case DTYPE_u8:
    case DTYPE_bool: return "int";
    default: return "float";
    }
}

static void put_name(struct str *out, const char *word, size_t length,
                     const struct emit_names *names)
{
    if (length == 1 && word[0] >= 'a' && word[0] <= 'd' && names->operands)
        str_printf(out, "%s", names->operands[word[0] - 'a']);
    else if (length == 1 && word[0] == 'i' && names->index)
        str_printf(out, "%s", names->index);
    else if (length == 2 && word[0] == 'p' && names->p)
        str_printf(out, "%s", names->p[word[1] - '0']);
    else if (length == 2 && word[0] == 'q' && names->q)
        str_printf(out, "%s", names->q[word[1] - '0']);
    else if (length > 2 && memcmp(word, "m_", 2) == 0 && word[length] == '(')
        str_printf(out, "%.*s_%s", (int)length, word, names->suffix);
    else
        str_bytes(out, word, length);
}

const char *emit_expression(struct arena *arena, const char *text, const struct emit_names *names)
{
    struct str out = str_create(arena);
    const char *at = text;
    while (*at) {
        size_t length = 0;
        bool word = isalpha((unsigned char)*at) || *at == '_';
        while (word && (isalnum((unsigned char)at[length]) || at[length] == '_'))
            length++;
        if (word)
            put_name(&out, at, length, names);
        else
            str_bytes(&out, at, length = 1);
        at += length;
    }
    return out.text;
}

const char *emit_component(struct arena *arena, const char *text, int which)
{
    const char *start = text;
    int depth = 0, index = 0;
    for (const char *at = text;; at++) {
        depth += (*at == '(') - (*at == ')');
        if (*at && (*at != ',' || depth > 0))
            continue;
        if (index++ == which)
            return arena_copy(arena, start, (size_t)(at - start));
        if (!*at)
            return "0";
        start = at[1] == ' ' ? at + 2 : at + 1;
    }
}

void emit_library(struct str *out, const struct library_file *file)
{
    const char *at = file->text, *end = file->text + file->length;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t length = newline ? (size_t)(newline - at) + 1 : (size_t)(end - at);
        if (length < 8 || memcmp(at, "#include", 8) != 0)
            str_bytes(out, at, length);
        at += length;
    }
    str_printf(out, "\n");
}
