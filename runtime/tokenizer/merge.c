/* See merge.h. The order of merges is that of `tokenizers` (BPE, Word::merge_all) and of
 * sentencepiece (bpe::Model::Encode), which differ only in their ranks. */
#include "runtime/tokenizer/merge.h"

#include <stdlib.h>
#include <string.h>

void rt_merger_free(struct rt_merger *merger)
{
    free(merger->symbols);
    free(merger->heap);
    free(merger->split_left);
    free(merger->ids);
    *merger = (struct rt_merger){0};
}

/* Makes room for one more element; false if memory ran out. */
static bool grow(struct rt_merger *merger, void **items, size_t count, size_t *capacity,
                 size_t size)
{
    if (count < *capacity)
        return true;
    size_t larger = *capacity ? *capacity * 2 : 64;
    void *grown = larger <= SIZE_MAX / size ? realloc(*items, larger * size) : NULL;
    if (!grown) {
        merger->failed = true;
        return false;
    }
    *items = grown;
    *capacity = larger;
    return true;
}

void rt_merger_add_symbol(struct rt_merger *merger, struct rt_symbol symbol)
{
    if (grow(merger, (void **)&merger->symbols, merger->symbol_count, &merger->symbol_capacity,
             sizeof symbol))
        merger->symbols[merger->symbol_count++] = symbol;
}

void rt_merger_add_id(struct rt_merger *merger, int32_t id)
{
    if (grow(merger, (void **)&merger->ids, merger->id_count, &merger->id_capacity, sizeof id))
        merger->ids[merger->id_count++] = id;
}

static void heap_push(struct rt_merger *merger, struct rt_candidate candidate)
{
    if (!grow(merger, (void **)&merger->heap, merger->heap_count, &merger->heap_capacity,
              sizeof candidate))
        return;
    struct rt_candidate *heap = merger->heap;
    size_t at = merger->heap_count++;
    for (size_t parent; at > 0 && heap[parent = (at - 1) / 2].key > candidate.key; at = parent)
        heap[at] = heap[parent];
    heap[at] = candidate;
}

static struct rt_candidate heap_pop(struct rt_merger *merger)
{
    struct rt_candidate *heap = merger->heap, top = heap[0];
    struct rt_candidate last = heap[--merger->heap_count];
    size_t at = 0, count = merger->heap_count;
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && heap[child + 1].key < heap[child].key)
            child++;
        if (heap[child].key >= last.key)
            break;
        heap[at] = heap[child];
    }
    heap[at] = last;
    return top;
}

/* sentencepiece: two neighbours merge if their bytes together are a piece. */
static uint32_t piece_rank(struct rt_merger *merger, const struct rt_symbol *left,
                           const struct rt_symbol *right, int32_t *result)
{
    const struct rt_tokenizer *tokenizer = merger->tokenizer;
    if (left->frozen || right->frozen)
        return UINT32_MAX;
    *result =
        rt_piece_id(tokenizer, merger->word + left->begin, (size_t)left->length + right->length);
    return *result < 0 ? UINT32_MAX : rt_section_score_ranks(tokenizer)[*result];
}

/* The rank of the merge of a symbol with its next, UINT32_MAX if there is none. */
static uint32_t rank_at(struct rt_merger *merger, uint32_t at, int32_t *result)
{
    const struct rt_symbol *left = &merger->symbols[at];
    if (left->length == 0 || left->next == RT_NO_SYMBOL)
        return UINT32_MAX;
    const struct rt_symbol *right = &merger->symbols[left->next];
    if (merger->tokenizer->header->kind == RT_TOKENIZER_SENTENCEPIECE)
        return piece_rank(merger, left, right, result);
    return rt_merge_rank(merger->tokenizer, left->id, right->id, result);
}

static void propose(struct rt_merger *merger, uint32_t at)
{
    int32_t result = -1;
    uint32_t rank = at == RT_NO_SYMBOL ? UINT32_MAX : rank_at(merger, at, &result);
    if (rank == UINT32_MAX)
        return;
    heap_push(merger, (struct rt_candidate){(uint64_t)rank << 32 | at, result});
    if (merger->split_left &&
        (rt_section_attributes(merger->tokenizer)[result] & RT_PIECE_UNUSED))
        merger->split_left[result] = merger->symbols[at].length;
}

static void merge_at(struct rt_merger *merger, uint32_t at, int32_t result)
{
    struct rt_symbol *left = &merger->symbols[at], *right = &merger->symbols[left->next];
    left->length += right->length;
    left->id = result;
    right->length = 0;
    left->next = right->next;
    if (left->next != RT_NO_SYMBOL)
        merger->symbols[left->next].previous = at;
    propose(merger, left->previous);
    propose(merger, at);
}

void rt_merger_run(struct rt_merger *merger)
{
    size_t count = merger->symbol_count;
    merger->heap_count = 0;
    for (size_t i = 0; i < count; i++) {
        merger->symbols[i].previous = i ? (uint32_t)i - 1 : RT_NO_SYMBOL;
        merger->symbols[i].next = i + 1 < count ? (uint32_t)i + 1 : RT_NO_SYMBOL;
    }
    for (size_t i = 0; i + 1 < count; i++)
        propose(merger, (uint32_t)i);
    while (merger->heap_count > 0 && !merger->failed) {
        struct rt_candidate top = heap_pop(merger);
        int32_t result = -1;
        /* A candidate is out of date if what stands there now merges to something else. */
        uint32_t at = (uint32_t)top.key;
        if (rank_at(merger, at, &result) != UINT32_MAX && result == top.result)
            merge_at(merger, at, result);
    }
}
