/*
 * Kernels of the CUDA backend under the emulation, for tests: a module goes through the passes
 * that it has not seen, its kernels are printed and compiled for the host, and each distinct
 * kernel runs alone, on random inputs, under {sequential, reverse} x {eager, latest} and once
 * with shadow memory. Sampled elements of its live-outs are compared with the interpreter
 * (rounded mode, within the tolerances of `sinter check`); all runs must give the same bytes.
 *
 *     static const char text[] = "ir 1\nmodule m stage=clean\nfunc f\n ... end\n";
 *     struct emulated_report report = emulated_text(text, &(struct emulated_request){0});
 *     emulated_expect(&report);
 *
 * `stage=` says which passes are left: with stage=clean layout, fuse, schedule, tile and plan
 * run; a text of stage=tile keeps its kernels and attributes, and only plan runs. To try a variant
 * without writing kernels out, change attributes in request.tiled, which runs after tile.
 */
#ifndef SINTER_TESTS_EMULATED_H
#define SINTER_TESTS_EMULATED_H

#include "compiler/emulation/emulation.h"
#include "ir/ir.h"
#include "ir/target.h"
#include "passes/tile_gpu.h"

struct emulated_request {
    const char *target; /* NULL: "a100" */
    int64_t samples;    /* elements of each result that are compared; 0: 300 */
    bool brief;         /* two runs only: (sequential, eager) with shadow, (reverse, latest) */
    bool conflicts;     /* conflicts of banks are allowed: else ldmatrix and 16-byte loads and
                           stores must have none */
    uint64_t seed;
    enum tile_blas blas;
    /* Called with the module after pass tile and before pass plan; may be NULL. */
    void (*tiled)(struct module *module, void *context);
    void *context;
    const char *skeleton; /* NULL, or: some kernel must have this skeleton */
};

struct emulated_report {
    int kernels; /* distinct ones */
    int runs;
    int errors;       /* runs that ended with an error, or gave other bytes than the first */
    int wrong;        /* kernels with a number outside of its tolerance */
    int64_t compared; /* elements */
    double worst;     /* error, in units of the tolerance: wrong if above 1 */
    struct emulation_accesses ldmatrix, shared_load, shared_store, copy; /* of the shadow runs */
    bool skeleton;    /* the one asked for is there */
    char text[1200];  /* what is wrong, "" if nothing is; the first findings */
};

/* Of IR text; of a model by the words of a command line ("build", MODEL, ...; the target is the
 * request's); of a planned module. Ends the program where a pass, emission or Clang refuses. */
struct emulated_report emulated_text(const char *text, const struct emulated_request *request);
struct emulated_report emulated_model(const char *const *words, int count,
                                      const struct emulated_request *request);
struct emulated_report emulated_module(struct module *planned, const struct target *target,
                                       const struct emulated_request *request);

/* Fails the running CMocka test, with the report's text, unless everything is right. */
void emulated_expect(const struct emulated_report *report);

#endif
