/* See gpu_predict.h. */
#include "ir/gpu_predict.h"

#include "ir/cost.h"
#include "ir/gpu_attention.h"
#include "ir/gpu_blas.h"
#include "ir/gpu_facts.h"
#include "ir/gpu_gemv.h"
#include "ir/gpu_matmul.h"
#include "ir/gpu_rows.h"

#define attribute(kernel, name) attributes_int(&(kernel)->attributes, ATTRIBUTE_##name)

/* What a kernel asks of each resource. Bytes are of all blocks. */
struct work {
    enum gpu_family family;
    double operations;   /* padded to whole tiles */
    double epilogue;     /* instructions that wait for a block's products */
    double rate;         /* tflops, if not the family's; 0 */
    double hbm, l2, shared;
    double in_flight;    /* bytes that a block keeps on their way */
    int phases;          /* loads that wait for each other */
    double blocks;
    double alone; /* bytes that the last of the blocks that share a row moves by itself */
};

static double at_least(double a, double b)
{
    return a > b ? a : b;
}

static double at_most(double a, double b)
{
    return a < b ? a : b;
}

static double ceil_divide(double a, double b)
{
    double whole = (double)(int64_t)(a / b);
    return whole * b < a ? whole + 1 : whole;
}

/* A value of up to a quarter of the cache is still there when the next kernel reads it. */
static double near(const struct gpu *gpu)
{
    return gpu->l2_bytes / 4;
}

/* --- products --- */

static enum gpu_family family_of(enum gpu_multiply multiply)
{
    return multiply == MULTIPLY_f32    ? FAMILY_ffma
           : multiply == MULTIPLY_tf32 ? FAMILY_mma_tf32
                                       : FAMILY_mma_bf16;
}

static double stored_bytes(const struct value *value)
{
    while (value->node->op == OP_cast)
        value = value->node->operands[0];
    return dtype_bits(value->type.dtype) / 8.0;
}

/* A right operand beyond the cache is read again for each band of row tiles. */
static double read_again(const struct gpu *gpu, const struct product_layout *layout,
                         const struct gpu_tile *t)
{
    double bytes = 0;
    for (int i = 0; i < layout->count; i++)
        bytes += (double)(layout->segments[i].n * layout->e.k * layout->segments[i].count) *
                 stored_bytes(layout->segments[i].anchors[0]->operands[1]);
    double bands = ceil_divide((double)t->row_tiles, (double)t->band);
    return bytes > gpu->l2_bytes / 2 ? (bands - 1) * bytes : 0;
}

/* What a kernel computes beside its products, for each element once. */
static double epilogue_work(const struct function *function, const struct kernel *kernel)
{
    double count = 0;
    for (size_t i = 0; i < function->nodes.count; i++) {
        const struct node *node = function->nodes.items[i];
        if (node->kernel == kernel && op_info(node->op)->kind == KIND_EW)
            count += node_cost(node).flops;
    }
    return count;
}

static bool matmul_work(const struct gpu *gpu, struct arena *arena,
                        const struct function *function, const struct kernel *kernel,
                        struct work *out)
{
    struct product_layout layout;
    struct gpu_tile t;
    if (!product_segments(arena, function, kernel, &layout) ||
        !gpu_matmul_tile(&layout, kernel, &t))
        return false;
    double depth = (double)(t.part_steps * t.depth), columns = (double)(t.cols * t.products);
    double bytes = gpu_multiply_bytes(t.multiply), rows = (double)t.rows;
    double right = stored_bytes(layout.segments[0].anchors[0]->operands[1]);
    out->family = family_of(t.multiply);
    out->blocks = (double)t.blocks;
    out->operations = 2 * out->blocks * rows * columns * depth;
    out->epilogue = epilogue_work(function, kernel);
    out->hbm += read_again(gpu, &layout, &t);
    out->l2 = out->blocks * depth * (rows * bytes + columns * right) +
              2 * (double)t.workspace_bytes;
    double warps = (double)(t.warps_m * t.warps_n);
    double warp_rows = (double)t.warp_rows, warp_cols = (double)t.warp_cols * t.products;
    out->shared = out->blocks * depth * bytes *
                  (rows + columns + warps * (warp_rows + warp_cols));
    out->in_flight = (double)((t.stages - 1) * (t.left_bytes + t.right_bytes));
    out->phases = t.split > 1 ? 3 : 2;
    return true;
}

