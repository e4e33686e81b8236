/* The thread pool: every tile once, whatever the numbers of tiles and threads; sleeping threads
 * wake; kernels get the stack that they were promised. */
#include "runtime/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_TILES = 1000 };

static _Atomic int visits[MOST_TILES];

static void count_kernel(void *const *operands, rt_i64 begin, rt_i64 end)
{
    const rt_i64 *tiles = operands[0];
    assert_true(begin < end && begin >= 0 && end <= *tiles);
    for (rt_i64 i = begin; i < end; i++)
        atomic_fetch_add(&visits[i], 1);
}

static void check_run(struct rt_pool *pool, rt_i64 tiles)
{
    void *operands[] = {&tiles};
    for (rt_i64 i = 0; i < MOST_TILES; i++)
        visits[i] = 0;
    rt_pool_run(pool, count_kernel, operands, tiles);
    for (rt_i64 i = 0; i < MOST_TILES; i++)
        assert_int_equal(visits[i], i < tiles);
}

static void test_tiles(void **state)
{
    (void)state;
    for (int foreign = 0; foreign <= 1; foreign++)
        for (int threads = 1; threads <= 5; threads += 2) {
            struct rt_pool *pool;
            assert_int_equal(rt_pool_open(&pool, threads, !foreign), 0);
            assert_int_equal(rt_pool_threads(pool), threads);
            for (rt_i64 tiles = 0; tiles <= 200; tiles++)
                check_run(pool, tiles);
            check_run(pool, MOST_TILES);
            rt_pool_close(pool);
        }
}

static void test_sleepers(void **state)
{
    struct rt_pool *pool;
    (void)state;
    assert_int_equal(rt_pool_open(&pool, 3, true), 0);
    for (int i = 0; i < 60; i++) {
        if (i % 3 == 0)
            usleep(3000); /* longer than any thread spins */
        check_run(pool, 1 + i * 7 % 50);
    }
    rt_pool_close(pool);
    for (int i = 0; i < 30; i++) { /* opened and closed at once: nobody is left behind */
        assert_int_equal(rt_pool_open(&pool, 4, i % 2), 0);
        if (i % 3 == 0)
            check_run(pool, 9);
        rt_pool_close(pool);
    }
}

static void add_kernel(void *const *operands, rt_i64 begin, rt_i64 end)
{
    _Atomic rt_i64 *sum = operands[0];
    atomic_fetch_add(sum, end - begin);
}

static void test_many_jobs(void **state)
{
    struct rt_pool *pool;
    _Atomic rt_i64 sum = 0;
    void *operands[] = {&sum};
    rt_i64 wanted = 0;
    (void)state;
    assert_int_equal(rt_pool_open(&pool, 2, true), 0);
    for (rt_i64 i = 0; i < 50000; i++) {
        rt_pool_run(pool, add_kernel, operands, i % 40);
        wanted += i % 40;
    }
    assert_int_equal(sum, wanted);
    rt_pool_close(pool);
}

static void stack_kernel(void *const *operands, rt_i64 begin, rt_i64 end)
{
    volatile char large[RT_KERNEL_STACK - (16 << 10)];
    (void)operands;
    for (rt_i64 i = begin; i < end; i++)
        for (size_t k = 0; k < sizeof large; k += 4096)
            large[k] = (char)i;
}

static void *run_on_small_stack(void *pool)
{
    rt_pool_run(pool, stack_kernel, NULL, 16);
    return NULL;
}

static void test_stack(void **state)
{
    struct rt_pool *pool;
    pthread_attr_t attributes;
    pthread_t caller;
    (void)state;
    assert_int_equal(rt_pool_open(&pool, 3, true), 0);
    rt_pool_run(pool, stack_kernel, NULL, 16);
    rt_pool_close(pool);
    assert_int_equal(rt_pool_open(&pool, 2, false), 0);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 64 << 10);
    assert_int_equal(pthread_create(&caller, &attributes, run_on_small_stack, pool), 0);
    pthread_join(caller, NULL);
    rt_pool_close(pool);
}

static void test_cpus(void **state)
{
    cpu_set_t before, one;
    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    assert_int_equal(rt_pool_cpus(), CPU_COUNT(&before));
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; cpu++)
        if (CPU_ISSET(cpu, &before))
            CPU_SET(cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(rt_pool_cpus(), 1);
    sched_setaffinity(0, sizeof before, &before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tiles), cmocka_unit_test(test_sleepers),
        cmocka_unit_test(test_many_jobs), cmocka_unit_test(test_stack),
        cmocka_unit_test(test_cpus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
