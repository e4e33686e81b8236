/* Loops into their iterations: for pass_unroll, and for simplify where there is at most one. */
#ifndef SINTER_UNROLL_H
#define SINTER_UNROLL_H

#include "ir/build.h"

/* Appends all iterations of a loop node, whose operands are given as they are in the new body;
 * out_results[k] takes the place of its result k. */
void unroll_loop(struct builder *b, const struct node *node, struct value *const *operands,
                 struct value **out_results);

#endif