/* Each weight is unpacked and multiplied into every row. */
static bool gemv_work(struct arena *arena, const struct function *function,
                      const struct kernel *kernel, struct work *out)
{
    struct gemv_shape s;
    if (!gemv_shape(arena, function, kernel, &s))
        return false;
    const struct few_operands *o = &s.operands;
    double weights = 0, m = (double)o->m, k = (double)o->k;
    for (int i = 0; i < o->layout.count; i++)
        weights += (double)(o->layout.segments[i].tiles * o->layout.cols * o->partners) * k;
    out->family = FAMILY_ffma;
    out->blocks = (double)o->layout.tiles;
    out->operations = 2 * weights * (m + 1);
    out->l2 = weights * dtype_bits(o->stored) / 8 + out->blocks * m * k * 4;
    out->shared = weights * m * dtype_bits(s.staged) / 8;
    out->in_flight = (double)(s.warps * GPU_WARP * s.columns * o->partners * s.loads * 16);
    out->phases = 2 + o->reductions;
    return true;
}

/* The weights stream through once; tokens are padded to whole tiles. */
static bool skinny_work(struct arena *arena, const struct function *function,
                        const struct kernel *kernel, struct work *out)
{
    struct skinny_shape s;
    if (!skinny_shape(arena, function, kernel, &s))
        return false;
    const struct few_operands *o = &s.operands;
    enum dtype used = o->used;
    double bytes = dtype_bits(used) / 8.0, parts = (double)(s.split * s.part_steps * s.depth);
    double weights = (double)(o->layout.tiles * s.tile_rows) * parts, tokens = (double)s.tokens;
    out->family = s.deep == 16 ? FAMILY_mma_bf16 : s.deep == 8 ? FAMILY_mma_tf32 : FAMILY_ffma;
    out->blocks = (double)(o->layout.tiles * s.split);
    out->operations = 2 * weights * tokens;
    double rows = tokens * (double)o->layout.tiles * parts;
    out->l2 = weights * dtype_bits(o->stored) / 8 + rows * bytes + 2 * (double)s.workspace_bytes;
    out->shared = bytes * (2 * weights + rows + rows * (double)(s.mt > 0 ? s.warps : 8));
    out->in_flight = (double)((s.stages - 1) * (s.weight_bytes + s.token_bytes));
    out->phases = 2 + o->reductions + (s.split > 1 ? 2 : 0);
    return true;
}

/* --- attention --- */

static bool attention_work(const struct gpu *gpu, const struct function *function,
                           const struct kernel *kernel, struct work *out)
{
    struct attention_layout a;
    if (!attention_layout(function, kernel, &a))
        return false;
    bool half = a.form != ATTENTION_F32, whole = kernel->skeleton == SKELETON_attention;
    double rows = whole ? (double)a.rows : half ? 16 : (double)a.part_heads;
    double parts = whole ? 1 : (double)a.split;
    double slots = ceil_divide((double)a.slots, (double)a.keys) * (double)a.keys;
    double width = dtype_bits(a.node->operands[1]->type.dtype) / 8;
    bool triangle = node_int(a.node, causal) && !node_int(a.node, cached);
    out->family = half ? FAMILY_mma_bf16 : FAMILY_ffma;
    out->rate = !half ? 0 : a.size <= 64 ? gpu->attention_64_tflops : gpu->attention_tflops;
    out->blocks = (double)a.tiles;
    out->operations = out->blocks * 4 * rows * slots / parts * (double)a.depth *
                      (triangle ? 0.5 : 1);
    double keys = out->blocks * slots / parts * 2 * (double)a.size * width * (triangle ? 0.5 : 1);
    out->l2 = keys + out->blocks * rows * (double)a.size * width;
    out->shared = keys * (whole ? 1 + (double)a.warps_m : half ? 2 : 0);
    out->in_flight = whole || half
                         ? (double)((a.stages - 1) * a.stage_bytes)
                         : (double)(a.threads * a.ahead * a.lane_chunks) * 16 * width;
    out->phases = a.split > 1 ? 4 : 3;
    return true;
}

/* --- the rest --- */

static int count_reductions(const struct function *function, const struct kernel *kernel)
{
    int count = 0;
    for (size_t i = 0; i < function->nodes.count; i++)
        count += function->nodes.items[i]->kernel == kernel &&
                 op_info(function->nodes.items[i]->op)->kind == KIND_RED;
    return count;
}

