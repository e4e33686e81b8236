/* block_race: the tiles of two blocks overlap by a row */
/* 4 blocks of 64 threads, 0 bytes */
ARGUMENTS(bad)
{
    (void)workspace, (void)counters;
    store_f32(y + block_index() * 60 + thread_index(), load_f32(x + thread_index()));
}

ARGUMENTS(good)
{
    (void)workspace, (void)counters;
    store_f32(y + block_index() * 64 + thread_index(), load_f32(x + thread_index()));
}
