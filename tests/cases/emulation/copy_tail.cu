/* out_of_bounds: the tail of the last row is copied whole */
/* 1 blocks of 64 threads, 1024 bytes */
#define TAIL(valid)                                                                                \
    shared_t at = shared_window() + (shared_t)thread_index() * 16;                                 \
    int first = 4096 - 253 + 1 + thread_index() * 4;                                               \
    int left = 4096 - first;                                                                       \
    (void)workspace, (void)counters, (void)left;                                                   \
    copy_async4(at, x + first, valid);                                                             \
    copy_async_commit();                                                                           \
    copy_async_wait(0);                                                                            \
    store_f32(y + thread_index(), shared_load_f32(at));
ARGUMENTS(bad)
{
    TAIL(4)
}

ARGUMENTS(good)
{
    TAIL(left > 0 ? 4 : 0)
}
