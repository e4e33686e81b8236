/*
 * Interiors of the GPU skeletons gemv and skinny: what the attributes of a kernel mean in warps,
 * shared memory and registers. The tile pass and the backend both ask here, so they agree.
 *
 * Both compute, for each of `partners` products of a segment, `cols` columns of all M rows in a
 * block; the weights are stored as rows of K elements, one a column. Products with another number
 * of partners than the first segment are not tiled.
 *
 * The prologue, which computes %a from memory, may hold elementwise ops, views, index maps and
 * reductions over the rows of %a, which may depend on each other.
 */
#ifndef SINTER_GPU_GEMV_H
#define SINTER_GPU_GEMV_H

#include "ir/gpu.h"
#include "ir/product.h"

enum {
    FEW_REDUCTIONS = 8, /* of a prologue */
    FEW_PARTS = 4,      /* f32 of a reduction's accumulator, as they stand in shared memory */
    GEMV_ROWS = 4,      /* rows of %a at most */
    SKINNY_ROWS = 64
};

/* What both know of their operands. */
struct few_operands {
    struct product_layout layout;
    int64_t m, k, partners;
    enum dtype stored; /* of all weights, in memory; `used` where they are decoded */
    bool decoded;      /* weights that are not all rows of one stored type: an element at a time */
    enum dtype used;   /* what products are made of: the operands' type in the IR */
    bool computed;     /* %a is not memory of the type `used`: there is a prologue */
    int reductions;    /* of the prologue */
    int64_t row_bytes; /* that a block reads to have all rows of %a, each once */
};

/*
 * False if the kernel breaks the contract of skeletons.def: segments of different numbers of
 * partners, a batch, too many or other reductions than of rows.
 */
bool few_operands(struct arena *arena, const struct function *function, const struct kernel *kernel,
                  struct few_operands *out);

/*
 * gemv: attributes cols; threads, a multiple of 32; nr: columns that a warp has at once, of each
 * partner; stages: loads of 16 bytes that a thread has in flight for each of them. 0 for nr and
 * stages means together about 4 loads. A warp takes its columns `nr` at a time, lane l has
 * `vector` neighbours of every 32 * vector weights. The rows of %a wait in shared memory, in
 * `staged`, padded with zeros. tiles = column tiles of the layout.
 */
struct gemv_shape {
    struct few_operands operands;
    int64_t warps, columns, groups, loads;
    int64_t vector;  /* weights in 16 bytes */
    int64_t batches; /* of `loads` steps of 32 * vector elements in K */
    int64_t depth;   /* batches * loads * 32 * vector: K, padded */
    enum dtype staged;
    int64_t team;                                    /* warps that reduce one row of %a */
    int64_t statistics_at, results_at, shared_bytes; /* the staged rows stand at 0 */
};
bool gemv_shape(struct arena *arena, const struct function *function, const struct kernel *kernel,
                struct gemv_shape *out);

/* What the kernel asks of its GPU. False where gemv_shape says so. */
bool gpu_gemv_facts(const struct function *function, const struct kernel *kernel,
                    struct gpu_facts *out);

/*
 * skinny: attributes cols; threads, whole warps and at least 64; kc, columns of a stage: a row of
 * a stage has 128 bytes, or 64 for tensor cores; stages, at least 2; split, parts of K by
 * different blocks. The partners' columns are the rows of the tile, `tile_rows` of them.
 *
 * Where %a is memory of the type that is used, its rows come by stages like the weights; else
 * (`computed`) the rows of a block's part of K are staged at once. With 16 bits and TF32 the
 * product is one of tensor cores: warps share the rows of the tile, 16 * mt each, and all have
 * nt times 8 tokens (rows of %a). Otherwise it is exact f32: thread t has the rows
 * t % row_threads + i * row_threads, i < 4, and the tokens t / row_threads + j * token_threads.
 */
struct skinny_shape {
    struct few_operands operands;
    int64_t tile_rows, tokens, depth, stages;
    int64_t steps, part_steps, split;                  /* stages of K; those of a part */
    int64_t warps, mt, nt, deep;                       /* of tensor cores; deep: K of one */
    int64_t row_threads, token_threads, thread_tokens; /* of f32 */
    int64_t chunk, chunks; /* elements of 16 bytes; 16 bytes of a row of a stage */
    int64_t row_bytes;     /* from row to row of a stage */
    int64_t staged_pitch;  /* bytes from row to row of what is staged at once */
    int64_t team;
    int64_t weight_bytes, token_bytes;              /* of a stage */
    int64_t staged_at, statistics_at, shared_bytes; /* stages, and then results, stand at 0 */
    int64_t result_pitch; /* f32 elements from token to token of the results */
    int64_t workspace_bytes, counters;
};
bool skinny_shape(struct arena *arena, const struct function *function, const struct kernel *kernel,
                  struct skinny_shape *out);

/* Instructions of the tensor cores in a stage; 0 of f32. */
int64_t skinny_mma_count(const struct skinny_shape *shape);

bool gpu_skinny_facts(const struct function *function, const struct kernel *kernel,
                      struct gpu_facts *out);

/* For the attributes workspace and counters: 0 without a split. False as above. */
bool gpu_skinny_split(const struct function *function, const struct kernel *kernel,
                      int64_t *out_workspace_bytes, int64_t *out_counters);

#endif
