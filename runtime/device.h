/*
 * A device runs the functions of one program. The rest of the runtime knows devices only
 * through this table: it names arena offsets, never addresses, so that memory may be the
 * host's or the device's own.
 *
 * The order of use: open, bind, then launch, read, write, fill and view as often as wanted, close.
 * All work of one device is done in the order of the calls; read and view wait for it. After
 * bind nothing allocates.
 */
#ifndef SINTER_DEVICE_H
#define SINTER_DEVICE_H

#include "runtime/program.h"
#include "runtime/status.h"

#include <stdbool.h>

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
};

struct rt_device_table {
    const char *name; /* for --device: "cpu" */
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

    /* Repeats a value of `size` (1, 2, 4 or 8) bytes over arena memory; size divides bytes. */
    rt_status (*fill)(struct rt_device *device, rt_u64 offset, rt_u64 bytes, const void *value,
                      unsigned size);

    /* What stands in the arena, readable by the host until the next launch. */
    rt_status (*view)(struct rt_device *device, rt_u64 offset, rt_u64 bytes, const void **at);

    /*
     * Runs a kernel of the host's own over host memory with the device's threads: for what the
     * runtime itself measures or computes. A device without host threads uses the caller.
     */
    void (*run)(struct rt_device *device, rt_kernel *kernel, void *const *operands, rt_i64 tiles);
};

extern const struct rt_device_table rt_device_cpu;

#endif
