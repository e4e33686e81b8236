/*
 * Which axis of each value is the sequence axis: for decode, which turns positions into steps.
 */
#ifndef SINTER_POSITIONS_H
#define SINTER_POSITIONS_H

#include "ir/ir.h"

/*
 * Writes axes[value->id], -1 where a value does not depend on the position, for every node of
 * the function. The caller has set axes of the seeds (tokens, position numbers) and -1
 * elsewhere. Fatal, with a caret, at a node that mixes positions; `update` ends a dependence,
 * since a cache holds all positions.
 */
void find_position_axes(const struct function *function, int64_t chunk, signed char *axes);

#endif
