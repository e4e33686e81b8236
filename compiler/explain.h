/*
 * What each kernel of a planned module costs, and what bounds it, by the attainable figures of the
 * target table: of one core (ir/targets.def), or of a GPU (ir/gpus.def, ir/gpu_predict.h).
 * Predictions, to compare kernels; `bench` measures.
 */
#ifndef SINTER_EXPLAIN_H
#define SINTER_EXPLAIN_H

#include "ir/ir.h"
#include "ir/target.h"

struct explained_kernel {
    const char *name, *skeleton, *scope; /* scope: "layers.0", "" at the top */
    const char *provider;   /* the library that computes it; NULL: none */
    double flops, bytes;
    double compute, memory; /* seconds that each alone would take */
    double seconds;         /* the larger of both; of a GPU, also what starting takes */
    const char *bound;      /* what takes longest */
    double occupancy;       /* of a GPU: share of the threads that a multiprocessor can hold */
    int residency;          /* of a GPU: blocks on a multiprocessor */
    uint64_t key;           /* ir/signature.h */
    const char *tiles;      /* attributes, as the IR prints them */
    bool distinct;          /* no kernel before it, of any function, has the same code */
};

struct explained_function {
    const char *name;
    struct explained_kernel *kernels;
    size_t count, distinct;
    double flops, bytes, compute, memory, seconds; /* sums */
    double floor; /* of a GPU: seconds at its peak figures, each weight and state read once */
};

/* One for each function of the module, in order. */
struct explained_function *explain_module(const struct module *module,
                                          const struct target *target);

#endif
