/*
 * Facts about the machines that code is made for: the rows of targets.def, and those of gpus.def,
 * which share the names. Passes choose tiles by them, the backend its instruction set.
 */
#ifndef SINTER_TARGET_H
#define SINTER_TARGET_H

#include "ir/ir.h"

struct gpu; /* ir/gpu.h */

struct target {
    const char *name;  /* "x86-64-v3", "znver5" */
    const char *level; /* clang's -target-cpu */
    const char *extra; /* features beyond the level, separated by spaces; "" if none */
    const char *tune;  /* clang's -tune-cpu */
    int lanes;         /* f32 lanes of a vector */
    bool dots;         /* bf16 pair products */
    int mr, nr;        /* register block: rows, columns */
    int prefetch;      /* bytes */
    double gflops_f32, gflops_bf16, gbs; /* attainable, of one core */
    const struct gpu *gpu; /* ir/gpu.h; NULL for a CPU. Of a GPU only this and the name count. */
};

/* The CPU of that name, or the GPU of that name or alias; NULL if there is none. "x86_64_v3" is
 * spelled "x86-64-v3". */
const struct target *target_find(const char *name);

/* CPUs in order; NULL beyond the last. */
const struct target *target_row(size_t index);

/* The first row all of whose features `has` knows, preferring the one that is tuned for
 * `cpu_name` (as clang names CPUs; NULL if not known). NULL if none fits. */
const struct target *target_native(bool (*has)(const char *feature), const char *cpu_name);

/* All features that code for this target may use, NULL-terminated, in `arena`. */
const char *const *target_features(struct arena *arena, const struct target *target);

#endif
