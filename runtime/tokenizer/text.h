/*
 * The text on its way to ids: bytes cut into spans, some of which are tokens already. Every
 * step reads one text and writes the next, so each is one linear pass. Running out of memory
 * is remembered in `failed`; appends then do nothing, and the caller checks once at the end.
 */
#ifndef SINTER_TOKENIZER_TEXT_H
#define SINTER_TOKENIZER_TEXT_H

#include "runtime/tokenizer/blob.h"

struct rt_span {
    uint32_t begin, end;
    int32_t id;      /* -1: still text */
    uint32_t origin; /* how many of its first bytes stem from the first byte of the input */
};

struct rt_text {
    uint8_t *bytes;
    struct rt_span *spans;
    size_t length, capacity;
    size_t count, span_capacity;
    bool failed;
};

void rt_text_free(struct rt_text *text);

/* Forgets the content, keeps the memory. */
void rt_text_clear(struct rt_text *text);

/* Appends bytes. They belong to no span until rt_text_cut names the bytes from `begin` to the
 * end as one; an empty span is dropped. */
void rt_text_put(struct rt_text *text, const uint8_t *bytes, size_t length);
void rt_text_cut(struct rt_text *text, size_t begin, uint32_t origin);

/* Room for `length` more bytes at the end, NULL if there is none; text->length is the caller's
 * to raise. */
uint8_t *rt_text_reserve(struct rt_text *text, size_t length);

/* Appends a span that is a token: it needs no bytes. */
void rt_text_token(struct rt_text *text, int32_t id);

/* Runs one step over all spans of `in` that are text. `strings` is the text section. */
void rt_step_apply(const struct rt_step *step, const uint8_t *strings, const struct rt_text *in,
                   struct rt_text *out);

/* Takes added tokens out of the spans of `in`; `flags` as for rt_tokenizer_encode. */
void rt_added_split(const struct rt_tokenizer *tokenizer, const struct rt_trie_node *trie,
                    size_t nodes, unsigned flags, const struct rt_text *in, struct rt_text *out);

/* The end (exclusive) of the match of a known split pattern at text[at], at < length: these
 * patterns match at every place. */
size_t rt_pattern_end(enum rt_pattern pattern, const uint8_t *text, size_t length, size_t at);

/* The text as sentencepiece normalizes it: its own rules, not the steps above. */
void rt_sentencepiece_normalize(const struct rt_tokenizer *tokenizer, const uint8_t *bytes,
                                size_t length, struct rt_text *out);

#endif
