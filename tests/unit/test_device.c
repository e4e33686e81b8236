/*
 * What every device must do (runtime/device.h): the same tests for the CPU, for the CUDA device on
 * the driver library without a GPU, for the emulated device (in a program of its own, which holds
 * Clang), and on a GPU where there is one.
 */
#ifdef EMULATED_DEVICE
#include "compiler/emulation/device_emulated.h"
#endif
#include "runtime/cuda.h"
#include "runtime/device.h"
#include "tests/fake_cuda.h"
#include "tests/unit/device_toy.h"

#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct subject {
    const struct rt_device_table *table;
    const struct rt_program *program;
    struct rt_device *device;
} subject;

static fake_cuda_count *live;
static fake_cuda_words *faults;

static const struct rt_device_table *table(void)
{
    return subject.device->table;
}

static int open_subject(void **unused)
{
    struct rt_device_options options = {.threads = 2, .caller_works = true};
    (void)unused;
    rt_status_clear();
    if (subject.table->open(&subject.device, &options)
        || subject.table->bind(subject.device, subject.program, toy_weights())) {
        fprintf(stderr, "%s\n", rt_status_text());
        return -1;
    }
    return 0;
}

static int close_subject(void **unused)
{
    (void)unused;
    subject.table->close(subject.device);
    if (!live)
        return 0;
    if (live() != 0 || faults()[0])
        fprintf(stderr, "%d objects live; %s\n", live(), faults());
    return live() != 0 || faults()[0] ? -1 : 0;
}

/* --- memory --- */

static void the_arena_is_zero_at_first(void **unused)
{
    (void)unused;
    unsigned char *bytes = malloc(TOY_ARENA);
    assert_int_equal(table()->read(subject.device, 0, bytes, TOY_ARENA), 0);
    for (size_t i = 0; i < TOY_ARENA; i++)
        if (bytes[i])
            fail_msg("byte %zu is %u", i, bytes[i]);
    free(bytes);
}

/* No two pieces of a large write are equal. */
static unsigned char pattern(size_t i, size_t seed)
{
    return (unsigned char)((i + seed) * 2654435761u >> 24 ^ i >> 20);
}

/* Sizes around those at which a device may change its way. */
static void what_is_written_can_be_read(void **unused)
{
    static const size_t sizes[] = {1, 3, 4096, 16384, 16385, 100001, 8 << 20, (8 << 20) + 1,
                                   TOY_SPARE_BYTES - 5};
    unsigned char *out = malloc(TOY_SPARE_BYTES), *back = malloc(TOY_SPARE_BYTES);
    (void)unused;
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        for (size_t i = 0; i < sizes[k]; i++)
            out[i] = pattern(i, k);
        assert_int_equal(table()->write(subject.device, TOY_SPARE + 5, out, sizes[k]), 0);
        memset(out, 0, sizes[k]); /* it was taken */
        assert_int_equal(table()->read(subject.device, TOY_SPARE + 5, back, sizes[k]), 0);
        for (size_t i = 0; i < sizes[k]; i++)
            if (back[i] != pattern(i, k))
                fail_msg("size %zu, byte %zu", sizes[k], i);
    }
    free(out);
    free(back);
}

static void many_small_writes_arrive_in_order(void **unused)
{
    enum { WRITES = 300 };
    rt_i32 back[WRITES];
    (void)unused;
    for (rt_i32 i = 0; i < WRITES; i++) {
        rt_u64 offset = TOY_SPARE + 4u * (rt_u64)i;
        rt_i32 wrong = -1, value = i;
        assert_int_equal(table()->write(subject.device, offset, &wrong, 4), 0);
        assert_int_equal(table()->write(subject.device, offset, &value, 4), 0);
        value = 0;
    }
    assert_int_equal(table()->read(subject.device, TOY_SPARE, back, sizeof back), 0);
    for (rt_i32 i = 0; i < WRITES; i++)
        assert_int_equal(back[i], i);
}

