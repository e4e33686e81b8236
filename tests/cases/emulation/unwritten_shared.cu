/* unwritten: the padding of rows is read, which nothing fills */
/* 1 blocks of 32 threads, 640 bytes */
#define SUM(columns)                                                                               \
    shared_t row = shared_window() + (shared_t)thread_index() * 20;                                \
    float sum = 0;                                                                                 \
    (void)workspace, (void)counters;                                                               \
    UNROLL                                                                                         \
    for (int i = 0; i < 4; i++)                                                                    \
        shared_store_f32(row + (shared_t)i * 4, load_f32(x + thread_index() * 4 + i));             \
    block_barrier();                                                                               \
    UNROLL                                                                                         \
    for (int i = 0; i < columns; i++)                                                              \
        sum += shared_load_f32(row + (shared_t)i * 4);                                             \
    store_f32(y + thread_index(), sum);
ARGUMENTS(bad)
{
    SUM(5)
}

ARGUMENTS(good)
{
    SUM(4)
}
