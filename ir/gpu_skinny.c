/* The skeleton skinny: see gpu_gemv.h. */
#include "ir/gpu_gemv.h"

#define attribute(kernel, name) attributes_int(&(kernel)->attributes, ATTRIBUTE_##name)

static int64_t ratio_up(int64_t value, int64_t by)
{
    return value / by + (value % by != 0);
}

/* K of an instruction of the tensor cores; 0: f32 is multiplied without them. */
static int64_t instruction_depth(enum dtype dtype)
{
    return dtype == DTYPE_tf32 ? 8 : dtype_bits(dtype) == 16 ? 16 : 0;
}

/* Warps of the tensor cores, or threads of f32: all rows of the tile are theirs, and no more. The
 * rows of one stand in one partner, or the partners in whole among them, so that they are at
 * constant distances in the block of results. */
static bool share_tile(struct skinny_shape *s, int64_t threads)
{
    enum { THREAD_ROWS = 4 };
    int64_t m = s->operands.m, cols = s->operands.layout.cols;
    s->warps = threads / 32;
    s->tokens = ratio_up(m, 8) * 8;
    s->deep = instruction_depth(s->operands.used);
    if (s->deep > 0) {
        s->mt = s->tile_rows / (16 * s->warps);
        if (s->mt < 1)
            return false;
        s->nt = m <= 8 ? 1 : ratio_up(m, 16) * 2;
        s->tokens = s->nt * 8;
        bool apart = cols % (s->mt * 16) == 0 || s->mt * 16 % cols == 0;
        return s->tile_rows % (16 * s->warps) == 0 && cols % 16 == 0 && apart &&
               s->mt * s->nt <= 32;
    }
    s->row_threads = s->tile_rows / THREAD_ROWS;
    if (s->tile_rows % (THREAD_ROWS * 8) || threads % s->row_threads || cols % s->row_threads)
        return false;
    s->token_threads = threads / s->row_threads;
    s->thread_tokens = s->tokens / s->token_threads;
    return s->tokens % s->token_threads == 0 && s->thread_tokens <= 16;
}

/* Rows of a stage: swizzled for fragments, else padded by one chunk. */
static bool find_rows(const struct kernel *kernel, struct skinny_shape *s, int64_t threads)
{
    bool fragments = s->deep > 0;
    int64_t bytes = dtype_bits(s->operands.used) / 8;
    s->depth = attribute(kernel, kc);
    s->stages = attribute(kernel, stages);
    s->chunk = 16 / bytes;
    s->chunks = s->depth / s->chunk;
    s->row_bytes = s->depth * bytes + (fragments ? 0 : 16);
    bool row = (fragments && s->depth * bytes == 64) || s->depth * bytes == 128;
    return row && s->stages >= 2 && s->stages <= 16 && threads % (s->chunks * 8) == 0 &&
           s->tile_rows % (threads / s->chunks) == 0;
}

static bool find_parts(const struct kernel *kernel, struct skinny_shape *s)
{
    s->steps = ratio_up(s->operands.k, s->depth);
    s->split = attribute(kernel, split);
    if (s->split < 1 || s->split > 256)
        return false;
    s->part_steps = ratio_up(s->steps, s->split);
    return (s->split - 1) * s->part_steps < s->steps;
}

static void find_shared(struct skinny_shape *s, int64_t threads)
{
    const struct few_operands *o = &s->operands;
    int64_t bytes = 16 / s->chunk;
    s->weight_bytes = s->tile_rows * s->row_bytes;
    s->token_bytes = o->computed ? 0 : s->tokens * s->row_bytes;
    s->staged_at = s->stages * (s->weight_bytes + s->token_bytes);
    s->staged_pitch = s->part_steps * s->depth * bytes + 16;
    s->statistics_at = s->staged_at + (o->computed ? s->tokens * s->staged_pitch : 0);
    s->team = s->warps;
    for (int64_t rows = 1; rows < o->m && s->team % 2 == 0; rows *= 2)
        s->team /= 2;
    s->shared_bytes = s->statistics_at + o->reductions * o->m * s->team * FEW_PARTS * 4;
    s->result_pitch = ratio_up(o->layout.cols, 16) * 16 + 4;
    int64_t results = o->partners * o->m * s->result_pitch * 4;
    if (s->shared_bytes < results)
        s->shared_bytes = results;
    if (s->split > 1) {
        int64_t sums = s->mt > 0 ? s->mt * s->nt * 4 : 4 * s->thread_tokens;
        s->workspace_bytes = o->layout.tiles * s->split * threads * sums * 4;
        s->counters = o->layout.tiles;
    }
}

bool skinny_shape(struct arena *arena, const struct function *function, const struct kernel *kernel,
                  struct skinny_shape *out)
{
    struct skinny_shape s = {0};
    struct few_operands *o = &s.operands;
    int64_t cols = attribute(kernel, cols), threads = attribute(kernel, threads);
    if (!few_operands(arena, function, kernel, o) || o->m > SKINNY_ROWS || cols <= 0 ||
        cols > 1024 || threads < 64 || threads > GPU_BLOCK_THREADS || threads % 32 ||
        o->k > 1 << 20)
        return false;
    bool narrow = instruction_depth(o->used) > 0 || o->used == DTYPE_f32;
    s.tile_rows = cols * o->partners;
    if (!narrow || !share_tile(&s, threads) || !find_rows(kernel, &s, threads) ||
        !find_parts(kernel, &s))
        return false;
    find_shared(&s, threads);
    *out = s;
    return true;
}

int64_t skinny_mma_count(const struct skinny_shape *shape)
{
    return shape->deep > 0 ? shape->mt * shape->nt * (shape->depth / shape->deep) : 0;
}

bool gpu_skinny_facts(const struct function *function, const struct kernel *kernel,
                      struct gpu_facts *out)
{
    struct arena *arena = arena_create();
    struct skinny_shape s;
    bool fits = skinny_shape(arena, function, kernel, &s);
    if (fits) {
        int64_t copies = (s.tile_rows + s.tokens) * s.chunks / attribute(kernel, threads);
        int64_t sums = s.mt > 0 ? s.mt * s.nt * 4 + s.mt * 4 + s.nt * 2 : s.thread_tokens * 8 + 8;
        int64_t registers = 40 + sums + copies * 2 + (s.operands.decoded ? 90 : 0);
        *out = (struct gpu_facts){.shared_bytes = s.shared_bytes,
                                  .mma_count = (int)skinny_mma_count(&s),
                                  .registers = (int)registers};
        if (registers > GPU_THREAD_REGISTERS)
            out->registers = GPU_THREAD_REGISTERS;
    }
    arena_destroy(arena);
    return fits;
}

bool gpu_skinny_split(const struct function *function, const struct kernel *kernel,
                      int64_t *out_workspace_bytes, int64_t *out_counters)
{
    struct arena *arena = arena_create();
    struct skinny_shape s;
    bool fits = skinny_shape(arena, function, kernel, &s);
    if (fits) {
        *out_workspace_bytes = s.workspace_bytes;
        *out_counters = s.counters;
    }
    arena_destroy(arena);
    return fits;
}
