/*
 * Tensors in the text of the CUDA backend. Cells of global memory are structs (g_f32, g_bf16),
 * so that only the primitives of the device library reach them.
 *
 * Lanes: where the innermost variable of a thread runs over neighbouring elements, the nest
 * (nest.h) says so here. A load of which that variable is the last digit, at a multiple of their
 * number, becomes one vector load before the loop, and its elements are t.at[lane]; stores are
 * collected in a vector that is written after the loop. Anything else stays an element at a time.
 */
#ifndef SINTER_BACKENDS_CUDA_DIALECT_H
#define SINTER_BACKENDS_CUDA_DIALECT_H

#include "backends/element/value.h"

struct cuda_lanes {
    int atom;      /* the lane variable while its loop is open; -1: there is none */
    int64_t count; /* lanes: 2, 4 or 8 */
    int depth;     /* of the scope of the loop over them */
    struct str stores; /* lines that follow the loop */
};

/*
 * Loads that stay in registers, for kernels that go over their elements several times in the
 * same unrolled nest: the first one fills an array of the thread, later ones read it.
 */
struct cuda_kept {
    const struct value *value;
    const char *place; /* index as text, with or without the lane */
    const char *name;  /* of the array */
};

struct cuda_keep {
    bool on;
    int scope;        /* where the arrays are declared */
    int depth;        /* of the scope of a unit; what does not depend on it is not kept */
    const char *step; /* number of the unit of the thread; NULL: it has only one */
    int64_t steps;
    int64_t left;     /* registers that may still be taken */
    ARRAY_OF(struct cuda_kept) kept;
};

/* Index arithmetic in int, and in rt_i64 for kernels with a tensor of 2^31 elements or more. */
extern const struct dialect dialect_cuda, dialect_cuda_wide;

/* "g_bf16": what memory of this dtype is made of. */
const char *cuda_cell(enum dtype dtype);

/* "bf16": as in load_bf16, store_bf16. */
const char *cuda_memory_name(enum dtype dtype);

/* Whether `index` is a multiple of the open lanes plus the lane; `out_rest` is without it, and
 * stands outside of the loop over lanes. */
bool cuda_lanes_of(struct generator *g, const struct index *index, struct index *out_rest);
/* Likewise for what cuda_lanes_element is given: also where lanes decide together. */
bool cuda_lanes_read(struct generator *g, const struct index *index, struct index *out_rest);

/* A vector of lanes that stands before the loop: declares "const struct f32x8 t5 = TEXT;" and
 * gives its element at the lane. `suffix` is f32 or i32. Where the lanes have decided for it
 * together, TEXT is computed under the same condition. */
struct element cuda_lanes_element(struct generator *g, const char *suffix, int depth,
                                  const char *text);

#endif
