/* counter_left: more blocks are expected than there are */
/* 4 blocks of 64 threads, 0 bytes */
ARGUMENTS(bad)
{
    (void)x, (void)workspace;
    if (publish_last(counters, 5))
        store_f32(y + thread_index(), 1);
}

ARGUMENTS(good)
{
    (void)x, (void)workspace;
    if (publish_last(counters, 4))
        store_f32(y + thread_index(), 1);
}
