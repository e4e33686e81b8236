/*
 * Text of a tokenizer.model: its normalization, its characters, what unknown ones become, and
 * unused pieces split again, as sentencepiece does them (normalizer.cc, bpe_model.cc,
 * sentencepiece_processor.cc).
 */
#include "runtime/tokenizer/merge.h"
#include "runtime/tokenizer/text.h"
#include "runtime/tokenizer/unicode.h"

#include <string.h>

static const uint8_t mark[3] = {0xe2, 0x96, 0x81}; /* U+2581 stands for a blank */

/* The length of the user-defined symbol at text, or 0; its id in *id. */
static size_t symbol_length(const struct rt_tokenizer *tokenizer, const uint8_t *text,
                            size_t length, int32_t *id)
{
    int32_t which = -1;
    size_t bytes = rt_trie_longest(rt_section_normalized_trie(tokenizer),
                                   rt_count_normalized_trie(tokenizer), text, length, &which);
    if (bytes)
        *id = rt_section_added(tokenizer)[which].id;
    return bytes;
}

static void put_blank(const struct rt_tokenizer *tokenizer, struct rt_text *out)
{
    bool escape = tokenizer->header->facts & RT_FACT_ESCAPE;
    rt_text_put(out, escape ? mark : (const uint8_t *)" ", escape ? sizeof mark : 1);
}

static void put_escaped(const struct rt_tokenizer *tokenizer, const uint8_t *bytes,
                        size_t length, struct rt_text *out)
{
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] == ' ')
            put_blank(tokenizer, out);
        else
            rt_text_put(out, bytes + i, 1);
    }
}

static void trim_end(const struct rt_tokenizer *tokenizer, struct rt_text *out)
{
    bool escape = tokenizer->header->facts & RT_FACT_ESCAPE;
    const uint8_t *blank = escape ? mark : (const uint8_t *)" ";
    size_t length = escape ? sizeof mark : 1;
    while (out->length >= length &&
           memcmp(out->bytes + out->length - length, blank, length) == 0)
        out->length -= length;
}

void rt_sentencepiece_normalize(const struct rt_tokenizer *tokenizer, const uint8_t *bytes,
                                size_t length, struct rt_text *out)
{
    bool squeeze = tokenizer->header->facts & RT_FACT_SQUEEZE;
    rt_text_clear(out);
    size_t at = 0;
    while (squeeze && at < length && bytes[at] == ' ')
        at++;
    if (at == length)
        return;
    if (tokenizer->header->facts & RT_FACT_PREFIX)
        put_blank(tokenizer, out);
    bool after_blank = squeeze;
    while (at < length && !out->failed) {
        int32_t id;
        size_t unit = symbol_length(tokenizer, bytes + at, length - at, &id);
        if (unit == 0)
            unit = rt_character_at(bytes, length, at).length;
        size_t skipped = 0;
        while (after_blank && skipped < unit && bytes[at + skipped] == ' ')
            skipped++;
        put_escaped(tokenizer, bytes + at + skipped, unit - skipped, out);
        if (skipped < unit)
            after_blank = squeeze && bytes[at + unit - 1] == ' ';
        at += unit;
    }
    if (squeeze)
        trim_end(tokenizer, out);
}

/* The ids of a symbol that is no piece: its bytes, or the unknown token once for a run. */
static void add_unknown(struct rt_merger *merger, const struct rt_symbol *symbol, bool first)
{
    const struct rt_tokenizer *tokenizer = merger->tokenizer;
    if (!(tokenizer->header->facts & RT_FACT_BYTE_FALLBACK)) {
        if (first)
            rt_merger_add_id(merger, tokenizer->header->unknown);
        return;
    }
    for (uint32_t i = 0; i < symbol->length; i++)
        rt_merger_add_id(merger,
                         rt_section_byte_ids(tokenizer)[merger->word[symbol->begin + i]]);
}

/* Unused pieces take part in merging but not in the result: they are split again where they
 * were last proposed. Parts are shorter than the whole, so the depth is bounded by the longest
 * piece. Returns whether the last part was unknown. */
static bool add_symbol(struct rt_merger *merger, const struct rt_symbol *symbol,
                       bool after_unknown)
{
    int32_t id = symbol->id;
    if (id < 0) {
        add_unknown(merger, symbol, !after_unknown);
        return true;
    }
    bool unused = rt_section_attributes(merger->tokenizer)[id] & RT_PIECE_UNUSED;
    uint32_t left = unused && !symbol->frozen ? merger->split_left[id] : 0;
    if (left == 0) {
        rt_merger_add_id(merger, id);
        return false;
    }
    struct rt_symbol part = {.begin = symbol->begin, .length = left};
    part.id = rt_piece_id(merger->tokenizer, merger->word + part.begin, part.length);
    after_unknown = add_symbol(merger, &part, after_unknown);
    part.begin += left;
    part.length = symbol->length - left;
    part.id = rt_piece_id(merger->tokenizer, merger->word + part.begin, part.length);
    return add_symbol(merger, &part, after_unknown);
}

void rt_merge_sentencepiece(struct rt_merger *merger, const uint8_t *word, size_t length)
{
    const struct rt_tokenizer *tokenizer = merger->tokenizer;
    merger->word = word;
    merger->symbol_count = 0;
    for (size_t at = 0; at < length && !merger->failed;) {
        struct rt_symbol symbol = {.begin = (uint32_t)at, .id = -1};
        symbol.length =
            (uint32_t)symbol_length(tokenizer, word + at, length - at, &symbol.id);
        symbol.frozen = symbol.length > 0;
        if (!symbol.frozen) {
            symbol.length = rt_character_at(word, length, at).length;
            symbol.id = rt_piece_id(tokenizer, word + at, symbol.length);
        }
        rt_merger_add_symbol(merger, symbol);
        at += symbol.length;
    }
    rt_merger_run(merger);
    bool unknown = false;
    for (size_t i = 0; i < merger->symbol_count && !merger->failed; i++)
        if (merger->symbols[i].length)
            unknown = add_symbol(merger, &merger->symbols[i], unknown);
}
