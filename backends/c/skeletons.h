/* The skeletons of the C backend: each prints the body of one kernel into scope 0 of a
 * generator. What may stand in a kernel of each: ir/skeletons.def. */
#ifndef SINTER_BACKENDS_C_SKELETONS_H
#define SINTER_BACKENDS_C_SKELETONS_H

#include "backends/element/parts.h"

#define C_SKELETON_C(name) void emit_##name(struct generator *g);
#define C_SKELETON_BOTH(name) C_SKELETON_C(name)
#define C_SKELETON_CUDA(name)
#define SKELETON(name, anchor, where, ...) C_SKELETON_##where(name)
#include "ir/skeletons.def"

/* Stands before a loop that is to become vector code. Without the second part short loops of
 * known length are unrolled before the vectoriser sees them. */
#define VECTOR_LOOP "#pragma clang loop vectorize(assume_safety) unroll(disable)"

/* Shared helpers (skeleton.c). */

/* Lines "const rt_i64 first = ..., last = ...;" that give tiles begin..end-1 their share of
 * `count` blocks. */
void emit_share(struct generator *g, int64_t count);

/* Loops over variables from..count-1 in order, the innermost vectorised, cut in pieces where
 * asked; calls `body` inside. */
void emit_nest(struct generator *g, int from, void (*body)(struct generator *g));

#endif
