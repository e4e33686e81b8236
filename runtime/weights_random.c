/*
 * Random weights: one anonymous mapping, filled tile by tile on all CPUs. Every element is a
 * function of (seed, tensor, element) alone (philox.h), so the tiles need no order.
 */
#include "runtime/convert.h"
#include "runtime/philox.h"
#include "runtime/pool.h"
#include "runtime/session.h"
#include "runtime/weights_internal.h"

#include <stddef.h>
#include <sys/mman.h>

enum { TILE = 1 << 16, PIECE = 1 << 10, ALIGNMENT = 64 };

/* What one fill needs; the only operand of fill_tiles. */
struct fill {
    const struct rt_weight *weight;
    rt_u64 seed, elements;
    rt_u8 *out;
};

void weights_fill(const struct rt_weight *weight, rt_u64 seed, rt_u64 first, rt_u64 count,
                  void *out)
{
    uint16_t drawn[PIECE];
    float scale = rt_random_scale(weight->initializer);
    unsigned size = rt_dtype_size(weight->dtype);
    for (rt_u64 done = 0, piece; done < count; done += piece) {
        piece = count - done < PIECE ? count - done : PIECE;
        if (weight->initializer != 0)
            rt_random_fill_bf16(seed, weight->ordinal, first + done, piece, scale, drawn);
        else
            for (rt_u64 i = 0; i < piece; i++)
                drawn[i] = rt_bf16_of_f32(weight->constant);
        rt_convert((rt_u8 *)out + done * size, weight->dtype, drawn, RT_BF16, piece);
    }
}

static void fill_tiles(void *const *operands, rt_i64 begin, rt_i64 end)
{
    const struct fill *fill = operands[0];
    rt_u64 first = (rt_u64)begin * TILE, last = (rt_u64)end * TILE;
    if (last > fill->elements)
        last = fill->elements;
    weights_fill(fill->weight, fill->seed, first, last - first,
                 fill->out + first * rt_dtype_size(fill->weight->dtype));
}

static void draw_all(const struct rt_program *program, struct rt_weights *weights,
                     struct rt_pool *pool)
{
    rt_u8 *next = weights->memory;
    for (rt_u32 i = 0; i < program->weight_count; i++) {
        const struct rt_weight *weight = &program->weights[i];
        struct fill fill = {weight, program->random_seed,
                            weight->bytes / rt_dtype_size(weight->dtype), next};
        void *operand = &fill;
        rt_pool_run(pool, fill_tiles, &operand, (rt_i64)((fill.elements + TILE - 1) / TILE));
        weights->data[i] = next;
        next += (weight->bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }
}

/* The bytes of all weights, each on its own cache lines; 0 if they overflow. */
static rt_u64 total_bytes(const struct rt_program *program)
{
    rt_u64 total = ALIGNMENT;
    for (rt_u32 i = 0; i < program->weight_count; i++) {
        rt_u64 bytes = program->weights[i].bytes;
        if (__builtin_add_overflow(total, bytes, &total) ||
            __builtin_add_overflow(total, (rt_u64)ALIGNMENT - 1, &total))
            return 0;
        total = total / ALIGNMENT * ALIGNMENT;
    }
    return total;
}

static bool is_drawable(rt_u32 dtype)
{
    return dtype == RT_F32 || dtype == RT_BF16 || dtype == RT_F16;
}

rt_status weights_draw(const struct rt_program *program, struct rt_weights *weights)
{
    struct rt_pool *pool = NULL;
    rt_u64 total = total_bytes(program);
    for (rt_u32 i = 0; i < program->weight_count; i++)
        if (!is_drawable(program->weights[i].dtype))
            return rt_fail(WEIGHTS_NOT_DRAWN, program->weights[i].name);
    if (total == 0)
        return rt_fail(SIZE_OVERFLOW, "all weights together");
    void *memory = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return rt_fail(OUT_OF_MEMORY, (size_t)total);
    madvise(memory, total, MADV_HUGEPAGE);
    weights->memory = memory;
    weights->anonymous_bytes = total;
    rt_status status = rt_pool_open(&pool, 0, false);
    if (!status)
        draw_all(program, weights, pool);
    rt_pool_close(pool);
    return status;
}
