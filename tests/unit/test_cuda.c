/*
 * The CUDA device on a driver library without a GPU: the order of driver calls, memory, times, and
 * that failures of every call leave nothing behind.
 */
#include "runtime/cuda.h"
#include "runtime/cuda_device.h"
#include "runtime/process.h"
#include "tests/unit/device_toy.h"
#include "tests/unit/fake_driver.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* --- sessions --- */

static void too_little_memory_is_known_before_anything_is_allocated(void **unused)
{
    struct rt_session session;
    (void)unused;
    setenv("FAKE_CUDA_MEMORY", "17830800", 1); /* the arena would fit, but not what stands behind */
    assert_int_equal(open_session(&session, toy_fake_program(), RT_DEVICE_CUDA), EXIT_MEMORY);
    check_text("out of GPU memory; the plan needs 1783");
    check_text("Fake GPU 0 has 17830800 free");
    assert_null(strstr(said(), "allocate "));
    assert_null(strstr(said(), "load ")); /* which takes memory, too */
    check_clean();
}

/* Functions run step by step once, are recorded meanwhile, and from then on one call launches
 * all. */
static void functions_become_graphs(void **unused)
{
    static const char *const expected[] = {
        "launch:combine launch:count record:combine record:count ",
        "graph:2 ",
        "graph:2 ",
        "graph:2 ",
    };
    struct rt_session session;
    (void)unused;
    assert_int_equal(open_session(&session, toy_fake_program(), RT_DEVICE_CUDA), 0);
    for (int run = 0; run < 4; run++) {
        reset();
        assert_int_equal(rt_session_launch(&session, TOY_MAIN), 0);
        assert_string_equal(said(), expected[run]);
    }
    rt_session_close(&session);
    check_clean();
}

/* A host that goes ahead never waits: writes, copies, launches and fetches only queue. */
static void going_ahead_never_waits(void **unused)
{
    struct rt_session session;
    rt_u32 ticket;
    rt_i32 value = 1;
    (void)unused;
    assert_int_equal(open_session(&session, toy_fake_program(), RT_DEVICE_CUDA), 0);
    const struct rt_device_table *table = session.device->table;
    reset();
    for (int i = 0; i < 40; i++) {
        assert_int_equal(table->write(session.device, TOY_X, &value, sizeof value), 0);
        assert_int_equal(table->launch(session.device, TOY_MAIN), 0);
        assert_int_equal(table->copy(session.device, TOY_X, TOY_Y, 4), 0);
        assert_int_equal(table->fetch(session.device, TOY_Y, 4, &ticket), 0);
    }
    assert_null(strstr(said(), "wait"));
    assert_int_equal(table->collect(session.device, ticket, &value, sizeof value), 0);
    assert_null(strstr(said(), "wait"));
    rt_session_close(&session);
    check_clean();
}

static void padded_weights_are_sent_by_rows(void **unused)
{
    struct rt_session session;
    (void)unused;
    assert_int_equal(open_session(&session, toy_fake_program(), RT_DEVICE_CUDA), 0);
    assert_non_null(strstr(said(), "rows:3x20 "));
    rt_session_close(&session);
}

/* What the toy's kernel reads of a weight whose rows have `columns` numbers, `row` being the first
 * of its three: of each five, and nothing of the padding behind them. */
static void check_rows(rt_u32 rows, rt_u32 columns, const float *weight, rt_u64 row)
{
    enum { READ = 8 }; /* numbers between the rows that the kernel reads */
    rt_u64 pitch = (4ull * columns + 63) / 64 * 64 + 64;
    struct rt_weight large = {.name = "w", .file = "", .dtype = RT_F32, .rank = 2,
                              .dims = {rows, columns}, .bytes = 4ull * rows * columns,
                              .rows = rows, .row_bytes = 4ull * columns, .pitch = pitch};
    struct rt_program program = *toy_fake_program();
    struct rt_function functions[3];
    struct rt_operand operands[5];
    struct rt_device *device;
    struct rt_device_options options = {.threads = 1};
    float y[TOY_COUNT], zero[TOY_COUNT] = {0};
    memcpy(functions, program.functions, sizeof functions);
    memcpy(operands, functions[TOY_MAIN].operands, sizeof operands);
    operands[1].offset = row * pitch + 4ull * columns - 4 * (READ + 3);
    functions[TOY_MAIN].operands = operands;
    program.functions = functions;
    program.weights = &large;
    assert_int_equal(rt_device_cuda.open(&device, &options), 0);
    assert_int_equal(rt_device_cuda.bind(device, &program, (const void *const[]){weight}), 0);
    assert_int_equal(rt_device_cuda.write(device, TOY_X, zero, sizeof zero), 0);
    assert_int_equal(rt_device_cuda.launch(device, TOY_MAIN), 0);
    assert_int_equal(rt_device_cuda.read(device, TOY_Y, y, sizeof y), 0);
    for (int i = 0; i < TOY_ROWS * TOY_COLUMNS; i++) {
        int at = i / TOY_COLUMNS * READ + i % TOY_COLUMNS - (READ + 3); /* from the row's end */
        float expected = at < 0 ? weight[(row + 1) * columns - (rt_u64)-at] : 0;
        if (y[i] != expected)
            fail_msg("row %d, %d from its end: %g, not %g", (int)row, at, (double)y[i],
                     (double)expected);
    }
    rt_device_cuda.close(device);
}

