/* deadlock: a lane has left before a sum over the warp */
/* 1 blocks of 32 threads, 0 bytes */
ARGUMENTS(bad)
{
    (void)workspace, (void)counters;
    if (thread_index() == 31)
        return;
    store_f32(y + thread_index(), warp_sum_f32(load_f32(x + thread_index())));
}

ARGUMENTS(good)
{
    (void)workspace, (void)counters;
    float value = warp_sum_f32(load_f32(x + thread_index()));
    if (thread_index() == 31)
        return;
    store_f32(y + thread_index(), value);
}
