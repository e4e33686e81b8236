/* endless: all threads meet again and again for a number that nobody changes */
/* 1 blocks of 64 threads, 64 bytes */
ARGUMENTS(bad)
{
    (void)workspace, (void)counters;
    if (thread_index() == 0)
        shared_store_i32(shared_window(), 1);
    block_barrier();
    NO_UNROLL
    while (shared_load_i32(shared_window()) > 0)
        block_barrier();
    store_f32(y + thread_index(), load_f32(x + thread_index()));
}

ARGUMENTS(good)
{
    (void)workspace, (void)counters;
    if (thread_index() == 0)
        shared_store_i32(shared_window(), 3);
    block_barrier();
    NO_UNROLL
    while (shared_load_i32(shared_window()) > 0) {
        block_barrier();
        if (thread_index() == 0)
            shared_store_i32(shared_window(), shared_load_i32(shared_window()) - 1);
        block_barrier();
    }
    store_f32(y + thread_index(), load_f32(x + thread_index()));
}
