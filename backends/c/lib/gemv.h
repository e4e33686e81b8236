/*
 * Device library of the C backend: products with few rows. The right operand's columns are rows
 * of memory that stream through once; each is multiplied with all left rows, in sums that run
 * in lanes along K and a fixed tree. A result depends on its two rows only.
 */
#include "product.h"

/* Sum of the lanes, halves by halves. */
LIBRARY float lanes_sum(f32v x)
{
    float lanes[LANES];
    *(f32v_any *)lanes = x;
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++)
            lanes[l] += lanes[l + half];
    return lanes[0];
}

/* LANES elements of a stored row as numbers. */
LIBRARY f32v lanes_f32(const float *row)
{
    return *(const f32v_any *)row;
}
LIBRARY f32v lanes_bf16(const rt_u16 *row)
{
    return (f32v)words_f32_bf16(row);
}
LIBRARY f32v lanes_f16(const rt_u16 *row)
{
    return (f32v)words_f32_f16(row);
}

/*
 * dot_TYPE: `rows` left rows times `columns` stored rows, `chains` independent sums for each
 * pair (a chain hides the latency of its multiply-adds). What is beyond whole vectors is summed
 * apart, in order.
 */
#define DOT(type, memory) \
    LIBRARY void dot_##type(const int rows, const int columns, const int chains, const float *a, \
                            rt_i64 stride, const memory *b, rt_i64 pitch, rt_i64 depth, \
                            rt_i64 ahead, float *out, rt_i64 out_pitch) \
    { \
        f32v c[4][4][4]; \
        FULLY for (int r = 0; r < rows; r++) FULLY for (int j = 0; j < columns; j++) \
            FULLY for (int h = 0; h < chains; h++) c[r][j][h] = (f32v){0}; \
        const rt_i64 step = LANES * chains, whole = depth / step * step; \
        NOT_UNROLLED for (rt_i64 k = 0; k < whole; k += step) \
            FULLY for (int j = 0; j < columns; j++) \
        { \
            if (ahead) \
                __builtin_prefetch((const char *)(b + j * pitch + k) + ahead); \
            FULLY for (int h = 0; h < chains; h++) \
            { \
                f32v x = lanes_##type(b + j * pitch + k + h * LANES); \
                FULLY for (int r = 0; r < rows; r++) c[r][j][h] = \
                    *(const f32v_any *)(a + r * stride + k + h * LANES) * x + c[r][j][h]; \
            } \
        } \
        FULLY for (int r = 0; r < rows; r++) FULLY for (int j = 0; j < columns; j++) \
        { \
            f32v sum = c[r][j][0]; \
            FULLY for (int h = 1; h < chains; h++) sum += c[r][j][h]; \
            float rest = 0; \
            for (rt_i64 k = whole; k < depth; k++) \
                rest += a[r * stride + k] * real_##type(b[j * pitch + k]); \
            out[r * out_pitch + j] = lanes_sum(sum) + rest; \
        } \
    }

/*
 * gemv_TYPE: out[r * out_pitch + j] for all rows and columns. One row runs two columns with
 * four chains (measured: the best of 1, 2, 4, 8 columns with bf16); more rows run in blocks of
 * up to four by four, the stored rows of a block staying in the nearest cache for the next one.
 * All rows of a call are summed in the same order, whatever block they fall into.
 */
#define GEMV(type, left, memory) \
    LIBRARY_CODE void gemv_##type(rt_i64 rows, rt_i64 columns, const left *a, rt_i64 stride, \
                                  const memory *b, rt_i64 pitch, rt_i64 depth, rt_i64 ahead, \
                                  float *out, rt_i64 out_pitch) \
    { \
        rt_i64 j = 0; \
        if (rows == 1) \
            for (; j + 2 <= columns; j += 2) \
                dot_##type(1, 2, 4, a, stride, b + j * pitch, pitch, depth, ahead, out + j, \
                           out_pitch); \
        else \
            for (; j + 4 <= columns; j += 4) { \
                const memory *line = b + j * pitch; \
                rt_i64 r = 0; \
                for (; r + 4 <= rows; r += 4) \
                    dot_##type(4, 4, 1, a + r * stride, stride, line, pitch, depth, \
                               r ? 0 : ahead, out + r * out_pitch + j, out_pitch); \
                for (; r + 2 <= rows; r += 2) \
                    dot_##type(2, 4, 1, a + r * stride, stride, line, pitch, depth, \
                               r ? 0 : ahead, out + r * out_pitch + j, out_pitch); \
                for (; r < rows; r++) \
                    dot_##type(1, 4, 1, a + r * stride, stride, line, pitch, depth, \
                               r ? 0 : ahead, out + r * out_pitch + j, out_pitch); \
            } \
        for (; j < columns; j++) \
            for (rt_i64 r = 0; r < rows; r++) \
                dot_##type(1, 1, 1, a + r * stride, stride, b + j * pitch, pitch, depth, 0, \
                           out + r * out_pitch + j, out_pitch); \
    }

DOT(f32, float)
DOT(bf16, rt_u16)
DOT(f16, rt_u16)
GEMV(f32, float, float)
GEMV(bf16, float, rt_u16)
GEMV(f16, float, rt_u16)

#ifdef __AVX512BF16__
/* Both sides bf16: pair products. */
LIBRARY void dot_pairs(const int rows, const int columns, const int chains, const rt_u16 *a,
                       rt_i64 stride, const rt_u16 *b, rt_i64 pitch, rt_i64 depth, rt_i64 ahead,
                       float *out, rt_i64 out_pitch)
{
    f32v c[4][4][4];
    FULLY for (int r = 0; r < rows; r++)
        FULLY for (int j = 0; j < columns; j++)
            FULLY for (int h = 0; h < chains; h++)
                c[r][j][h] = (f32v){0};
    const rt_i64 step = 2 * LANES * chains, whole = depth / step * step;
    NOT_UNROLLED for (rt_i64 k = 0; k < whole; k += step)
        FULLY for (int j = 0; j < columns; j++) {
            FULLY for (int h = 0; h < chains; h++) {
                const rt_u16 *at = b + j * pitch + k + h * 2 * LANES;
                if (ahead)
                    __builtin_prefetch((const char *)at + ahead);
                bf16v x = (bf16v) * (const u32v_any *)at;
                FULLY for (int r = 0; r < rows; r++) {
                    const rt_u16 *left = a + r * stride + k + h * 2 * LANES;
                    c[r][j][h] = __builtin_ia32_dpbf16ps_512(
                        c[r][j][h], (bf16v) * (const u32v_any *)left, x);
                }
            }
        }
    FULLY for (int r = 0; r < rows; r++)
        FULLY for (int j = 0; j < columns; j++) {
            f32v sum = c[r][j][0];
            FULLY for (int h = 1; h < chains; h++)
                sum += c[r][j][h];
            float rest = 0;
            for (rt_i64 k = whole; k < depth; k++)
                rest += from_bf16(a[r * stride + k]) * from_bf16(b[j * pitch + k]);
            out[r * out_pitch + j] = lanes_sum(sum) + rest;
        }
}
GEMV(pairs, rt_u16, rt_u16)
#endif
