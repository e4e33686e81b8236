/* unwritten: global scratch is added to before anything has set it */
/* 1 blocks of 64 threads, 0 bytes */
ARGUMENTS(bad)
{
    (void)workspace, (void)counters;
    g_f32 *at = y + thread_index();
    store_f32(at, load_f32(at) + load_f32(x + thread_index()));
}

ARGUMENTS(good)
{
    (void)workspace, (void)counters;
    g_f32 *at = y + thread_index();
    store_f32(at, 0);
    store_f32(at, load_f32(at) + load_f32(x + thread_index()));
}