/* Rows and their padding, beyond what one piece on the way to the GPU holds. */
static void large_weights_arrive_whole(void **unused)
{
    enum { ROWS = 4000, COLUMNS = 1001, LONG = (9 << 20) / 4 };
    float *weight = malloc(sizeof *weight * 3 * LONG); /* the larger of the two */
    (void)unused;
    for (int i = 0; i < 3 * LONG; i++)
        weight[i] = (float)(i % 8388593 + 1);
    setenv("FAKE_CUDA_MEMORY", "200000000", 1);
    for (rt_u64 row = 0; row < ROWS; row += 1333)
        check_rows(ROWS, COLUMNS, weight, row);
    for (rt_u64 row = 0; row < 3; row++)
        check_rows(3, LONG, weight, row);
    free(weight);
    check_clean();
}

static rt_status open_interrupted(void)
{
    struct rt_session session;
    rt_process_signals();
    raise(SIGINT);
    rt_status status = open_session(&session, toy_fake_program(), RT_DEVICE_CUDA);
    return live() == 0 && !strstr(said(), "launch:") ? status : 98;
}

/* Weights take long to arrive: a signal ends that. Kernels that cannot be loaded are known
 * before. */
static void weights_can_be_interrupted(void **unused)
{
    struct rt_session session;
    char text[1024];
    (void)unused;
    assert_int_equal(act_in_child(open_interrupted, FAKE_CUDA, text, sizeof text), 130);
    assert_non_null(strstr(text, "interrupted"));
    setenv("FAKE_CUDA_FAIL", "cuModuleLoadData:1:218", 1);
    reset();
    assert_int_equal(open_session(&session, toy_fake_program(), RT_DEVICE_CUDA), EXIT_DEVICE);
    assert_null(strstr(said(), "allocate "));
}

static int occurrences(const char *text, const char *word)
{
    int count = 0;
    for (text = strstr(text, word); text; text = strstr(text + 1, word))
        count++;
    return count;
}

/* A graph of the kernel less one of as many that do nothing. */
static void kernels_are_timed_without_their_graph(void **unused)
{
    static const rt_u32 steps[] = {0};
    struct rt_session session;
    struct rt_step_time time;
    (void)unused;
    assert_int_equal(open_session(&session, toy_fake_program(), RT_DEVICE_CUDA), 0);
    reset();
    assert_int_equal(session.device->table->time_steps(session.device, TOY_MAIN, steps, 1, 20,
                                                       &time), 0);
    assert_int_equal(occurrences(said(), "record:combine "), 20);
    assert_int_equal(occurrences(said(), "record:nothing "), 20);
    assert_null(strstr(said(), "launch:"));
    assert_true(time.microseconds > 249.999 && time.microseconds < 250.001);
    assert_int_equal(time.launches, 20);
    assert_int_equal(time.bytes, TOY_PADDED_BYTES);
    assert_int_equal(time.cache_bytes, 0);
    rt_session_close(&session);
    check_clean();
}

/* The weights of a run exceed twice the cache: copies are read, and give the right numbers. */
static void kernels_are_timed_over_copies_of_few_weights(void **unused)
{
    static const rt_u32 steps[] = {0};
    struct rt_session session;
    struct rt_step_time time;
    (void)unused;
    setenv("FAKE_CUDA_CACHE", "1600", 1);
    assert_int_equal(open_session(&session, toy_fake_program(), RT_DEVICE_CUDA), 0);
    const struct rt_device_table *table = session.device->table;
    reset();
    assert_int_equal(table->time_steps(session.device, TOY_MAIN, steps, 1, 20, &time), 0);
    assert_int_equal(time.launches, 34); /* 33.3 weights of 96 bytes are twice the cache */
    assert_int_equal(time.bytes, 34 * TOY_PADDED_BYTES);
    assert_int_equal(time.cache_bytes, 1600);
    assert_int_equal(occurrences(said(), "record:combine "), 34);
    assert_int_equal(occurrences(said(), "copy:96 "), 33);
    assert_int_equal(occurrences(said(), "allocate "), 1);
    float y[TOY_COUNT];
    assert_int_equal(table->read(session.device, TOY_Y, y, sizeof y), 0);
    assert_true(y[7] == 0); /* by the last launch, from a copy; fresh memory holds no zeros */

    reset(); /* no memory for copies */
    setenv("FAKE_CUDA_FAIL", "cuMemAlloc_v2:1:2", 1);
    assert_int_equal(table->time_steps(session.device, TOY_MAIN, steps, 1, 20, &time), 0);
    unsetenv("FAKE_CUDA_FAIL");
    assert_int_equal(time.bytes, TOY_PADDED_BYTES);
    assert_int_equal(occurrences(said(), "copy:"), 0);
    rt_session_close(&session);
    check_clean();
}

