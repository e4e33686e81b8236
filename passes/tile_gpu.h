/*
 * Tiles of GPU kernels: for each kernel a list of candidates, best first. The first that is
 * allowed and fits the GPU is taken; the last of a list always fits.
 */
#ifndef SINTER_TILE_GPU_H
#define SINTER_TILE_GPU_H

#include "ir/gpu.h"
#include "ir/gpu_blas.h"
#include "ir/ir.h"

enum { TILE_CANDIDATES = 256 };

/* The attributes that a candidate sets; 0 means the attribute's default. `tiles` counts only for
 * skeletons whose number of blocks does not follow from the others. */
struct tile_candidate {
    int64_t tiles, threads, rows, cols, kc, warps_m, warps_n, stages, split, band, pair, vector;
    int64_t keys, nr;
    int64_t provider; /* enum gpu_provider: then all others are 0 */
    bool first; /* whatever the time */
    int order;  /* in which they were listed */
    double us; /* predicted */
    double doubt_us; /* of equals the one with less; 0 where it was measured */
};

struct tile_list {
    struct tile_candidate items[TILE_CANDIDATES];
    int count;
};

/* Whether libraries compute kernels: by prediction, never, or wherever they can. */
enum tile_blas { TILE_BLAS_never, TILE_BLAS_auto, TILE_BLAS_always };

/* The text of a table of measured times (tile_tuning.h); NULL stands for the GPU's own. */
struct tile_tuning {
    const char *text;
    size_t length;
};

/* What a choice is made by. */
struct tile_rules {
    const struct gpu *gpu;
    enum tile_blas blas;
    struct tile_tuning tuning;
};

/* What candidates are made for. */
struct tile_subject {
    struct arena *arena;
    const struct gpu *gpu;
    enum tile_blas blas;
    const struct function *function;
    struct kernel *kernel; /* its attributes are free to be changed */
    struct tile_tuning tuning;
};

/* tile_gpu_candidates.c: what is worth trying, in no order; some may not fit. */
void tile_list_kernel(const struct tile_subject *subject, struct tile_list *out);

/* All candidates of a kernel that fit its GPU, best first. */
void tile_candidates(const struct tile_subject *subject, struct tile_list *out);

/* Sets the attributes of a candidate, and what follows from them. False if it does not fit. */
bool tile_apply(const struct tile_subject *subject, const struct tile_candidate *candidate);

/* Gives each kernel of a module candidate `index` (0: the best), or its last if it has fewer. */
void tile_gpu(struct module *module, const struct tile_rules *rules, int index);

/*
 * For those who compile and measure, after pass_tile or pass_plan. The candidates of `kernel` are
 * numbered from 0, the best; tile_chosen is the number of the one that it has. tile_choose gives
 * it, and every kernel of the module that is the same, candidate `index`: false, and nothing
 * changes, if there are not so many. What plan did stays right.
 */
int tile_chosen(struct module *module, const struct tile_rules *rules,
                const struct function *function, struct kernel *kernel);
bool tile_choose(struct module *module, const struct tile_rules *rules,
                 const struct function *function, struct kernel *kernel, int index);

#endif
