/*
 * The thread pool: see pool.h. A job and its generation share one cache line; every worker
 * answers on a line of its own, so that a join reads one line for each worker and no line has
 * two writers. A worker that found no job for a while registers in `sleepers` and waits on the
 * generation; the publisher wakes only if somebody sleeps (both orders are sequentially
 * consistent, so one of the two sees the other).
 *
 * A worker claims its part before it looks at the job. A part that is still unclaimed when the
 * caller has finished its own is taken over by the caller: a worker that sleeps, or that the
 * system has taken off its CPU, then delays nobody.
 */
#include "runtime/pool.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    LINE = 64,
    SPINS = 4000,          /* about 100 us: longer than what stands between two kernels */
    SPINS_BEFORE_STEAL = 50, /* about 1 us: a worker that runs has claimed by then */
    SPINS_BEFORE_YIELD = 5000,
    CHUNKS_PER_THREAD = 8, /* evens out threads that the system slowed down */
    STACK_MARGIN = 256 << 10,
};

struct worker {
    _Alignas(LINE) _Atomic rt_u32 done; /* the last generation that it finished */
    _Atomic rt_u32 claimed; /* the last generation whose part was taken, by it or the caller */
    int index;
    pthread_t thread;
    struct rt_pool *pool;
};

struct rt_pool {
    _Alignas(LINE) _Atomic rt_u32 generation;
    _Atomic bool stop;
    rt_kernel *kernel;
    void *const *operands;
    rt_i64 tiles, chunk;
    _Alignas(LINE) _Atomic rt_i64 next_chunk;
    _Alignas(LINE) _Atomic rt_u32 sleepers;
    _Alignas(LINE) int threads; /* that compute, the caller among them if it works */
    int worker_count;
    bool caller_works;
    struct worker workers[];
};

static inline void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

int rt_pool_cpus(void)
{
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    int count = sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? CPU_COUNT(&allowed) : 0;
    if (count < 1)
        count = (int)sysconf(_SC_NPROCESSORS_ONLN);
    return count < 1 ? 1 : count > RT_MAX_THREADS ? RT_MAX_THREADS : count;
}

int rt_pool_threads(const struct rt_pool *pool)
{
    return pool->threads;
}

/* The part of thread `index`: its own first chunk, then chunks as it gets free. */
static void compute(struct rt_pool *pool, int index)
{
    rt_i64 chunk = index;
    for (;;) {
        rt_i64 begin = chunk * pool->chunk;
        if (begin >= pool->tiles)
            return;
        rt_i64 end = begin + pool->chunk;
        pool->kernel(pool->operands, begin, end < pool->tiles ? end : pool->tiles);
        if (pool->threads * pool->chunk >= pool->tiles)
            return; /* nobody has a second chunk */
        chunk = atomic_fetch_add_explicit(&pool->next_chunk, 1, memory_order_relaxed);
    }
}

