/* unpublished: parts are collected that were counted on another counter */
/* 4 blocks of 64 threads, 0 bytes */
#define PAIRS(other)                                                                               \
    int pair = block_index() / 2;                                                                  \
    g_f32 *parts = y + 1024;                                                                       \
    (void)workspace;                                                                               \
    publish_f32(parts + block_index() * 64 + thread_index(), load_f32(x + thread_index()));        \
    if (publish_last(counters + pair, 2))                                                          \
        store_f32(y + pair * 64 + thread_index(),                                                  \
                  collect_f32(parts + (other) * 64 + thread_index()));
ARGUMENTS(bad)
{
    PAIRS((pair + 1) % 2 * 2)
}

ARGUMENTS(good)
{
    PAIRS(pair * 2)
}
