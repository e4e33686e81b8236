/* Writes a draft as the blob of runtime/tokenizer/blob.h. */
#include "compiler/tokenizer/draft.h"

#include "ir/base/diag.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare_shown(const void *left, const void *right)
{
    int32_t a = ((const struct rt_shown *)left)->id, b = ((const struct rt_shown *)right)->id;
    return a < b ? -1 : a > b;
}

enum { DECODE_BOUND = 1 << 24 };

/* The arrays of the sections, before they are laid out one after another. */
struct layout {
    struct draft *draft;
    struct rt_tokenizer_header header;
    const void *items[RT_SECTION_COUNT];
    size_t sizes[RT_SECTION_COUNT]; /* of an element */
};

#define SET(layout, name, values, number) \
    ((layout)->items[RT_SECTION_##name] = (values), \
     (layout)->sizes[RT_SECTION_##name] = sizeof *(values), \
     (layout)->header.sections[RT_SECTION_##name].count = (number))

static void lay_pieces(struct layout *layout)
{
    struct draft *draft = layout->draft;
    size_t count = draft->pieces.count;
    uint32_t *ends = arena_array(draft->arena, uint32_t, count);
    uint8_t *attributes = arena_array(draft->arena, uint8_t, count);
    struct str pieces = str_create(draft->arena);
    for (size_t id = 0; id < count; id++) {
        const struct draft_piece *piece = &draft->pieces.items[id];
        str_bytes(&pieces, piece->text ? piece->text : "", piece->length);
        if (pieces.length > UINT32_MAX)
            draft_unsupported(draft, "more than 4 GiB of pieces");
        ends[id] = (uint32_t)pieces.length;
        attributes[id] = (uint8_t)piece->attributes;
        if (layout->header.longest_piece < piece->length)
            layout->header.longest_piece = piece->length;
    }
    SET(layout, piece_end, ends, count);
    SET(layout, attributes, attributes, count);
    SET(layout, pieces, (const uint8_t *)pieces.text, pieces.length);
    layout->header.vocabulary = (uint32_t)count;
}

/* At most half of the slots are taken, so that a probe ends soon. */
static size_t slots_for(size_t count)
{
    size_t slots = 16;
    while (slots < 2 * count)
        slots *= 2;
    return slots;
}

/* Special pieces are left out, since text never becomes one of them, and so are added ones,
 * which are found before words are. */
static bool is_reachable(const struct draft *draft, const struct draft_piece *piece)
{
    uint32_t hidden = RT_PIECE_SPECIAL;
    if (draft->kind == RT_TOKENIZER_SENTENCEPIECE)
        hidden |= RT_PIECE_CONTROL | RT_PIECE_BYTE | RT_PIECE_UNKNOWN;
    return (piece->attributes & RT_PIECE_PRESENT) && !(piece->attributes & hidden) &&
           !piece->added;
}

static void lay_piece_slots(struct layout *layout)
{
    struct draft *draft = layout->draft;
    size_t slots = slots_for(draft->pieces.count);
    uint32_t *table = arena_array(draft->arena, uint32_t, slots);
    for (size_t id = 0; id < draft->pieces.count; id++) {
        const struct draft_piece *piece = &draft->pieces.items[id];
        if (!is_reachable(draft, piece))
            continue;
        size_t slot = rt_hash_piece((const uint8_t *)piece->text, piece->length) & (slots - 1);
        while (table[slot])
            slot = (slot + 1) & (slots - 1);
        table[slot] = (uint32_t)id + 1;
    }
    SET(layout, piece_slots, table, slots);
}

static int compare_scores(const void *left, const void *right)
{
    float a = *(const float *)left, b = *(const float *)right;
    return a < b ? 1 : a > b ? -1 : 0;
}

/* Scores as dense ranks, highest first: equal scores stay equal (-0 and 0 too). */
static void lay_scores(struct layout *layout)
{
    struct draft *draft = layout->draft;
    size_t count = draft->kind == RT_TOKENIZER_SENTENCEPIECE ? draft->pieces.count : 0;
    float *sorted = arena_array(draft->arena, float, count);
    uint32_t *ranks = arena_array(draft->arena, uint32_t, count);
    for (size_t id = 0; id < count; id++)
        sorted[id] = draft->pieces.items[id].score;
    if (count)
        qsort(sorted, count, sizeof *sorted, compare_scores);
    size_t distinct = 0;
    for (size_t i = 0; i < count; i++)
        if (i == 0 || sorted[i] != sorted[distinct - 1])
            sorted[distinct++] = sorted[i];
    for (size_t id = 0; id < count; id++) {
        const float *found = bsearch(&draft->pieces.items[id].score, sorted, distinct,
                                     sizeof *sorted, compare_scores);
        ranks[id] = (uint32_t)(found - sorted);
    }
    SET(layout, score_ranks, ranks, count);
}

static void lay_merges(struct layout *layout)
{
    struct draft *draft = layout->draft;
    size_t count = draft->merges.count, slots = slots_for(count);
    uint32_t *table = arena_array(draft->arena, uint32_t, slots);
    for (size_t rank = 0; rank < count; rank++) {
        const struct rt_merge *merge = &draft->merges.items[rank];
        size_t slot = rt_hash_pair(merge->left, merge->right) & (slots - 1);
        while (table[slot]) {
            const struct rt_merge *other = &draft->merges.items[table[slot] - 1];
            if (other->left == merge->left && other->right == merge->right)
                break; /* the later of two equal merges counts */
            slot = (slot + 1) & (slots - 1);
        }
        table[slot] = (uint32_t)rank + 1;
    }
    SET(layout, merges, (const struct rt_merge *)draft->merges.items, count);
    SET(layout, merge_slots, table, slots);
}

struct trie {
    ARRAY_OF(struct rt_trie_node) nodes;
};

/* Of two equal strings the last counts. */
static void trie_add(struct arena *arena, struct trie *trie, const char *text, size_t length,
                     int32_t value)
{
    static const struct rt_trie_node fresh = {.value = -1};
    if (trie->nodes.count == 0)
        array_push(arena, &trie->nodes, fresh);
    uint32_t node = 0;
    for (size_t i = 0; i < length; i++) {
        uint32_t child = trie->nodes.items[node].child;
        while (child && trie->nodes.items[child].byte != (uint8_t)text[i])
            child = trie->nodes.items[child].sibling;
        if (!child) {
            child = (uint32_t)trie->nodes.count;
            struct rt_trie_node added = fresh;
            added.byte = (uint8_t)text[i];
            added.sibling = trie->nodes.items[node].child;
            array_push(arena, &trie->nodes, added);
            trie->nodes.items[node].child = child;
        }
        node = child;
    }
    if (length)
        trie->nodes.items[node].value = value;
}

static void lay_added(struct layout *layout)
{
    struct draft *draft = layout->draft;
    size_t count = draft->added.count;
    struct rt_added *added = arena_array(draft->arena, struct rt_added, count);
    struct trie raw = {0}, normalized = {0};
    for (size_t i = 0; i < count; i++) {
        const struct draft_added *token = &draft->added.items[i];
        added[i] = (struct rt_added){token->id, token->flags};
        if (token->length > RT_TOKENIZER_ADDED_BYTES)
            draft_unsupported(draft, "added token %d of %zu bytes, at most %d", token->id,
                              token->length, RT_TOKENIZER_ADDED_BYTES);
        trie_add(draft->arena, token->normalized ? &normalized : &raw, token->text,
                 token->length, (int32_t)i);
    }
    SET(layout, added, added, count);
    SET(layout, raw_trie, raw.nodes.items, raw.nodes.count);
    SET(layout, normalized_trie, normalized.nodes.items, normalized.nodes.count);
}

static void lay_steps(struct layout *layout)
{
    struct draft *draft = layout->draft;
    if (draft->normalize.count > DRAFT_STEPS || draft->split.count > DRAFT_STEPS)
        draft_unsupported(draft, "more than %d normalizers or pre-tokenizers", DRAFT_STEPS);
    if (draft->decode.count >= RT_DETOKENIZER_STAGES)
        draft_unsupported(draft, "more than %d decoders", RT_DETOKENIZER_STAGES - 1);
    if (draft->shown.count)
        qsort(draft->shown.items, draft->shown.count, sizeof *draft->shown.items, compare_shown);
    SET(layout, shown, draft->shown.items, draft->shown.count);
    SET(layout, normalize, draft->normalize.items, draft->normalize.count);
    SET(layout, split, draft->split.items, draft->split.count);
    SET(layout, decode, draft->decode.items, draft->decode.count);
    SET(layout, text, (const uint8_t *)draft->text.text, draft->text.length);
    SET(layout, before, draft->before.items, draft->before.count);
    SET(layout, after, draft->after.items, draft->after.count);
    SET(layout, eos, draft->eos.items, draft->eos.count);
    SET(layout, byte_ids, (const int32_t *)draft->byte_ids, 256);
    SET(layout, unknown_text, (const uint8_t *)draft->unknown_text, draft->unknown_length);
}

/* What one push can put out: a piece, what stages held back, and what replacing adds. */
static uint64_t decode_bound(const struct draft *draft, size_t longest)
{
    uint64_t bound = longest > draft->unknown_length ? longest : draft->unknown_length;
    for (size_t i = 0; i < draft->shown.count; i++)
        if (bound < draft->shown.items[i].from_length)
            bound = draft->shown.items[i].from_length;
    bound = 3 * bound + 32; /* every byte as U+FFFD, and an unfinished sequence */
    for (size_t i = 0; i < draft->decode.count; i++) {
        const struct rt_step *step = &draft->decode.items[i];
        bound += RT_DETOKENIZER_HELD;
        if (step->kind == RT_STEP_REPLACE)
            bound *= step->to_length > 1 ? step->to_length : 1;
        if (step->kind == RT_STEP_STRIP)
            bound += (uint64_t)step->second * step->from_length;
        if (bound > DECODE_BOUND)
            draft_unsupported(draft, "decoders that lengthen a token beyond %d bytes",
                              DECODE_BOUND);
    }
    return bound;
}

static void *lay_out(struct layout *layout, size_t *size)
{
    struct rt_tokenizer_header *header = &layout->header;
    size_t bytes = sizeof *header;
    for (int i = 0; i < RT_SECTION_COUNT; i++) {
        header->sections[i].offset = bytes;
        bytes += (header->sections[i].count * layout->sizes[i] + 7) & ~(size_t)7;
    }
    header->bytes = bytes;
    char *blob = arena_alloc(layout->draft->arena, bytes, 1);
    memcpy(blob, header, sizeof *header);
    for (int i = 0; i < RT_SECTION_COUNT; i++)
        if (header->sections[i].count)
            memcpy(blob + header->sections[i].offset, layout->items[i],
                   header->sections[i].count * layout->sizes[i]);
    *size = bytes;
    return blob;
}

static void summarize(const struct draft *draft, struct tokenizer_summary *summary)
{
    ARRAY_OF(struct tokenizer_special) special = {0};
    for (size_t id = 0; id < draft->pieces.count; id++)
        if (draft->pieces.items[id].attributes & RT_PIECE_SPECIAL) {
            struct tokenizer_special one = {(int32_t)id, draft->pieces.items[id].text};
            array_push(draft->arena, &special, one);
        }
    *summary = (struct tokenizer_summary){
        .file = draft->file,
        .vocabulary = draft->pieces.count,
        .merges = draft->merges.count,
        .bos = draft->bos,
        .eos = draft->eos.items,
        .eos_count = draft->eos.count,
        .adds_bos = draft->facts & RT_FACT_ADDS_BOS,
        .takes_bytes = draft->facts & RT_FACT_TAKES_BYTES,
        .special = special.items,
        .special_count = special.count,
    };
    for (int i = 0; i < 32; i++)
        snprintf(summary->sha256 + 2 * i, 3, "%02x", draft->sha256[i]);
}

struct tokenizer_blob draft_finish(struct draft *draft)
{
    struct layout layout = {.draft = draft};
    lay_pieces(&layout);
    lay_piece_slots(&layout);
    lay_scores(&layout);
    lay_merges(&layout);
    lay_added(&layout);
    lay_steps(&layout);
    struct rt_tokenizer_header *header = &layout.header;
    memcpy(header->magic, RT_TOKENIZER_MAGIC, sizeof header->magic);
    memcpy(header->sha256, draft->sha256, sizeof header->sha256);
    header->kind = draft->kind;
    header->facts = draft->facts;
    header->bos = draft->bos;
    header->unknown = draft->unknown;
    header->decode_bound = decode_bound(draft, header->longest_piece);
    struct tokenizer_blob blob = {0};
    blob.bytes = lay_out(&layout, &blob.size);
    summarize(draft, &blob.summary);
    return blob;
}
