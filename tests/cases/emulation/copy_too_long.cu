/* bad_copy: a negative tail */
/* 1 blocks of 64 threads, 1024 bytes */
#define TAIL(valid)                                                                                \
    shared_t at = shared_window() + (shared_t)thread_index() * 16;                                 \
    int left = 200 - thread_index() * 4;                                                           \
    (void)workspace, (void)counters;                                                               \
    copy_async16(at, x + thread_index() * 4, valid);                                               \
    copy_async_commit();                                                                           \
    copy_async_wait(0);                                                                            \
    store_f32(y + thread_index(), shared_load_f32(at));
ARGUMENTS(bad)
{
    TAIL(left < 4 ? left * 4 : 16)
}

ARGUMENTS(good)
{
    TAIL(left < 4 ? (left < 0 ? 0 : left * 4) : 16)
}
