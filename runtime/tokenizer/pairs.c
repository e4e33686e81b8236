/* Words of a tokenizer.json: characters to ids, then merges of pairs; see merge.h. */
#include "runtime/tokenizer/merge.h"
#include "runtime/tokenizer/unicode.h"

/* The symbols of a word as they are made; `unknown` is one not yet added, since the next may be
 * fused with it. */
struct characters {
    struct rt_merger *merger;
    struct rt_symbol unknown;
    bool pending;
};

static void add(struct characters *characters, uint32_t begin, uint32_t length, int32_t id)
{
    rt_merger_add_symbol(characters->merger,
                         (struct rt_symbol){.begin = begin, .length = length, .id = id});
}

static void flush_unknown(struct characters *characters)
{
    if (characters->pending)
        rt_merger_add_symbol(characters->merger, characters->unknown);
    characters->pending = false;
}

/* The bytes of a character as tokens; false if one of them has none. The pending unknown stays
 * pending, as in the library. */
static bool add_bytes(struct characters *characters, uint32_t begin, uint32_t length)
{
    const struct rt_tokenizer *tokenizer = characters->merger->tokenizer;
    const int32_t *byte_ids = rt_section_byte_ids(tokenizer);
    const uint8_t *bytes = characters->merger->word + begin;
    if (!(tokenizer->header->facts & RT_FACT_BYTE_FALLBACK))
        return false;
    for (uint32_t i = 0; i < length; i++)
        if (byte_ids[bytes[i]] < 0)
            return false;
    for (uint32_t i = 0; i < length; i++)
        add(characters, begin + i, 1, byte_ids[bytes[i]]);
    return true;
}

static void add_unknown(struct characters *characters, uint32_t begin, uint32_t length)
{
    const struct rt_tokenizer_header *header = characters->merger->tokenizer->header;
    if (header->unknown < 0)
        return;
    if (characters->pending && (header->facts & RT_FACT_FUSE_UNKNOWN)) {
        characters->unknown.length += length;
        return;
    }
    flush_unknown(characters);
    characters->unknown =
        (struct rt_symbol){.begin = begin, .length = length, .id = header->unknown};
    characters->pending = true;
}

static void add_characters(struct characters *characters, size_t length)
{
    struct rt_merger *merger = characters->merger;
    for (size_t at = 0; at < length && !merger->failed;) {
        struct rt_character character = rt_character_at(merger->word, length, at);
        int32_t id = rt_piece_id(merger->tokenizer, merger->word + at, character.length);
        if (id >= 0) {
            flush_unknown(characters);
            add(characters, (uint32_t)at, character.length, id);
        } else if (!add_bytes(characters, (uint32_t)at, character.length)) {
            add_unknown(characters, (uint32_t)at, character.length);
        }
        at += character.length;
    }
    flush_unknown(characters);
}

void rt_merge_pairs(struct rt_merger *merger, const uint8_t *word, size_t length)
{
    struct characters characters = {.merger = merger};
    if (merger->tokenizer->header->facts & RT_FACT_IGNORE_MERGES) {
        int32_t id = rt_piece_id(merger->tokenizer, word, length);
        if (id >= 0) {
            rt_merger_add_id(merger, id);
            return;
        }
    }
    merger->word = word;
    merger->symbol_count = 0;
    add_characters(&characters, length);
    rt_merger_run(merger);
    for (size_t i = 0; i < merger->symbol_count && !merger->failed; i++)
        if (merger->symbols[i].length)
            rt_merger_add_id(merger, merger->symbols[i].id);
}
