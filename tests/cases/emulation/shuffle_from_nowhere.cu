/* divergence: a lane asks for a lane that the warp does not have */
/* 1 blocks of 32 threads, 0 bytes */
ARGUMENTS(bad)
{
    (void)workspace, (void)counters;
    store_f32(y + thread_index(), shuffle_f32(load_f32(x + thread_index()), lane_index() + 1));
}

ARGUMENTS(good)
{
    (void)workspace, (void)counters;
    store_f32(y + thread_index(),
              shuffle_f32(load_f32(x + thread_index()), (lane_index() + 1) % 32));
}
