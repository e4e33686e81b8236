/* unpublished: partial sums are stored plainly before the count, without the fence */
/* 4 blocks of 64 threads, 0 bytes */
#define PARTS(store)                                                                               \
    g_f32 *parts = y + 1024;                                                                       \
    store(parts + block_index() * 64 + thread_index(),                                             \
          load_f32(x + block_index() * 64 + thread_index()));                                      \
    (void)workspace;                                                                               \
    if (publish_last(counters, 4)) {                                                               \
        float sum = 0;                                                                             \
        NO_UNROLL                                                                                  \
        for (int i = 0; i < 4; i++)                                                                \
            sum += collect_f32(parts + i * 64 + thread_index());                                   \
        store_f32(y + thread_index(), sum);                                                        \
    }
ARGUMENTS(bad)
{
    PARTS(store_f32)
}

ARGUMENTS(good)
{
    PARTS(publish_f32)
}