static void fill_repeats_values_of_every_size(void **unused)
{
    static const unsigned char value[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    (void)unused;
    for (unsigned size = 1; size <= 8; size *= 2) {
        unsigned char back[80];
        assert_int_equal(table()->fill(subject.device, TOY_SPARE, 96, "\0", 1), 0);
        assert_int_equal(table()->fill(subject.device, TOY_SPARE + 8, 72, value, size), 0);
        assert_int_equal(table()->read(subject.device, TOY_SPARE + 8, back, 80), 0);
        for (unsigned i = 0; i < 80; i++)
            assert_int_equal(back[i], i < 72 ? value[i % size] : 0);
    }
    assert_int_equal(table()->fill(subject.device, TOY_SPARE, 0, value, 4), 0);
}

static void view_shows_the_arena(void **unused)
{
    static const char text[] = "seen";
    const void *at = NULL;
    (void)unused;
    assert_int_equal(table()->write(subject.device, TOY_SPARE + 64, text, sizeof text), 0);
    assert_int_equal(table()->view(subject.device, TOY_SPARE + 64, sizeof text, &at), 0);
    assert_string_equal(at, text);
}

/* --- work --- */

static void write_x(float start)
{
    float x[TOY_COUNT];
    for (int i = 0; i < TOY_COUNT; i++)
        x[i] = start + (float)i;
    assert_int_equal(table()->write(subject.device, TOY_X, x, sizeof x), 0);
}

static void check_y(float start)
{
    float y[TOY_COUNT];
    assert_int_equal(table()->read(subject.device, TOY_Y, y, sizeof y), 0);
    for (int i = 0; i < TOY_COUNT; i++)
        if (y[i] != toy_expected(start + (float)i, i))
            fail_msg("y[%d] is %g, not %g", i, (double)y[i],
                     (double)toy_expected(start + (float)i, i));
}

/* The first run, the one that may be recorded, and those after it read what stands there now. */
static void every_launch_reads_its_inputs_anew(void **unused)
{
    rt_i32 runs;
    (void)unused;
    for (int run = 0; run < 5; run++) {
        write_x((float)run * 1000);
        assert_int_equal(table()->launch(subject.device, TOY_MAIN), 0);
        check_y((float)run * 1000);
    }
    assert_int_equal(table()->read(subject.device, TOY_STATE, &runs, sizeof runs), 0);
    assert_int_equal(runs, 15);
}

static void an_empty_function_runs(void **unused)
{
    (void)unused;
    for (int run = 0; run < 3; run++)
        assert_int_equal(table()->launch(subject.device, TOY_EMPTY), 0);
    assert_int_equal(table()->wait(subject.device), 0);
}

/* y becomes the next x without passing the host. */
static void copies_stand_in_the_order_of_launches(void **unused)
{
    float y[TOY_COUNT];
    (void)unused;
    write_x(1);
    for (int run = 0; run < 3; run++) {
        assert_int_equal(table()->launch(subject.device, TOY_MAIN), 0);
        assert_int_equal(table()->copy(subject.device, TOY_X, TOY_Y, sizeof y), 0);
    }
    assert_int_equal(table()->read(subject.device, TOY_Y, y, sizeof y), 0);
    for (int i = 0; i < TOY_COUNT; i++) {
        float expected = 1 + (float)i;
        for (int run = 0; run < 3; run++)
            expected = toy_expected(expected, i);
        assert_true(y[i] == expected);
    }
}

static void a_fetch_keeps_what_stood_there(void **unused)
{
    rt_u32 tickets[RT_FETCHES];
    rt_i32 values[RT_FETCHES];
    (void)unused;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < RT_FETCHES; i++) {
            assert_int_equal(table()->launch(subject.device, TOY_MAIN), 0);
            assert_int_equal(
                table()->fetch(subject.device, TOY_STATE, sizeof *values, &tickets[i]), 0);
        }
        assert_int_equal(table()->launch(subject.device, TOY_MAIN), 0);
        for (int i = 0; i < RT_FETCHES; i++)
            assert_int_equal(
                table()->collect(subject.device, tickets[i], &values[i], sizeof *values), 0);
        for (int i = 0; i < RT_FETCHES; i++)
            assert_int_equal(values[i], 3 * (round * (RT_FETCHES + 1) + i + 1));
    }
    assert_true(rt_fetch_bytes(subject.program) >= 4096);
}

static void time_goes_on(void **unused)
{
    rt_u64 whole, first, second;
    (void)unused;
    assert_int_equal(table()->stamp(subject.device, 0), 0);
    assert_int_equal(table()->launch(subject.device, TOY_MAIN), 0);
    assert_int_equal(table()->stamp(subject.device, 1), 0);
    assert_int_equal(table()->launch(subject.device, TOY_MAIN), 0);
    assert_int_equal(table()->stamp(subject.device, RT_STAMPS - 1), 0);
    assert_int_equal(table()->elapsed(subject.device, 0, 1, &first), 0);
    assert_int_equal(table()->elapsed(subject.device, 1, RT_STAMPS - 1, &second), 0);
    assert_int_equal(table()->elapsed(subject.device, 0, RT_STAMPS - 1, &whole), 0);
    assert_true(first > 0 && second > 0);
    assert_true(whole + 2000 > first + second && whole < first + second + 2000);
}

static void bump(void *const *operands, rt_i64 begin, rt_i64 end)
{
    unsigned char *bytes = operands[0];
    for (; begin < end; begin++)
        bytes[begin]++;
}

