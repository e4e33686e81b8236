/*
 * Random functions, valid by construction, for tests of passes and backends. The same seed and
 * options give the same module on every machine. Values stay of moderate size (products and
 * exponentials act on bounded operands), so that results can be compared closely.
 */
#ifndef SINTER_RANDOM_GRAPH_H
#define SINTER_RANDOM_GRAPH_H

#include "ir/interp.h"
#include "ir/ir.h"

struct random_options {
    int nodes;        /* about how many steps are taken */
    bool smooth;      /* only what is differentiable; a weight or two and an output `loss` */
    bool structured;  /* convolutions, attention, sorts, updates too */
    int64_t elements; /* largest tensor; 0 = 2,000 */
};

struct module *random_graph(struct arena *arena, uint64_t seed,
                            const struct random_options *options);

/* Numbers for all weights, states and params of a function: floats in [-1.5, 1.5], integers small
 * and not negative, bools. The same leaf name and seed give the same numbers. */
void random_bind(struct interp *interp, const struct module *module,
                 const struct function *function, uint64_t seed);
/* The numbers for one leaf; free() them. */
double *random_numbers(const struct value *leaf, uint64_t seed);

/* Small generator for tests: a number below `bound` (> 0), and one in [0, 1). */
uint64_t random_below(uint64_t *state, uint64_t bound);
double random_unit(uint64_t *state);

#endif
