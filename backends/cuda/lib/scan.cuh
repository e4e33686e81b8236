/* Running sums over the threads of a block, in the order of their numbers. */
#ifndef SINTER_CUDA_SCAN
#define SINTER_CUDA_SCAN
#include "memory.cuh"

DEVICE void shared_put_f64(shared_t to, double value)
{
    shared_store_f64(to, value);
}

DEVICE double shared_get_f64(shared_t from)
{
    return shared_load_f64(from);
}

DEVICE void shared_put_i64(shared_t to, rt_i64 value)
{
    shared_store_u32(to, (rt_u32)value);
    shared_store_u32(to + 4, (rt_u32)((rt_u64)value >> 32));
}

DEVICE rt_i64 shared_get_i64(shared_t from)
{
    return (rt_i64)((rt_u64)shared_load_u32(from + 4) << 32 | shared_load_u32(from));
}

/*
 * The sum of `own` of all threads below this one, and of all threads. `window` holds threads + 32
 * numbers of 8 bytes; threads is a multiple of 32. All threads of the block call it.
 */
#define SCAN(name, type)                                                                           \
    DEVICE type scan_##name(shared_t window, type own, int threads, type *out_total)               \
    {                                                                                              \
        int each = threads / 32, thread = thread_index(), group = thread / each;                   \
        type sum = 0, before = 0, total = 0;                                                       \
        block_barrier();                                                                           \
        shared_put_##name(window + thread * 8, own);                                               \
        block_barrier();                                                                           \
        if (thread < 32) {                                                                         \
            NO_UNROLL                                                                              \
            for (int i = thread * each; i < (thread + 1) * each; i++)                              \
                sum += shared_get_##name(window + i * 8);                                          \
            shared_put_##name(window + (threads + thread) * 8, sum);                               \
        }                                                                                          \
        block_barrier();                                                                           \
        NO_UNROLL                                                                                  \
        for (int i = 0; i < 32; i++) {                                                             \
            if (i == group)                                                                        \
                before = total;                                                                    \
            total += shared_get_##name(window + (threads + i) * 8);                                \
        }                                                                                          \
        NO_UNROLL                                                                                  \
        for (int i = group * each; i < thread; i++)                                                \
            before += shared_get_##name(window + i * 8);                                           \
        *out_total = total;                                                                        \
        return before;                                                                             \
    }
SCAN(f64, double)
SCAN(i64, rt_i64)
#undef SCAN

#endif