/* Blocks sort pieces of a line, by exchanges in shared memory; then of two runs one block merges
 * both: the last one has the whole line, a tile of `keys` / 2 pairs at a time, which it loads
 * (twice as many) and stores. */
static void add_sort(const struct function *function, const struct kernel *kernel,
                       struct work *out)
{
    struct gpu_lines lines;
    out->phases = 2;
    if (kernel->skeleton != SKELETON_sort || !gpu_lines(function, kernel, &lines))
        return;
    int64_t keys = attribute(kernel, keys), pairs = keys, exchanges = 0, levels = 0;
    for (int64_t size = 2; size <= keys; size *= 2)
        exchanges += ++levels;
    out->shared = out->blocks * (double)(exchanges * keys) * 8 * 1.5; /* half of them change */
    for (int64_t pieces = lines.pieces; pieces > 1; pieces = (pieces + 1) / 2) {
        pairs = 2 * pairs < lines.count ? 2 * pairs : lines.count;
        out->alone += (double)pairs * 3 * 8;
        out->phases += 1 + (int)(pairs / (keys / 2));
    }
}

/* Rows that registers do not hold are read again for each pass; shared ones by one block. */
static void add_passes(const struct function *function, const struct kernel *kernel,
                       struct work *out)
{
    struct rows_domain domain;
    if (kernel->skeleton != SKELETON_rows || !rows_domain(function, kernel, &domain) ||
        rows_are_kept(&domain, kernel))
        return;
    double again = (double)(rows_passes(function, kernel) - 1) *
                   (double)(domain.kept * domain.reduced) * dtype_bits(domain.type.dtype) / 8;
    double split = at_least(1, (double)attribute(kernel, split));
    if (split > 1)
        out->alone = again * split / out->blocks;
    else
        out->l2 += again;
}

static void stream_work(const struct function *function, const struct kernel *kernel,
                        struct work *out)
{
    struct cost cost = kernel_cost(function, kernel);
    int64_t threads = attribute(kernel, threads), vector = attribute(kernel, vector);
    out->family = FAMILY_ffma;
    out->blocks = at_least(1, (double)attribute(kernel, tiles));
    out->operations = cost.flops;
    out->l2 = cost.bytes + 2 * (double)attribute(kernel, workspace);
    out->in_flight = at_most((double)(threads * vector * 4 * 4), cost.bytes / out->blocks);
    add_sort(function, kernel, out);
    out->phases += count_reductions(function, kernel) + (attribute(kernel, split) > 1);
    add_passes(function, kernel, out);
}

static bool find_work(const struct gpu *gpu, const struct function *function,
                      const struct kernel *kernel, struct work *out)
{
    struct arena *arena = arena_create();
    bool found = true;
    out->hbm = kernel_far_bytes(function, kernel, near(gpu));
    switch (kernel->skeleton) {
    case SKELETON_matmul:
    case SKELETON_conv2d: found = matmul_work(gpu, arena, function, kernel, out); break;
    case SKELETON_gemv: found = gemv_work(arena, function, kernel, out); break;
    case SKELETON_skinny: found = skinny_work(arena, function, kernel, out); break;
    case SKELETON_attention:
    case SKELETON_split_attention: found = attention_work(gpu, function, kernel, out); break;
    default: stream_work(function, kernel, out); break;
    }
    arena_destroy(arena);
    return found;
}

/* --- time --- */

/* Bytes on their way with so many blocks at work; a multiprocessor tracks so many and no more. */
static double flying(const struct gpu *gpu, const struct work *work, double blocks)
{
    enum { MOST = 32768 };
    double units = at_most(blocks, gpu->multiprocessors);
    return units * at_most(blocks / units * work->in_flight, MOST);
}

/* The share of its bandwidth that memory reaches with so many bytes in flight (Little's law) if it
 * answers in `latency` us, over all rounds of blocks: the last one may be short. */
static double hbm_time(const struct gpu *gpu, const struct work *work, double slots,
                       double latency)
{
    double needed = gpu->hbm_gbs * 1e3 * latency;
    double left = work->blocks, us = 0, each = work->hbm / work->blocks;
    double rounds = (double)(int64_t)(left / slots);
    double full = at_most(1, flying(gpu, work, slots) / needed);
    us += rounds * slots * each / (gpu->hbm_gbs * 1e3 * full);
    left -= rounds * slots;
    if (left > 0)
        us += left * each / (gpu->hbm_gbs * 1e3 * at_most(1, flying(gpu, work, left) / needed));
    return us;
}

