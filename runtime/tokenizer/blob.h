/*
 * The layout of a compiled tokenizer: a header and arrays ("sections"), each 8-aligned, found by
 * offset. compiler/tokenizer writes it, runtime/tokenizer reads it in place. All numbers are
 * little endian, which is the order of every target.
 */
#ifndef SINTER_TOKENIZER_BLOB_H
#define SINTER_TOKENIZER_BLOB_H

#include "runtime/tokenizer.h"

#define RT_TOKENIZER_MAGIC "sintok01"

enum rt_tokenizer_kind {
    RT_TOKENIZER_PAIRS,        /* merges of pairs of ids in rank order (tokenizer.json) */
    RT_TOKENIZER_SENTENCEPIECE /* any two neighbours that form a piece, best score first */
};

/* Limits that the compiler enforces and the runtime's running times rest on. */
enum {
    RT_TOKENIZER_PIECE_BYTES = 4096,
    RT_TOKENIZER_ADDED_BYTES = 256,
    RT_TOKENIZER_EOS_IDS = 64
};

enum rt_tokenizer_fact {
    RT_FACT_ADDS_BOS = 1,
    RT_FACT_TAKES_BYTES = 2,
    RT_FACT_BYTE_FALLBACK = 4,
    RT_FACT_FUSE_UNKNOWN = 8,
    RT_FACT_IGNORE_MERGES = 16, /* a word that is a piece is that piece */
    RT_FACT_PREFIX = 32,        /* sentencepiece: U+2581 before the text */
    RT_FACT_SQUEEZE = 64,       /* sentencepiece: remove extra white space */
    RT_FACT_ESCAPE = 128,       /* sentencepiece: a blank becomes U+2581 */
    RT_FACT_UNUSED = 256,       /* sentencepiece: some pieces are split again */
    RT_FACT_WORDS = 512,        /* no piece holds U+2581 after anything else: see merge.h */
    RT_FACT_JOIN = 1024,        /* decoding puts a blank between tokens */
    RT_FACT_BYTE_PIECES = 2048, /* decoding maps the characters of pieces to bytes */
};

enum rt_piece_attribute {
    RT_PIECE_PRESENT = 1,
    RT_PIECE_SPECIAL = 2, /* never made from text without RT_TOKENIZER_SPECIAL */
    RT_PIECE_UNKNOWN = 4,
    RT_PIECE_BYTE = 8, /* sentencepiece: stands for one byte */
    RT_PIECE_UNUSED = 16,
    RT_PIECE_CONTROL = 32, /* sentencepiece: says nothing when decoded */
    RT_PIECE_USER = 64,    /* sentencepiece: a user-defined symbol */
    RT_PIECE_SHOWN = 128,  /* decodes as its row of shown says */
};

/* How a text is rewritten, cut and put together again: one row per node of tokenizer.json. */
enum rt_step_kind {
    RT_STEP_PREPEND,   /* from */
    RT_STEP_REPLACE,   /* from, to */
    RT_STEP_NFC,
    RT_STEP_BLANK,     /* a blank before a word that has none */
    RT_STEP_METASPACE, /* blanks become from, which also goes before the text: first */
    RT_STEP_SPLIT,     /* pattern, from, first = behavior, second = invert */
    RT_STEP_BYTES,     /* every byte becomes a printable character */
    RT_STEP_STRIP,     /* decoding: from, first at the start, second at the end */
    RT_STEP_FALLBACK,  /* decoding: <0x0A> becomes a byte */
    RT_STEP_FUSE,      /* decoding: all tokens become one */
    RT_STEP_UNMETASPACE, /* decoding: from becomes a blank; first = dropped in the first token */
};

enum rt_pattern { RT_PATTERN_LITERAL, RT_PATTERN_RUNS, RT_PATTERN_DIGITS_3, RT_PATTERN_DIGIT };

enum rt_behavior {
    RT_BEHAVIOR_REMOVED,
    RT_BEHAVIOR_ISOLATED,
    RT_BEHAVIOR_PREVIOUS,
    RT_BEHAVIOR_NEXT,
    RT_BEHAVIOR_CONTIGUOUS
};

enum rt_metaspace { RT_METASPACE_NEVER, RT_METASPACE_FIRST, RT_METASPACE_ALWAYS };

struct rt_step {
    uint32_t kind, pattern, first, second;
    uint32_t from, from_length, to, to_length; /* in the text section */
};

struct rt_merge {
    int32_t left, right, result; /* its rank is its index */
};

/* A node of a trie of byte strings; node 0 is the root. Links are node indices, 0 = none. */
struct rt_trie_node {
    uint32_t child, sibling;
    int32_t value; /* -1: no string ends here */
    uint32_t byte;
};

