/*
 * The thread pool: one fork and join for each kernel of a step, so its cost bounds how small a
 * kernel may be. Threads spin shortly for the next kernel, then sleep in the kernel (futex).
 *
 * The tile grid of a kernel is fixed by the plan and every tile is computed by one thread from
 * start to end, so results do not depend on the number of threads or on who took which tile.
 */
#ifndef SINTER_POOL_H
#define SINTER_POOL_H

#include "runtime/program.h"
#include "runtime/status.h"

#include <stdbool.h>

enum { RT_MAX_THREADS = 1024 };

struct rt_pool;

/* The number of CPUs that this process may run on, at least 1. */
int rt_pool_cpus(void);

/*
 * Starts `threads` threads (0: rt_pool_cpus()), each with a stack for any kernel. If
 * `caller_works`, the thread that calls rt_pool_run is one of them: it needs RT_KERNEL_STACK
 * bytes of stack. Otherwise it only waits, so that a thread of unknown stack may call.
 */
rt_status rt_pool_open(struct rt_pool **pool, int threads, bool caller_works);

/* Ends the threads and frees the pool. NULL is allowed. */
void rt_pool_close(struct rt_pool *pool);

int rt_pool_threads(const struct rt_pool *pool);

/* Runs tiles 0..tiles-1 of the kernel and returns when all are done. One caller at a time. */
void rt_pool_run(struct rt_pool *pool, rt_kernel *kernel, void *const *operands, rt_i64 tiles);

#endif
