/*
 * GPUs found through a driver library without one: which program is chosen, and what is said where
 * none can run.
 */
#include "runtime/cuda.h"
#include "tests/unit/device_toy.h"
#include "tests/unit/fake_driver.h"

#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

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
        printf("SKIPPED %zu symbols of the driver: no stub library of a toolkit\n", symbol_count);
        return;
    }
    for (size_t i = 0; i < symbol_count; i++)
        if (!dlsym(library, symbols[i]))
            fail_msg("the toolkit's library has no %s", symbols[i]);
    assert_null(dlsym(library, "cuMemAlloc_v9"));
    dlclose(library);
}

static rt_status choose_fake(void)
{
    const struct rt_program *chosen;
    return rt_cuda_choose(toy_fake_program(), &chosen);
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
    };
    if (fake_driver_open(FAKE_CUDA))
        return 1;
    return cmocka_run_group_tests_name("cuda_choice", tests, NULL, NULL);
}
