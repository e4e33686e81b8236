/* See json_write.h. */
#include "runtime/json_write.h"

#include "runtime/utf8.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void rt_json_write_open(struct rt_json_writer *json, FILE *file, bool indented)
{
    *json = (struct rt_json_writer){.file = file, .indented = indented, .empty = true};
}

static void new_line(struct rt_json_writer *json)
{
    if (json->indented)
        fprintf(json->file, "\n%*s", (int)(2 * json->depth), "");
}

static void quote(FILE *file, const char *text, size_t length)
{
    const char *end = text + length;
    fputc('"', file);
    while (text < end) {
        unsigned char byte = (unsigned char)*text;
        size_t bytes = rt_utf8_length(text, end);
        if (byte == '"' || byte == '\\')
            fprintf(file, "\\%c", byte);
        else if (byte == '\n')
            fputs("\\n", file);
        else if (byte < ' ' || byte == 0x7f)
            fprintf(file, "\\u%04x", byte);
        else if (bytes == 0)
            fputs("\xef\xbf\xbd", file);
        else
            fwrite(text, 1, bytes, file);
        text += bytes ? bytes : 1;
    }
    fputc('"', file);
}

/* Writes what stands before a value: comma, line, key. */
static void begin_value(struct rt_json_writer *json, const char *key)
{
    if (!json->empty)
        fputs(json->indented ? "," : ", ", json->file);
    if (json->depth > 0)
        new_line(json);
    if (key) {
        quote(json->file, key, strlen(key));
        fputs(": ", json->file);
    }
    json->empty = false;
}

static void begin_container(struct rt_json_writer *json, const char *key, bool object)
{
    begin_value(json, key);
    uint64_t bit = (uint64_t)1 << (json->depth++ & 63);
    json->objects = object ? json->objects | bit : json->objects & ~bit;
    fputc(object ? '{' : '[', json->file);
    json->empty = true;
}

void rt_json_write_object(struct rt_json_writer *json, const char *key)
{
    begin_container(json, key, true);
}

void rt_json_write_array(struct rt_json_writer *json, const char *key)
{
    begin_container(json, key, false);
}

void rt_json_write_end(struct rt_json_writer *json)
{
    bool object = json->objects >> (--json->depth & 63) & 1;
    if (!json->empty)
        new_line(json);
    fputc(object ? '}' : ']', json->file);
    json->empty = false;
    if (json->depth == 0)
        fputc('\n', json->file);
}

void rt_json_write_text(struct rt_json_writer *json, const char *key, const char *text)
{
    if (text)
        rt_json_write_bytes(json, key, text, strlen(text));
    else
        rt_json_write_null(json, key);
}

void rt_json_write_bytes(struct rt_json_writer *json, const char *key, const char *text,
                         size_t length)
{
    begin_value(json, key);
    quote(json->file, text, length);
}

void rt_json_write_int(struct rt_json_writer *json, const char *key, int64_t value)
{
    begin_value(json, key);
    fprintf(json->file, "%" PRId64, value);
}

void rt_json_write_unsigned(struct rt_json_writer *json, const char *key, uint64_t value)
{
    begin_value(json, key);
    fprintf(json->file, "%" PRIu64, value);
}

void rt_json_write_bool(struct rt_json_writer *json, const char *key, bool value)
{
    begin_value(json, key);
    fputs(value ? "true" : "false", json->file);
}

void rt_json_write_null(struct rt_json_writer *json, const char *key)
{
    begin_value(json, key);
    fputs("null", json->file);
}

void rt_json_write_raw(struct rt_json_writer *json, const char *key, const char *value)
{
    begin_value(json, key);
    fputs(value, json->file);
}

void rt_json_write_double(struct rt_json_writer *json, const char *key, double value)
{
    char text[32];
    if (!isfinite(value)) {
        rt_json_write_null(json, key);
        return;
    }
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    begin_value(json, key);
    fputs(text, json->file);
}
