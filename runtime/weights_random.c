/*
 * Random weights: one anonymous mapping, filled tile by tile on all CPUs. Every element is a
 * function of (seed, tensor, element) alone (philox.h), so the tiles need no order.
 */
#include "runtime/philox.h"
#include "runtime/pool.h"
#include "runtime/weights_internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { TILE = 1 << 16, PIECE = 1 << 10, ALIGNMENT = 64 };

/* What one fill needs; the only operand of fill_tiles. */
struct fill {
    const struct rt_weight *weight;
    rt_u64 seed, elements;
    float scale;
    rt_u8 *out;
};

static const rt_u8 type_bytes[] = {
    [RT_F32] = 4, [RT_F64] = 8, [RT_BF16] = 2, [RT_F16] = 2,
    [RT_I32] = 4, [RT_I64] = 8, [RT_U8] = 1,   [RT_BOOL] = 1,
};

/* An f32 to f16 bits, to nearest, ties to even; too large becomes infinite. */
static rt_u32 half_of_f32(float value)
{
    rt_u32 bits;
    memcpy(&bits, &value, sizeof bits);
    rt_u32 sign = bits >> 16 & 0x8000;
    float magnitude = value < 0 ? -value : value;
    if (!(magnitude < 65520.0f))
        return sign | 0x7c00 | (value != value ? 0x200 : 0);
    if (magnitude < 0x1p-14f) { /* subnormal: adding 1/2 rounds at the last place, 2^-24 */
        float shifted = magnitude + 0.5f;
        memcpy(&bits, &shifted, sizeof bits);
        return sign | (bits - 0x3f000000);
    }
    memcpy(&bits, &magnitude, sizeof bits);
    bits += 0xfff + (bits >> 13 & 1);
    return sign | ((bits >> 13) - (112 << 10));
}

static float f32_of_bf16(uint16_t bits)
{
    rt_u32 wide = (rt_u32)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
}

/* Stores one value, which bf16 holds exactly unless it is a constant. */
static void store(enum rt_dtype dtype, float value, rt_u8 *out)
{
    double wide = value;
    rt_i64 whole = (rt_i64)value;
    rt_u32 narrow = dtype == RT_BF16 ? rt_bf16_of_f32(value) : dtype == RT_F16 ? half_of_f32(value)
                                                                               : (rt_u32)whole;
    switch (dtype) {
    case RT_F32: memcpy(out, &value, 4); break;
    case RT_F64: memcpy(out, &wide, 8); break;
    case RT_I64: memcpy(out, &whole, 8); break;
    default: memcpy(out, &narrow, type_bytes[dtype]); break; /* little-endian */
    }
}

/* Elements first .. first + count - 1 (at most PIECE) of the fill. */
static void fill_piece(const struct fill *fill, rt_u64 first, rt_u64 count)
{
    uint16_t drawn[PIECE];
    unsigned size = type_bytes[fill->weight->dtype];
    rt_u8 *out = fill->out + first * size;
    int random = fill->weight->initializer != 0;
    if (random)
        rt_random_fill_bf16(fill->seed, fill->weight->ordinal, first, count, fill->scale, drawn);
    if (random && fill->weight->dtype == RT_BF16) {
        memcpy(out, drawn, count * size);
        return;
    }
    for (rt_u64 i = 0; i < count; i++) {
        float value = random ? f32_of_bf16(drawn[i]) : fill->weight->constant;
        store(fill->weight->dtype, value, out + i * size);
    }
}

static void fill_tiles(void *const *operands, rt_i64 begin, rt_i64 end)
{
    const struct fill *fill = operands[0];
    rt_u64 first = (rt_u64)begin * TILE, last = (rt_u64)end * TILE;
    if (last > fill->elements)
        last = fill->elements;
    for (; first < last; first += PIECE)
        fill_piece(fill, first, last - first < PIECE ? last - first : PIECE);
}

static void draw_all(const struct rt_program *program, struct rt_weights *weights,
                     struct rt_pool *pool)
{
    rt_u8 *next = weights->memory;
    for (rt_u32 i = 0; i < program->weight_count; i++) {
        const struct rt_weight *weight = &program->weights[i];
        struct fill fill = {weight, program->random_seed, weight->bytes / type_bytes[weight->dtype],
                            rt_random_scale(weight->initializer), next};
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

rt_status weights_draw(const struct rt_program *program, struct rt_weights *weights)
{
    struct rt_pool *pool = NULL;
    rt_u64 total = total_bytes(program);
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
