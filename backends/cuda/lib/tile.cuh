/*
 * Tiles of matrix products in shared memory: swizzles, and fragments of mma from them. A tile is
 * rows of 64 bytes or of a multiple of 128; chunks of 16 bytes of a row change places so that
 * neither copies nor fragments meet a bank conflict. Sizes are constants at every call.
 * `at` are addresses of the calling lane.
 */
#ifndef SINTER_CUDA_TILE
#define SINTER_CUDA_TILE
#include "memory.cuh"
#include "mma.cuh"
#include "publish.cuh"

/* Where chunk `chunk` of a row stands. Rows of 64 bytes. */
DEVICE int swizzle_64(int row, int chunk)
{
    return chunk ^ (row >> 1 & 3);
}

/* Rows of 128 bytes or a multiple. */
DEVICE int swizzle_128(int row, int chunk)
{
    return chunk ^ (row & 7);
}

/* Rows of 32-bit elements of which a warp reads columns of four rows at a time. */
DEVICE int swizzle_columns(int row, int chunk)
{
    return chunk ^ (row & 3) << 1;
}

/* Bytes of a copy of `count` elements that are inside: `left` elements are left. */
DEVICE int inside_bytes(rt_i64 left, int count, int bytes)
{
    return left >= count ? count * bytes : left > 0 ? (int)left * bytes : 0;
}

/* Bit `row` * columns + `column`: whether that tap of a filter at (y, x) is in the image. */
#define TAPS(bits, type)                                                                           \
    DEVICE type taps_inside_##bits(int y, int x, int rows, int columns, int height, int width)     \
    {                                                                                              \
        int from = x < 0 ? -x : 0, to = width - x < columns ? width - x : columns;                 \
        type all = ~(type)0, taps = 0, across = 0;                                                 \
        if (from < to)                                                                             \
            across = all >> (bits - to) & all << from;                                             \
        UNROLL                                                                                     \
        for (int row = 0; row < rows; row++)                                                       \
            taps |= y + row >= 0 && y + row < height ? across << row * columns : 0;                \
        return taps;                                                                               \
    }
TAPS(32, rt_u32)
TAPS(64, rt_u64)
#undef TAPS

/* --- fragments of an operand whose rows run along K --- */

/* Left: count x m16; `at` is row lane % 16, chunk lane / 16. */
DEVICE void left_rows(rt_u32 *a, shared_t at, int count, int row_bytes)
{
    UNROLL
    for (int i = 0; i < count; i++)
        ldmatrix_x4(a + i * 4, at + (shared_t)(i * 16 * row_bytes));
}

/* Right: count x n8; `at` is row lane % 8 + lane / 16 * 8, chunk lane / 8 % 2. */
DEVICE void right_rows(rt_u32 *b, shared_t at, int count, int row_bytes)
{
    UNROLL
    for (int i = 0; i < count / 2; i++)
        ldmatrix_x4(b + i * 4, at + (shared_t)(i * 16 * row_bytes));
}

/* --- and of one whose rows run along M or N: 16-bit elements --- */

/* `at` is row lane % 8 + lane / 16 * 8, the chunk of the first columns + lane / 8 % 2. */
DEVICE void left_columns_16(rt_u32 *a, shared_t at, int count)
{
    UNROLL
    for (int i = 0; i < count; i++)
        ldmatrix_x4_trans(a + i * 4, at ^ (shared_t)(i * 32));
}

/* `at` is row lane % 16, the chunk of the first columns + lane / 16. */
DEVICE void right_columns_16(rt_u32 *b, shared_t at, int count)
{
    UNROLL
    for (int i = 0; i < count / 2; i++)
        ldmatrix_x4_trans(b + i * 4, at ^ (shared_t)(i * 32));
}

/* --- 32-bit elements; `at` is row lane % 4, the first column + lane / 4 --- */

DEVICE void left_columns_32(rt_u32 *a, shared_t at, int count, int row_bytes)
{
    UNROLL
    for (int i = 0; i < count * 4; i++) /* rows of M in bit 0, steps of K in bit 1 */
        a[i] = shared_load_u32((at ^ (shared_t)(i / 4 * 64 + i % 2 * 32)) +
                               (shared_t)(i / 2 % 2 * 4 * row_bytes));
}

DEVICE void right_columns_32(rt_u32 *b, shared_t at, int count, int row_bytes)
{
    UNROLL
    for (int i = 0; i < count * 2; i++)
        b[i] = shared_load_u32((at ^ (shared_t)(i / 2 * 32)) +
                               (shared_t)(i % 2 * 4 * row_bytes));
}

/* f32 as it stands in memory becomes what TF32 multiplies: to nearest; of two that are as near,
 * the hardware's one instruction takes the larger, where everything else takes the even one. */
DEVICE void round_fragments(rt_u32 *fragments, int count)
{
    UNROLL
    for (int i = 0; i < count; i++)
#ifdef SINTER_EMULATED
        fragments[i] = bits_of_f32(round_tf32(f32_of_bits(fragments[i])));
#else
        asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(fragments[i]) : "f"(f32_of_bits(fragments[i])));
#endif
}

/* --- exact f32: lane l owns rows l / 8 + 4 i and columns l % 8 + 8 j --- */

