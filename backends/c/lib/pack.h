/*
 * Device library of the C backend: panels of products. A panel holds NR columns of the right
 * operand for K steps, in the order in which the register block reads it:
 *   f32    panel[k * NR + j]
 *   pairs  panel[k / 2 * NR + j]: bf16 elements k (low half) and k + 1 of column j
 * Columns beyond `count`, and the missing half of an odd K, are zero. Sources:
 *   rows     column j of the panel is a row of memory: source[j * stride + k]
 *   columns  step k is a row of memory: source[k * stride + j]
 */
#include "base.h"

#ifndef NR
#define NR 32 /* columns of a register block */
#endif

/* --- square blocks of LANES x LANES words --- */

#if LANES == 16
#define EVEN_1 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30
#define ODD_1 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31
#define EVEN_2 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29
#define ODD_2 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31
#define EVEN_4 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27
#define ODD_4 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31
#define EVEN_8 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23
#define ODD_8 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31
#elif LANES == 8
#define EVEN_1 0, 8, 2, 10, 4, 12, 6, 14
#define ODD_1 1, 9, 3, 11, 5, 13, 7, 15
#define EVEN_2 0, 1, 8, 9, 4, 5, 12, 13
#define ODD_2 2, 3, 10, 11, 6, 7, 14, 15
#define EVEN_4 0, 1, 2, 3, 8, 9, 10, 11
#define ODD_4 4, 5, 6, 7, 12, 13, 14, 15
#else
#define EVEN_1 0, 4, 2, 6
#define ODD_1 1, 5, 3, 7
#define EVEN_2 0, 1, 4, 5
#define ODD_2 2, 3, 6, 7
#endif

/* One step of a transposition: blocks of DISTANCE words change places across rows. */
#define EXCHANGE(distance, even, odd) \
    _Pragma("clang loop unroll(full)") for (int i = 0; i < LANES; i++) if (!(i & (distance))) \
    { \
        u32v low = __builtin_shufflevector(r[i], r[i + (distance)], even); \
        u32v high = __builtin_shufflevector(r[i], r[i + (distance)], odd); \
        r[i] = low; \
        r[i + (distance)] = high; \
    }

LIBRARY void transpose_block(u32v r[LANES])
{
    EXCHANGE(1, EVEN_1, ODD_1)
    EXCHANGE(2, EVEN_2, ODD_2)
#if LANES >= 8
    EXCHANGE(4, EVEN_4, ODD_4)
#endif
#if LANES >= 16
    EXCHANGE(8, EVEN_8, ODD_8)
#endif
}

/* --- how LANES words of a panel come from a row of memory, `at` elements into it --- */

LIBRARY u32v words_f32_f32(const float *row)
{
    return *(const u32v_any *)row;
}

LIBRARY u32v words_f32_bf16(const rt_u16 *row)
{
    return __builtin_convertvector((u16v) * (const u16v_any *)row, u32v) << 16;
}

LIBRARY u32v words_f32_f16(const rt_u16 *row)
{
    union {
        float real[LANES];
        u32v bits;
    } u;
    for (int i = 0; i < LANES; i++)
        u.real[i] = from_f16(row[i]);
    return u.bits;
}

LIBRARY u32v words_pairs_bf16(const rt_u16 *row)
{
    return *(const u32v_any *)row;
}

LIBRARY rt_u32 pair_of(float low, float high)
{
    return (rt_u32)to_bf16(high) << 16 | to_bf16(low);
}

LIBRARY u32v words_pairs_f32(const float *row)
{
    union {
        rt_u32 word[LANES];
        u32v bits;
    } u;
    for (int i = 0; i < LANES; i++)
        u.word[i] = pair_of(row[2 * i], row[2 * i + 1]);
    return u.bits;
}

LIBRARY u32v words_pairs_f16(const rt_u16 *row)
{
    union {
        rt_u32 word[LANES];
        u32v bits;
    } u;
    for (int i = 0; i < LANES; i++)
        u.word[i] = pair_of(from_f16(row[2 * i]), from_f16(row[2 * i + 1]));
    return u.bits;
}

/* One element, as a number. */
LIBRARY float real_f32(float x)
{
    return x;
}
LIBRARY float real_bf16(rt_u16 x)
{
    return from_bf16(x);
}
LIBRARY float real_f16(rt_u16 x)
{
    return from_f16(x);
}

/* One word of a panel, by element: the last steps, and columns in memory order. */
LIBRARY rt_u32 word_f32(float low, float high)
{
    (void)high;
    return bits_of_f32(low);
}
LIBRARY rt_u32 word_pairs(float low, float high)
{
    return pair_of(low, high);
}

