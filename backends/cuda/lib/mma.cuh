/*
 * Matrix fragments and products on the tensor cores. Lane l of a warp holds, with g = l / 4 and
 * t = l % 4, of a 16 x 8 result c: rows g (c[0], c[1]) and g + 8 (c[2], c[3]), columns 2t, 2t+1.
 * Of operands with 16-bit elements, a pair a word: a, 16 x 16: rows g, g + 8, g, g + 8 of
 * columns 2t.. (first two words) and 2t + 8..; b, 16 x 8: rows 2t.. and 2t + 8.. of column g. Of
 * TF32 operands: a, 16 x 8: rows g, g + 8, g, g + 8 of columns t (first two) and t + 4; b, 8 x 8:
 * rows t and t + 4 of column g. (PTX ISA, matrix fragments of mma.m16n8k16 and m16n8k8.)
 */
#ifndef SINTER_CUDA_MMA
#define SINTER_CUDA_MMA
#include "core.cuh"

#ifdef SINTER_EMULATED

DEVICE void emulated_matrices(enum emulated_primitive primitive, int line, rt_u32 *to,
                              shared_t row, int count)
{
    struct emulated_matrices own = {to, row, count};
    emulated_self()->calls->collective(primitive, line, &own);
}

DEVICE void emulated_product(enum emulated_primitive primitive, int line, float *c,
                             const rt_u32 *a, const rt_u32 *b, int mt, int nt)
{
    struct emulated_tile own = {c, a, b, mt, nt};
    emulated_self()->calls->collective(primitive, line, &own);
}

#define ldmatrix_x4(to, row) emulated_matrices(EMULATED_ldmatrix, __LINE__, to, row, 4)
#define ldmatrix_x2(to, row) emulated_matrices(EMULATED_ldmatrix, __LINE__, to, row, 2)
#define ldmatrix_x4_trans(to, row) emulated_matrices(EMULATED_ldmatrix_trans, __LINE__, to, row, 4)
#define ldmatrix_x2_trans(to, row) emulated_matrices(EMULATED_ldmatrix_trans, __LINE__, to, row, 2)
#define mma_bf16(c, a, b) emulated_product(EMULATED_mma_bf16, __LINE__, c, a, b, 1, 1)
#define mma_f16(c, a, b) emulated_product(EMULATED_mma_f16, __LINE__, c, a, b, 1, 1)
#define mma_tf32(c, a, b) emulated_product(EMULATED_mma_tf32, __LINE__, c, a, b, 1, 1)
#define mma_tile_bf16(c, a, b, mt, nt)                                                             \
    emulated_product(EMULATED_mma_bf16, __LINE__, c, a, b, mt, nt)
#define mma_tile_f16(c, a, b, mt, nt)                                                              \
    emulated_product(EMULATED_mma_f16, __LINE__, c, a, b, mt, nt)
#define mma_tile_tf32(c, a, b, mt, nt)                                                             \
    emulated_product(EMULATED_mma_tf32, __LINE__, c, a, b, mt, nt)

#else

/* Four (two) 8 x 8 matrices of 16-bit elements: lane l gives the address of row l % 8, 16 bytes,
 * of matrix l / 8; word i of the result is the pair at row g, columns 2t.. of matrix i, or with
 * _trans at column g, rows 2t.. */
DEVICE void ldmatrix_x4(rt_u32 *to, shared_t row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(row)
                 : "memory");
}

DEVICE void ldmatrix_x4_trans(rt_u32 *to, shared_t row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(row)
                 : "memory");
}

DEVICE void ldmatrix_x2(rt_u32 *to, shared_t row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
                 : "=r"(to[0]), "=r"(to[1])
                 : "r"(row)
                 : "memory");
}

DEVICE void ldmatrix_x2_trans(rt_u32 *to, shared_t row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
                 : "=r"(to[0]), "=r"(to[1])
                 : "r"(row)
                 : "memory");
}

/* c += a * b. TF32 operands are rounded before (round_tf32): the hardware drops what is left. */
#define PRODUCT(name, shape)                                                                       \
    DEVICE void mma_##name(float *c, const rt_u32 *a, const rt_u32 *b)                             \
    {                                                                                              \
        asm("mma.sync.aligned." shape                                                              \
            " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"                     \
            : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])                                       \
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));                   \
    }                                                                                              \
    /* Of a warp's whole tile: c[mt][nt][4] += a[mt][4] * b[nt][2]. */                             \
    DEVICE void mma_tile_##name(float *c, const rt_u32 *a, const rt_u32 *b, int mt, int nt)        \
    {                                                                                              \
        UNROLL                                                                                     \
        for (int m = 0; m < mt; m++) {                                                             \
            UNROLL                                                                                 \
            for (int n = 0; n < nt; n++)                                                           \
                mma_##name(c + (m * nt + n) * 4, a + m * 4, b + n * 2);                            \
        }                                                                                          \
    }
PRODUCT(bf16, "m16n8k16.row.col.f32.bf16.bf16.f32")
PRODUCT(f16, "m16n8k16.row.col.f32.f16.f16.f32")
PRODUCT(tf32, "m16n8k8.row.col.f32.tf32.tf32.f32")
#undef PRODUCT

#endif
#endif
