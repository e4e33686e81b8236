/*
 * What the skeletons gemv and skinny share: products of few rows of %a with stored weights. The
 * prologue computes %a where a block needs it, the epilogue what follows from the finished
 * sums, which stand in shared memory as a block of f32 [partner][row][column of the tile].
 *
 * Names in the emitted text: shared, lane, warp, thread; block (the column tile of the kernel);
 * tile (the same, counted in its segment); results, statistics (addresses in shared memory).
 */
#ifndef SINTER_BACKENDS_CUDA_FEW_H
#define SINTER_BACKENDS_CUDA_FEW_H

#include "backends/cuda/skeletons.h"
#include "backends/element/operand.h"
#include "backends/element/reductions.h"
#include "ir/gpu_gemv.h"

/* The weights of one product. */
struct few_weights {
    struct matrix matrix; /* of rows along K */
    bool aligned;         /* every row starts on 16 bytes */
};

/* The variables of a nest, with all splits that it needs. */
struct few_settled {
    struct variable variables[VARIABLES];
    bool may_split[VARIABLES];
    int count;
};

struct few {
    const struct few_operands *operands;
    struct few_weights weights[PRODUCTS_MOST][PRODUCTS_MOST]; /* by segment, partner */
    /* prologue */
    struct reductions reductions;
    int level;      /* of the pass that runs */
    int row_depth;  /* of the scope of the row that is open */
    int64_t team;   /* warps that reduce one row */
    int64_t vector; /* neighbours that a thread stages */
    /* Prints the store of element [row][step] of %a: called in the innermost scope. */
    void (*stage)(struct generator *g, struct index row, struct index step, struct element element);
    struct nest_window window; /* steps that are staged; extent 0: all */
    struct few_settled prologue;
    /* epilogue */
    int64_t pitch;  /* f32 elements from row to row of the block of results */
    int64_t wanted; /* neighbours of a thread */
    int segment;    /* whose epilogue is printed */
    /* There: the index of a result whose local column is `base`; `run` columns follow it in the
     * tile (those of one side, where the tile holds two sides of pairs apart). */
    struct index origin, base;
    int64_t run;
    struct few_settled epilogues[PRODUCTS_MOST];
};

#define few_of(g) ((struct few *)(g)->skeleton)
#define number_text(g, number) arena_printf((g)->arena, "%lld", (long long)(number))

/* Finds the weights and settles prologue and epilogues; `few` is g's skeleton with operands,
 * team, vector, stage, pitch and wanted set. */
void few_prepare(struct generator *g, struct few *few);

/* "(block < 4 ? A : block < 6 ? B : C)": texts by segment, or the one that all share. */
const char *few_by_segment(struct generator *g, const char *const *texts);

/* Lines that declare thread, lane, warp, block and tile. */
void few_declare(struct generator *g);
/* "const g_bf16 *weights0 = ...;" for every partner. */
void few_declare_weights(struct generator *g);
/* The column in its segment of local column `local`, a text; declares what it needs. Beyond the
 * last column gives the last. */
const char *few_column(struct generator *g, const char *local);
/* Elements from one column's weights to the next: the same for all, or a text by segment. */
const char *few_stride(struct generator *g);
bool few_aligned(const struct few *few);
/* Lines that declare "float weight": element `k` of what partner `partner` multiplies in column
 * `column` of the segment, both names in the open scope; 0 beyond K. */
void few_emit_weight(struct generator *g, int partner);

/* --- few_prologue.c --- */
void few_settle_prologue(struct generator *g);
/* A vector "sN" of the open lanes, N = g->temporaries, that has the element. */
void few_collect_lane(struct generator *g, struct element element);
/* Runs `attempt` dry and keeps its variables. */
void few_settle(struct generator *g, struct few_settled *settled,
                void (*prepare)(struct generator *g), void (*attempt)(struct generator *g));
void few_restore(struct generator *g, const struct few_settled *settled);
/* The reductions over rows of %a, and a barrier; nothing where there are none. */
void few_emit_reductions(struct generator *g);
/* All elements of %a through few->stage. */
void few_emit_staging(struct generator *g);
bool few_provide_reduction(struct generator *g, const struct value *value, struct index index,
                           struct element *out_element);

/* --- few_epilogue.c --- */
void few_settle_epilogues(struct generator *g);
void few_emit_epilogues(struct generator *g);

#endif
