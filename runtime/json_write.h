/*
 * A JSON writer for the --json outputs: one object or array, indented by two blanks or on one
 * line, written as it comes. It keeps track of commas and nesting only; write errors stay in the
 * stream (ferror) and are checked by whoever closes it.
 *
 *     struct rt_json_writer json;
 *     rt_json_write_open(&json, stdout, true);
 *     rt_json_write_object(&json, NULL);
 *     rt_json_write_text(&json, "program", "sinter");
 *     rt_json_write_end(&json);
 */
#ifndef SINTER_JSON_WRITE_H
#define SINTER_JSON_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct rt_json_writer {
    FILE *file;
    bool indented;
    bool empty;       /* nothing stands in the innermost container yet */
    unsigned depth;   /* open containers, at most 64 */
    uint64_t objects; /* bit i: the container at depth i is an object */
};

void rt_json_write_open(struct rt_json_writer *json, FILE *file, bool indented);

/* In an object `key` names the member; in an array and at the top it is NULL. */
void rt_json_write_object(struct rt_json_writer *json, const char *key);
void rt_json_write_array(struct rt_json_writer *json, const char *key);

/* Closes the innermost container; a line feed follows the outermost one. */
void rt_json_write_end(struct rt_json_writer *json);

/* NULL is written as null. Bytes that are not UTF-8 become U+FFFD. */
void rt_json_write_text(struct rt_json_writer *json, const char *key, const char *text);
void rt_json_write_bytes(struct rt_json_writer *json, const char *key, const char *text,
                         size_t length);
void rt_json_write_int(struct rt_json_writer *json, const char *key, int64_t value);
void rt_json_write_unsigned(struct rt_json_writer *json, const char *key, uint64_t value);
void rt_json_write_bool(struct rt_json_writer *json, const char *key, bool value);
void rt_json_write_null(struct rt_json_writer *json, const char *key);

/* `value` is the text of a JSON value. */
void rt_json_write_raw(struct rt_json_writer *json, const char *key, const char *value);

/* The shortest decimal that reads back as the same double; null if it is not finite. */
void rt_json_write_double(struct rt_json_writer *json, const char *key, double value);

#endif
