/* deadlock: warps wait for all others at barriers that differ */
/* 1 blocks of 1024 threads, 0 bytes */
ARGUMENTS(bad)
{
    (void)workspace, (void)counters;
    int pair = warp_index() % 4;
    if (pair == 0)
        named_barrier(1, 1024);
    else
        named_barrier(1 + pair, 1024);
    store_f32(y + thread_index(), load_f32(x + thread_index()));
}

ARGUMENTS(good)
{
    (void)workspace, (void)counters;
    named_barrier(1, 1024);
    store_f32(y + thread_index(), load_f32(x + thread_index()));
}
