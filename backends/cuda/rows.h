/*
 * The skeleton `rows` of the CUDA backend. rows.c: what both forms share; row_form.c: the last
 * axis is reduced, threads share a row; column_form.c: the last axis is kept, threads share a
 * column. See ir/gpu_rows.h for the attributes.
 *
 * Every thread reduces its own elements in order. Then accumulators are combined in the order
 * of threads and warps, always the lower number first; those of several blocks are shared out to
 * the threads of the last block, and combined in the same way. So a result depends on its row and
 * on the attributes alone, and all threads have the same bits.
 */
#ifndef SINTER_BACKENDS_CUDA_ROWS_H
#define SINTER_BACKENDS_CUDA_ROWS_H

#include "backends/cuda/skeletons.h"
#include "backends/element/reductions.h"
#include "ir/gpu_rows.h"

struct rows {
    struct reductions reductions;
    bool columns;
    int level;       /* of the pass that runs */
    int64_t split;   /* blocks that share the reduced elements of the first level */
    int64_t each;    /* threads of a row, or of a column */
    int64_t share;   /* columns: threads side by side; rows: rows of a block */
    int64_t lanes;   /* columns: neighbours of a thread */
    int64_t groups;  /* of rows or columns: work of a block at a time */
    int64_t shared;  /* bytes of shared memory taken so far */
    bool early;      /* blocks of a split store what needs no reduction as they go */
};

/* Elements (or vectors) that a pass loads before it reduces the first. */
enum { ROWS_AHEAD = 4 };

/* --- rows.c --- */

/* Opens the loop over groups, "group" and, with a split, "part" in it. */
void rows_open_groups(struct generator *g, struct rows *rows);
void rows_close_groups(struct generator *g, struct rows *rows);

/* The threads that share the reduced elements of this level: nest of role REDUCED. `thread`:
 * number of this thread among rows->each. */
struct nest rows_nest(struct generator *g, struct rows *rows, const char *thread, int64_t vector);

/* Takes shared memory for `count` sets of accumulators; the offset of the first. */
int64_t rows_take_shared(struct rows *rows, const struct reduction *r, int64_t count);
/* Bytes of one accumulator. */
int64_t rows_bytes(const struct reduction *r);

/* Text: "shared_window() + OFFSET + NUMBER * STEP", what is 0 left out. */
const char *rows_address(struct generator *g, int64_t offset, const char *number, int64_t step);

/* Opens the kept variables from..to-1 as digits of `number`. */
void rows_open_kept(struct generator *g, int from, int to, const char *number);

/* The first accumulator of a reduction of level 0 among those that a row hands over; with NULL
 * the number of all of them. */
int rows_first_part(const struct rows *rows, const struct reduction *r);

/* Text: the address of accumulator k of those that are handed over at row-major `row`. */
const char *rows_handed(struct generator *g, const struct rows *rows, const struct reduction *r,
                        const char *row, const char *part, int k);

/* Names as lvalues: "r0_1", or with `lane` "r0_1[lane]". */
void rows_accumulators(struct generator *g, const struct reduction *r, const char *lane,
                       const char *out_p[4]);

/* p: the accumulators that every rows->each-th block has handed over, from number `thread` on.
 * The threads of a row or column have all of them, to be combined once more. */
void rows_collect(struct generator *g, const struct rows *rows, const struct reduction *r,
                  const char *row, const char *thread, const char *const p[4]);

/* Body of a nest: the elements at the open variables go into the accumulators of the level. */
void rows_accumulate(struct generator *g);
void rows_store_full(struct generator *g);
void rows_store_reduced(struct generator *g);

/* --- the forms: one attempt each --- */

void rows_attempt_rows(struct generator *g, struct rows *rows);
void rows_attempt_columns(struct generator *g, struct rows *rows);

#endif
