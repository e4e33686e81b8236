/* bad_barrier: two pairs of warps meet at one barrier, but count differently */
/* 1 blocks of 128 threads, 0 bytes */
ARGUMENTS(bad)
{
    (void)workspace, (void)counters;
    named_barrier(1, warp_index() % 2 ? 64 : 96);
    store_f32(y + thread_index(), load_f32(x + thread_index()));
}

ARGUMENTS(good)
{
    (void)workspace, (void)counters;
    named_barrier(warp_index() < 2 ? 1 : 2, 64);
    store_f32(y + thread_index(), load_f32(x + thread_index()));
}
