/* copy_pending: the wait leaves the group unfinished that is read next */
/* 1 blocks of 64 threads, 3072 bytes */
#define FETCH(step)                                                                                \
    do {                                                                                           \
        if ((step) < 6)                                                                            \
            copy_async16(shared_window() + (shared_t)((step) % 3 * 1024 + thread_index() * 16),    \
                         x + (step) * 256 + thread_index() * 4, 16);                               \
        copy_async_commit();                                                                       \
    } while (0)
#define PIPELINE(pending)                                                                          \
    float sum = 0;                                                                                 \
    (void)workspace, (void)counters;                                                               \
    FETCH(0);                                                                                      \
    FETCH(1);                                                                                      \
    NO_UNROLL                                                                                      \
    for (int step = 0; step < 6; step++) {                                                         \
        copy_async_wait(pending);                                                                  \
        block_barrier();                                                                           \
        FETCH(step + 2);                                                                           \
        sum += shared_load_f32(shared_window() +                                                   \
                               (shared_t)(step % 3 * 1024 + (thread_index() + 32) % 64 * 16));     \
    }                                                                                              \
    store_f32(y + thread_index(), sum);
ARGUMENTS(bad)
{
    PIPELINE(2)
}

ARGUMENTS(good)
{
    PIPELINE(1)
}
