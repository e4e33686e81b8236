/* race: the scratch of a reduction is used again before everyone has read the first result */
/* 1 blocks of 128 threads, 16 bytes */
#define SUM(value)                                                                                 \
    do {                                                                                           \
        float own = warp_sum_f32(value);                                                           \
        if (lane_index() == 0)                                                                     \
            shared_store_f32(shared_window() + (shared_t)warp_index() * 4, own);                   \
        block_barrier();                                                                           \
        total = 0;                                                                                 \
        UNROLL                                                                                     \
        for (int i = 0; i < 4; i++)                                                                \
            total += shared_load_f32(shared_window() + (shared_t)i * 4);                           \
    } while (0)
ARGUMENTS(bad)
{
    float total, first;
    (void)workspace, (void)counters;
    SUM(load_f32(x + thread_index()));
    first = total;
    SUM(load_f32(x + thread_index()) * first);
    store_f32(y + thread_index(), total);
}

ARGUMENTS(good)
{
    float total, first;
    (void)workspace, (void)counters;
    SUM(load_f32(x + thread_index()));
    first = total;
    block_barrier();
    SUM(load_f32(x + thread_index()) * first);
    store_f32(y + thread_index(), total);
}
