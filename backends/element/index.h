/*
 * Index arithmetic of emitted code: affine forms over loop variables, with exact division.
 *
 * Every use of a tensor is described by the row-major linear index of the element that is
 * wanted. Views take that index apart (index_divide, index_modulo) and put it together again.
 * Where a loop variable runs across the boundary that a division asks for, the division asks
 * for the variable to be split in two (struct split) and the skeleton begins anew with more
 * loops: so inner loops stay affine and vectorisable, without any search.
 */
#ifndef SINTER_BACKENDS_ELEMENT_INDEX_H
#define SINTER_BACKENDS_ELEMENT_INDEX_H

#include "ir/ir.h"

enum { INDEX_TERMS = 12 };

/* base + sum of scale * atom. Atoms are sorted, scales are not 0. */
struct index {
    int64_t base;
    int count;
    struct {
        int64_t scale;
        int atom;
    } terms[INDEX_TERMS];
};

/* A name in emitted code with the range of its values. */
struct atom {
    const char *text;
    int64_t low, high; /* inclusive */
    int depth;         /* of the innermost scope that it depends on */
    int variable;      /* the loop variable that it is, or -1 */
};

/* What the skeleton must change before it begins anew. */
struct split {
    bool wanted;
    int variable;
    int64_t inner; /* split so that the inner extent is this; 0 = cut instead */
    int64_t cut;   /* run the variable in two pieces, the second from here */
};

struct index_space {
    struct arena *arena;
    ARRAY_OF(struct atom) atoms;
    struct split split;
    /* Materialises `text` as a named integer at this depth; returns its atom. */
    int (*name)(void *context, const char *text, int depth, int64_t low, int64_t high);
    void *context;
    const bool *may_split; /* by variable */
    const int64_t *extents; /* by variable */
};

int index_new_atom(struct index_space *space, struct atom atom);
struct index index_constant(int64_t value);
struct index index_of_atom(int atom);
struct index index_add(struct index_space *space, struct index a, struct index b);
struct index index_scale(struct index a, int64_t factor);
struct index index_offset(struct index a, int64_t offset);
void index_range(const struct index_space *space, const struct index *a, int64_t *out_low,
                 int64_t *out_high);
/* The innermost scope that the index depends on; 0 for a constant. */
int index_depth(const struct index_space *space, const struct index *a);
/* As C, fit to stand in brackets or after an operator of lowest precedence. */
const char *index_text(const struct index_space *space, const struct index *a);
bool index_equal(const struct index *a, const struct index *b);

/* floor(a / by) and a - by * floor(a / by), by > 0. May set space->split. */
struct index index_divide(struct index_space *space, struct index a, int64_t by);
struct index index_modulo(struct index_space *space, struct index a, int64_t by);

/* Takes a linear index apart into `rank` axes of these extents, and the other way. */
void index_take_apart(struct index_space *space, struct index linear, int rank,
                      const int64_t *dims, struct index *out_axes);
struct index index_put_together(struct index_space *space, int rank, const int64_t *dims,
                                const struct index *axes);

#endif
