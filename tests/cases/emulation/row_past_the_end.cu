/* out_of_bounds: the last block reads rows that are not there */
/* 3 blocks of 64 threads, 0 bytes */
#define ROWS 33
ARGUMENTS(bad)
{
    int row = block_index() * 16 + thread_index() / 4, column = thread_index() % 4;
    (void)workspace, (void)counters;
    float value = load_f32(x + 4096 - ROWS * 4 + row * 4 + column);
    if (row < ROWS)
        store_f32(y + row * 4 + column, value);
}

ARGUMENTS(good)
{
    int row = block_index() * 16 + thread_index() / 4, column = thread_index() % 4;
    (void)workspace, (void)counters;
    if (row < ROWS)
        store_f32(y + row * 4 + column, load_f32(x + 4096 - ROWS * 4 + row * 4 + column));
}
