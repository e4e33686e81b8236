/*
 * The product of a warp: fragments of the lanes are brought into rows, multiplied, and the sums
 * go back. Products of operands with 11 bits of mantissa are exact in f32, so it makes no
 * difference whether multiply-add rounds once: results are the same on every CPU. The sum over
 * k runs from the first term to the last.
 */
#include "compiler/emulation/machine.h"

#include <string.h>

enum {
    STEP_K = 16,   /* of 16-bit operands; 8 of TF32 */
    COLUMNS = 8 * TILE_PIECES,
    PANEL = 32,    /* columns that are in registers at once */
};

typedef float lanes8 __attribute__((vector_size(32), aligned(4), may_alias));

struct tile_work {
    float a[16][STEP_K];
    float b[STEP_K][COLUMNS];
    float c[16][COLUMNS];
};

static float from_pair(enum emulated_primitive primitive, rt_u32 pair, int high)
{
    rt_u16 half = (rt_u16)(high ? pair >> 16 : pair);
    return primitive == EMULATED_mma_bf16 ? from_bf16(half) : from_f16(half);
}

/* --- fragments: see mma.cuh for what a lane holds --- */

static void take_b(struct tile_work *work, enum emulated_primitive primitive,
                   struct emulated_tile *const *lanes, int nt)
{
    for (int lane = 0; lane < LANES; lane++) {
        int g = lane / 4, t = lane % 4;
        for (int n = 0; n < nt; n++) {
            const rt_u32 *words = lanes[lane]->b + n * 2;
            float(*b)[COLUMNS] = work->b;
            int column = n * 8 + g;
            if (primitive == EMULATED_mma_tf32) {
                b[t][column] = f32_of_bits(words[0]);
                b[t + 4][column] = f32_of_bits(words[1]);
                continue;
            }
            for (int half = 0; half < 2; half++) {
                b[2 * t + half][column] = from_pair(primitive, words[0], half);
                b[2 * t + 8 + half][column] = from_pair(primitive, words[1], half);
            }
        }
    }
}

static void take_a(struct tile_work *work, enum emulated_primitive primitive,
                   struct emulated_tile *const *lanes, int m)
{
    for (int lane = 0; lane < LANES; lane++) {
        int g = lane / 4, t = lane % 4;
        const rt_u32 *words = lanes[lane]->a + m * 4;
        for (int i = 0; i < 4; i++) {
            float *row = work->a[g + i % 2 * 8];
            if (primitive == EMULATED_mma_tf32) {
                row[t + i / 2 * 4] = f32_of_bits(words[i]);
                continue;
            }
            for (int half = 0; half < 2; half++)
                row[2 * t + i / 2 * 8 + half] = from_pair(primitive, words[i], half);
        }
    }
}

static void take_c(struct tile_work *work, struct emulated_tile *const *lanes, int m, int nt)
{
    for (int lane = 0; lane < LANES; lane++) {
        const float *c = lanes[lane]->c + (size_t)m * (size_t)nt * 4;
        for (int n = 0; n < nt; n++, c += 4) {
            memcpy(&work->c[lane / 4][n * 8 + lane % 4 * 2], c, 2 * sizeof *c);
            memcpy(&work->c[lane / 4 + 8][n * 8 + lane % 4 * 2], c + 2, 2 * sizeof *c);
        }
    }
}

static void give_c(const struct tile_work *work, struct emulated_tile *const *lanes, int m, int nt)
{
    for (int lane = 0; lane < LANES; lane++) {
        float *c = lanes[lane]->c + (size_t)m * (size_t)nt * 4;
        for (int n = 0; n < nt; n++, c += 4) {
            memcpy(c, &work->c[lane / 4][n * 8 + lane % 4 * 2], 2 * sizeof *c);
            memcpy(c + 2, &work->c[lane / 4 + 8][n * 8 + lane % 4 * 2], 2 * sizeof *c);
        }
    }
}

/* --- arithmetic --- */

