/* bank_conflict: rows of 128 bytes lie in the same banks */
/* 1 blocks of 32 threads, 4096 bytes */
#define TILE(chunk)                                                                                \
    rt_u32 r[4];                                                                                   \
    (void)workspace, (void)counters;                                                               \
    NO_UNROLL                                                                                      \
    for (int i = 0; i < 8; i++) {                                                                  \
        int row = i * 4 + lane_index() / 8, column = lane_index() % 8;                             \
        copy_async16(shared_window() + (shared_t)(row * 128 + chunk(column, row) * 16),            \
                     x + row * 32 + column * 4, 16);                                               \
    }                                                                                              \
    copy_async_commit();                                                                           \
    copy_async_wait(0);                                                                            \
    block_barrier();                                                                               \
    int row = lane_index() % 16;                                                                   \
    ldmatrix_x4(r, shared_window() + (shared_t)(row * 128 + chunk(lane_index() / 16, row) * 16));  \
    UNROLL                                                                                         \
    for (int i = 0; i < 4; i++)                                                                    \
        store_f32(y + lane_index() * 4 + i, f32_of_bits(r[i] & 0xffff0000));
#define STRAIGHT(column, row) (column)
#define SWIZZLED(column, row) ((column) ^ ((row) & 7))
ARGUMENTS(bad)
{
    TILE(STRAIGHT)
}

ARGUMENTS(good)
{
    TILE(SWIZZLED)
}
