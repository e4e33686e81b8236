/* unrounded: an operand of a TF32 product keeps all bits of its mantissa */
/* 1 blocks of 32 threads, 0 bytes */
#define PRODUCT_OF(round)                                                                          \
    float c[4] = {0, 0, 0, 0};                                                                     \
    rt_u32 a[4], b[2];                                                                             \
    (void)workspace, (void)counters;                                                               \
    UNROLL                                                                                         \
    for (int i = 0; i < 4; i++)                                                                    \
        a[i] = bits_of_f32(round(load_f32(x + lane_index() * 4 + i) / 3));                         \
    UNROLL                                                                                         \
    for (int i = 0; i < 2; i++)                                                                    \
        b[i] = bits_of_f32(round(load_f32(x + lane_index() * 2 + i) / 3));                         \
    mma_tf32(c, a, b);                                                                             \
    UNROLL                                                                                         \
    for (int i = 0; i < 4; i++)                                                                    \
        store_f32(y + lane_index() * 4 + i, c[i]);
ARGUMENTS(bad)
{
    PRODUCT_OF(SAME)
}

ARGUMENTS(good)
{
    PRODUCT_OF(round_tf32)
}
