/* unwritten: what other threads will store is read without a barrier */
/* 1 blocks of 64 threads, 256 bytes */
#define TURN(barrier)                                                                              \
    shared_t row = shared_window();                                                                \
    (void)workspace, (void)counters;                                                               \
    shared_store_f32(row + (shared_t)thread_index() * 4, load_f32(x + thread_index()));            \
    barrier;                                                                                       \
    store_f32(y + thread_index(), shared_load_f32(row + (shared_t)(63 - thread_index()) * 4));
ARGUMENTS(bad)
{
    TURN((void)0)
}

ARGUMENTS(good)
{
    TURN(block_barrier())
}
