/*
 * The CUDA device on a driver library without a GPU: which program is chosen, what is said where
 * one cannot run, the order of driver calls, and that failures of every call leave nothing behind.
 */
#include "runtime/cuda.h"
#include "runtime/cuda_device.h"
#include "runtime/process.h"
#include "runtime/session.h"
#include "tests/fake_cuda.h"
#include "tests/unit/device_toy.h"

#include <dlfcn.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static fake_cuda_count *live;
static fake_cuda_words *faults, *said;
static fake_cuda_act *reset;

static const char *const symbols[] = {
#define CUDA(name, symbol, parameters) #symbol,
#include "runtime/cuda_symbols.def"
};
enum { SYMBOLS = sizeof symbols / sizeof *symbols };

static int begin(void **unused)
{
    static const char *const names[] = {"FAKE_CUDA_SM", "FAKE_CUDA_VERSION", "FAKE_CUDA_DEVICES",
                                        "FAKE_CUDA_MEMORY", "FAKE_CUDA_FAIL", "FAKE_CUDA_CACHE"};
    (void)unused;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unsetenv(names[i]);
    reset();
    rt_status_clear();
    return 0;
}

static void check_clean(void)
{
    if (live() != 0 || faults()[0])
        fail_msg("%d objects live; %s", live(), faults());
}

static void check_text(const char *part)
{
    if (!strstr(rt_status_text(), part))
        fail_msg("'%s' is not in '%s'", part, rt_status_text());
}

/* --- the driver --- */

static void the_toolkit_has_every_symbol(void **unused)
{
    static const char *const places[] = {
        "/usr/local/cuda/lib64/stubs/libcuda.so",
        "/usr/local/cuda/targets/x86_64-linux/lib/stubs/libcuda.so",
    };
    void *library = NULL;
    (void)unused;
    for (size_t i = 0; i < 2 && !library; i++)
        library = dlopen(places[i], RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        printf("SKIPPED %d symbols of the driver: no stub library of a toolkit\n", (int)SYMBOLS);
        return;
    }
    for (size_t i = 0; i < SYMBOLS; i++)
        if (!dlsym(library, symbols[i]))
            fail_msg("the toolkit's library has no %s", symbols[i]);
    assert_null(dlsym(library, "cuMemAlloc_v9"));
    dlclose(library);
}

typedef rt_status action(void);

static rt_status choose_fake(void)
{
    const struct rt_program *chosen;
    return rt_cuda_choose(toy_fake_program(), &chosen);
}

/* In a process of its own, since a process opens one library, and signals stay noted: what is
 * said, warnings too, and the exit code. */
static int act_in_child(action *act, const char *library, char *text, size_t size)
{
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        setenv("SINTER_CUDA_LIBRARY", library, 1);
        dup2(ends[1], STDERR_FILENO);
        int code = act();
        const char *said_there = rt_status_text();
        if (write(ends[1], said_there, strlen(said_there)) < 0)
            code = 99;
        _exit(code);
    }
    close(ends[1]);
    ssize_t length = read(ends[0], text, size - 1);
    text[length > 0 ? length : 0] = '\0';
    close(ends[0]);
    waitpid(child, &status, 0);
    return WEXITSTATUS(status);
}

static int in_child(const char *library, char *text, size_t size)
{
    return act_in_child(choose_fake, library, text, size);
}

static void a_missing_driver_is_told(void **unused)
{
    char text[1024];
    (void)unused;
    assert_int_equal(in_child("/nowhere/libcuda.so.1", text, sizeof text), EXIT_DEVICE);
    assert_non_null(strstr(text, "no NVIDIA driver found; /nowhere/libcuda.so.1"));
}

static void a_driver_that_lacks_a_function_is_too_old(void **unused)
{
    char text[1024];
    (void)unused;
    assert_int_equal(in_child("libm.so.6", text, sizeof text), EXIT_DEVICE);
    assert_non_null(strstr(text, "too old; it has no cuInit; install driver 525 or later"));
}

