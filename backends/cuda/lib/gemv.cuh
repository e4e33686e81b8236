/*
 * What products of few rows need: weights in chunks of 16 bytes, a whole one or the rest of a
 * row, as f32; dot products in order of the elements; rows of f32 in shared memory that lanes
 * read eight neighbours at a time.
 */
#ifndef SINTER_CUDA_GEMV
#define SINTER_CUDA_GEMV
#include "memory.cuh"

DEVICE struct u32x4 zero16(void)
{
    struct u32x4 words = {{0, 0, 0, 0}};
    return words;
}

/* The first `count` elements of a chunk, loaded one at a time; the others are 0. */
#define PARTS(name)                                                                                \
    DEVICE struct f32x4 at_load_##name##_part_x4(int line, const g_##name *from, int count)        \
    {                                                                                              \
        struct f32x4 all;                                                                          \
        UNROLL                                                                                     \
        for (int i = 0; i < 4; i++) {                                                              \
            all.at[i] = 0;                                                                         \
            if (i < count)                                                                         \
                all.at[i] = at_load_##name(line, from + i);                                        \
        }                                                                                          \
        return all;                                                                                \
    }                                                                                              \
    DEVICE struct f32x8 at_load_##name##_part_x8(int line, const g_##name *from, int count)        \
    {                                                                                              \
        struct f32x8 all;                                                                          \
        UNROLL                                                                                     \
        for (int i = 0; i < 8; i++) {                                                              \
            all.at[i] = 0;                                                                         \
            if (i < count)                                                                         \
                all.at[i] = at_load_##name(line, from + i);                                        \
        }                                                                                          \
        return all;                                                                                \
    }
PARTS(f32)
PARTS(bf16)
PARTS(f16)
#undef PARTS

#define load_f32_part_x4(from, count) at_load_f32_part_x4(__LINE__, from, count)
#define load_f32_part_x8(from, count) at_load_f32_part_x8(__LINE__, from, count)
#define load_bf16_part_x4(from, count) at_load_bf16_part_x4(__LINE__, from, count)
#define load_bf16_part_x8(from, count) at_load_bf16_part_x8(__LINE__, from, count)
#define load_f16_part_x4(from, count) at_load_f16_part_x4(__LINE__, from, count)
#define load_f16_part_x8(from, count) at_load_f16_part_x8(__LINE__, from, count)

/* As they stand in memory. */
#define load16_part_f32(from, count) words_of_f32x4(at_load_f32_part_x4(__LINE__, from, count))
#define load16_part_bf16(from, count) pack_bf16x8(at_load_bf16_part_x8(__LINE__, from, count))
#define load16_part_f16(from, count) pack_f16x8(at_load_f16_part_x8(__LINE__, from, count))

/* Stored in f32, used in a narrower type. */
#define ROUND_CHUNK(name)                                                                          \
    DEVICE struct f32x4 round_##name##x4(struct f32x4 all)                                         \
    {                                                                                              \
        UNROLL                                                                                     \
        for (int i = 0; i < 4; i++)                                                                \
            all.at[i] = round_##name(all.at[i]);                                                   \
        return all;                                                                                \
    }
ROUND_CHUNK(bf16)
ROUND_CHUNK(f16)
ROUND_CHUNK(tf32)
#undef ROUND_CHUNK

DEVICE float dot_f32x4(struct f32x4 a, struct f32x4 b, float sum)
{
    UNROLL
    for (int i = 0; i < 4; i++)
        sum = __builtin_fmaf(a.at[i], b.at[i], sum);
    return sum;
}

DEVICE float dot_f32x8(struct f32x8 a, struct f32x8 b, float sum)
{
    UNROLL
    for (int i = 0; i < 8; i++)
        sum = __builtin_fmaf(a.at[i], b.at[i], sum);
    return sum;
}

/*
 * A row of f32 of which lane l reads the elements 8 (32 i + l)..: of 256 elements the first and
 * the second halves of each eight stand apart, so that neither the reads nor writes of
 * neighbouring chunks of 4 meet a bank conflict. Byte offset of element k.
 */
DEVICE shared_t halved_place(int k)
{
    int half = k >> 2 & 1, lane = k >> 3 & 31;
    return (shared_t)(((k >> 8 << 6) + half * 32 + (lane ^ half << 2)) * 16 + (k & 3) * 4);
}

DEVICE struct f32x8 at_shared_load_halves(int line, shared_t row, int step, int lane)
{
    struct f32x4 low = at_shared_load_f32x4(line, row + (shared_t)((step * 64 + lane) * 16));
    struct f32x4 high =
        at_shared_load_f32x4(line, row + (shared_t)((step * 64 + 32 + (lane ^ 4)) * 16));
    struct f32x8 all;
    UNROLL
    for (int i = 0; i < 4; i++) {
        all.at[i] = low.at[i];
        all.at[i + 4] = high.at[i];
    }
    return all;
}

#define shared_load_halves(row, step, lane) at_shared_load_halves(__LINE__, row, step, lane)
#endif
