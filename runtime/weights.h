/*
 * The weights of an executable, bound to the table that the compiler emitted: either mapped from
 * the model's own files and used where they lie, or drawn at random.
 */
#ifndef SINTER_WEIGHTS_H
#define SINTER_WEIGHTS_H

#include "runtime/program.h"
#include "runtime/status.h"

struct rt_checkpoint;
struct rt_pool;

struct rt_weights {
    const void **data;                /* of each rt_weight, in the order of the table */
    rt_u64 mapped_bytes;              /* of the tensors, in mapped files */
    rt_u64 anonymous_bytes;           /* allocated for random weights */
    struct rt_checkpoint *checkpoint; /* private, as what follows */
    void *memory;
};

/*
 * Binds all weights of `program`. The files are looked for in `path` (the argument of --weights:
 * their directory, or the file where there is one; nothing else is tried then), else beside the
 * running executable, else in program->weights_path: the first of these that has the table's
 * first file must have them all. Every file is validated as a whole (safetensors.h) and must
 * hold each tensor of the table with that type, shape and offset: WEIGHTS_CHANGED else.
 *
 * A program of random weights draws them unless `path` is given (then anything that
 * rt_checkpoint_open takes): the same bits whatever the number of threads. On failure *weights is
 * empty.
 */
rt_status rt_weights_map(const struct rt_program *program, const char *path,
                         struct rt_weights *weights);

void rt_weights_release(struct rt_weights *weights);

/*
 * Makes the mapped weights resident, with the threads of `pool`, before they are measured or
 * served. Does nothing where they would take more than three quarters of the machine's memory,
 * since they would push each other out. Without it each page is read when it is first used.
 */
void rt_weights_populate(const struct rt_weights *weights, struct rt_pool *pool);

#endif