static void a_driver_without_a_device_is_told(void **unused)
{
    char text[1024];
    (void)unused;
    setenv("FAKE_CUDA_FAIL", "cuInit:1:100", 1);
    assert_int_equal(in_child(FAKE_CUDA, text, sizeof text), EXIT_DEVICE);
    assert_non_null(strstr(text, "no GPU found"));
    setenv("FAKE_CUDA_FAIL", "cuInit:1:34", 1);
    assert_int_equal(in_child(FAKE_CUDA, text, sizeof text), EXIT_DEVICE);
    assert_non_null(strstr(text, "the library is a stub"));
    setenv("FAKE_CUDA_FAIL", "cuInit:1:999", 1);
    assert_int_equal(in_child(FAKE_CUDA, text, sizeof text), EXIT_DEVICE);
    assert_non_null(strstr(text, "the GPU failed; cuInit: CUDA_ERROR_FAKE (999)"));
}

/* --- the choice --- */

static rt_status choose(const struct rt_program *first, const struct rt_program **chosen)
{
    rt_status_clear();
    return rt_cuda_choose(first, chosen);
}

static void no_device_no_code_and_old_drivers_are_told(void **unused)
{
    const struct rt_program *chosen;
    (void)unused;
    setenv("FAKE_CUDA_DEVICES", "0", 1);
    assert_int_equal(choose(toy_fake_program(), &chosen), EXIT_DEVICE);
    check_text("no GPU found; the driver shows none");
    unsetenv("FAKE_CUDA_DEVICES");
    setenv("FAKE_CUDA_SM", "75", 1);
    assert_int_equal(choose(toy_fake_program(), &chosen), EXIT_DEVICE);
    check_text("no code for this GPU; Fake GPU 0 is sm_75, this program holds a100; there is no "
               "--target for it: sm_80 is the oldest");
    setenv("FAKE_CUDA_SM", "90", 1);
    assert_int_equal(choose(toy_fake_program(), &chosen), EXIT_DEVICE);
    check_text("build it again with --target sm_90a");
    setenv("FAKE_CUDA_SM", "120", 1);
    assert_int_equal(choose(toy_fake_program(), &chosen), EXIT_DEVICE);
    check_text("build it again with --target sm_80, whose kernels the driver translates");
    setenv("FAKE_CUDA_SM", "80", 1);
    setenv("FAKE_CUDA_VERSION", "12040", 1);
    assert_int_equal(choose(toy_fake_program(), &chosen), EXIT_DEVICE);
    check_text("it supports CUDA 12.4, this program needs 13.0; install driver 580 or later");
    assert_int_equal(choose(toy_cpu_program(), &chosen), EXIT_DEVICE);
    check_text("this program has no code for --device cuda; it was built for x86-64");
}

static void later_devices_of_the_generation_take_the_cubin(void **unused)
{
    const struct rt_program *chosen = NULL;
    (void)unused;
    setenv("FAKE_CUDA_SM", "89", 1);
    setenv("FAKE_CUDA_VERSION", "13010", 1);
    assert_int_equal(choose(toy_fake_program(), &chosen), 0);
    assert_ptr_equal(chosen, toy_fake_program());
    setenv("FAKE_CUDA_SM", "90", 1);
    assert_int_equal(choose(toy_fake_program(), &chosen), EXIT_DEVICE); /* it has no PTX */
    assert_int_equal(choose(toy_ptx_program(), &chosen), 0);
    setenv("FAKE_CUDA_VERSION", "11080", 1);
    assert_int_equal(choose(toy_ptx_program(), &chosen), EXIT_DEVICE);
    check_text("it supports CUDA 11.8, this program needs 12.0; install driver 525");
}

static rt_status choose_ptx(void)
{
    const struct rt_program *chosen;
    return rt_cuda_choose(toy_ptx_program(), &chosen);
}

