/* See text.h. */
#include "runtime/tokenizer/text.h"

#include <stdlib.h>
#include <string.h>

void rt_text_free(struct rt_text *text)
{
    free(text->bytes);
    free(text->spans);
    *text = (struct rt_text){0};
}

void rt_text_clear(struct rt_text *text)
{
    text->length = text->count = 0;
}

uint8_t *rt_text_reserve(struct rt_text *text, size_t length)
{
    size_t need;
    if (text->failed || __builtin_add_overflow(text->length, length, &need) || need > INT32_MAX) {
        text->failed = true;
        return NULL;
    }
    if (need > text->capacity) {
        size_t capacity = need + need / 2 + 256;
        uint8_t *grown = realloc(text->bytes, capacity);
        if (!grown) {
            text->failed = true;
            return NULL;
        }
        text->bytes = grown;
        text->capacity = capacity;
    }
    return text->bytes + text->length;
}

void rt_text_put(struct rt_text *text, const uint8_t *bytes, size_t length)
{
    uint8_t *at = length ? rt_text_reserve(text, length) : NULL;
    if (!at)
        return;
    memcpy(at, bytes, length);
    text->length += length;
}

static void add_span(struct rt_text *text, struct rt_span span)
{
    if (text->count == text->span_capacity) {
        size_t capacity = text->span_capacity ? text->span_capacity * 2 : 64;
        struct rt_span *grown = realloc(text->spans, capacity * sizeof *grown);
        if (!grown) {
            text->failed = true;
            return;
        }
        text->spans = grown;
        text->span_capacity = capacity;
    }
    text->spans[text->count++] = span;
}

void rt_text_cut(struct rt_text *text, size_t begin, uint32_t origin)
{
    if (!text->failed && begin < text->length)
        add_span(text, (struct rt_span){(uint32_t)begin, (uint32_t)text->length, -1, origin});
}

void rt_text_token(struct rt_text *text, int32_t id)
{
    if (!text->failed)
        add_span(text, (struct rt_span){(uint32_t)text->length, (uint32_t)text->length, id, 0});
}
