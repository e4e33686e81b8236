/* endless: a loop whose condition, without any primitive, always holds */
/* 1 blocks of 64 threads, 0 bytes */
ARGUMENTS(bad)
{
    rt_u32 number = (rt_u32)thread_index() + 1, all = 0;
    (void)workspace, (void)counters;
    NO_UNROLL
    while (number != 0) {
        number = (rt_u32)((rt_u64)number * 48271 % 2147483647);
        all ^= number;
    }
    store_f32(y + thread_index(), load_f32(x + thread_index()) + (float)all);
}

ARGUMENTS(good)
{
    rt_u32 number = (rt_u32)thread_index() + 1, all = 0;
    (void)workspace, (void)counters;
    NO_UNROLL
    for (int i = 0; i < 1000; i++) {
        number = (rt_u32)((rt_u64)number * 48271 % 2147483647);
        all ^= number;
    }
    store_f32(y + thread_index(), load_f32(x + thread_index()) + (float)all);
}
