/* divergence: the halves of a warp shuffle in different places */
/* 1 blocks of 32 threads, 0 bytes */
ARGUMENTS(bad)
{
    float value = load_f32(x + thread_index());
    (void)workspace, (void)counters;
    if (lane_index() < 16)
        value = shuffle_xor_f32(value, 1);
    else
        value = shuffle_xor_f32(value, 2);
    store_f32(y + thread_index(), value);
}

ARGUMENTS(good)
{
    float value = load_f32(x + thread_index());
    (void)workspace, (void)counters;
    value = shuffle_xor_f32(value, lane_index() < 16 ? 1 : 2);
    store_f32(y + thread_index(), value);
}
