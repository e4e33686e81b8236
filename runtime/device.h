/*
 * A device runs the functions of one program. The rest of the runtime knows devices only
 * through this table: it names arena offsets, never addresses, so that memory may be the
 * host's or the device's own.
 *
 * The order of use: open, bind, then launch, read, write, fill and view as often as wanted, close.
 * All work of one device is done in the order of the calls; read and view wait for it. launch,
 * copy, fill and fetch may return before their work is done; write has taken its bytes when it
 * returns. After bind nothing allocates, except what a first use needs once.
 */
#ifndef SINTER_DEVICE_H
#define SINTER_DEVICE_H

#include "runtime/program.h"
#include "runtime/status.h"

#include <stdbool.h>
#include <stddef.h>

struct rt_device {
    const struct rt_device_table *table;
};

struct rt_device_options {
    int threads;       /* of the host; 0: as many as it has */
    bool caller_works; /* see pool.h */
};

struct rt_device_facts {
    char name[64];
    int threads;          /* 0 where that means nothing */
    rt_u64 memory_bytes;  /* that the device could give a program, 0 if unknown */
    bool ahead; /* works while the host goes on: it pays to launch before reading a result */
};

/* Results on their way to the host: at most so many are outstanding, each of at most so many
 * bytes. */
enum { RT_FETCHES = 4, RT_STAMPS = 16 };
rt_u64 rt_fetch_bytes(const struct rt_program *program);

/* The time of a step, and what was done to get it. */
struct rt_step_time {
    double microseconds; /* of one launch */
    rt_u32 launches;     /* of a run */
    rt_u64 bytes;        /* of the distinct weights and KV caches that a run reads */
    rt_u64 cache_bytes;  /* of the device's last cache; 0 if unknown */
};

struct rt_device_table {
    const char *name; /* for --device: "cpu" */

    /* The program, among `first` and those that follow it, that suits a device of this kind on
     * this machine best. A failure says what is missing: no device, or no code for it. */
    rt_status (*choose)(const struct rt_program *first, const struct rt_program **chosen);
    rt_status (*open)(struct rt_device **device, const struct rt_device_options *options);

    /* Frees everything, the arena too. */
    void (*close)(struct rt_device *device);
    void (*describe)(struct rt_device *device, struct rt_device_facts *facts);

    /* Allocates the arena, all zero, and resolves the operands of every function. weights[i] is
     * the host address of weight i, valid until close. */
    rt_status (*bind)(struct rt_device *device, const struct rt_program *program,
                      const void *const *weights);

    /* Starts function `index` of the program. A kernel's failure may come with a later call. */
    rt_status (*launch)(struct rt_device *device, rt_u32 index);
    rt_status (*wait)(struct rt_device *device);

    /* Copies between host memory and the arena. */
    rt_status (*write)(struct rt_device *device, rt_u64 offset, const void *from, rt_u64 bytes);
    rt_status (*read)(struct rt_device *device, rt_u64 offset, void *to, rt_u64 bytes);

    /* Copies inside the arena; the places do not overlap. */
    rt_status (*copy)(struct rt_device *device, rt_u64 to, rt_u64 from, rt_u64 bytes);

    /* Starts to bring arena bytes to the host; collect waits for that copy only, not for what was
     * launched after it. Tickets are collected in the order of the fetches. */
    rt_status (*fetch)(struct rt_device *device, rt_u64 offset, rt_u64 bytes, rt_u32 *ticket);
    rt_status (*collect)(struct rt_device *device, rt_u32 ticket, void *to, rt_u64 bytes);

    /* Notes the time when the work so far is done; the time between two such notes, waiting for
     * both. `which` < RT_STAMPS. */
    rt_status (*stamp)(struct rt_device *device, rt_u32 which);
    rt_status (*elapsed)(struct rt_device *device, rt_u32 from, rt_u32 to, rt_u64 *nanoseconds);

    /* Repeats a value of `size` (1, 2, 4 or 8) bytes over arena memory; size divides bytes. */
    rt_status (*fill)(struct rt_device *device, rt_u64 offset, rt_u64 bytes, const void *value,
                      unsigned size);

    /* What stands in the arena, readable by the host until the next launch. */
    rt_status (*view)(struct rt_device *device, rt_u64 offset, rt_u64 bytes, const void **at);

    /*
     * The time of one launch: steps[0..count) of a function run in this order, all of them again
     * until there are `least` launches or more. On a GPU they are one graph, less the time of such
     * a graph of kernels that do nothing; its launches read weights and caches that exceed twice
     * the GPU's last cache together, copies of them if need be, as far as launches and memory
     * allow. For measurements: it allocates. NULL: without a clock.
     */
    rt_status (*time_steps)(struct rt_device *device, rt_u32 function, const rt_u32 *steps,
                            rt_u32 count, rt_u32 least, struct rt_step_time *out);

    /* Starts one step of a function by itself, as launch starts all of them. */
    rt_status (*run_step)(struct rt_device *device, rt_u32 function, rt_u32 step);

    /*
     * Runs a kernel of the host's own over host memory with the device's threads: for what the
     * runtime itself measures or computes. A device without host threads uses the caller.
     */
    void (*run)(struct rt_device *device, rt_kernel *kernel, void *const *operands, rt_i64 tiles);
};

extern const struct rt_device_table rt_device_cpu, rt_device_cuda;

/* The first program for a CPU from `first` on; NULL if there is none. */
const struct rt_program *rt_cpu_program(const struct rt_program *first);

/* Names of the targets of all programs, for messages: "znver4, a100". */
const char *rt_target_names(const struct rt_program *first, char *text, size_t size);

#endif
