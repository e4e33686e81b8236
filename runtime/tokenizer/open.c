/* Opening, facts and lookups of a compiled tokenizer: see tokenizer.h and blob.h. */
#include "runtime/tokenizer/blob.h"

#include <string.h>

static const size_t element_bytes[] = {
#define SECTION(name, type) sizeof(type),
    RT_TOKENIZER_SECTIONS(SECTION)
#undef SECTION
};

/* The blob comes from our own compiler; this finds a wrong, cut or foreign one. */
static bool is_sound(const struct rt_tokenizer_header *header, size_t bytes)
{
    if (bytes < sizeof *header || memcmp(header->magic, RT_TOKENIZER_MAGIC, 8) != 0 ||
        header->bytes != bytes)
        return false;
    for (int i = 0; i < RT_SECTION_COUNT; i++) {
        uint64_t offset = header->sections[i].offset, size;
        if (__builtin_mul_overflow(header->sections[i].count, element_bytes[i], &size) ||
            offset % 8 || offset > bytes || size > bytes - offset)
            return false;
    }
    return header->sections[RT_SECTION_piece_end].count == header->vocabulary &&
           header->sections[RT_SECTION_attributes].count == header->vocabulary &&
           header->sections[RT_SECTION_byte_ids].count == 256;
}

rt_status rt_tokenizer_open(struct rt_tokenizer *tokenizer, const void *blob, size_t bytes)
{
    const struct rt_tokenizer_header *header = blob;
    if (!blob || (uintptr_t)blob % 8 || !is_sound(header, bytes))
        return rt_fail(INTERNAL, "not a tokenizer table", __func__);
    *tokenizer = (struct rt_tokenizer){blob, bytes, header};
    return EXIT_OK;
}

size_t rt_tokenizer_vocabulary(const struct rt_tokenizer *tokenizer)
{
    return tokenizer->header->vocabulary;
}

int32_t rt_tokenizer_bos(const struct rt_tokenizer *tokenizer)
{
    return tokenizer->header->bos;
}

size_t rt_tokenizer_eos(const struct rt_tokenizer *tokenizer, const int32_t **ids)
{
    *ids = rt_section_eos(tokenizer);
    return rt_count_eos(tokenizer);
}

bool rt_tokenizer_adds_bos(const struct rt_tokenizer *tokenizer)
{
    return tokenizer->header->facts & RT_FACT_ADDS_BOS;
}

bool rt_tokenizer_takes_bytes(const struct rt_tokenizer *tokenizer)
{
    return tokenizer->header->facts & RT_FACT_TAKES_BYTES;
}

bool rt_tokenizer_is_special(const struct rt_tokenizer *tokenizer, int32_t id)
{
    return id >= 0 && (uint32_t)id < tokenizer->header->vocabulary &&
           (rt_section_attributes(tokenizer)[id] & RT_PIECE_SPECIAL);
}

const uint8_t *rt_tokenizer_sha256(const struct rt_tokenizer *tokenizer)
{
    return tokenizer->header->sha256;
}

const char *rt_tokenizer_piece(const struct rt_tokenizer *tokenizer, int32_t id, size_t *length)
{
    *length = 0;
    if (id < 0 || (uint32_t)id >= tokenizer->header->vocabulary ||
        !(rt_section_attributes(tokenizer)[id] & RT_PIECE_PRESENT))
        return NULL;
    const uint32_t *ends = rt_section_piece_end(tokenizer);
    uint32_t begin = id ? ends[id - 1] : 0;
    *length = ends[id] - begin;
    return (const char *)rt_section_pieces(tokenizer) + begin;
}

int32_t rt_tokenizer_find(const struct rt_tokenizer *tokenizer, const char *piece, size_t length)
{
    for (int32_t id = 0; (uint32_t)id < tokenizer->header->vocabulary; id++) {
        size_t bytes;
        const char *other = rt_tokenizer_piece(tokenizer, id, &bytes);
        if (other && bytes == length && memcmp(other, piece, length) == 0)
            return id;
    }
    return -1;
}

size_t rt_trie_longest(const struct rt_trie_node *trie, size_t nodes, const uint8_t *text,
                       size_t length, int32_t *value)
{
    size_t longest = 0;
    uint32_t node = 0;
    for (size_t at = 0; nodes && at < length; at++) {
        for (node = trie[node].child; node && trie[node].byte != text[at];)
            node = trie[node].sibling;
        if (!node)
            break;
        if (trie[node].value >= 0) {
            *value = trie[node].value;
            longest = at + 1;
        }
    }
    return longest;
}

int32_t rt_piece_id(const struct rt_tokenizer *tokenizer, const uint8_t *piece, size_t length)
{
    if (length > tokenizer->header->longest_piece)
        return -1;
    const uint32_t *slots = rt_section_piece_slots(tokenizer);
    const uint32_t *ends = rt_section_piece_end(tokenizer);
    const uint8_t *pieces = rt_section_pieces(tokenizer);
    size_t mask = rt_count_piece_slots(tokenizer) - 1;
    for (size_t slot = rt_hash_piece(piece, length) & mask; slots[slot]; slot = (slot + 1) & mask) {
        uint32_t id = slots[slot] - 1, begin = id ? ends[id - 1] : 0;
        if (ends[id] - begin == length && memcmp(pieces + begin, piece, length) == 0)
            return (int32_t)id;
    }
    return -1;
}

uint32_t rt_merge_rank(const struct rt_tokenizer *tokenizer, int32_t left, int32_t right,
                       int32_t *result)
{
    const uint32_t *slots = rt_section_merge_slots(tokenizer);
    const struct rt_merge *merges = rt_section_merges(tokenizer);
    size_t mask = rt_count_merge_slots(tokenizer) - 1;
    for (size_t slot = rt_hash_pair(left, right) & mask; slots[slot]; slot = (slot + 1) & mask) {
        const struct rt_merge *merge = &merges[slots[slot] - 1];
        if (merge->left == left && merge->right == right) {
            *result = merge->result;
            return slots[slot] - 1;
        }
    }
    return UINT32_MAX;
}
