/* unpublished: a block counts first and publishes its part behind that */
/* 2 blocks of 64 threads, 0 bytes */
#define PART publish_f32(workspace + block_index() * 64 + thread_index(),                          \
                         2 * load_f32(x + block_index() * 64 + thread_index()))
#define SUM                                                                                        \
    store_f32(y + thread_index(), collect_f32(workspace + thread_index()) +                        \
                                      collect_f32(workspace + 64 + thread_index()))
ARGUMENTS(bad)
{
    int last = publish_last(counters, 2);
    PART;
    block_barrier();
    if (last)
        SUM;
}

ARGUMENTS(good)
{
    PART;
    if (publish_last(counters, 2))
        SUM;
}
