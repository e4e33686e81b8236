/* deadlock: only half of the warps come to a barrier of the whole block */
/* 1 blocks of 128 threads, 0 bytes */
ARGUMENTS(bad)
{
    (void)workspace, (void)counters;
    if (warp_index() < 2)
        block_barrier();
    store_f32(y + thread_index(), load_f32(x + thread_index()));
}

ARGUMENTS(good)
{
    (void)workspace, (void)counters;
    block_barrier();
    store_f32(y + thread_index(), load_f32(x + thread_index()));
}
