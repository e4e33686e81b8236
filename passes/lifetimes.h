/* When the values between kernels are alive: for schedule and plan. */
#ifndef SINTER_LIFETIMES_H
#define SINTER_LIFETIMES_H

#include "ir/ir.h"

/* A value that stands in the arena while kernels first..last run (indices in order). */
struct lifetime {
    struct value *value;
    int first, last;
    uint64_t bytes; /* rounded up to ARENA_ALIGNMENT */
};

enum { ARENA_ALIGNMENT = 64 };

struct lifetimes {
    ARRAY_OF(struct lifetime) list; /* in the order of definition */
    int *kernel_of;                 /* by node id: index of its kernel in the function */
};

/*
 * Scratch values and outputs (alive to the end) of a function; not what lives in a state: the
 * next value of a state and the results of EFFECT ops.
 */
struct lifetimes find_lifetimes(struct module *module, const struct function *function);

/* The state that a value's memory is, or NULL: followed through EFFECT ops and bindings. */
struct value *state_of(const struct function *function, const struct value *value);

uint64_t arena_round(uint64_t bytes);

#endif
