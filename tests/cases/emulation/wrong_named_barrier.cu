/* race: a pair of warps exchanges rows with the other pair behind barriers of its own */
/* 1 blocks of 128 threads, 512 bytes */
#define EXCHANGE(distance)                                                                         \
    shared_t row = shared_window();                                                                \
    (void)workspace, (void)counters;                                                               \
    shared_store_f32(row + (shared_t)thread_index() * 4, 0);                                       \
    block_barrier();                                                                               \
    shared_store_f32(row + (shared_t)thread_index() * 4, load_f32(x + thread_index()));            \
    named_barrier(1 + warp_index() / 2, 64);                                                       \
    store_f32(y + thread_index(),                                                                  \
              shared_load_f32(row + (shared_t)(thread_index() ^ distance) * 4));
ARGUMENTS(bad)
{
    EXCHANGE(64)
}

ARGUMENTS(good)
{
    EXCHANGE(32)
}
