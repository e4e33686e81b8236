/* race: cells are stored again while slower threads still read them */
/* 1 blocks of 64 threads, 256 bytes */
#define TWICE(barrier)                                                                             \
    shared_t row = shared_window();                                                                \
    (void)workspace, (void)counters;                                                               \
    shared_store_f32(row + (shared_t)thread_index() * 4, load_f32(x + thread_index()));            \
    block_barrier();                                                                               \
    float other = shared_load_f32(row + (shared_t)(63 - thread_index()) * 4);                      \
    barrier;                                                                                       \
    shared_store_f32(row + (shared_t)thread_index() * 4, other);                                   \
    block_barrier();                                                                               \
    store_f32(y + thread_index(), shared_load_f32(row + (shared_t)(thread_index() ^ 1) * 4));
ARGUMENTS(bad)
{
    TWICE((void)0)
}

ARGUMENTS(good)
{
    TWICE(block_barrier())
}
