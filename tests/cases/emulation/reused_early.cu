/* block_race: a workspace is used again while a block that is not counted yet may read it */
/* 4 blocks of 64 threads, 0 bytes */
#define STAGES(early)                                                                              \
    int pair = block_index() / 2, thread = thread_index(), next = (1 - pair) * 128;                \
    publish_f32(workspace + block_index() * 64 + thread, load_f32(x + thread));                    \
    if (!publish_last(counters + pair, 2))                                                         \
        return;                                                                                    \
    float sum = collect_f32(workspace + pair * 128 + thread) +                                     \
                collect_f32(workspace + pair * 128 + 64 + thread);                                 \
    publish_f32(workspace + 256 + pair * 64 + thread, sum);                                        \
    if (early)                                                                                     \
        publish_f32(workspace + next + thread, sum);                                               \
    if (!publish_last(counters + 2, 2))                                                            \
        return;                                                                                    \
    sum = collect_f32(workspace + 256 + thread) + collect_f32(workspace + 320 + thread);           \
    publish_f32(workspace + thread, sum);                                                          \
    publish_last(counters + 3, 1);                                                                 \
    store_f32(y + thread, collect_f32(workspace + thread));
ARGUMENTS(bad)
{
    STAGES(1)
}

ARGUMENTS(good)
{
    STAGES(0)
}
