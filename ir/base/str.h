/*
 * A string builder in an arena: text that grows by printf. The text is always terminated, and
 * may hold zero bytes when appended with str_bytes.
 */
#ifndef SINTER_STR_H
#define SINTER_STR_H

#include <stddef.h>

struct arena;

struct str {
    struct arena *arena;
    char *text; /* "" before the first append */
    size_t length, capacity;
};

struct str str_create(struct arena *arena);
void str_printf(struct str *str, const char *format, ...) __attribute__((format(printf, 2, 3)));
void str_bytes(struct str *str, const char *bytes, size_t length);

/* Appends `value` as the shortest decimal that reads back as the same double ("1e-05", "0.1",
 * "3", "nan", "inf", "-inf"). */
void str_double(struct str *str, double value);

#endif
