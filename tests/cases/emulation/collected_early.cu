/* unpublished: the second block collects without having counted */
/* 2 blocks of 64 threads, 0 bytes */
ARGUMENTS(bad)
{
    (void)workspace, (void)counters;
    publish_f32(y + 1024 + block_index() * 64 + thread_index(), load_f32(x + thread_index()));
    if (block_index() == 1)
        store_f32(y + thread_index(), collect_f32(y + 1024 + thread_index()));
    else
        store_f32(y + 64 + thread_index(), collect_f32(y + 1024 + 64 + thread_index()));
}

ARGUMENTS(good)
{
    (void)workspace;
    publish_f32(y + 1024 + block_index() * 64 + thread_index(), load_f32(x + thread_index()));
    if (publish_last(counters, 2)) {
        store_f32(y + thread_index(), collect_f32(y + 1024 + thread_index()));
        store_f32(y + 64 + thread_index(), collect_f32(y + 1024 + 64 + thread_index()));
    }
}
