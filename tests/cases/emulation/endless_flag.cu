/* endless: a block waits for a flag that another block would set after it */
/* 2 blocks of 64 threads, 0 bytes */
ARGUMENTS(bad)
{
    (void)workspace;
    if (thread_index() == 0) {
        store_i32(counters + 8 * block_index(), 1);
        NO_UNROLL
        while (load_i32(counters + 8 * (1 - block_index())) == 0) {
        }
    }
    block_barrier();
    store_f32(y + block_index() * 64 + thread_index(), load_f32(x + thread_index()));
}

ARGUMENTS(good)
{
    (void)workspace;
    publish_f32(y + 1024 + block_index() * 64 + thread_index(), load_f32(x + thread_index()));
    if (publish_last(counters, 2))
        for (int i = 0; i < 2; i++)
            store_f32(y + i * 64 + thread_index(),
                      collect_f32(y + 1024 + i * 64 + thread_index()));
}
