/*
 * Text to token ids and back, from a table that the compiler made (compiler/tokenizer). The
 * table is used in place: it is position independent, little endian, 8-aligned, and opening it
 * parses nothing. Ids are int32_t. Encoding allocates (it happens outside a step); decoding
 * one token at a time allocates nothing.
 */
#ifndef SINTER_TOKENIZER_H
#define SINTER_TOKENIZER_H

#include "runtime/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rt_tokenizer_header;

struct rt_tokenizer {
    const void *blob;
    size_t bytes;
    const struct rt_tokenizer_header *header; /* the start of blob */
};

/* Checks the table's magic, version and sizes: EXIT_INTERNAL if it is not one of ours. The blob
 * is not copied and must stay, 8-aligned. Nothing needs closing. */
rt_status rt_tokenizer_open(struct rt_tokenizer *tokenizer, const void *blob, size_t bytes);

enum {
    /* encode: special tokens written in the text become their ids; without it no text ever
     * does. decode: special tokens are shown instead of left out. */
    RT_TOKENIZER_SPECIAL = 1,
    /* encode: adds what the tokenizer puts around a text (BOS and the like). An empty result
     * becomes BOS alone where the tokenizer has one. */
    RT_TOKENIZER_TEMPLATE = 2,
};

/*
 * The ids of text[0..length), at most 2^31 - 1 bytes, in *out_ids, to be freed by the caller
 * (allocated even if there are none). Text that is not UTF-8 is EXIT_DATA with the offset of
 * the first wrong byte, unless the tokenizer works on bytes and takes anything.
 */
rt_status rt_tokenizer_encode(const struct rt_tokenizer *tokenizer, const char *text,
                              size_t length, unsigned flags, int32_t **out_ids,
                              size_t *out_count);

/* Facts. Ids are -1 where the tokenizer has none. */
size_t rt_tokenizer_vocabulary(const struct rt_tokenizer *tokenizer); /* highest id + 1 */
int32_t rt_tokenizer_bos(const struct rt_tokenizer *tokenizer);
size_t rt_tokenizer_eos(const struct rt_tokenizer *tokenizer, const int32_t **ids);
bool rt_tokenizer_adds_bos(const struct rt_tokenizer *tokenizer); /* with ..._TEMPLATE */
bool rt_tokenizer_takes_bytes(const struct rt_tokenizer *tokenizer);
bool rt_tokenizer_is_special(const struct rt_tokenizer *tokenizer, int32_t id);
const uint8_t *rt_tokenizer_sha256(const struct rt_tokenizer *tokenizer); /* of its file, 32 B */

/* The piece of an id as the tokenizer's file writes it, not terminated; NULL if there is none. */
const char *rt_tokenizer_piece(const struct rt_tokenizer *tokenizer, int32_t id, size_t *length);

/* The id of a piece (special ones too), -1 if there is none. Takes time linear in the number of
 * pieces: for set-up only. */
int32_t rt_tokenizer_find(const struct rt_tokenizer *tokenizer, const char *piece, size_t length);

/*
 * Decoding as a stream: of what the tokens so far say, everything is put out except up to three
 * bytes of an unfinished UTF-8 sequence and what a later token can still change (blanks that are
 * stripped from the end, the start of a pattern that is replaced). The pieces put out, joined,
 * are the same however the ids are split over calls. Wrong bytes become U+FFFD.
 */
enum { RT_DETOKENIZER_STAGES = 12, RT_DETOKENIZER_HELD = 32 };

struct rt_detokenizer {
    const struct rt_tokenizer *tokenizer;
    unsigned flags;
    bool started; /* a token has been seen (with sentencepiece: something was put out) */
    struct rt_detokenizer_stage {
        uint32_t count; /* bytes in held */
        uint32_t number;
        uint32_t pending;
        uint8_t held[RT_DETOKENIZER_HELD];
    } stages[RT_DETOKENIZER_STAGES];
    char *out;
    size_t capacity, length;
};

/* To continue a prompt, push its ids first and drop what comes out. */
void rt_detokenizer_init(struct rt_detokenizer *detokenizer, const struct rt_tokenizer *tokenizer,
                         unsigned flags);

/* The bytes that one push, or finish, can put out at most. */
size_t rt_detokenizer_bound(const struct rt_tokenizer *tokenizer);

/* Puts out what is settled after one more id; an id without a piece says nothing. A capacity
 * below rt_detokenizer_bound may give EXIT_INTERNAL, and the stream is then lost. */
rt_status rt_detokenizer_push(struct rt_detokenizer *detokenizer, int32_t id, char *buffer,
                              size_t capacity, size_t *out_length);

/* Ends the stream: puts out what was held back, an unfinished sequence as U+FFFD. */
rt_status rt_detokenizer_finish(struct rt_detokenizer *detokenizer, char *buffer,
                                size_t capacity, size_t *out_length);

/* All at once: a zero-terminated text of *out_length bytes, to be freed by the caller. */
rt_status rt_tokenizer_decode(const struct rt_tokenizer *tokenizer, const int32_t *ids,
                              size_t count, unsigned flags, char **out_text, size_t *out_length);

#endif
