/*
 * Shadow memory: for each cell of the block's shared memory, and of the global memory that a
 * launch may store to, who wrote and who read it last. A cell has the size of an element (global)
 * or 2 bytes (shared).
 *
 * Inside a block two accesses, one of them a store, are a race unless a barrier orders them:
 * barriers of the block, named ones, and warp_barrier; other collectives order nothing. Clocks of
 * warps decide (vector clocks; many readers as in FastTrack, Flanagan and Freund 2009). Between
 * blocks of a launch only the publish primitives order accesses.
 */
#ifndef SINTER_EMULATION_SHADOW_H
#define SINTER_EMULATION_SHADOW_H

#include "compiler/emulation/machine.h"

struct shadow *shadow_create(void);
void shadow_destroy(struct shadow *shadow);

/* For the regions of machine->launch. */
void shadow_begin_launch(struct machine *machine);
void shadow_end_launch(struct machine *machine);
void shadow_end_block(struct machine *machine);

/* An access to global memory: load, store, publish or collect. */
void shadow_global(struct thread *thread, struct place place, const void *address, int bytes);
void shadow_shared(struct thread *thread, struct place place, shared_t address, int bytes);

/* The rows of an ldmatrix. */
void shadow_matrices(struct thread *thread, struct place place);

void shadow_copy_begin(struct thread *thread, struct place place, const struct copy *copy);
void shadow_copy_end(struct thread *thread, const struct copy *copy);

/* A counter that a block counts on. */
void shadow_counter(struct thread *thread, struct place place, const rt_i32 *at);

/* What the block has published may be collected by who completes counter number `counter`. */
void shadow_release(struct machine *machine, rt_u32 counter);

/* --- conflicts.c: conflicts of banks --- */

struct conflicts *conflicts_create(void);
void conflicts_destroy(struct conflicts *conflicts);
void conflicts_begin_launch(struct machine *machine);

/* One lane's access; those of a warp at one line, the n-th of each lane, are one instruction. */
void conflicts_access(struct thread *thread, struct place place, shared_t address, int bytes);
void conflicts_matrices(struct thread *thread, struct place place);
void conflicts_end_block(struct machine *machine);

#endif
