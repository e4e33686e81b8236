/*
 * Byte pair encoding of one word: symbols in a linked list, candidate merges in a heap, so a
 * word of n characters takes O(n log n). Both kinds of tokenizers share it; they differ in what
 * makes two neighbours a candidate.
 *
 * Words are independent, so a caller may cut a text wherever no merge can cross. RT_FACT_WORDS
 * says that no piece holds U+2581 after any other character: a text can then be cut before
 * every U+2581 that follows something else, which bounds the heap by the longest word.
 */
#ifndef SINTER_TOKENIZER_MERGE_H
#define SINTER_TOKENIZER_MERGE_H

#include "runtime/tokenizer/blob.h"

enum { RT_NO_SYMBOL = UINT32_MAX };

struct rt_symbol {
    uint32_t begin, length; /* its bytes in the word; length 0: merged away */
    int32_t id;             /* -1: no piece (sentencepiece) */
    uint32_t previous, next; /* RT_NO_SYMBOL at the ends */
    bool frozen;            /* never merges: a user-defined symbol */
};

struct rt_candidate {
    uint64_t key;  /* rank << 32 | index of the left symbol: smallest first */
    int32_t result;
};

/* The memory of the encoder, kept from word to word. */
struct rt_merger {
    const struct rt_tokenizer *tokenizer;
    const uint8_t *word;
    struct rt_symbol *symbols;
    struct rt_candidate *heap;
    size_t symbol_count, symbol_capacity;
    size_t heap_count, heap_capacity;
    uint32_t *split_left; /* by id: bytes of the left part of an unused piece's last merge */
    int32_t *ids;         /* the result, over all words */
    size_t id_count, id_capacity;
    bool failed;
};

void rt_merger_free(struct rt_merger *merger);
void rt_merger_add_symbol(struct rt_merger *merger, struct rt_symbol symbol);
void rt_merger_add_id(struct rt_merger *merger, int32_t id);

/* Links the symbols that were added and merges them until nothing can be merged. */
void rt_merger_run(struct rt_merger *merger);

/* One word each: appends its ids. */
void rt_merge_pairs(struct rt_merger *merger, const uint8_t *word, size_t length);
void rt_merge_sentencepiece(struct rt_merger *merger, const uint8_t *word, size_t length);

#endif
