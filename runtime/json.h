/*
 * A strict JSON reader (RFC 8259) that pulls one token at a time from a text in memory. It
 * allocates nothing and does not recurse, so no input can exhaust the heap or the stack: the
 * open containers are one bit each, and a text nested deeper than RT_JSON_DEPTH is an error.
 *
 * Strict: UTF-8 is checked (no overlong forms, no surrogates), escapes too (a \u surrogate needs
 * its partner), no control bytes in strings, no leading zeros, no comments, no trailing commas,
 * no NaN or Infinity, exactly one value. Duplicate keys are the caller's to find.
 *
 *     struct rt_json json;
 *     rt_json_open(&json, text, length);
 *     while (rt_json_next(&json) > RT_JSON_END) ...
 */
#ifndef SINTER_JSON_H
#define SINTER_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RT_JSON_DEPTH = 64 };

enum rt_json_token {
    RT_JSON_ERROR, /* `error` says what and `token` where; every later call says it again */
    RT_JSON_END,   /* the value is complete and nothing but white space follows it */
    RT_JSON_OBJECT,
    RT_JSON_OBJECT_END,
    RT_JSON_ARRAY,
    RT_JSON_ARRAY_END,
    RT_JSON_KEY,    /* the name of a member; its value is the next token */
    RT_JSON_STRING, /* token + 1 .. token + token_length - 1 is the raw text inside the quotes */
    RT_JSON_NUMBER, /* token .. token + token_length is its text */
    RT_JSON_TRUE,
    RT_JSON_FALSE,
    RT_JSON_NULL,
};

struct rt_json {
    const char *text, *end;
    const char *at;      /* what is read next */
    const char *token;   /* the start of the last token, quotes included */
    size_t token_length; /* quotes included */
    bool escaped;        /* the last key or string holds at least one escape */
    const char *error;   /* a static text, NULL while all is well */
    uint64_t objects;    /* bit i: the container at depth i is an object */
    unsigned depth;      /* open containers */
    int state;           /* what may come next: private */
};

/* The text is not copied and must outlive the reader. It need not be terminated. */
void rt_json_open(struct rt_json *json, const char *text, size_t length);

/* Reads the next token and returns its kind. */
enum rt_json_token rt_json_next(struct rt_json *json);

/*
 * Skips the rest of the value whose first token `token` has just been read (for a container: up
 * to its end). Returns false on an error.
 */
bool rt_json_skip(struct rt_json *json, enum rt_json_token token);

/*
 * The key or string just read, escapes resolved, with a terminating zero, in `out`, which holds
 * `capacity` bytes. Returns its length, or (size_t)-1 if it does not fit. token_length bytes
 * always suffice.
 */
size_t rt_json_string(const struct rt_json *json, char *out, size_t capacity);

/* Whether the key or string just read equals a zero-terminated text without escapes in it. */
bool rt_json_is(const struct rt_json *json, const char *text);

/* The number just read as an unsigned integer; false if it has a sign, a fraction or an
 * exponent, or does not fit. */
bool rt_json_unsigned(const struct rt_json *json, uint64_t *out);

/* Line and column (bytes, both from 1) of the last token, for messages. */
void rt_json_place(const struct rt_json *json, unsigned *line, unsigned *column);

#endif