/* Waits until the generation differs from `seen`; spins first, then sleeps. */
static rt_u32 wait_for_job(struct rt_pool *pool, rt_u32 seen)
{
    for (int spin = 0; spin < SPINS; spin++) {
        rt_u32 now = atomic_load_explicit(&pool->generation, memory_order_acquire);
        if (now != seen)
            return now;
        relax();
    }
    atomic_fetch_add(&pool->sleepers, 1);
    rt_u32 now;
    while ((now = atomic_load(&pool->generation)) == seen)
        syscall(SYS_futex, &pool->generation, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
    atomic_fetch_sub(&pool->sleepers, 1);
    return now;
}

/* Takes a worker's part of a generation; false if that was done before. */
static bool claim(struct worker *worker, rt_u32 generation)
{
    rt_u32 last = atomic_load_explicit(&worker->claimed, memory_order_relaxed);
    while ((rt_i32)(generation - last) > 0)
        if (atomic_compare_exchange_weak(&worker->claimed, &last, generation))
            return true;
    return false;
}

static void *work(void *argument)
{
    struct worker *self = argument;
    struct rt_pool *pool = self->pool;
    rt_u32 seen = 0;
    for (;;) {
        seen = wait_for_job(pool, seen);
        if (pool->stop)
            return NULL;
        if (!claim(self, seen))
            continue;
        compute(pool, self->index);
        atomic_store_explicit(&self->done, seen, memory_order_release);
    }
}

static rt_u32 publish(struct rt_pool *pool)
{
    rt_u32 generation = atomic_load_explicit(&pool->generation, memory_order_relaxed) + 1;
    atomic_store(&pool->generation, generation);
    if (atomic_load(&pool->sleepers) > 0)
        syscall(SYS_futex, &pool->generation, FUTEX_WAKE_PRIVATE, RT_MAX_THREADS, NULL, NULL, 0);
    return generation;
}

static void join(struct rt_pool *pool, rt_u32 generation)
{
    for (int i = 0; i < pool->worker_count; i++) {
        struct worker *worker = &pool->workers[i];
        int spin = 0;
        while (atomic_load_explicit(&worker->done, memory_order_acquire) != generation) {
            relax();
            if (++spin == SPINS_BEFORE_STEAL && pool->caller_works && claim(worker, generation)) {
                compute(pool, worker->index);
                break;
            }
            if (spin >= SPINS_BEFORE_YIELD)
                sched_yield();
        }
    }
}

/* Few tiles: one contiguous part for each thread. Many: smaller chunks, taken as they come. */
static rt_i64 chunk_size(rt_i64 tiles, int threads)
{
    rt_i64 parts = tiles >= (rt_i64)threads * CHUNKS_PER_THREAD * 2
                       ? (rt_i64)threads * CHUNKS_PER_THREAD
                       : threads;
    return (tiles + parts - 1) / parts;
}

void rt_pool_run(struct rt_pool *pool, rt_kernel *kernel, void *const *operands, rt_i64 tiles)
{
    if (tiles <= 0)
        return;
    if (pool->caller_works && (tiles == 1 || pool->threads == 1)) {
        kernel(operands, 0, tiles);
        return;
    }
    pool->kernel = kernel;
    pool->operands = operands;
    pool->tiles = tiles;
    pool->chunk = chunk_size(tiles, pool->threads);
    atomic_store_explicit(&pool->next_chunk, pool->threads, memory_order_relaxed);
    rt_u32 generation = publish(pool);
    if (pool->caller_works)
        compute(pool, 0);
    join(pool, generation);
}

static rt_status start_worker(struct rt_pool *pool, int number)
{
    struct worker *worker = &pool->workers[number];
    worker->index = number + pool->caller_works;
    worker->pool = pool;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, RT_KERNEL_STACK + STACK_MARGIN);
    int error = pthread_create(&worker->thread, &attributes, work, worker);
    pthread_attr_destroy(&attributes);
    if (error)
        return rt_fail(THREAD_START, number + 1, strerror(error));
    pool->worker_count++;
    return 0;
}

rt_status rt_pool_open(struct rt_pool **result, int threads, bool caller_works)
{
    threads = threads > 0 ? threads : rt_pool_cpus();
    int workers = threads - caller_works;
    size_t size = sizeof(struct rt_pool) + (size_t)workers * sizeof(struct worker);
    struct rt_pool *pool = aligned_alloc(LINE, (size + LINE - 1) / LINE * LINE);
    *result = NULL;
    if (!pool)
        return rt_fail(OUT_OF_MEMORY, size);
    memset(pool, 0, size);
    pool->threads = threads;
    pool->caller_works = caller_works;
    rt_status status = 0;
    for (int i = 0; i < workers && !status; i++)
        status = start_worker(pool, i);
    if (status) {
        rt_pool_close(pool);
        return status;
    }
    *result = pool;
    return 0;
}

void rt_pool_close(struct rt_pool *pool)
{
    if (!pool)
        return;
    pool->stop = true;
    publish(pool);
    for (int i = 0; i < pool->worker_count; i++)
        pthread_join(pool->workers[i].thread, NULL);
    free(pool);
}
