/* shared_limit: a block asks for more shared memory than there is */
/* 1 blocks of 32 threads, 169984 bytes, good with 512 */
ARGUMENTS(bad)
{
    (void)x, (void)workspace, (void)counters;
    store_f32(y + thread_index(), 1);
}

ARGUMENTS(good)
{
    (void)x, (void)workspace, (void)counters;
    store_f32(y + thread_index(), 1);
}
