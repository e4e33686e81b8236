/* race or copy_pending: the next stage is fetched before the barrier behind which nobody reads it any more */
/* 1 blocks of 64 threads, 2048 bytes */
#define FETCH(step)                                                                                \
    do {                                                                                           \
        if ((step) < 6)                                                                            \
            copy_async16(shared_window() + (shared_t)((step) % 2 * 1024 + thread_index() * 16),    \
                         x + (step) * 256 + thread_index() * 4, 16);                               \
        copy_async_commit();                                                                       \
    } while (0)
#define READ(step)                                                                                 \
    sum += shared_load_f32(shared_window() +                                                       \
                           (shared_t)((step) % 2 * 1024 + (thread_index() + 32) % 64 * 16))
ARGUMENTS(bad)
{
    float sum = 0;
    (void)workspace, (void)counters;
    FETCH(0);
    NO_UNROLL
    for (int step = 0; step < 6; step++) {
        FETCH(step + 1);
        copy_async_wait(1);
        block_barrier();
        READ(step);
    }
    store_f32(y + thread_index(), sum);
}

ARGUMENTS(good)
{
    float sum = 0;
    (void)workspace, (void)counters;
    FETCH(0);
    NO_UNROLL
    for (int step = 0; step < 6; step++) {
        copy_async_wait(0);
        block_barrier();
        FETCH(step + 1);
        READ(step);
    }
    store_f32(y + thread_index(), sum);
}
