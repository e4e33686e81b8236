/* race: lanes exchange through shared memory without a barrier of the warp */
/* 1 blocks of 32 threads, 128 bytes */
#define EXCHANGE(barrier)                                                                          \
    shared_t row = shared_window();                                                                \
    (void)workspace, (void)counters;                                                               \
    shared_store_f32(row + (shared_t)lane_index() * 4, 0);                                         \
    warp_barrier();                                                                                \
    shared_store_f32(row + (shared_t)lane_index() * 4, load_f32(x + lane_index()));                \
    barrier;                                                                                       \
    store_f32(y + lane_index(), shared_load_f32(row + (shared_t)(lane_index() ^ 5) * 4));
ARGUMENTS(bad)
{
    EXCHANGE((void)0)
}

ARGUMENTS(good)
{
    EXCHANGE(warp_barrier())
}