/* Four steps of K of `count` rows; `flip` is what the swizzle changes from one to the next. */
DEVICE void left_steps(float *a, shared_t at, int count, int row_bytes, int flip)
{
    UNROLL
    for (int i = 0; i < count; i++) {
        struct f32x4 v =
            shared_load_f32x4((at ^ (shared_t)(i % 2 * flip)) + (shared_t)(i * 4 * row_bytes));
        UNROLL
        for (int k = 0; k < 4; k++)
            a[i * 4 + k] = v.at[k];
    }
}

/* Four rows of a tile whose rows run along M or N: elements `apart` bytes from each other. */
DEVICE void steps_of_columns(float *a, shared_t at, int count, int row_bytes, int apart)
{
    UNROLL
    for (int i = 0; i < count; i++) {
        UNROLL
        for (int k = 0; k < 4; k++)
            a[i * 4 + k] = shared_load_f32(at + (shared_t)(k * row_bytes + i * apart));
    }
}

/* A column of c[rows][all] += a[rows][4] times b[4], in order of the steps. */
DEVICE void multiply_column(float *c, const float *a, const float *b, int rows, int all)
{
    UNROLL
    for (int k = 0; k < 4; k++) {
        UNROLL
        for (int i = 0; i < rows; i++)
            c[i * all] = __builtin_fmaf(a[i * 4 + k], b[k], c[i * all]);
    }
}

/* --- results to a slab of f32 in shared memory --- */

/* Columns 0..nt-1 of the fragments c[mt][all][4] of mma; `at` is row lane / 4, column
 * 2 (lane % 4). */
DEVICE void store_fragments(shared_t at, const float *c, int mt, int nt, int all, int row_bytes)
{
    UNROLL
    for (int i = 0; i < mt * 2; i++) {
        UNROLL
        for (int j = 0; j < nt; j++) {
            const float *from = c + (i / 2 * all + j) * 4 + i % 2 * 2;
            struct f32x2 two;
            two.at[0] = from[0];
            two.at[1] = from[1];
            shared_store_f32x2(at + (shared_t)(i * 8 * row_bytes + j * 32), two);
        }
    }
}

/* Columns 0..columns-1 of c[rows][all] of lanes that own rows 4 apart and columns 8 apart. */
DEVICE void store_elements(shared_t at, const float *c, int rows, int columns, int all,
                           int row_bytes)
{
    UNROLL
    for (int i = 0; i < rows; i++) {
        UNROLL
        for (int j = 0; j < columns; j++)
            shared_store_f32(at + (shared_t)(i * 4 * row_bytes + j * 32), c[i * all + j]);
    }
}

/* Neighbouring lanes read neighbours: every other four take their halves in the other order, so
 * that the banks of eight lanes differ. */
DEVICE struct f32x8 shared_load_f32x8(shared_t from)
{
    int flip = thread_index() & 4;
    struct f32x4 first = shared_load_f32x4(from + (flip ? 16 : 0));
    struct f32x4 second = shared_load_f32x4(from + (flip ? 0 : 16));
    struct f32x8 all;
    UNROLL
    for (int i = 0; i < 4; i++) {
        all.at[i] = flip ? second.at[i] : first.at[i];
        all.at[i + 4] = flip ? first.at[i] : second.at[i];
    }
    return all;
}

/* --- chunks that pass through registers, beyond the operand --- */

DEVICE struct f32x4 zeros_f32x4(void)
{
    struct f32x4 zeros = {{0, 0, 0, 0}};
    return zeros;
}

DEVICE struct f32x8 zeros_f32x8(void)
{
    struct f32x8 zeros = {{0, 0, 0, 0, 0, 0, 0, 0}};
    return zeros;
}

/* --- partial sums of a split product: each thread's c[count], handed over in quarters of
 * float x 4, neighbours in a warp --- */

DEVICE void publish_sums(g_f32 *to, const float *c, int count, int threads)
{
    UNROLL
    for (int i = 0; i < count / 4; i++) {
        struct f32x4 v;
        UNROLL
        for (int k = 0; k < 4; k++)
            v.at[k] = c[i * 4 + k];
        publish_f32x4(to + i * threads * 4, v);
    }
}

/* c[0..count-1] += the part of each thread's sums that begins at `from`. */
DEVICE void collect_part(float *c, const g_f32 *from, int count, int threads)
{
    UNROLL
    for (int i = 0; i < count / 4; i++) {
        struct f32x4 v = collect_f32x4(from + i * threads * 4);
        UNROLL
        for (int k = 0; k < 4; k++)
            c[i * 4 + k] += v.at[k];
    }
}

/* c = the sums of `parts`, in order of the parts, `size` elements apart; `some` at a time, which
 * divides count, as registers allow. */
DEVICE void collect_sums(float *c, const g_f32 *from, int count, int some, int threads, int parts,
                         rt_i64 size)
{
    UNROLL
    for (int i = 0; i < count; i++)
        c[i] = 0;
    UNROLL
    for (int i = 0; i < count; i += some) {
        NO_UNROLL
        for (int part = 0; part < parts; part++)
            collect_part(c + i, from + part * size + (rt_i64)i * threads, some, threads);
    }
}

#endif
