/*
 * The steps of pass_simplify. Each tries one kind of simplification on one node, whose operands
 * are given as they are in the new body, and returns what takes the place of its first result, or
 * NULL. Nodes with one result only.
 */
#ifndef SINTER_SIMPLIFY_STEPS_H
#define SINTER_SIMPLIFY_STEPS_H

#include "ir/build.h"

/* Compositions of index maps, casts and products of transposed operands (simplify_maps.c). */
struct value *simplify_maps(struct builder *b, const struct node *node,
                            struct value *const *operands);

/* Elementwise ops of repeated values: computed before they are repeated (simplify_maps.c). */
struct value *simplify_repeats(struct builder *b, const struct node *node,
                               struct value *const *operands);

/* Ops of constants (fold.c). Exact: a result that its element type cannot hold stays an op, unless
 * it is a scalar, which is kept in full precision. Nothing grows: a result of more than 64
 * elements must not have more bytes than its operands, and at most 1 MB. */
struct value *fold_constants(struct builder *b, const struct node *node,
                             struct value *const *operands);

#endif