/* The busiest multiprocessor's share of the work, in parts of all. */
static double busiest(const struct gpu *gpu, const struct work *work)
{
    return ceil_divide(work->blocks, gpu->multiprocessors) / work->blocks;
}

/* Bytes a clock: a multiprocessor takes in 64 from the cache, and moves 128 of shared memory. */
enum { UNIT_BYTES = 64, SHARED_BYTES = 128 };

/* An instruction takes the place of a multiply-add, so of two operations. While a block is at its
 * epilogue, the others of its multiprocessor multiply. */
static double epilogue_time(const struct gpu *gpu, const struct work *work, int residency)
{
    double rate = gpu->rates[FAMILY_ffma].attainable, share = busiest(gpu, work);
    return 2 * work->epilogue * share * gpu->multiprocessors / (rate * 1e6) / residency;
}

static void find_times(const struct gpu *gpu, const struct work *work, struct gpu_prediction *out)
{
    double rate = work->rate > 0 ? work->rate : gpu->rates[work->family].attainable;
    double share = busiest(gpu, work);
    double slots = (double)(out->residency * gpu->multiprocessors);
    out->rounds = work->blocks / slots;
    out->hbm_us = hbm_time(gpu, work, slots, GPU_LATENCY_US);
    out->doubt_us = hbm_time(gpu, work, slots, 2 * GPU_LATENCY_US) - out->hbm_us;
    out->l2_us = at_least(work->l2 / (gpu->l2_gbs * 1e3),
                          work->l2 * share / (UNIT_BYTES * gpu->clock_mhz));
    out->compute_us = work->operations * share * gpu->multiprocessors / (rate * 1e6) +
                      epilogue_time(gpu, work, out->residency);
    out->shared_us = work->shared * share / (SHARED_BYTES * gpu->clock_mhz);
    double fills = ceil_divide(work->blocks, slots) / out->residency;
    out->start_us = GPU_BOUNDARY_US + GPU_LATENCY_US * (work->phases - 1 + at_least(1, fills)) +
                    work->alone / (UNIT_BYTES * gpu->clock_mhz);
}

static void find_bound(struct gpu_prediction *out)
{
    double slowest = at_least(at_least(out->hbm_us, out->l2_us),
                              at_least(out->compute_us, out->shared_us));
    double all = out->hbm_us + out->l2_us + out->compute_us + out->shared_us;
    out->us = out->start_us + slowest;
    out->doubt_us = 0.02 * (out->doubt_us + all - slowest);
    out->bound = out->hbm_us == slowest       ? "HBM"
                 : out->l2_us == slowest      ? "L2"
                 : out->compute_us == slowest ? gpu_family_name(out->family)
                                              : "shared";
    if (out->start_us > slowest)
        out->bound = "latency";
}

/* --- products of a library --- */

/* Tiles that libraries have, with the warps of those by mma.sync. */
static const struct {
    short rows, cols, warps_m, warps_n;
} library_tiles[] = {
    {256, 128, 4, 2}, {128, 256, 2, 4}, {256, 64, 4, 1}, {64, 256, 1, 4},
    {128, 128, 2, 2}, {128, 64, 2, 2},  {64, 128, 2, 2}, {64, 64, 2, 2},
};

/* Whether rows begin on 16 bytes, as instructions of warp groups want it: plan sees to it for
 * what the program itself makes. */
static bool has_aligned_rows(const struct gpu_blas *blas, const struct gpu_matrix *matrix)
{
    if (matrix->operand < 0)
        return true;
    const struct value *value = blas->operands[matrix->operand];
    bool planned = matrix != &blas->d && value->node->op != OP_param;
    return planned || matrix->pitch * dtype_bits(value->type.dtype) / 8 % 16 == 0;
}

/* Warp groups read operands of 32 bits only along K. */
static enum gpu_family library_family(const struct gpu *gpu, const struct gpu_blas *blas)
{
    bool groups = gpu->rates[FAMILY_wgmma_bf16].attainable > 0 &&
                  has_aligned_rows(blas, &blas->a) && has_aligned_rows(blas, &blas->b) &&
                  has_aligned_rows(blas, &blas->c) && has_aligned_rows(blas, &blas->d);
    if (blas->multiply == DTYPE_f32)
        return FAMILY_ffma;
    if (blas->multiply == DTYPE_tf32)
        return groups && !blas->a.transposed && blas->b.transposed ? FAMILY_wgmma_tf32
                                                                   : FAMILY_mma_tf32;
    return groups ? FAMILY_wgmma_bf16 : FAMILY_mma_bf16;
}