/*
 * pack_rows_FORM_TYPE: memory rows are columns of the panel. STEP is the number of elements of
 * a word: 1 (f32), 2 (pairs). Whole blocks go through registers; a block's rows each give one
 * or two whole cache lines.
 */
#define PACK_ROWS(form, type, memory, STEP) \
    LIBRARY_CODE void pack_rows_##form##_##type(rt_u32 *panel, const memory *source, \
                                                rt_i64 stride, rt_i64 count, rt_i64 depth) \
    { \
        const rt_i64 whole = depth / (STEP * LANES); \
        for (rt_i64 j = 0; j < NR; j += LANES) { \
            for (rt_i64 block = 0; block < whole; block++) { \
                u32v r[LANES]; \
                for (int i = 0; i < LANES; i++) \
                    r[i] = j + i < count ? words_##form##_##type(source + (j + i) * stride + \
                                                                 block * (STEP * LANES)) \
                                         : (u32v){0}; \
                transpose_block(r); \
                for (int i = 0; i < LANES; i++) \
                    *(u32v *)(panel + (block * LANES + i) * NR + j) = r[i]; \
            } \
        } \
        for (rt_i64 k = whole * (STEP * LANES); k < depth; k += STEP) \
            for (rt_i64 j = 0; j < NR; j++) { \
                const memory *row = source + j * stride + k; \
                float low = j < count ? real_##type(row[0]) : 0; \
                float high = j < count && k + STEP - 1 < depth ? real_##type(row[STEP - 1]) : 0; \
                panel[k / STEP * NR + j] = word_##form(low, high); \
            } \
    }

/* pack_columns_FORM_TYPE: a row of memory is a step of the panel. */
#define PACK_COLUMNS(form, type, memory, STEP) \
    LIBRARY_CODE void pack_columns_##form##_##type(rt_u32 *panel, const memory *source, \
                                                   rt_i64 stride, rt_i64 count, rt_i64 depth) \
    { \
        for (rt_i64 k = 0; k < depth; k += STEP) { \
            rt_u32 *step = panel + k / STEP * NR; \
            const memory *low = source + k * stride; \
            const memory *high = k + STEP - 1 < depth ? low + (STEP - 1) * stride : low; \
            const int both = k + STEP - 1 < depth; \
            if (count >= NR) { \
                VECTORISED for (rt_i64 j = 0; j < NR; j++) \
                    step[j] = word_##form(real_##type(low[j]), both ? real_##type(high[j]) : 0); \
            } else { \
                for (rt_i64 j = 0; j < NR; j++) \
                    step[j] = j < count ? word_##form(real_##type(low[j]), \
                                                      both ? real_##type(high[j]) : 0) \
                                        : 0; \
            } \
        } \
    }

PACK_ROWS(f32, f32, float, 1)
PACK_ROWS(f32, bf16, rt_u16, 1)
PACK_ROWS(f32, f16, rt_u16, 1)
PACK_COLUMNS(f32, f32, float, 1)
PACK_COLUMNS(f32, bf16, rt_u16, 1)
PACK_COLUMNS(f32, f16, rt_u16, 1)
#ifdef __AVX512BF16__
PACK_ROWS(pairs, bf16, rt_u16, 2)
PACK_ROWS(pairs, f32, float, 2)
PACK_ROWS(pairs, f16, rt_u16, 2)
PACK_COLUMNS(pairs, bf16, rt_u16, 2)
PACK_COLUMNS(pairs, f32, float, 2)
PACK_COLUMNS(pairs, f16, rt_u16, 2)
#endif

/* Asks for a run of memory, into the second cache. */
LIBRARY void prefetch_run(const void *from, rt_i64 bytes)
{
    for (rt_i64 i = 0; i < bytes; i += 64)
        __builtin_prefetch((const char *)from + i, 0, 2);
}

/* Panels that are filled element by element. */
LIBRARY void clear_panel_f32(rt_u32 *panel, rt_i64 depth)
{
    for (rt_i64 i = 0; i < depth * NR; i++)
        panel[i] = 0;
}
LIBRARY void clear_panel_pairs(rt_u32 *panel, rt_i64 depth)
{
    clear_panel_f32(panel, depth / 2);
}
LIBRARY void set_panel_f32(rt_u32 *panel, rt_i64 k, rt_i64 j, float value)
{
    panel[k * NR + j] = bits_of_f32(value);
}
LIBRARY void set_panel_pairs(rt_u32 *panel, rt_i64 k, rt_i64 j, float value)
{
    rt_u32 shift = (rt_u32)(k & 1) * 16;
    rt_u32 *word = &panel[k / 2 * NR + j];
    *word = (*word & ~(0xffffu << shift)) | (rt_u32)to_bf16(value) << shift;
}
