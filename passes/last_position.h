/*
 * The part of a prefill function that only the last position needs: a copy of the end of the
 * function on one row instead of a chunk of them.
 */
#ifndef SINTER_LAST_POSITION_H
#define SINTER_LAST_POSITION_H

#include "ir/build.h"

/*
 * A value equal to `value` at position last[b] of its chunk, with extent 1 on the sequence
 * axis. What the caches need is computed for the whole chunk anyway and gathered; everything
 * behind that (the last layer's output projection and MLP, the final norm, the head) is copied
 * with one row. axes: find_position_axes. last: i32[B,1].
 */
struct value *at_last_position(struct builder *b, const signed char *axes, struct value *value,
                               struct value *last);

#endif
