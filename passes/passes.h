/*
 * The passes, in the order of compiler/pipeline.c. Each is one file with one exported function;
 * its contract (requires, preserves, breaks) stands above the function's body.
 */
#ifndef SINTER_PASSES_H
#define SINTER_PASSES_H

#include "ir/ir.h"

struct target; /* ir/target.h */

/* Algebraic rules, common subexpressions, dead values, constants: to a bounded fixpoint. */
void pass_simplify(struct module *module);

/* Reverse mode: gradients of the output `loss` of each function of role fit. */
void pass_grad(struct module *module);

/* SGD with momentum on those gradients; trained weights become states. */
void pass_optimizer(struct module *module);

/* Loops into their iterations. */
void pass_unroll(struct module *module);

struct decode_options {
    int64_t max_length; /* prompt and new tokens together: slots of a cache without window */
    int64_t max_chunk;  /* largest chunk of any function: extra slots of a ring */
};
/* Causal forward functions of roles prefill, score and decode become steps over a static cache;
 * adds the functions greedy and sample. */
void pass_decode(struct module *module, const struct decode_options *options);

/* Element types: from logical f32 to what is computed and stored. */
void pass_cast(struct module *module, enum dtype compute);

/* Affine views; copies where a skeleton's operand must be contiguous. */
void pass_layout(struct module *module);

/* Values into kernels. */
void pass_fuse(struct module *module, const struct target *target);

/* Order of kernels, for peak memory. */
void pass_schedule(struct module *module);

/* Tiles, register blocks and grids. */
void pass_tile(struct module *module, const struct target *target);

/* Liveness to arena offsets. */
void pass_plan(struct module *module);

#endif
