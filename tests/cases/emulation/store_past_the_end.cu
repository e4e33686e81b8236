/* out_of_bounds: the last vector is stored whole where the row has a tail */
/* 1 blocks of 64 threads, 0 bytes */
ARGUMENTS(bad)
{
    (void)workspace, (void)counters;
    store_f32x4(y + 4096 - 252 + thread_index() * 4, load_f32x4(x + thread_index() * 4));
}

ARGUMENTS(good)
{
    (void)workspace, (void)counters;
    if (thread_index() < 63)
        store_f32x4(y + 4096 - 252 + thread_index() * 4, load_f32x4(x + thread_index() * 4));
}
