/* read_only: a kernel stores into what it may only read */
/* 1 blocks of 64 threads, 0 bytes */
ARGUMENTS(bad)
{
    (void)y, (void)workspace, (void)counters;
    store_f32((g_f32 *)(rt_u64)x + thread_index(), 1);
}

ARGUMENTS(good)
{
    (void)x, (void)workspace, (void)counters;
    store_f32(y + thread_index(), 1);
}
