/*
 * The insides of the CUDA device, shared by device_cuda.c (life, table), cuda_bind.c (memory,
 * weights), cuda_launch.c (modules, graphs), cuda_blas.c (products by a library), cuda_time.c and
 * cuda_rotate.c (times of kernels) and cuda_transfer.c (copies, events).
 *
 * All work goes into one stream. Bytes pass through pinned memory: small ones through a ring of
 * slots, so that a write never waits for the work before it; large ones through two halves.
 */
#ifndef SINTER_CUDA_DEVICE_H
#define SINTER_CUDA_DEVICE_H

#include "runtime/cuda.h"
#include "runtime/device.h"

enum {
    CUDA_HALF = 8 << 20, /* bytes of a half */
    CUDA_SLOTS = 64,
    CUDA_SLOT = 16 << 10, /* bytes of a slot */
    CUDA_ALIGNMENT = 256, /* of what stands in device memory */
};

/* One function of the program: run step by step at first, then as a graph. */
struct cuda_sequence {
    size_t first_operand; /* in cuda.operands */
    cuda_executable graph;
};

struct cuda {
    struct rt_device base;
    const struct cuda_driver *driver;
    struct cuda_gpu gpu;
    cuda_context context;
    cuda_stream stream;

    const struct rt_program *program;
    rt_u64 planned;      /* bytes of the one allocation */
    cuda_pointer memory; /* arena, constants, weights */
    cuda_pointer *weights, *constants; /* addresses by number; 0: not used by any kernel */
    cuda_pointer *operands;            /* of all functions, one after the other */
    void **parameters;                 /* the address of each operand, for launches */
    struct cuda_sequence *sequences;   /* by function */
    cuda_module *modules;              /* by image */
    cuda_function *kernels;            /* by launch */
    struct cuda_blas *blas;            /* NULL: the program has no products */

    unsigned char *pinned; /* two halves, the slots, the fetched results */
    unsigned char *slots, *fetched;
    rt_u64 fetch_bytes;
    cuda_event half_done[2], slot_done[CUDA_SLOTS], fetch_done[RT_FETCHES], stamps[RT_STAMPS];
    rt_u32 half, slot, fetches; /* those used next */
    unsigned char *viewed;      /* what view showed last */
    rt_u64 viewed_bytes;
    double worked; /* microseconds of runs that warmed the GPU before times are taken */
};

static inline struct cuda *cuda_of(struct rt_device *device)
{
    return (struct cuda *)device;
}

/* Makes the device's context that of this thread: the first act of every entry. */
rt_status cuda_enter(struct cuda *cuda);

rt_status cuda_check(const struct cuda *cuda, cuda_result result, const char *what);

/* Sums up what the program needs of the device's memory; refused where less is free. */
rt_status cuda_plan(struct cuda *cuda);

/* Allocates what was planned: weights and constants are on the device, the arena is zero, operands
 * are resolved. */
rt_status cuda_place(struct cuda *cuda, const void *const *weights);

/* Loads the modules and finds the kernels; plans the products. */
rt_status cuda_load_kernels(struct cuda *cuda);

/* Queues one step: its kernel, or its product. Parameters are the places of its operands. */
rt_status cuda_queue_step(struct cuda *cuda, const struct rt_step *step, void **parameters);
rt_status cuda_launch(struct rt_device *device, rt_u32 index);
rt_status cuda_run_step(struct rt_device *device, rt_u32 function, rt_u32 step);
rt_status cuda_time_steps(struct rt_device *device, rt_u32 function, const rt_u32 *steps,
                          rt_u32 count, rt_u32 least, struct rt_step_time *out);
void cuda_drop_kernels(struct cuda *cuda);

/* Copies `rows` rows of `bytes` to device memory, `pitch` bytes apart there and packed here;
 * pitch 0: one row. Has read `from` when it returns. */
rt_status cuda_upload(struct cuda *cuda, cuda_pointer to, const void *from, rt_u64 bytes,
                      rt_u64 rows, rt_u64 pitch);

rt_status cuda_open_transfers(struct cuda *cuda);
rt_status cuda_reserve_fetches(struct cuda *cuda);
void cuda_close_transfers(struct cuda *cuda);

rt_status cuda_wait(struct rt_device *device);
rt_status cuda_write(struct rt_device *device, rt_u64 offset, const void *from, rt_u64 bytes);
rt_status cuda_read(struct rt_device *device, rt_u64 offset, void *to, rt_u64 bytes);
rt_status cuda_copy(struct rt_device *device, rt_u64 to, rt_u64 from, rt_u64 bytes);
rt_status cuda_fetch(struct rt_device *device, rt_u64 offset, rt_u64 bytes, rt_u32 *ticket);
rt_status cuda_collect(struct rt_device *device, rt_u32 ticket, void *to, rt_u64 bytes);
rt_status cuda_stamp(struct rt_device *device, rt_u32 which);
rt_status cuda_elapsed(struct rt_device *device, rt_u32 from, rt_u32 to, rt_u64 *nanoseconds);
rt_status cuda_fill(struct rt_device *device, rt_u64 offset, rt_u64 bytes, const void *value,
                    unsigned size);
rt_status cuda_view(struct rt_device *device, rt_u64 offset, rt_u64 bytes, const void **at);

#endif
