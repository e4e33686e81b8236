/* See gpu_attention.h. */
#include "ir/gpu_attention.h"

enum { WARP_ROWS = 16, CHUNK = 16, SPLIT_HEADS = 8, LANE_COLUMNS = 8 };

static int64_t at_least(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t round_up(int64_t a, int64_t by)
{
    return (a + by - 1) / by * by;
}

static int64_t ceil_divide(int64_t a, int64_t by)
{
    return (a + by - 1) / by;
}

static const struct node *find_anchor(const struct function *function, const struct kernel *kernel)
{
    for (size_t i = 0; i < function->nodes.count; i++) {
        const struct node *node = function->nodes.items[i];
        if (node->kernel == kernel && node->op == OP_attention)
            return node;
    }
    return NULL;
}

static enum attention_form find_form(const struct node *node)
{
    enum dtype q = node->operands[0]->type.dtype;
    bool same = q == node->operands[1]->type.dtype && q == node->operands[2]->type.dtype;
    if (same && q == DTYPE_bf16)
        return ATTENTION_BF16;
    return same && q == DTYPE_f16 ? ATTENTION_F16 : ATTENTION_F32;
}

int64_t attention_keys(const struct node *node)
{
    int64_t size = node->operands[0]->type.dims[3];
    return find_form(node) == ATTENTION_F32 ? (size <= 128 ? 32 : 16) : size <= 96 ? 64 : 32;
}

static void find_extents(struct attention_layout *a)
{
    const struct type *q = &a->node->operands[0]->type, *k = &a->node->operands[1]->type;
    a->batch = q->dims[0];
    a->queries = q->dims[1];
    a->heads = q->dims[2];
    a->size = q->dims[3];
    a->slots = k->dims[1];
    a->groups = k->dims[2];
    a->share = a->heads / a->groups;
    a->depth = at_least(round_up(a->size, WARP_ROWS), WARP_ROWS);
}

static void find_lines(struct attention_layout *a)
{
    a->element = a->form == ATTENTION_F32 ? 4 : 2;
    int64_t bytes = a->depth * a->element;
    a->chunks = bytes / CHUNK;
    a->line = LINE_ODD;
    if (a->form != ATTENTION_F32 && bytes == 64)
        a->line = LINE_XOR4;
    if (a->form != ATTENTION_F32 && bytes % 128 == 0)
        a->line = LINE_XOR8;
    a->pitch = (a->line == LINE_ODD ? a->chunks | 1 : a->chunks) * CHUNK;
    a->stage_bytes = 2 * a->keys * a->pitch;
}

static void read_attributes(struct attention_layout *a, const struct kernel *kernel)
{
    const struct attributes *attributes = &kernel->attributes;
    a->rows = attributes_int(attributes, ATTRIBUTE_rows);
    a->keys = attributes_int(attributes, ATTRIBUTE_keys);
    a->stages = attributes_int(attributes, ATTRIBUTE_stages);
    a->split = attributes_int(attributes, ATTRIBUTE_split);
    a->warps_m = attributes_int(attributes, ATTRIBUTE_warps_m);
    a->warps_n = attributes_int(attributes, ATTRIBUTE_warps_n);
    a->threads = attributes_int(attributes, ATTRIBUTE_threads);
}

static int64_t wide(const struct attention_layout *a, int64_t columns)
{
    return a->form == ATTENTION_F32 ? 1 : columns % 32 == 0 ? 4 : 2;
}

/* --- attention --- */

/* Behind the stages: in f32 the queries, which stay, and the weights of each warp. Otherwise the
 * queries pass through the last stage before it is first used. */
static void place_whole(struct attention_layout *a)
{
    int64_t stages = a->stages * a->stage_bytes, queries = a->rows * a->pitch;
    if (a->form == ATTENTION_F32) {
        a->queries_at = stages;
        a->weights_at = a->queries_at + queries;
        a->weights_pitch = (a->keys + 4) * 4;
        a->shared_bytes = a->weights_at + a->rows * a->weights_pitch;
        return;
    }
    a->queries_at = stages - a->stage_bytes;
    a->result_pitch = (ATTENTION_SLAB + 8) * 4;
    a->shared_bytes = at_least(stages, a->queries_at + queries);
    a->shared_bytes = at_least(a->shared_bytes, a->rows * a->result_pitch);
}

/* Registers that a thread cannot do without: queries, sums, scores, fragments. */
static int64_t needed_registers(const struct attention_layout *a)
{
    int64_t rows = 2 * a->mt, sums = rows * a->depth / 4, scores = rows * a->keys / 4;
    if (a->form == ATTENTION_F32)
        return sums + scores + 4 * rows;
    int64_t queries = a->mt * a->depth / 4, fragment = 2 * at_least(a->key_wide, a->value_wide);
    int64_t needed = queries + sums + scores + fragment;
    return a->mt == 1 ? needed : needed + scores / 4 + (a->line == LINE_ODD ? 16 : 0);
}

/* 60 more, as nvcc 13.0 spends them where they are free; it spares them where they are not, as
 * long as what is left is enough. Found by compiling the tiles of all head sizes. */
static int64_t whole_registers(const struct attention_layout *a)
{
    enum { REST = 60, MOST = GPU_THREAD_REGISTERS - 1, TIGHT = 242 };
    int64_t needed = needed_registers(a);
    return needed + REST > MOST && needed <= TIGHT ? MOST : needed + REST;
}

static bool layout_whole(struct attention_layout *a)
{
    if (a->warps_m < 1 || a->threads != a->warps_m * GPU_WARP || a->threads > GPU_BLOCK_THREADS ||
        a->rows < 1 || a->rows > 1024 || a->rows % (a->warps_m * WARP_ROWS) ||
        a->keys < WARP_ROWS || a->keys > 1024 || a->keys % WARP_ROWS || a->stages < 2 ||
        a->stages > 8)
        return false;
    a->row_tiles = at_least(1, ceil_divide(a->queries, a->rows));
    a->parts = a->share;
    a->part_heads = 1;
    a->mt = a->rows / a->warps_m / WARP_ROWS;
    a->warp_keys = a->keys;
    find_lines(a);
    a->key_wide = wide(a, a->keys);
    a->value_wide = wide(a, a->depth);
    place_whole(a);
    enum { SKIPPING = 230 }; /* the branch costs registers that larger tiles lack */
    a->skips = a->warps_m > 1 && (a->mt == 1 || needed_registers(a) <= SKIPPING);
    a->tiles = at_least(1, a->batch * a->heads * a->row_tiles);
    return true;
}

/* --- split_attention --- */

/* The partial sums of the warps take the place of the stages. */
static void place_split(struct attention_layout *a)
{
    int64_t rows = a->form == ATTENTION_F32 ? a->part_heads : WARP_ROWS;
    a->result_pitch = (a->depth + 8) * 4;
    int64_t merge = a->warps_n * rows * (a->result_pitch + 8);
    a->shared_bytes = merge;
    if (a->form == ATTENTION_F32)
        return;
    a->queries_at = (a->stages - 1) * a->stage_bytes;
    a->shared_bytes = at_least(a->shared_bytes, a->stages * a->stage_bytes);
    a->shared_bytes = at_least(a->shared_bytes, a->queries_at + rows * a->pitch);
}

/* Lanes and keys in flight; in f32. False if a warp's keys do not go up. */
static bool find_lanes(struct attention_layout *a)
{
    int64_t chunks = ceil_divide(a->size, LANE_COLUMNS);
    a->key_lanes = 1;
    while (a->key_lanes < GPU_WARP && a->key_lanes < chunks)
        a->key_lanes *= 2;
    a->lane_chunks = at_least(1, ceil_divide(chunks, a->key_lanes));
    int64_t loads = a->warp_keys * a->key_lanes / GPU_WARP;
    a->ahead = a->part_heads * a->lane_chunks <= 2 ? 4 : 2;
    while (a->ahead > 1 && loads % a->ahead)
        a->ahead /= 2;
    return a->warp_keys * a->key_lanes % GPU_WARP == 0;
}

static bool layout_split(struct attention_layout *a)
{
    if (a->share == 1)
        a->form = ATTENTION_F32;
    int64_t step = a->form == ATTENTION_F32 ? 1 : WARP_ROWS;
    if (a->queries != 1 || a->warps_n < 1 || a->threads != a->warps_n * GPU_WARP ||
        a->threads > GPU_BLOCK_THREADS || a->keys < a->warps_n * step || a->keys > 4096 ||
        a->keys % (a->warps_n * step) || a->split < 1 || a->split > 1024)
        return false;
    if (a->form != ATTENTION_F32 && (a->stages < 2 || a->stages > 8))
        return false;
    int64_t most = WARP_ROWS;
    if (a->form == ATTENTION_F32)
        most = at_least(1, SPLIT_HEADS * GPU_WARP * LANE_COLUMNS / at_least(256, a->depth));
    a->parts = ceil_divide(a->share, most);
    a->part_heads = ceil_divide(a->share, a->parts);
    a->mt = 1;
    a->rows = WARP_ROWS;
    a->row_tiles = 1;
    a->warp_keys = a->keys / a->warps_n;
    find_lines(a);
    a->key_wide = wide(a, a->warp_keys);
    a->value_wide = wide(a, a->depth);
    a->skips = true;
    place_split(a);
    if (a->form == ATTENTION_F32 && !find_lanes(a))
        return false;
    a->tiles = at_least(1, a->batch * a->groups * a->parts * a->split);
    return true;
}

bool attention_layout(const struct function *function, const struct kernel *kernel,
                      struct attention_layout *out)
{
    *out = (struct attention_layout){.node = find_anchor(function, kernel)};
    if (!out->node)
        return false;
    find_extents(out);
    out->form = find_form(out->node);
    read_attributes(out, kernel);
    return kernel->skeleton == SKELETON_split_attention ? layout_split(out) : layout_whole(out);
}

/* --- facts --- */

static int product_count(const struct attention_layout *a)
{
    if (a->form == ATTENTION_F32)
        return 0;
    return (int)(2 * a->mt * (a->warp_keys / 8) * (a->depth / 16));
}

bool gpu_attention_facts(const struct function *function, const struct kernel *kernel,
                         struct gpu_facts *out)
{
    struct attention_layout a;
    if (!attention_layout(function, kernel, &a))
        return false;
    *out = (struct gpu_facts){.shared_bytes = a.shared_bytes,
                              .registers = (int)whole_registers(&a),
                              .mma_count = product_count(&a)};
    return true;
}

bool gpu_split_attention_facts(const struct function *function, const struct kernel *kernel,
                               struct gpu_facts *out)
{
    struct attention_layout a;
    if (!attention_layout(function, kernel, &a))
        return false;
    enum { REST = 42, REST_WIDE = 64, REST_F32 = 96 };
    int64_t chunks = ceil_divide(a.depth, GPU_WARP * LANE_COLUMNS) * LANE_COLUMNS;
    int64_t rest = a.warp_keys > WARP_ROWS ? REST_WIDE : REST;
    int64_t registers = a.form == ATTENTION_F32 ? 2 * a.part_heads * chunks + REST_F32
                                                : a.depth * 3 / 4 + a.warp_keys / 2 + rest;
    *out = (struct gpu_facts){.shared_bytes = a.shared_bytes,
                              .registers = (int)registers,
                              .mma_count = product_count(&a)};
    return true;
}

void gpu_split_attention_workspace(const struct attention_layout *a, int64_t *out_bytes,
                                   int64_t *out_counters)
{
    bool split = a->split > 1;
    *out_bytes = split ? a->tiles * a->part_heads * (a->depth + 4) * 4 : 0;
    *out_counters = split ? a->tiles / a->split : 0;
}
