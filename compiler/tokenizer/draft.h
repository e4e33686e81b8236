/*
 * A tokenizer while it is read: growing tables by id, which draft_finish turns into the blob of
 * runtime/tokenizer/blob.h. All checks of ids and lengths are here, shared by both formats.
 */
#ifndef SINTER_COMPILER_TOKENIZER_DRAFT_H
#define SINTER_COMPILER_TOKENIZER_DRAFT_H

#include "compiler/tokenizer/tokenizer.h"
#include "ir/base/arena.h"
#include "ir/base/map.h"
#include "ir/base/str.h"
#include "runtime/tokenizer/blob.h"

enum { DRAFT_IDS = 1 << 24, DRAFT_STEPS = 64, DRAFT_ADDED = 1 << 16 };

struct draft_piece {
    const char *text;
    uint32_t length;
    uint32_t attributes;
    float score;
    bool added; /* not in the model's own vocabulary: merging never makes it */
};

struct draft_added {
    const char *text; /* as it is looked for: normalized if it is to be */
    size_t length;
    int32_t id;
    uint32_t flags; /* RT_ADDED_ */
    bool normalized;
};

struct draft {
    struct arena *arena;
    const char *file; /* for messages */
    int64_t id_limit; /* ids are below; keeps a lying file from asking for gigabytes */
    uint32_t kind, facts;
    ARRAY_OF(struct draft_piece) pieces; /* by id */
    struct map ids;                      /* piece -> id + 1 as a pointer */
    ARRAY_OF(struct rt_merge) merges;
    ARRAY_OF(struct draft_added) added;
    ARRAY_OF(struct rt_step) normalize;
    ARRAY_OF(struct rt_step) split;
    ARRAY_OF(struct rt_step) decode;
    ARRAY_OF(int32_t) before;
    ARRAY_OF(int32_t) after;
    ARRAY_OF(int32_t) eos;
    ARRAY_OF(struct rt_shown) shown;
    struct str text; /* strings of steps */
    int32_t byte_ids[256];
    int32_t bos, unknown;
    const char *unknown_text;
    size_t unknown_length;
    uint8_t sha256[32];
};

struct draft draft_create(struct arena *arena, const char *file);

/* Sets id_limit for a file that names `count` pieces. */
void draft_expect(struct draft *draft, size_t count);

/* Fatal: "unsupported tokenizer: WHAT" and "invalid tokenizer: WHAT", with the file's name. */
_Noreturn void draft_unsupported(const struct draft *draft, const char *format, ...)
    __attribute__((format(printf, 2, 3), cold));
_Noreturn void draft_invalid(const struct draft *draft, const char *format, ...)
    __attribute__((format(printf, 2, 3), cold));

/* A text from a file as messages may show it: printable, cut to a few dozen bytes. */
const char *draft_show(const struct draft *draft, const char *text, size_t length);

/*
 * Gives an id its piece (text is copied). Fatal if the id is out of range or taken, or the
 * piece has an id already, is too long or not UTF-8.
 */
void draft_add_piece(struct draft *draft, int64_t id, const char *text, size_t length,
                     uint32_t attributes, float score);

/* The id of a piece, -1 if there is none. */
int32_t draft_find(const struct draft *draft, const char *text, size_t length);

/* Stores a string of a step. Fatal if it is longer than `most` bytes. */
uint32_t draft_string(struct draft *draft, const char *text, size_t length, size_t most);

/* Sets byte_ids from the pieces <0x00> to <0xFF> that there are; returns how many. */
int draft_find_bytes(struct draft *draft);

/* The blob and the facts of its summary. */
struct tokenizer_blob draft_finish(struct draft *draft);

#endif
