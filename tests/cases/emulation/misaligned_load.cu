/* misaligned: a vector load begins one element late */
/* 1 blocks of 64 threads, 0 bytes */
ARGUMENTS(bad)
{
    (void)workspace, (void)counters;
    store_f32x4(y + thread_index() * 4, load_f32x4(x + 1 + thread_index() * 4));
}

ARGUMENTS(good)
{
    (void)workspace, (void)counters;
    store_f32x4(y + thread_index() * 4, load_f32x4(x + 4 + thread_index() * 4));
}
