/* See gpu_matmul.h. */
#include "ir/gpu_matmul.h"

#include "ir/base/arena.h"

#define attribute(kernel, name) attributes_int(&(kernel)->attributes, ATTRIBUTE_##name)

int gpu_multiply_bytes(enum gpu_multiply multiply)
{
    return multiply == MULTIPLY_bf16 || multiply == MULTIPLY_f16 ? 2 : 4;
}

static bool find_multiply(const struct node *anchor, enum gpu_multiply *out)
{
    enum dtype left = anchor->operands[0]->type.dtype, right = anchor->operands[1]->type.dtype;
    switch (left) {
    case DTYPE_bf16: *out = MULTIPLY_bf16; break;
    case DTYPE_f16: *out = MULTIPLY_f16; break;
    case DTYPE_tf32: *out = MULTIPLY_tf32; break;
    case DTYPE_f32: *out = MULTIPLY_f32; break;
    default: return false;
    }
    return left == right;
}

static bool is_power(int64_t value)
{
    return value > 0 && (value & (value - 1)) == 0;
}

static int64_t ratio_up(int64_t value, int64_t by)
{
    return value / by + (value % by != 0);
}

/* Tile and warps. */
static bool find_shape(const struct kernel *kernel, struct gpu_tile *t)
{
    t->rows = attribute(kernel, rows);
    t->cols = attribute(kernel, cols);
    t->depth = attribute(kernel, kc);
    t->stages = (int)attribute(kernel, stages);
    t->warps_m = (int)attribute(kernel, warps_m);
    t->warps_n = (int)attribute(kernel, warps_n);
    t->threads = t->warps_m * t->warps_n * GPU_WARP;
    int64_t bytes = t->depth * gpu_multiply_bytes(t->multiply);
    if (!is_power(t->rows) || !is_power(t->cols) || t->rows > 1024 || t->cols > 1024 ||
        !is_power(t->warps_m) || !is_power(t->warps_n) || t->stages < 2 || t->stages > 16 ||
        (bytes != 64 && bytes != 128) || t->threads < 64 || t->threads > GPU_BLOCK_THREADS)
        return false;
    t->warp_rows = t->rows / t->warps_m;
    t->warp_cols = t->cols / t->warps_n;
    return t->warp_rows >= 16 && t->warp_cols >= 16;
}

/* The results leave in as few slabs as fit into the stages: each holds, of every warp, the same
 * share of its rows. Eight columns of padding keep the stores of fragments free of conflicts. */
static void find_slab(struct gpu_tile *t)
{
    int64_t stages = t->stages * (t->left_bytes + t->right_bytes);
    int groups = (int)(t->warp_rows / 16);
    t->slab_pitch = t->cols * t->products + 8;
    for (t->passes = 1;; t->passes *= 2) {
        t->slab_rows = t->rows / t->passes;
        t->shared_bytes = t->slab_rows * t->slab_pitch * 4;
        if (t->shared_bytes <= stages || t->passes == groups)
            break;
    }
    if (t->shared_bytes < stages)
        t->shared_bytes = stages;
}

bool gpu_matmul_tile(const struct product_layout *layout, const struct kernel *kernel,
                     struct gpu_tile *out)
{
    struct gpu_tile t = {.products = layout->segments[0].count};
    for (int i = 0; i < layout->count; i++)
        if (layout->segments[i].count != t.products)
            return false;
    if (!find_multiply(layout->segments[0].anchors[0], &t.multiply) || !find_shape(kernel, &t))
        return false;
    int bytes = gpu_multiply_bytes(t.multiply);
    t.left_bytes = t.rows * t.depth * bytes;
    t.right_bytes = t.cols * t.products * t.depth * bytes;
    find_slab(&t);
    t.row_tiles = ratio_up(layout->e.m, t.rows);
    t.col_tiles = layout->tiles;
    t.steps = ratio_up(layout->e.k, t.depth);
    t.split = (int)attribute(kernel, split);
    t.band = attribute(kernel, band);
    if (t.split < 1 || t.split > 1024 || t.band < 1)
        return false;
    t.part_steps = ratio_up(t.steps, t.split);
    int64_t tiles;
    if ((t.split - 1) * t.part_steps >= t.steps && t.split > 1)
        return false;
    if (__builtin_mul_overflow(layout->e.batch * t.row_tiles, t.col_tiles, &tiles) ||
        __builtin_mul_overflow(tiles, t.split, &t.blocks) || t.blocks > INT32_MAX)
        return false;
    if (t.split > 1) {
        t.counters = tiles;
        t.workspace_bytes = t.blocks * t.rows * t.cols * t.products * 4;
    }
    *out = t;
    return true;
}

/* Whether an operand stands in memory as another type than the one that is multiplied: its
 * copies wait in registers while they are converted. */
static bool is_converted(const struct kernel *kernel, const struct value *value)
{
    enum dtype wanted = value->type.dtype;
    while (value->node->kernel == kernel && value->node->operand_count == 1)
        value = value->node->operands[0];
    bool same = value->type.dtype == wanted ||
                (wanted == DTYPE_tf32 && value->type.dtype == DTYPE_f32);
    return !same || value->node->kernel == kernel;
}

/* Accumulators, the fragments of a step of the instruction, addresses, and copies that are
 * converted. Measured with ptxas 13.0 over the tile list: within 10 % above. */
static int estimate_registers(const struct kernel *kernel, const struct product_layout *layout,
                              const struct gpu_tile *t)
{
    const struct node *anchor = layout->segments[0].anchors[0];
    int64_t columns = t->warp_cols * t->products;
    int64_t sums = t->warp_rows * columns / GPU_WARP;
    int64_t lines = t->warp_rows / 4 < EXACT_ROWS ? t->warp_rows / 4 : EXACT_ROWS;
    int64_t fragments = t->multiply == MULTIPLY_f32 ? lines * 4 + 8
                                                    : t->warp_rows / 4 + columns / 4;
    int64_t registers = sums + fragments + 46, bytes = gpu_multiply_bytes(t->multiply);
    if (anchor->op == OP_conv2d) /* of each pixel that is copied: where it is, and its taps */
        registers += t->left_bytes / TILE_CHUNK / t->threads * 2 + 8;
    if (is_converted(kernel, anchor->operands[0]))
        registers += t->left_bytes / bytes / t->threads;
    if (is_converted(kernel, anchor->operands[1]))
        registers += t->right_bytes / bytes / t->threads;
    return registers > GPU_THREAD_REGISTERS ? GPU_THREAD_REGISTERS : (int)registers;
}

/* The steps of a stage are unrolled in the code, the loop over stages is not. */
static int count_mma(const struct gpu_tile *t)
{
    if (t->multiply == MULTIPLY_f32)
        return 0;
    int64_t deep = t->multiply == MULTIPLY_tf32 ? 8 : 16;
    return (int)(t->warp_rows / 16 * (t->warp_cols * t->products / 8) * (t->depth / deep));
}

bool gpu_matmul_facts(const struct function *function, const struct kernel *kernel,
                      struct gpu_facts *out)
{
    struct arena *arena = arena_create();
    struct product_layout layout;
    struct gpu_tile tile;
    bool fits = product_segments(arena, function, kernel, &layout) &&
                gpu_matmul_tile(&layout, kernel, &tile);
    if (fits)
        *out = (struct gpu_facts){.shared_bytes = tile.shared_bytes,
                                  .registers = estimate_registers(kernel, &layout, &tile),
                                  .mma_count = count_mma(&tile)};
    arena_destroy(arena);
    return fits;
}