static void host_kernels_run_every_tile_once(void **unused)
{
    unsigned char bytes[100] = {0};
    void *operands[] = {bytes};
    (void)unused;
    table()->run(subject.device, bump, operands, 100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(bytes[i], 1);
}

static void facts_are_told(void **unused)
{
    struct rt_device_facts facts;
    const struct rt_program *chosen = NULL;
    (void)unused;
    table()->describe(subject.device, &facts);
    assert_true(facts.name[0] && facts.memory_bytes > 0);
    assert_int_equal(table()->choose(subject.program, &chosen), 0);
    assert_ptr_equal(chosen, subject.program);
}

static void steps_run_alone(void **unused)
{
    rt_i32 runs;
    (void)unused;
    write_x(1);
    assert_int_equal(table()->launch(subject.device, TOY_MAIN), 0);
    write_x(500);
    assert_int_equal(table()->run_step(subject.device, TOY_MAIN, 1), 0);
    check_y(1);
    assert_int_equal(table()->run_step(subject.device, TOY_MAIN, 0), 0);
    check_y(500);
    assert_int_equal(table()->read(subject.device, TOY_STATE, &runs, sizeof runs), 0);
    assert_int_equal(runs, 6);
}

/* Whole rounds of the steps run, at least as many launches as asked for. */
static void steps_are_timed(void **unused)
{
    static const rt_u32 steps[] = {1, 0};
    struct rt_step_time time;
    rt_i32 runs;
    (void)unused;
    if (!table()->time_steps)
        skip(); /* a device without a clock */
    write_x(3);
    assert_int_equal(
        table()->time_steps(subject.device, TOY_MAIN, steps, 2, 41, &time), 0);
    assert_true(time.microseconds >= 0 && time.microseconds < 1e6);
    assert_true(time.launches >= 42 && time.launches % 2 == 0);
    check_y(3);
    assert_int_equal(table()->read(subject.device, TOY_STATE, &runs, sizeof runs), 0);
    assert_true(runs % 3 == 0 && runs / 3 >= 21);
    write_x(4);
    assert_int_equal(table()->launch(subject.device, TOY_MAIN), 0);
    check_y(4);
    assert_int_equal(
        table()->time_steps(subject.device, TOY_EMPTY, steps, 0, 41, &time), 0);
    assert_true(time.microseconds == 0 && time.launches == 0);
}

static void blocks_have_a_workspace_and_counters(void **unused)
{
    float y[2];
    (void)unused;
    if (subject.program->function_count <= TOY_SPACES)
        skip(); /* of GPUs only */
    for (int run = 0; run < 3; run++) {
        assert_int_equal(table()->launch(subject.device, TOY_SPACES), 0);
        assert_int_equal(table()->read(subject.device, TOY_Y, y, sizeof y), 0);
        assert_true(y[0] == 0 && y[1] == 7);
    }
}

static int run_suite(const char *name, const struct rt_device_table *device,
                     const struct rt_program *program)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, open_subject, close_subject)
    const struct CMUnitTest tests[] = {
        TEST(the_arena_is_zero_at_first),
        TEST(what_is_written_can_be_read),
        TEST(many_small_writes_arrive_in_order),
        TEST(fill_repeats_values_of_every_size),
        TEST(view_shows_the_arena),
        TEST(every_launch_reads_its_inputs_anew),
        TEST(an_empty_function_runs),
        TEST(copies_stand_in_the_order_of_launches),
        TEST(a_fetch_keeps_what_stood_there),
        TEST(time_goes_on),
        TEST(steps_run_alone),
        TEST(steps_are_timed),
        TEST(host_kernels_run_every_tile_once),
        TEST(facts_are_told),
        TEST(blocks_have_a_workspace_and_counters),
    };
    subject.table = device;
    subject.program = program;
    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

/* A process uses one driver library, so each has a run of its own: "cpu", "fake", "gpu". */
int main(int argc, char **argv)
{
    const char *which = argc > 1 ? argv[1] : "cpu";
    const struct cuda_driver *driver;
    struct cuda_gpu gpu;
    if (strcmp(which, "cpu") == 0)
        return run_suite("cpu", &rt_device_cpu, toy_cpu_program());
    if (strcmp(which, "fake") == 0) {
        setenv("SINTER_CUDA_LIBRARY", FAKE_CUDA, 1);
        void *library = dlopen(FAKE_CUDA, RTLD_NOW);
        if (!library)
            return 1;
        *(void **)&live = dlsym(library, "fake_cuda_live");
        *(void **)&faults = dlsym(library, "fake_cuda_faults");
        return run_suite("fake", &rt_device_cuda, toy_fake_program());
    }
#ifdef EMULATED_DEVICE
    if (strcmp(which, "emulated") == 0)
        return run_suite("emulated", &rt_device_emulated, toy_emulated_program());
#endif
    if (rt_cuda_load(&driver) || rt_cuda_find(driver, &gpu)) {
        printf("no GPU: its 15 tests as a device are left out\n");
        return 0;
    }
    return run_suite("gpu", &rt_device_cuda, toy_ptx_program());
}
