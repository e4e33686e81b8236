/* double_arrival: a block counts twice */
/* 4 blocks of 64 threads, 0 bytes */
ARGUMENTS(bad)
{
    (void)x, (void)workspace;
    int last = publish_last(counters, 8);
    last |= publish_last(counters, 8);
    if (last)
        store_f32(y + thread_index(), 1);
}

ARGUMENTS(good)
{
    (void)x, (void)workspace;
    int last = publish_last(counters, 4);
    last |= publish_last(counters + 1, 4);
    if (last)
        store_f32(y + thread_index(), 1);
}
