/*
 * Asynchronous copies from global to shared memory. The copies that a thread has issued since
 * its last commit are a group; a thread waits for its own groups, and another thread may read
 * what was copied only after a barrier that follows the wait. 16-byte copies go around L1.
 */
#ifndef SINTER_CUDA_COPY
#define SINTER_CUDA_COPY
#include "core.cuh"

#ifdef SINTER_EMULATED

/* Copies valid_bytes (0 to 16, 8 or 4), and fills the rest of the bytes with zeros. Only the
 * valid bytes are read. Both addresses are multiples of the size. */
#define copy_async16(to, from, valid_bytes)                                                        \
    emulated_self()->calls->copy(__LINE__, to, from, 16, valid_bytes)
#define copy_async8(to, from, valid_bytes)                                                         \
    emulated_self()->calls->copy(__LINE__, to, from, 8, valid_bytes)
#define copy_async4(to, from, valid_bytes)                                                         \
    emulated_self()->calls->copy(__LINE__, to, from, 4, valid_bytes)
#define copy_async_commit() emulated_self()->calls->copy_commit(__LINE__)
#define copy_async_wait(pending) emulated_self()->calls->copy_wait(__LINE__, pending)

#else

DEVICE void copy_async16(shared_t to, const void *from, int valid_bytes)
{
    asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(to), "l"(from),
                 "r"(valid_bytes)
                 : "memory");
}

DEVICE void copy_async8(shared_t to, const void *from, int valid_bytes)
{
    asm volatile("cp.async.ca.shared.global [%0], [%1], 8, %2;" ::"r"(to), "l"(from),
                 "r"(valid_bytes)
                 : "memory");
}

DEVICE void copy_async4(shared_t to, const void *from, int valid_bytes)
{
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(to), "l"(from),
                 "r"(valid_bytes)
                 : "memory");
}

DEVICE void copy_async_commit()
{
    asm volatile("cp.async.commit_group;" ::: "memory");
}

/* Waits until at most the `pending` youngest groups of this thread are unfinished. A literal. */
#define copy_async_wait(pending) asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory")

#endif
#endif
