/*
 * Cold weights for the times of single kernels. In a real run a kernel finds its weights and its
 * part of the caches of keys and values in the GPU's memory: all the others were read in between.
 * Where the steps that are timed together read less than twice the last cache, their launches go
 * through copies of those bytes as well, so that each launch finds bytes that were not read lately.
 */
#ifndef SINTER_CUDA_ROTATE_H
#define SINTER_CUDA_ROTATE_H

#include "runtime/cuda_device.h"

/* Device memory that a step reads from: a weight, or a KV cache. */
struct cuda_range {
    cuda_pointer from;
    rt_u64 bytes, offset; /* offset: in a set of copies */
};

struct cuda_rotation {
    struct cuda *cuda;
    struct cuda_range *ranges; /* of a round of the steps, each once */
    rt_u32 range_count;
    rt_u32 rounds;        /* of the steps, in a run */
    rt_u32 sets;          /* of copies; the originals not counted */
    rt_u64 set_bytes;     /* of one */
    rt_u64 round_bytes;   /* that a round reads of the ranges */
    cuda_pointer memory;  /* of all sets; 0: none */
    cuda_pointer *values; /* of the operands of one launch */
    void **parameters;    /* their addresses */
};

/*
 * Plans a run of steps[0..count) of a function, `least` launches or more, and makes the copies.
 * Without the memory for them it goes without. To be closed also after a failure.
 */
rt_status cuda_rotation_open(struct cuda_rotation *rotation, struct cuda *cuda, rt_u32 function,
                             const rt_u32 *steps, rt_u32 count, rt_u32 least);
void cuda_rotation_close(struct cuda_rotation *rotation);

/* The parameters of a step in a round, valid until the next call; `parameters`: the step's own. */
void **cuda_rotated(struct cuda_rotation *rotation, rt_u32 round, const struct rt_step *step,
                    void **parameters);

/* Bytes of distinct weights and caches that a run reads. */
rt_u64 cuda_rotated_bytes(const struct cuda_rotation *rotation);

#endif
