/*
 * Runs CUDA kernels on the host: the text that the CUDA backend prints, compiled against the
 * emulated twins of its device library. A thread of the kernel is a fiber; a block runs to its
 * end before the next one begins. What a GPU leaves open is taken to its extremes: the order of
 * threads and blocks, and the time at which asynchronous copies and published results arrive.
 * A kernel that breaks a rule ends with the first error, by name and place.
 *
 * Not modelled: rounding inside tensor cores, errors of approximate functions, a memory order
 * weaker than the order of barriers, fences and waits; time.
 */
#ifndef SINTER_EMULATION_H
#define SINTER_EMULATION_H

#include "compiler/toolchain/toolchain.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EMULATION_ERROR(name, text) EMULATION_##name,
enum emulation_error {
#include "compiler/emulation/errors.def"
    EMULATION_ERROR_COUNT
};

/* "race" for EMULATION_race, and what it means. */
const char *emulation_error_name(enum emulation_error error);
const char *emulation_error_text(enum emulation_error error);

/* --- units of kernels --- */

struct emulation_unit;

/*
 * Compiles and loads `text`: the device library, kernels, and their table emulated_kernels.
 * `shadow` compiles every access to memory as a call, which launches with shadow memory need.
 * Returns NULL where the text is refused, with Clang's words in *errors (by malloc, or NULL to
 * leave them out); other failures are fatal.
 */
struct emulation_unit *emulation_unit_open(const char *text, size_t length, bool shadow,
                                           char **errors);
void emulation_unit_close(struct emulation_unit *unit);

/* The names of the kernels, from 0; NULL after the last. */
const char *emulation_unit_kernel(const struct emulation_unit *unit, size_t index);

/* --- launches --- */

/* Memory that an operand of the kernel points into. */
struct emulation_region {
    void *base;
    size_t bytes;
    bool written; /* the kernel may store there */
    bool blank;   /* and nothing has written it before */
    int element;  /* bytes of an element: 1, 2, 4 or 8 */
};

struct emulation_launch {
    const char *kernel;
    int blocks, threads;
    int64_t shared;        /* bytes of dynamic shared memory */
    void *const *operands; /* the kernel's arguments */
    const struct emulation_region *regions; /* may overlap where an operand is updated in place */
    size_t region_count;
    const int *chosen; /* blocks to run, ascending; NULL for all */
    size_t chosen_count;
};

struct emulation_options {
    bool reverse; /* threads and blocks from the last to the first */
    bool latest;  /* asynchronous copies arrive when they are waited for, not at once */
    bool shadow;  /* check every access; the unit is compiled for it */
    bool refuse_conflicts; /* with shadow: of ldmatrix and of 16-byte loads and stores */
    int64_t shared_limit;  /* bytes of shared memory that a block can have; 0: of sm_80 */
    double seconds; /* of CPU time that a block may take, else it is endless; 0: 60 */
};

enum { EMULATION_SHARED_SM80 = 163 * 1024, EMULATION_SHARED_SM90 = 227 * 1024 };

/* Accesses of whole warps to shared memory, with shadow. */
struct emulation_accesses {
    uint64_t count;
    uint64_t wavefronts; /* steps that the banks need */
    uint64_t minimum;    /* and would need without conflicts */
};

struct emulation_report {
    enum emulation_error error; /* the first one */
    int block, thread, line;    /* where; -1 unless known; the line of the unit's text */
    char text[1600];            /* "k_3: race: ..." */
    uint64_t collectives, barriers;
    struct emulation_accesses ldmatrix, shared_load, shared_store, copy;
};

/* An emulated multiprocessor: stacks and memory, for any number of launches. */
struct emulation;
struct emulation *emulation_create(void);
void emulation_destroy(struct emulation *emulation);

/* Runs a kernel of the unit. Never fails but by report->error; what an erroneous launch leaves
 * in memory means nothing. Returns report->error. */
enum emulation_error emulation_run(struct emulation *emulation, const struct emulation_unit *unit,
                                   const struct emulation_launch *launch,
                                   const struct emulation_options *options,
                                   struct emulation_report *report);

#endif
