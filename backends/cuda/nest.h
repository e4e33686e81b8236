/*
 * Nests of loops over threads: all elements of some variables, shared out among the threads of
 * a block, or of all blocks.
 *
 * The variables from..count-1 of the generator (or those of one role), closed so far, are the
 * digits (row-major) of a running number of units; a unit is `vector` neighbours along the last
 * variable, or one element where that does not divide its extent. Unit u belongs to thread u mod
 * (threads of all blocks). A window makes one variable run over a part of its extent only, at an
 * origin that the skeleton named (a tile of a product); the nest guards what lies beyond the
 * variable's extent.
 *
 * Lanes need a variable of their own: the first attempt without a wish to split asks for it, so
 * a nest must stand inside emit_attempts.
 */
#ifndef SINTER_BACKENDS_CUDA_NEST_H
#define SINTER_BACKENDS_CUDA_NEST_H

#include "backends/element/parts.h"

enum { NEST_WINDOWS = 2 };

struct nest_window {
    int role;           /* of the one variable that it narrows, which may not be split */
    const char *origin; /* text; a multiple of the vector where it is the last variable's */
    int64_t extent;     /* of the window: a multiple of the vector likewise */
};

struct nest {
    int from;            /* first variable; those before are open */
    int only;            /* 0: all variables from there; else those of role only - 1 */
    const char *thread;  /* number of this thread among those that share the work, as text */
    int64_t threads;     /* of them */
    int64_t vector;      /* wanted neighbours of a thread: 1, 2, 4 or 8 */
    bool unroll;         /* all units of a thread in a row, for arrays in registers */
    int ahead;           /* else: units whose loads are on their way together; 0: one */
    /* NULL, or the condition under which a unit is computed, as text (NULL: always); called when
     * all variables but the lane are open. Nothing moves out of it. */
    const char *(*condition)(struct generator *g);
    int window_count;
    struct nest_window windows[NEST_WINDOWS];
    int64_t units;       /* set by nest_emit: units of all threads */
};

/* Prints the nest; `body` is called once, in the innermost scope, with all variables open. */
void nest_emit(struct generator *g, struct nest *nest, void (*body)(struct generator *g));

/* The lanes that a nest would give this variable: the largest of vector, vector / 2, ... that
 * divides its extent. */
int64_t nest_lane_count(const struct generator *g, int variable, int64_t vector);
/* Asks for the variable to be split for so many lanes, unless another split is wanted. */
void nest_ask_lanes(struct generator *g, int variable, int64_t lanes);
/* A loop over a lane variable by itself, around `body`. */
void nest_lanes(struct generator *g, int variable, void (*body)(struct generator *g));

/* All threads of a block: thread_index() of cuda_of(g)->threads; of the grid: all blocks. */
struct nest nest_of_block(struct generator *g, int from);
struct nest nest_of_grid(struct generator *g, int from);

#endif
