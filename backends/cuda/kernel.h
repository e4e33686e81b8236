/*
 * One kernel as text. Kernels of equal text and launch are one: names in the text are made from
 * positions, never from the model's names, so equal structure gives equal text.
 */
#ifndef SINTER_BACKENDS_CUDA_KERNEL_H
#define SINTER_BACKENDS_CUDA_KERNEL_H

#include "backends/cuda/dialect.h"
#include "backends/element/value.h"
#include "ir/gpu.h"
#include "ir/gpu_blas.h"

/* The generator of a kernel and what its skeleton says of the launch. */
struct cuda_generator {
    struct generator generator; /* first: see cuda_of */
    struct cuda_lanes lanes;
    struct cuda_keep keep;
    int64_t blocks, threads;    /* attributes tiles and threads, at least 1 */
    int64_t shared;  /* bytes: attribute shared; a skeleton may ask for more */
    int mma_count;   /* -1 until a skeleton knows; loop, rows and the like: 0 */
    bool workspace, counters; /* parameters that a skeleton uses: "workspace", "counters" */
};

/* Every generator of this backend is part of one. */
#define cuda_of(g) ((struct cuda_generator *)(g))

struct cuda_kernel_text {
    const char *comment; /* of this use: IR lines, source, cost */
    const char *body;    /* from "(" before the parameters to the last brace */
    int64_t blocks, threads, shared;
    int residency, mma_count;
    bool workspace, counters;
    const struct value **operands;
    size_t operand_count;
    const struct gpu_blas *product; /* a library's; then `body` only tells it from others */
};

/* Of a kernel that has a provider. */
struct cuda_kernel_text cuda_provider_print(struct generator *g, const char *comment);

struct cuda_kernel_text cuda_kernel_print(struct arena *arena, const struct module *module,
                                          const struct target *target,
                                          const struct function *function,
                                          const struct kernel *kernel);

#endif