/* Two rows by one panel. */
static inline __attribute__((always_inline)) void multiply_rows(struct tile_work *work, int row,
                                                                int column, int k_count)
{
    lanes8 *c0 = (lanes8 *)(void *)&work->c[row][column];
    lanes8 *c1 = (lanes8 *)(void *)&work->c[row + 1][column];
    lanes8 s00 = c0[0], s01 = c0[1], s02 = c0[2], s03 = c0[3];
    lanes8 s10 = c1[0], s11 = c1[1], s12 = c1[2], s13 = c1[3];
    for (int k = 0; k < k_count; k++) {
        const lanes8 *b = (const lanes8 *)(const void *)&work->b[k][column];
        float a0 = work->a[row][k], a1 = work->a[row + 1][k];
        s00 += a0 * b[0];
        s01 += a0 * b[1];
        s02 += a0 * b[2];
        s03 += a0 * b[3];
        s10 += a1 * b[0];
        s11 += a1 * b[1];
        s12 += a1 * b[2];
        s13 += a1 * b[3];
    }
    c0[0] = s00, c0[1] = s01, c0[2] = s02, c0[3] = s03;
    c1[0] = s10, c1[1] = s11, c1[2] = s12, c1[3] = s13;
}

/* Two rows by 8 columns. */
static inline __attribute__((always_inline)) void multiply_narrow(struct tile_work *work, int row,
                                                                  int column, int k_count)
{
    lanes8 *c0 = (lanes8 *)(void *)&work->c[row][column];
    lanes8 *c1 = (lanes8 *)(void *)&work->c[row + 1][column];
    lanes8 s0 = *c0, s1 = *c1;
    for (int k = 0; k < k_count; k++) {
        lanes8 b = *(const lanes8 *)(const void *)&work->b[k][column];
        s0 += work->a[row][k] * b;
        s1 += work->a[row + 1][k] * b;
    }
    *c0 = s0;
    *c1 = s1;
}

static inline __attribute__((always_inline)) void multiply_all(struct tile_work *work,
                                                               int columns, int k_count)
{
    for (int row = 0; row < 16; row += 2) {
        int column = 0;
        for (; column + PANEL <= columns; column += PANEL)
            multiply_rows(work, row, column, k_count);
        for (; column < columns; column += 8)
            multiply_narrow(work, row, column, k_count);
    }
}

static void multiply_plain(struct tile_work *work, int columns, int k_count)
{
    multiply_all(work, columns, k_count);
}

#ifdef __x86_64__
__attribute__((target("avx2,fma"))) static void multiply_avx2(struct tile_work *work, int columns,
                                                              int k_count)
{
    multiply_all(work, columns, k_count);
}

static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
#else
#define multiply_avx2 multiply_plain

static bool has_avx2(void)
{
    return false;
}
#endif

/* The hardware drops the low 13 bits of TF32 operands. */
static rt_u32 truncate(float *numbers, size_t count)
{
    rt_u32 dropped = 0;
    for (size_t i = 0; i < count; i++) {
        rt_u32 bits = bits_of_f32(numbers[i]);
        dropped |= bits & 0x1fff;
        numbers[i] = f32_of_bits(bits & ~0x1fffu);
    }
    return dropped;
}

bool tile_multiply(enum emulated_primitive primitive, void *const *given)
{
    static _Thread_local struct tile_work work;
    struct emulated_tile *const *lanes = (struct emulated_tile *const *)(const void *)given;
    bool narrow = primitive != EMULATED_mma_tf32, fast = has_avx2();
    int mt = lanes[0]->mt, nt = lanes[0]->nt, k_count = narrow ? 16 : 8;
    rt_u32 dropped = 0;
    take_b(&work, primitive, lanes, nt);
    for (int k = 0; !narrow && k < k_count; k++)
        dropped |= truncate(work.b[k], (size_t)nt * 8);
    for (int m = 0; m < mt; m++) {
        take_a(&work, primitive, lanes, m);
        for (int row = 0; !narrow && row < 16; row++)
            dropped |= truncate(work.a[row], 8);
        take_c(&work, lanes, m, nt);
        (fast ? multiply_avx2 : multiply_plain)(&work, nt * 8, k_count);
        give_c(&work, lanes, m, nt);
    }
    return dropped != 0;
}
