/*
 * A process that compiles kernels: between nvrtc.c, which keeps the workers busy and collects, and
 * nvrtc_worker.c, which runs in them.
 */
#ifndef SINTER_TOOLCHAIN_NVRTC_WORKER_H
#define SINTER_TOOLCHAIN_NVRTC_WORKER_H

#include "compiler/toolchain/nvrtc.h"

#include <stdatomic.h>

/* In front of each result in the worker's pipe; the bytes follow in this order. A worker that
 * cannot open the library sends one with `index` NVRTC_NO_KERNEL and the reason as its log. */
struct nvrtc_result {
    uint64_t index; /* of the source */
    uint64_t status, cubin_length, ptx_length, log_length;
};
#define NVRTC_NO_KERNEL UINT64_MAX

enum { NVRTC_WORKERS = 64, NVRTC_SWITCHES = 8 };

/* Memory that the workers share with their parent. */
struct nvrtc_shared {
    atomic_size_t next;                     /* the source to be taken next, in `order` */
    atomic_size_t current[NVRTC_WORKERS];   /* what each is at, so that a crash can be told */
};

struct nvrtc_work {
    const struct nvrtc *nvrtc;
    const struct device_source *sources;
    const size_t *order; /* the sources that are to be compiled */
    size_t count;        /* of order */
    const char *const *switches; /* of the compiler, switch_count of them */
    int switch_count;
    bool ptx;
    struct nvrtc_shared *shared;
};

/* Takes sources until there are no more, writing results to `pipe`. Never returns. */
_Noreturn void nvrtc_worker(const struct nvrtc_work *work, int number, int pipe);

#endif
