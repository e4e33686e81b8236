/* Outputs and stored states of functions on random numbers, kept for comparison, for tests. */
#ifndef SINTER_TEST_OUTPUTS_H
#define SINTER_TEST_OUTPUTS_H

#include "ir/interp.h"

struct output {
    char *name;
    int64_t count;
    double *numbers;
};

struct outputs {
    struct output *items; /* in the order of the bindings */
    size_t count;
};

/* Runs a function once on random_bind's numbers. `planned`: through the arena. */
struct outputs outputs_of(struct module *module, const struct function *function,
                          enum interp_mode mode, uint64_t seed, bool planned);
void outputs_free(struct outputs *outputs);

/*
 * The first difference as text in a static buffer, NULL if there is none: numbers that differ by
 * more than `tolerance` times the larger of 1 and their size (0: bit for bit, but NaN equals NaN).
 * Every output of `expected` must be there.
 */
const char *outputs_differ(const struct outputs *expected, const struct outputs *actual,
                           double tolerance);

#endif