/* An added token, or a user-defined symbol of sentencepiece. */
struct rt_added {
    int32_t id;
    uint32_t flags;
};

enum rt_added_flag {
    RT_ADDED_WHOLE_WORD = 1,
    RT_ADDED_STRIP_LEFT = 2,
    RT_ADDED_STRIP_RIGHT = 4,
    RT_ADDED_SPECIAL = 8
};

/* A token that decodes as another text than its piece: an added token as it was normalized. */
struct rt_shown {
    int32_t id;
    uint32_t from, from_length; /* in the text section */
};

/* SECTION(name, type of an element) */
#define RT_TOKENIZER_SECTIONS(SECTION) \
    SECTION(piece_end, uint32_t)       /* by id: where its piece ends in pieces */ \
    SECTION(pieces, uint8_t)           /* the pieces one after another */ \
    SECTION(attributes, uint8_t)       /* by id: RT_PIECE_ bits */ \
    SECTION(piece_slots, uint32_t)     /* hash table of pieces: id + 1; a power of two */ \
    SECTION(score_ranks, uint32_t)     /* by id: 0 merges first (sentencepiece) */ \
    SECTION(merges, struct rt_merge) \
    SECTION(merge_slots, uint32_t)     /* hash table of merges: index + 1; a power of two */ \
    SECTION(byte_ids, int32_t)         /* 256 ids for byte fallback, -1 = none */ \
    SECTION(added, struct rt_added) \
    SECTION(shown, struct rt_shown)    /* by ascending id */ \
    SECTION(raw_trie, struct rt_trie_node)        /* found before normalization */ \
    SECTION(normalized_trie, struct rt_trie_node) /* found after it */ \
    SECTION(normalize, struct rt_step) \
    SECTION(split, struct rt_step) \
    SECTION(decode, struct rt_step) \
    SECTION(text, uint8_t)             /* strings of steps */ \
    SECTION(before, int32_t)           /* ids put before a text, and after it */ \
    SECTION(after, int32_t) \
    SECTION(eos, int32_t) \
    SECTION(unknown_text, uint8_t)     /* what the unknown token says (sentencepiece) */

enum rt_tokenizer_section_id {
#define SECTION(name, type) RT_SECTION_##name,
    RT_TOKENIZER_SECTIONS(SECTION)
#undef SECTION
    RT_SECTION_COUNT
};

struct rt_tokenizer_header {
    char magic[8];
    uint64_t bytes; /* of the whole blob */
    uint32_t kind, facts;
    uint32_t vocabulary;
    int32_t bos, unknown;
    uint32_t longest_piece; /* bytes */
    uint64_t decode_bound;  /* rt_detokenizer_bound */
    uint8_t sha256[32];
    struct {
        uint64_t offset, count;
    } sections[RT_SECTION_COUNT];
};

/* rt_section_NAME(tokenizer): the array; rt_count_NAME(tokenizer): its elements. */
#define SECTION(name, type) \
    __attribute__((unused)) static inline const type *rt_section_##name( \
        const struct rt_tokenizer *tokenizer) \
    { \
        uint64_t offset = tokenizer->header->sections[RT_SECTION_##name].offset; \
        return (const void *)((const char *)tokenizer->blob + offset); \
    } \
    __attribute__((unused)) static inline size_t rt_count_##name( \
        const struct rt_tokenizer *tokenizer) \
    { \
        return (size_t)tokenizer->header->sections[RT_SECTION_##name].count; \
    }
RT_TOKENIZER_SECTIONS(SECTION)
#undef SECTION

/* The hashes behind piece_slots and merge_slots; probing is linear. */
static inline uint32_t rt_hash_piece(const uint8_t *bytes, size_t length)
{
    uint32_t hash = 0x811c9dc5u;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ bytes[i]) * 0x01000193u;
    return hash ^ hash >> 15;
}

static inline uint32_t rt_hash_pair(int32_t left, int32_t right)
{
    uint64_t hash = ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) * 0x9e3779b97f4a7c15u;
    return (uint32_t)(hash >> 32);
}

/*
 * The longest string of a trie that is a prefix of text[0..length): its bytes, with its value in
 * *value; 0 if there is none.
 */
size_t rt_trie_longest(const struct rt_trie_node *trie, size_t nodes, const uint8_t *text,
                       size_t length, int32_t *value);

/* The id of a piece that text can become (no special ones), -1 if there is none. */
int32_t rt_piece_id(const struct rt_tokenizer *tokenizer, const uint8_t *piece, size_t length);

/* Rank of the merge of two ids, with its result; UINT32_MAX if they do not merge. */
uint32_t rt_merge_rank(const struct rt_tokenizer *tokenizer, int32_t left, int32_t right,
                       int32_t *result);

#endif