/* What is advised is possible. */
static void translated_kernels_are_told(void **unused)
{
    char text[1024];
    (void)unused;
    setenv("FAKE_CUDA_SM", "90", 1);
    assert_int_equal(act_in_child(choose_ptx, FAKE_CUDA, text, sizeof text), 0);
    assert_non_null(strstr(text, "warning: no kernels for this GPU"));
    assert_non_null(strstr(text, "; build it again with --target sm_90a"));
    setenv("FAKE_CUDA_SM", "100", 1);
    assert_int_equal(act_in_child(choose_ptx, FAKE_CUDA, text, sizeof text), 0);
    assert_non_null(strstr(text, "; there is no --target for it"));
}

static void earlier_devices_of_the_generation_do_not(void **unused)
{
    struct rt_program program = *toy_fake_program();
    struct rt_target target = *program.gpu;
    const struct rt_program *chosen;
    (void)unused;
    target.sm = 86;
    program.gpu = &target;
    assert_int_equal(choose(&program, &chosen), EXIT_DEVICE);
    setenv("FAKE_CUDA_SM", "86", 1);
    assert_int_equal(choose(&program, &chosen), 0);
}

/* Programs for several GPUs, the CPU's first. */
static void the_program_that_suits_best_is_chosen(void **unused)
{
    static const struct rt_target targets[] = {
        {.name = "a100", .sm = 80, .memory_bytes = 40ull << 30},
        {.name = "a100-80", .sm = 80, .memory_bytes = 80ull << 30},
        {.name = "h100", .sm = 90, .exact = 1, .memory_bytes = 80ull << 30},
    };
    struct rt_program programs[4];
    const struct rt_program *chosen;
    (void)unused;
    programs[0] = *toy_cpu_program();
    for (int i = 0; i < 3; i++) {
        programs[i].other = &programs[i + 1];
        programs[i + 1] = *toy_ptx_program();
        programs[i + 1].gpu = &targets[i];
    }
    setenv("FAKE_CUDA_SM", "80", 1);
    setenv("FAKE_CUDA_MEMORY", "42000000000", 1);
    assert_int_equal(choose(programs, &chosen), 0);
    assert_ptr_equal(chosen, &programs[1]);
    setenv("FAKE_CUDA_MEMORY", "85000000000", 1);
    assert_int_equal(choose(programs, &chosen), 0);
    assert_ptr_equal(chosen, &programs[2]);
    setenv("FAKE_CUDA_SM", "90", 1);
    assert_int_equal(choose(programs, &chosen), 0);
    assert_ptr_equal(chosen, &programs[3]);
    setenv("FAKE_CUDA_SM", "100", 1); /* exact code does not run there, PTX does */
    assert_int_equal(choose(programs, &chosen), 0);
    assert_true(chosen == &programs[1] || chosen == &programs[2]);
}

/* --- sessions --- */

static rt_status open_session(struct rt_session *session, const struct rt_program *program,
                              enum rt_device_choice device)
{
    struct rt_session_options options = {.device = device, .threads = 1};
    rt_status_clear();
    return rt_session_open(session, program, &options);
}

static void sessions_take_the_gpu_if_they_can(void **unused)
{
    struct rt_program programs[2] = {*toy_cpu_program(), *toy_fake_program()};
    struct rt_session session;
    (void)unused;
    programs[0].other = &programs[1];
    assert_int_equal(open_session(&session, programs, RT_DEVICE_BEST), 0);
    assert_string_equal(session.device->table->name, "cuda");
    assert_ptr_equal(session.program, &programs[1]);
    rt_session_close(&session);
    assert_int_equal(open_session(&session, programs, RT_DEVICE_CPU), 0);
    assert_string_equal(session.device->table->name, "cpu");
    rt_session_close(&session);
    setenv("FAKE_CUDA_SM", "70", 1); /* no code for it: the CPU's, unless the GPU was asked for */
    assert_int_equal(open_session(&session, programs, RT_DEVICE_BEST), 0);
    assert_string_equal(session.device->table->name, "cpu");
    rt_session_close(&session);
    assert_int_equal(open_session(&session, programs, RT_DEVICE_CUDA), EXIT_DEVICE);
    assert_int_equal(open_session(&session, &programs[1], RT_DEVICE_BEST), EXIT_DEVICE);
    check_clean();
}

