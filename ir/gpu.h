/*
 * Facts about GPUs: the rows of gpus.def. Passes choose tiles and predict times by them, the
 * backend its instruction set. Units stand in the names: gbs is 1e9 bytes a second, tflops 1e12
 * operations a second (a multiply-add counts 2), us microseconds.
 */
#ifndef SINTER_GPU_H
#define SINTER_GPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Families of instructions that multiply matrices, each with rates of its own. */
enum gpu_family {
#define FAMILY(name, ...) FAMILY_##name,
#define GPU(...)
#include "ir/gpus.def"
    FAMILY_COUNT
};

struct gpu_rate {
    double peak, attainable; /* tflops; 0 if the GPU has no such instructions */
};

struct gpu {
    const char *name;         /* "a100-80" */
    const char *aliases;      /* words separated by spaces */
    const char *architecture; /* "sm_80" */
    const struct gpu_rate *rates; /* by family */
    int multiprocessors;
    double clock_mhz;
    double memory_bytes;
    double hbm_peak_gbs, hbm_gbs;
    double l2_bytes, l2_gbs;
    int64_t shared_block, shared_multiprocessor; /* bytes */
    /* Attainable by flash attention in 16 bits, and with heads of up to 64 columns. */
    double attention_tflops, attention_64_tflops;
    int64_t library_workspace; /* bytes that a library of products is given */
};

/* The same on all of them. */
enum {
    GPU_WARP = 32,
    GPU_REGISTERS = 65536, /* of a multiprocessor */
    GPU_THREAD_REGISTERS = 255,
    GPU_BLOCK_THREADS = 1024,
    GPU_THREADS = 2048,        /* of a multiprocessor */
    GPU_BLOCKS = 32,           /* of a multiprocessor */
    GPU_SHARED_RESERVED = 1024 /* bytes of a block that the system takes */
};

/* Time between the kernels of a graph, and of a first load from HBM. */
#define GPU_BOUNDARY_US 1.3
#define GPU_LATENCY_US 0.65

/* What a kernel of given attributes asks of its GPU, told by the owner of its skeleton. */
struct gpu_facts {
    int64_t shared_bytes; /* of a block, without what the system reserves */
    int registers;        /* estimate, of a thread */
    int mma_count;        /* tensor-core instructions expected in the code; -1: not known */
};

/* Rows in order; NULL beyond the last. */
const struct gpu *gpu_row(size_t index);

/* By name or alias; NULL if there is none. */
const struct gpu *gpu_find(const char *name);

const char *gpu_family_name(enum gpu_family family);

/* Blocks of a kernel that fit on one multiprocessor at a time; 0 if none does. */
int gpu_residency(const struct gpu *gpu, const struct gpu_facts *facts, int threads);

#endif