/* A warp group of 64 rows reads its rows once and all columns; warps read their own of both. */
static double reads_of_tile(enum gpu_family family, int number)
{
    enum { GROUP = 64 };
    double rows = library_tiles[number].rows, cols = library_tiles[number].cols;
    if (family == FAMILY_wgmma_bf16 || family == FAMILY_wgmma_tf32)
        return rows + cols * rows / GROUP;
    return rows * library_tiles[number].warps_n + cols * library_tiles[number].warps_m;
}

static void library_work(const struct gpu *gpu, const struct gpu_blas *blas, int number, int split,
                         struct work *out)
{
    enum { STEP_BYTES = 64, BAND = 8, IN_FLIGHT = 32768 };
    double bytes = dtype_bits(blas->multiply) / 8.0, unit = STEP_BYTES / bytes;
    double rows = library_tiles[number].rows, cols = library_tiles[number].cols;
    double down = ceil_divide((double)blas->m, rows);
    double depth = unit * ceil_divide(ceil_divide((double)blas->k, unit), split);
    double right = (double)blas->n * (double)blas->k * bytes;
    out->family = library_family(gpu, blas);
    out->blocks = (double)blas->batch * down * ceil_divide((double)blas->n, cols) * split;
    out->operations = 2 * out->blocks * rows * cols * depth;
    out->l2 = out->blocks * depth * (rows + cols) * bytes;
    if (split > 1)
        out->l2 += 2 * out->blocks * rows * cols * 4;
    if (right > gpu->l2_bytes / 2)
        out->hbm += (ceil_divide(down, BAND) - 1) * right;
    out->shared = out->blocks * depth * bytes * (rows + cols + reads_of_tile(out->family, number));
    out->in_flight = IN_FLIGHT;
    out->phases = split > 1 ? 3 : 2;
}

/* The best of its tiles; the parts of a split are added up by a kernel of their own. What it will
 * choose is not known, and where it is not at hand the program does not run: only a clear gain
 * counts. */
static bool predict_library(const struct gpu *gpu, const struct function *function,
                            const struct kernel *kernel, struct gpu_prediction *out)
{
    static const double UNKNOWN = 0.05;
    enum { TILES = sizeof library_tiles / sizeof *library_tiles, MOST_PARTS = 16 };
    struct gpu_blas blas;
    const struct work whole = {.hbm = kernel_far_bytes(function, kernel, near(gpu)),
                               .epilogue = epilogue_work(function, kernel)};
    if (!gpu_blas(function, kernel, &blas))
        return false;
    for (int i = 0; i < TILES * MOST_PARTS; i++) {
        struct work work = whole;
        struct gpu_prediction one = {.residency = 1};
        int split = i / TILES + 1;
        library_work(gpu, &blas, i % TILES, split, &work);
        if (split > 1 && work.blocks > 2 * gpu->multiprocessors)
            continue;
        one.family = work.family;
        find_times(gpu, &work, &one);
        one.start_us += split > 1 ? GPU_BOUNDARY_US : 0;
        find_bound(&one);
        if (i == 0 || one.us < out->us)
            *out = one;
    }
    out->doubt_us += UNKNOWN * out->us;
    return true;
}

/* --- all --- */

bool gpu_predict(const struct gpu *gpu, const struct function *function,
                 const struct kernel *kernel, struct gpu_prediction *out)
{
    struct work work = {0};
    struct gpu_facts facts = {0};
    int threads = (int)attribute(kernel, threads);
    *out = (struct gpu_prediction){0};
    if (gpu_provider(kernel) != PROVIDER_none)
        return predict_library(gpu, function, kernel, out);
    if (!gpu_facts(function, kernel, &facts) || !find_work(gpu, function, kernel, &work))
        return false;
    out->residency = gpu_residency(gpu, &facts, threads);
    if (out->residency == 0)
        return false;
    work.blocks = at_least(1, work.blocks);
    out->family = work.family;
    out->occupancy = (double)(out->residency * threads) / GPU_THREADS;
    find_times(gpu, &work, out);
    find_bound(out);
    return true;
}