static rt_status open_best(void)
{
    struct rt_program programs[2] = {*toy_cpu_program(), *toy_fake_program()};
    struct rt_session session;
    programs[0].other = &programs[1];
    rt_status status = open_session(&session, programs, RT_DEVICE_BEST);
    if (!status)
        rt_session_close(&session);
    return status;
}

/* The CPU instead of a GPU that is there is said; instead of none, it is not. */
static void a_gpu_that_is_not_used_is_told(void **unused)
{
    char text[1024];
    (void)unused;
    setenv("FAKE_CUDA_SM", "70", 1);
    assert_int_equal(act_in_child(open_best, FAKE_CUDA, text, sizeof text), 0);
    assert_non_null(strstr(text, "warning: the GPU is not used; no code for this GPU; "));
    unsetenv("FAKE_CUDA_SM");
    setenv("FAKE_CUDA_VERSION", "12040", 1);
    assert_int_equal(act_in_child(open_best, FAKE_CUDA, text, sizeof text), 0);
    assert_non_null(strstr(text, "the GPU is not used; the NVIDIA driver is too old; "));
    setenv("FAKE_CUDA_DEVICES", "0", 1);
    assert_int_equal(act_in_child(open_best, FAKE_CUDA, text, sizeof text), 0);
    assert_string_equal(text, "");
    setenv("FAKE_CUDA_FAIL", "cuInit:1:100", 1);
    assert_int_equal(act_in_child(open_best, FAKE_CUDA, text, sizeof text), 0);
    assert_string_equal(text, "");
}

static void too_little_memory_is_known_before_anything_is_allocated(void **unused)
{
    struct rt_session session;
    (void)unused;
    setenv("FAKE_CUDA_MEMORY", "17830800", 1); /* the arena would fit, but not what stands behind */
    assert_int_equal(open_session(&session, toy_fake_program(), RT_DEVICE_CUDA), EXIT_MEMORY);
    check_text("out of GPU memory; the plan needs 1783");
    check_text("Fake GPU 0 has 17830800 free");
    assert_null(strstr(said(), "allocate "));
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
    float *weight = malloc(sizeof *weight * (ROWS * COLUMNS > 3 * LONG ? ROWS * COLUMNS : 3 * LONG));
    (void)unused;
    for (int i = 0; i < ROWS * COLUMNS || i < 3 * LONG; i++)
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
    for (size_t i = 0; i < SYMBOLS; i++)
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
        TEST(the_toolkit_has_every_symbol),
        TEST(a_missing_driver_is_told),
        TEST(a_driver_that_lacks_a_function_is_too_old),
        TEST(a_driver_without_a_device_is_told),
        TEST(no_device_no_code_and_old_drivers_are_told),
        TEST(later_devices_of_the_generation_take_the_cubin),
        TEST(translated_kernels_are_told),
        TEST(earlier_devices_of_the_generation_do_not),
        TEST(the_program_that_suits_best_is_chosen),
        TEST(sessions_take_the_gpu_if_they_can),
        TEST(a_gpu_that_is_not_used_is_told),
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
    setenv("SINTER_CUDA_LIBRARY", FAKE_CUDA, 1);
    void *library = dlopen(FAKE_CUDA, RTLD_NOW);
    if (!library)
        return 1;
    *(void **)&live = dlsym(library, "fake_cuda_live");
    *(void **)&faults = dlsym(library, "fake_cuda_faults");
    *(void **)&said = dlsym(library, "fake_cuda_log");
    *(void **)&reset = dlsym(library, "fake_cuda_reset");
    return cmocka_run_group_tests_name("cuda", tests, NULL, NULL);
}
