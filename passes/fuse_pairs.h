/* Epilogues that join the columns j and j + distance of a product: rotary positions. */
#ifndef SINTER_FUSE_PAIRS_H
#define SINTER_FUSE_PAIRS_H

#include "passes/fuse_groups.h"

/*
 * Whether `node` can be computed in the epilogue of product group `group`: every way from it to
 * a value of the group goes through reshapes, slices of one half of an axis, and concatenations
 * of two halves, all with one distance between the halves, and all values have the product's
 * number of elements or half of it.
 */
bool pairs_accept(struct groups *groups, int group, const struct node *node);

/* The same of one operand, which must have all elements. */
bool pairs_accept_operand(struct groups *groups, int group, struct value *value);

#endif
