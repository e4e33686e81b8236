/* What the files of the skeleton `skinny` share. Names in the emitted text, beside those of
 * few.h: part, first and count (its steps of K), get and put (byte offsets of the stages that are
 * read and filled), sums. */
#ifndef SINTER_BACKENDS_CUDA_SKINNY_H
#define SINTER_BACKENDS_CUDA_SKINNY_H

#include "backends/cuda/few.h"

struct skinny {
    struct few few; /* first, for few_of */
    struct skinny_shape shape;
    struct matrix tokens; /* %a, where it comes by stages */
    bool tokens_aligned;
};

#define skinny_of(g) ((struct skinny *)(g)->skeleton)

/* --- skinny_copy.c --- */
/* Whether weights are f32 that become TF32 only after they were copied. */
bool skinny_rounds(const struct skinny *skinny);
/* Where %a stands, unless it is computed. */
void skinny_find_tokens(struct generator *g);
/* Pointers of the calling thread to what it copies. */
void skinny_emit_pointers(struct generator *g);
/* Starts the copies of step `step` (of the part: a text) to the stage at `put`. */
void skinny_emit_copies(struct generator *g, const char *step);

/* --- skinny_multiply.c --- */
void skinny_emit_sums(struct generator *g);
/* Multiplies the stage at `get`, step `kt` of the part. */
void skinny_emit_multiply(struct generator *g);
/* Stores the sums to the block of results. */
void skinny_emit_results(struct generator *g);
/* f32 sums of a thread. */
int64_t skinny_sum_count(const struct skinny_shape *shape);

#endif
