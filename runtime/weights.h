/*
 * The weights of an executable, bound to the table that the compiler emitted: either mapped from
 * the model's own files and used where they lie, or drawn at random.
 */
#ifndef SINTER_WEIGHTS_H
#define SINTER_WEIGHTS_H

#include "runtime/program.h"
#include "runtime/status.h"

struct rt_checkpoint;

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
 * Nothing is read ahead: a page comes in when it is first used, and Linux maps the cached 64 KiB
 * around it, so that the first pass over warm weights costs about a fifth of a second for 10 GB.
 *
 * A program of random weights draws them unless `path` is given (then anything that
 * rt_checkpoint_open takes): the same bits whatever the number of threads. On failure *weights is
 * empty.
 */
rt_status rt_weights_map(const struct rt_program *program, const char *path,
                         struct rt_weights *weights);

void rt_weights_release(struct rt_weights *weights);

#endif