/* --- failures --- */

static rt_status use(void)
{
    static const rt_u32 steps[] = {0, 1};
    struct rt_step_time taken;
    struct rt_session session;
    rt_i32 value = 5;
    rt_u32 ticket;
    rt_u64 time;
    rt_status status = open_session(&session, toy_fake_program(), RT_DEVICE_CUDA);
    if (status)
        return status;
    const struct rt_device_table *table = session.device->table;
    for (int i = 0; i < 3 && !status; i++)
        status = table->launch(session.device, TOY_MAIN);
    if (!status)
        status = table->write(session.device, TOY_X, &value, sizeof value);
    if (!status)
        status = table->copy(session.device, TOY_SPARE, TOY_X, 4);
    if (!status)
        status = table->fill(session.device, TOY_SPARE, 16, "12345678", 8);
    if (!status)
        status = table->fetch(session.device, TOY_X, 4, &ticket);
    if (!status)
        status = table->collect(session.device, ticket, &value, 4);
    for (rt_u32 i = 0; i < 2 && !status; i++)
        status = table->stamp(session.device, i);
    if (!status)
        status = table->elapsed(session.device, 0, 1, &time);
    if (!status)
        status = table->run_step(session.device, TOY_MAIN, 0);
    if (!status)
        status = table->time_steps(session.device, TOY_MAIN, steps, 2, 2, &taken);
    if (!status)
        status = table->read(session.device, TOY_X, &value, sizeof value);
    rt_session_close(&session);
    return status;
}

/* The N-th call of each function fails. */
static void every_failure_is_told_and_leaves_nothing(void **unused)
{
    static const int numbers[] = {1, 2, 3, 5, 40};
    enum { CODE = 719 };
    int failures = 0;
    (void)unused;
    setenv("FAKE_CUDA_CACHE", "1024", 1);
    assert_int_equal(use(), 0);
    for (size_t i = 0; i < symbol_count; i++)
        for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++) {
            char order[128];
            begin(NULL);
            setenv("FAKE_CUDA_CACHE", "1024", 1);
            snprintf(order, sizeof order, "%s:%d:%d", symbols[i], numbers[k], CODE);
            setenv("FAKE_CUDA_FAIL", order, 1);
            rt_status status = use();
            unsetenv("FAKE_CUDA_FAIL");
            check_clean();
            failures += status != 0;
            if (status && (status != EXIT_DEVICE || !strstr(rt_status_text(), "(719)")))
                fail_msg("%s: %d, '%s'", order, status, rt_status_text());
        }
    if (failures < 40)
        fail_msg("only %d failures showed", failures);
}

/* Whatever wants the memory that other programs hold. */
static void memory_that_runs_out_is_told_as_such(void **unused)
{
    static const char *const wants[] = {"cuMemAlloc_v2", "cuMemAllocHost_v2", "cuModuleLoadData",
                                        "cuDevicePrimaryCtxRetain", "cuLaunchKernel",
                                        "cuGraphInstantiateWithFlags"};
    (void)unused;
    for (size_t i = 0; i < sizeof wants / sizeof *wants; i++) {
        char order[128];
        begin(NULL);
        snprintf(order, sizeof order, "%s:1:2", wants[i]);
        setenv("FAKE_CUDA_FAIL", order, 1);
        assert_int_equal(use(), EXIT_MEMORY);
        check_text("out of GPU memory; ");
        check_clean();
    }
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup(function, begin)
    const struct CMUnitTest tests[] = {
        TEST(too_little_memory_is_known_before_anything_is_allocated),
        TEST(functions_become_graphs),
        TEST(going_ahead_never_waits),
        TEST(padded_weights_are_sent_by_rows),
        TEST(large_weights_arrive_whole),
        TEST(weights_can_be_interrupted),
        TEST(kernels_are_timed_without_their_graph),
        TEST(kernels_are_timed_over_copies_of_few_weights),
        TEST(every_failure_is_told_and_leaves_nothing),
        TEST(memory_that_runs_out_is_told_as_such),
    };
    if (fake_driver_open(FAKE_CUDA))
        return 1;
    return cmocka_run_group_tests_name("cuda", tests, NULL, NULL);
}
