/*
 * Tiles of the GPU skeletons matmul and conv2d: what the attributes of a kernel mean in threads,
 * shared memory and registers. The tile pass and the backend both ask here, so they agree.
 *
 * A block computes `rows` x `cols` of the result for each of `products` partners, `depth` steps
 * of K at a time. Its warps_m x warps_n warps each own `warp_rows` rows and, of every partner,
 * `warp_cols` columns. A stage of the pipeline holds one step of both operands; `stages` of them
 * are in flight. Rows in shared memory are 64 bytes or a multiple of 128 and take a swizzle. The
 * results leave through shared memory in `passes` slabs, which reuse the stages.
 */
#ifndef SINTER_GPU_MATMUL_H
#define SINTER_GPU_MATMUL_H

#include "ir/gpu.h"
#include "ir/product.h"

/* How a product is computed: by the dtype of its operands. */
enum gpu_multiply {
    MULTIPLY_bf16, /* mma m16n8k16 */
    MULTIPLY_f16,
    MULTIPLY_tf32, /* mma m16n8k8 */
    MULTIPLY_f32,  /* multiply-add, exact f32 */
};

enum { TILE_CHUNK = 16 }; /* bytes of a copy; swizzles move whole chunks */

/* Exact f32: rows of a lane that are multiplied at a time. */
enum { EXACT_ROWS = 8 };

struct gpu_tile {
    enum gpu_multiply multiply;
    int64_t rows, cols, depth;
    int products; /* partners */
    int warps_m, warps_n, stages, threads;
    int64_t warp_rows, warp_cols;
    int64_t left_bytes, right_bytes; /* of a stage; the right operand of all partners */
    int passes;
    int64_t slab_rows, slab_pitch; /* of a pass; f32 elements from row to row */
    int64_t shared_bytes;
    int64_t row_tiles, col_tiles;  /* of a batch; columns of all segments */
    int64_t steps, part_steps;     /* blocks of K; those of one part of a split */
    int split;
    int64_t band, blocks;
    int64_t workspace_bytes, counters; /* of a split; 0 without */
};

/*
 * The tile of a kernel matmul or conv2d whose attributes rows, cols, kc, stages, warps_m,
 * warps_n, split, band, pair are set, from its layout. False if that is no tile: rows and cols
 * no whole warps of 16 x 16, powers of two; rows of K not of 64 or 128 bytes; parts without
 * steps; segments with different numbers of partners.
 */
bool gpu_matmul_tile(const struct product_layout *layout, const struct kernel *kernel,
                     struct gpu_tile *out);

/* Bytes of an element in shared memory: 2 or 4. */
int gpu_multiply_bytes(enum gpu_multiply multiply);

/* What the kernel asks of its GPU. False where gpu_matmul_tile or product_segments say so. */
bool gpu_matmul_facts(const struct function *function, const struct kernel *kernel,
                      struct gpu_facts *out);

#endif
