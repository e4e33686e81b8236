/*
 * Device library of the C backend: the register block of matrix products. `rows` (up to MR)
 * rows of A times a panel of NR columns, all K steps, into a block of f32 in memory:
 *   out[r * pitch + j] (+)= sum over k of a[r * stride + k * step] * panel(k, j)
 * Every output is one chain of multiply-adds in order of k, whatever the number of rows, so
 * a row's result does not depend on how rows are grouped. A is read as it stands, row-major
 * (measured: packing it costs 4-5 %); K is not blocked, so sums stay in registers.
 */
#include "pack.h"

#ifndef MR
#define MR 8 /* rows of a register block */
#endif
#define NV (NR / LANES) /* vectors in a row of the block */

#define FULLY _Pragma("clang loop unroll(full)")
#define NOT_UNROLLED _Pragma("clang loop unroll(disable) vectorize(disable)")

LIBRARY void product_f32(const int rows, const float *a, rt_i64 stride, rt_i64 step,
                         const rt_u32 *panel, rt_i64 depth, float *out, rt_i64 pitch, int add)
{
    f32v c[MR][NV];
    FULLY for (int r = 0; r < rows; r++)
        FULLY for (int v = 0; v < NV; v++)
            c[r][v] = add ? *(f32v_any *)(out + r * pitch + v * LANES) : (f32v){0};
    NOT_UNROLLED for (rt_i64 k = 0; k < depth; k++) {
        const f32v *b = (const f32v *)(panel + k * NR);
        FULLY for (int r = 0; r < rows; r++)
            FULLY for (int v = 0; v < NV; v++)
                c[r][v] = (a[r * stride + k * step] - (f32v){0}) * b[v] + c[r][v];
    }
    FULLY for (int r = 0; r < rows; r++)
        FULLY for (int v = 0; v < NV; v++)
            *(f32v_any *)(out + r * pitch + v * LANES) = c[r][v];
}

#define PRODUCT_F32(rows) \
    LIBRARY_CODE void product_f32_##rows(const float *a, rt_i64 stride, rt_i64 step, \
                                         const rt_u32 *panel, rt_i64 depth, float *out, \
                                         rt_i64 pitch, int add) \
    { \
        product_f32(rows, a, stride, step, panel, depth, out, pitch, add); \
    }
PRODUCT_F32(1)
PRODUCT_F32(2)
PRODUCT_F32(3)
PRODUCT_F32(4)
PRODUCT_F32(5)
PRODUCT_F32(6)
#if MR > 6
PRODUCT_F32(7)
PRODUCT_F32(8)
#endif

typedef void product_f32_kernel(const float *a, rt_i64 stride, rt_i64 step, const rt_u32 *panel,
                                rt_i64 depth, float *out, rt_i64 pitch, int add);
static product_f32_kernel *const products_f32[MR + 1] __attribute__((unused)) = {
    0,
    product_f32_1,
    product_f32_2,
    product_f32_3,
    product_f32_4,
    product_f32_5,
    product_f32_6,
#if MR > 6
    product_f32_7,
    product_f32_8,
#endif
};

#ifdef __AVX512BF16__
typedef __bf16 bf16v __attribute__((vector_size(4 * LANES)));

/* As product_f32 with bf16 pairs; a[r * stride + k] are bf16, depth is even. */
LIBRARY void product_pairs(const int rows, const rt_u16 *a, rt_i64 stride, const rt_u32 *panel,
                           rt_i64 depth, float *out, rt_i64 pitch, int add)
{
    f32v c[MR][NV];
    FULLY for (int r = 0; r < rows; r++)
        FULLY for (int v = 0; v < NV; v++)
            c[r][v] = add ? *(f32v_any *)(out + r * pitch + v * LANES) : (f32v){0};
    NOT_UNROLLED for (rt_i64 k = 0; k < depth; k += 2) {
        const u32v *b = (const u32v *)(panel + k / 2 * NR);
        FULLY for (int r = 0; r < rows; r++) {
            typedef rt_u32 pair_any __attribute__((aligned(2), may_alias));
            u32v pair = *(const pair_any *)(a + r * stride + k) - (u32v){0};
            FULLY for (int v = 0; v < NV; v++)
                c[r][v] = __builtin_ia32_dpbf16ps_512(c[r][v], (bf16v)pair, (bf16v)b[v]);
        }
    }
    FULLY for (int r = 0; r < rows; r++)
        FULLY for (int v = 0; v < NV; v++)
            *(f32v_any *)(out + r * pitch + v * LANES) = c[r][v];
}

#define PRODUCT_PAIRS(rows) \
    LIBRARY_CODE void product_pairs_##rows(const rt_u16 *a, rt_i64 stride, const rt_u32 *panel, \
                                           rt_i64 depth, float *out, rt_i64 pitch, int add) \
    { \
        product_pairs(rows, a, stride, panel, depth, out, pitch, add); \
    }
PRODUCT_PAIRS(1)
PRODUCT_PAIRS(2)
PRODUCT_PAIRS(3)
PRODUCT_PAIRS(4)
PRODUCT_PAIRS(5)
PRODUCT_PAIRS(6)
PRODUCT_PAIRS(7)
PRODUCT_PAIRS(8)

typedef void product_pairs_kernel(const rt_u16 *a, rt_i64 stride, const rt_u32 *panel,
                                  rt_i64 depth, float *out, rt_i64 pitch, int add);
static product_pairs_kernel *const products_pairs[MR + 1] __attribute__((unused)) = {
    0,
    product_pairs_1,
    product_pairs_2,
    product_pairs_3,
    product_pairs_4,
    product_pairs_5,
    product_pairs_6,
    product_pairs_7,
    product_pairs_8,
};
#endif

/* Chooses by the number of rows; FORM is f32 or pairs, whose steps must be neighbours. */
#define multiply_block(FORM, rows, a, stride, step, panel, depth, out, pitch, add) \
    multiply_##FORM(rows, a, stride, step, panel, depth, out, pitch, add)
#define multiply_f32(rows, a, stride, step, panel, depth, out, pitch, add) \
    products_f32[rows](a, stride, step, panel, depth, out, pitch, add)
#define multiply_pairs(rows, a, stride, step, panel, depth, out, pitch, add) \
    products_pairs[rows](a, stride, panel, depth, out, pitch, add)
