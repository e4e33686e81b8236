/*
 * Attention kernels of the CUDA backend under the emulation, against the interpreter: what the
 * tests of both skeletons share. Unlike tests/emulated.h this knows what positions mean: slots
 * that hold no key are NaN for the kernel, so one that reads them shows.
 */
#ifndef SINTER_TESTS_ATTENTION_CASES_H
#define SINTER_TESTS_ATTENTION_CASES_H

#include "compiler/emulation/emulation.h"
#include "ir/ir.h"

enum { ATTENTION_BATCH = 4 };

struct attention_case {
    int batch, queries, heads, groups, slots, size;
    const char *dtype;              /* of the operands; the result has the same */
    const char *how;                /* attributes: "causal", "causal cached ring window=9", ... */
    int positions[ATTENTION_BATCH]; /* with `cached`: of query 0 of each row */
    double scale;                   /* 0: size ^ -0.5 */
    const char *bias;               /* its dims, NULL for none: "1,1,5,37" */
    /* the kernel: warps along the queries; with `split` (parts), split_attention */
    int rows, keys, warps, stages, split;
    double wrong; /* a planted error: added to the positions that the reference sees */
};

struct attention_outcome {
    struct emulation_accesses ldmatrix, loads, stores, copies; /* of the runs with shadow */
    int runs, errors; /* errors: of the emulation, and runs that gave other bytes */
    double worst;     /* largest error in units of the tolerance */
    double *results;  /* numbers of the first run of each case, by malloc: free them */
    size_t *first;    /* case i: results[first[i]]..results[first[i + 1] - 1] */
    char text[800];
};

/*
 * All cases as one module, in the orders and times {sequential, reverse} x {eager, latest} and
 * once with shadow memory; `brief`: (sequential, eager) with shadow and (reverse, latest) only.
 * Inputs are random by `seed`; the keys of slot j of row b are the same whatever the case.
 */
struct attention_outcome attention_run(const struct attention_case *cases, int count, bool brief,
                                       uint64_t seed);
void attention_free(struct attention_outcome *outcome);

#endif
