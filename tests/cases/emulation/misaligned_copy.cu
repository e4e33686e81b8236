/* misaligned: rows of 9 elements are copied by 16 bytes */
/* 1 blocks of 64 threads, 4096 bytes */
#define ROWS(pitch)                                                                                \
    shared_t at = shared_window() + (shared_t)thread_index() * 16;                                 \
    (void)workspace, (void)counters;                                                               \
    copy_async16(at, x + thread_index() * pitch, 16);                                              \
    copy_async_commit();                                                                           \
    copy_async_wait(0);                                                                            \
    store_f32x4(y + thread_index() * 4, shared_load_f32x4(at));
ARGUMENTS(bad)
{
    ROWS(9)
}

ARGUMENTS(good)
{
    ROWS(12)
}
