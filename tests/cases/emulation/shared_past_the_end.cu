/* out_of_bounds: a row more of shared memory than the launch gives */
/* 1 blocks of 64 threads, 256 bytes */
ARGUMENTS(bad)
{
    (void)x, (void)y, (void)workspace, (void)counters;
    shared_store_f32(shared_window() + (shared_t)(thread_index() + 1) * 4, 1);
}

ARGUMENTS(good)
{
    (void)x, (void)y, (void)workspace, (void)counters;
    shared_store_f32(shared_window() + (shared_t)thread_index() * 4, 1);
}
