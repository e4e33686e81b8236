/* The memory that a planned program will need, by class, before anything runs. */
#ifndef SINTER_COMPILER_MEMORY_H
#define SINTER_COMPILER_MEMORY_H

#include "ir/ir.h"
#include "ir/target.h"

/* Bytes by class. Weights stay in their files, or are copied to a GPU with the pitch of their
 * rows; the rest is one arena, where the scratch of the functions is overlaid. On GPUs there are
 * also the constants, and what the blocks of one kernel hand to each other: as much as the largest
 * kernel needs. */
struct memory {
    uint64_t weights, states, inputs, scratch, constants, workspace, counters;
    uint64_t arena;  /* states + inputs + scratch */
    uint64_t device; /* what a GPU holds: all of them */
};

struct memory memory_count(const struct module *planned);

/* One line of warning where the target is a GPU that has less memory than that. */
void memory_warn(const struct module *planned, const struct target *target);

#endif
