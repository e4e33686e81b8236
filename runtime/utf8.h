/* UTF-8 as the Unicode standard defines it (table 3-7): shortest forms only, no surrogates,
 * nothing above U+10FFFF. */
#ifndef SINTER_UTF8_H
#define SINTER_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* The bytes (1 to 4) of the well-formed sequence that starts at `at`; 0 if it is ill-formed or
 * cut off by `end`. */
size_t rt_utf8_length(const char *at, const char *end);

/* Writes a code point (a scalar value) and returns its bytes, 1 to 4. No zero is appended. */
size_t rt_utf8_put(uint32_t code, char *out);

#endif
