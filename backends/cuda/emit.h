/*
 * The CUDA backend: planned IR to kernels in a subset of C that is CUDA C++ for NVRTC and nvcc,
 * and gnu17 C for the emulation. It includes nothing: the device library stands in front.
 */
#ifndef SINTER_BACKENDS_CUDA_EMIT_H
#define SINTER_BACKENDS_CUDA_EMIT_H

#include "backends/program.h"
#include "ir/target.h"

struct cuda_emit_options {
    const struct target *target; /* the one that the module was planned for */
};

/* A distinct kernel: one compilation, and the shape of its launches. */
struct cuda_kernel {
    const char *name;    /* "k_..." */
    const char *comment; /* of its first use: IR lines, source, cost */
    const char *text;    /* from "KERNEL(threads, residency) name(" to the last brace; NULL: */
    const struct gpu_blas *product; /* what a library computes instead */
    int64_t blocks, threads, shared; /* shared: bytes of dynamic shared memory */
    int residency;   /* blocks on a multiprocessor that its registers must allow */
    int mma_count;   /* tensor-core instructions expected in its code; -1: not known */
    int operands;    /* pointers to tensors, without the two below */
    int64_t workspace_bytes; /* of a product */
    bool workspace, counters; /* whether these follow, in this order */
};

/* One launch. `step` has the kernel's name and the operands in order of the parameters. */
struct cuda_step {
    struct program_step step;
    int kernel; /* its row in cuda_emit_result.kernels */
};

struct cuda_emit_result {
    const char *prelude; /* the device library: the same for every kernel of a target */
    size_t prelude_length;
    struct cuda_kernel *kernels;
    int kernel_count;
    struct cuda_step **steps; /* steps[f][k]: kernel k of function f */
    /* For the emulation: prelude, all kernels, entries and their table, to be compiled as C with
     * SINTER_EMULATED defined. */
    const char *emulated;
    size_t emulated_length;
};

/* Prints a planned module. The same module and options give the same bytes. */
struct cuda_emit_result backend_cuda_emit(struct module *planned,
                                          const struct cuda_emit_options *options);

/* What NVRTC or nvcc compile for one kernel that has text: prelude and kernel. */
const char *cuda_kernel_source(struct arena *arena, const struct cuda_emit_result *emitted,
                               int kernel, size_t *out_length);

#endif
