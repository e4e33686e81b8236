/* race: a shuffle stands where a barrier of the warp must: it orders no memory */
/* 1 blocks of 32 threads, 128 bytes */
#define EXCHANGE(between)                                                                          \
    shared_t row = shared_window();                                                                \
    (void)workspace, (void)counters;                                                               \
    float number = load_f32(x + lane_index());                                                     \
    shared_store_f32(row + (shared_t)lane_index() * 4, number);                                    \
    between;                                                                                       \
    store_f32(y + lane_index(), number + shared_load_f32(row + (shared_t)(lane_index() ^ 5) * 4));
ARGUMENTS(bad)
{
    EXCHANGE(number = shuffle_xor_f32(number, 1))
}

ARGUMENTS(good)
{
    EXCHANGE(number = shuffle_xor_f32(number, 1); warp_barrier())
}
