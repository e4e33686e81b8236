/* block_race: a row is updated in place while another block reads it */
/* 4 blocks of 64 threads, 0 bytes */
ARGUMENTS(bad)
{
    int row = block_index(), column = thread_index();
    g_f32 *at = workspace + row * 64 + column;
    (void)x, (void)y, (void)counters;
    store_f32(at, load_f32(at) + load_f32(workspace + (row + 1) % 4 * 64 + column));
}

ARGUMENTS(good)
{
    int row = block_index(), column = thread_index();
    const g_f32 *at = workspace + row * 64 + column;
    (void)x, (void)counters;
    store_f32(y + row * 64 + column,
              load_f32(at) + load_f32(workspace + (row + 1) % 4 * 64 + column));
}
