/* From text to ids: added tokens, steps, words, and what the tokenizer puts around them. */
#include "runtime/tokenizer/merge.h"
#include "runtime/tokenizer/text.h"
#include "runtime/tokenizer/unicode.h"
#include "runtime/utf8.h"

#include <stdlib.h>
#include <string.h>

static const uint8_t mark[3] = {0xe2, 0x96, 0x81}; /* U+2581 */

/* The text under way and a second one to write the next step to. */
struct encoder {
    const struct rt_tokenizer *tokenizer;
    struct rt_text text, next;
    struct rt_merger merger;
    unsigned flags;
};

static void swap(struct encoder *encoder)
{
    struct rt_text text = encoder->text;
    encoder->text = encoder->next;
    encoder->next = text;
    encoder->text.failed |= encoder->next.failed;
}

static void apply(struct encoder *encoder, const struct rt_step *steps, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        rt_step_apply(&steps[i], rt_section_text(encoder->tokenizer), &encoder->text,
                      &encoder->next);
        swap(encoder);
    }
}

static void split_added(struct encoder *encoder, const struct rt_trie_node *trie, size_t nodes)
{
    if (nodes == 0)
        return;
    rt_added_split(encoder->tokenizer, trie, nodes, encoder->flags, &encoder->text,
                   &encoder->next);
    swap(encoder);
}

/* Where a word that begins at `at` may end without changing its ids: see merge.h. */
static size_t word_end(const struct encoder *encoder, const uint8_t *text, size_t length,
                       size_t at)
{
    if (!(encoder->tokenizer->header->facts & RT_FACT_WORDS))
        return length;
    bool seen = false; /* anything but the mark */
    while (at < length) {
        bool here = length - at >= sizeof mark && memcmp(text + at, mark, sizeof mark) == 0;
        if (here && seen)
            return at;
        seen |= !here;
        at += here ? sizeof mark : 1;
    }
    return length;
}

static void encode_pairs(struct encoder *encoder)
{
    const struct rt_tokenizer *tokenizer = encoder->tokenizer;
    split_added(encoder, rt_section_raw_trie(tokenizer), rt_count_raw_trie(tokenizer));
    apply(encoder, rt_section_normalize(tokenizer), rt_count_normalize(tokenizer));
    split_added(encoder, rt_section_normalized_trie(tokenizer),
                rt_count_normalized_trie(tokenizer));
    apply(encoder, rt_section_split(tokenizer), rt_count_split(tokenizer));
    for (size_t i = 0; i < encoder->text.count && !encoder->merger.failed; i++) {
        const struct rt_span *span = &encoder->text.spans[i];
        const uint8_t *text = encoder->text.bytes + span->begin;
        size_t length = span->end - span->begin;
        if (span->id >= 0)
            rt_merger_add_id(&encoder->merger, span->id);
        for (size_t at = 0, end; span->id < 0 && at < length; at = end) {
            end = word_end(encoder, text, length, at);
            rt_merge_pairs(&encoder->merger, text + at, end - at);
        }
    }
}

/* Each stretch between special tokens is encoded as sentencepiece would encode it alone. */
static void encode_sentencepiece(struct encoder *encoder)
{
    const struct rt_tokenizer *tokenizer = encoder->tokenizer;
    if (encoder->flags & RT_TOKENIZER_SPECIAL)
        split_added(encoder, rt_section_raw_trie(tokenizer), rt_count_raw_trie(tokenizer));
    if (tokenizer->header->facts & RT_FACT_UNUSED) {
        encoder->merger.split_left = calloc(tokenizer->header->vocabulary, sizeof(uint32_t));
        encoder->merger.failed |= !encoder->merger.split_left;
    }
    for (size_t i = 0; i < encoder->text.count && !encoder->merger.failed; i++) {
        const struct rt_span *span = &encoder->text.spans[i];
        if (span->id >= 0) {
            rt_merger_add_id(&encoder->merger, span->id);
            continue;
        }
        rt_sentencepiece_normalize(tokenizer, encoder->text.bytes + span->begin,
                                   span->end - span->begin, &encoder->next);
        encoder->merger.failed |= encoder->next.failed;
        for (size_t at = 0, end; at < encoder->next.length; at = end) {
            end = word_end(encoder, encoder->next.bytes, encoder->next.length, at);
            rt_merge_sentencepiece(&encoder->merger, encoder->next.bytes + at, end - at);
        }
    }
}

static void add_all(struct encoder *encoder, const int32_t *ids, size_t count)
{
    for (size_t i = 0; i < count && (encoder->flags & RT_TOKENIZER_TEMPLATE); i++)
        rt_merger_add_id(&encoder->merger, ids[i]);
}

static void encode(struct encoder *encoder, const uint8_t *text, size_t length)
{
    const struct rt_tokenizer *tokenizer = encoder->tokenizer;
    rt_text_put(&encoder->text, text, length);
    rt_text_cut(&encoder->text, 0, length ? rt_character_at(text, length, 0).length : 0);
    add_all(encoder, rt_section_before(tokenizer), rt_count_before(tokenizer));
    if (tokenizer->header->kind == RT_TOKENIZER_PAIRS)
        encode_pairs(encoder);
    else
        encode_sentencepiece(encoder);
    add_all(encoder, rt_section_after(tokenizer), rt_count_after(tokenizer));
    if (encoder->merger.id_count == 0 && tokenizer->header->bos >= 0)
        add_all(encoder, &tokenizer->header->bos, 1);
}

static rt_status check_text(const struct rt_tokenizer *tokenizer, const char *text, size_t length)
{
    if (length > INT32_MAX)
        return rt_fail(TOKENIZER_LENGTH, length, INT32_MAX);
    if (rt_tokenizer_takes_bytes(tokenizer))
        return EXIT_OK;
    for (size_t at = 0, bytes; at < length; at += bytes) {
        bytes = rt_utf8_length(text + at, text + length);
        if (bytes == 0)
            return rt_fail(TOKENIZER_UTF8, at);
    }
    return EXIT_OK;
}

rt_status rt_tokenizer_encode(const struct rt_tokenizer *tokenizer, const char *text,
                              size_t length, unsigned flags, int32_t **out_ids,
                              size_t *out_count)
{
    struct encoder encoder = {.tokenizer = tokenizer, .flags = flags};
    *out_ids = NULL;
    *out_count = 0;
    rt_status status = check_text(tokenizer, text, length);
    if (status)
        goto out;
    encoder.merger.tokenizer = tokenizer;
    encoder.merger.ids = malloc(sizeof(int32_t)); /* never NULL, even for no ids */
    encoder.merger.id_capacity = 1;
    encoder.merger.failed = !encoder.merger.ids;
    if (!encoder.merger.failed)
        encode(&encoder, (const uint8_t *)text, length);
    if (encoder.merger.failed || encoder.text.failed || encoder.next.failed) {
        status = rt_fail(OUT_OF_MEMORY, length);
        goto out;
    }
    *out_ids = encoder.merger.ids;
    *out_count = encoder.merger.id_count;
    encoder.merger.ids = NULL;
out:
    rt_merger_free(&encoder.merger);
    rt_text_free(&encoder.text);
    rt_text_free(&encoder.next);
    return status;
}
