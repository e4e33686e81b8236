/*
 * sinter check where there is a GPU: kernels run under the emulation and, over the same memory, on
 * the driver library without a GPU, which has the emulation run them. Wrong numbers, stray stores
 * and failures of the driver are found and told; what is missing for a run is told in a line.
 */
#include "compiler/check_emulated.h"
#include "runtime/exit_codes.h"
#include "tests/command.h"
#include "tests/fake_cuda.h"

#include <dlfcn.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char text[] = "ir 1\n"
                           "module net stage=clean\n"
                           "func f\n"
                           "  param %x : f32[33,72]\n"
                           "  param %w : f32[40,72]\n"
                           "  %p = matmul %x, %w {transb} : f32[33,40]\n"
                           "  %m = maximum %p {axes=[1]} : f32[33,1]\n"
                           "  %b = broadcast %m {dims=[33,40]} : f32[33,40]\n"
                           "  %s = sub %p, %b : f32[33,40]\n"
                           "  %e = exp %s : f32[33,40]\n"
                           "  return %e as y\n"
                           "end\n";

static char folder[256], model[300];
static bool no_nvrtc; /* then there is nothing to run */

/* --- the server: kernels by the emulation --- */

enum plant { RIGHT, WRONG_NUMBER, STRAY_STORE, NO_STORE, NO_END };

struct served {
    const struct device_program *program;
    struct emulation *emulation;
    struct emulation_unit *unit;
    enum plant plant;
    int runs;
};

static int kernel_number(const struct served *served, const char *name)
{
    int i = served->program->emitted.kernel_count - 1;
    while (i >= 0 && strcmp(served->program->emitted.kernels[i].name, name) != 0)
        i--;
    return i;
}

/* The image of a kernel must be its own. */
static int find(void *context, const void *image, const char *name)
{
    const struct served *served = context;
    int i = kernel_number(served, name);
    if (i < 0 || image != served->program->code[i].cubin)
        return -1;
    const struct cuda_kernel *kernel = &served->program->emitted.kernels[i];
    return kernel->operands + kernel->workspace + kernel->counters;
}

static void run(void *context, const char *name, void *const *operands, int blocks, int threads,
                int shared)
{
    struct served *served = context;
    struct emulation_launch launch = {.kernel = name,
                                      .blocks = blocks,
                                      .threads = threads,
                                      .shared = shared,
                                      .operands = operands};
    struct emulation_options options = {0};
    struct emulation_report report;
    const char *parameters = served->program->emitted.kernels[kernel_number(served, name)].text;
    float *result = operands[atoi(strstr(parameters, "g_f32 *y") + strlen("g_f32 *y"))];
    served->runs++;
    if (served->plant == NO_STORE)
        return;
    while (served->plant == NO_END)
        sleep(1);
    if (emulation_run(served->emulation, served->unit, &launch, &options, &report))
        fail_msg("%s", report.text);
    if (served->plant == WRONG_NUMBER)
        *result += 1;
    if (served->plant == STRAY_STORE)
        result[-8] = 0;
}

/* --- one check --- */

struct checked {
    struct arena *arena;
    struct emulated_result *results;
    size_t count;
    int runs;
};

static void *fake_symbol(const char *name)
{
    static void *library;
    if (!library)
        library = dlopen(FAKE_CUDA, RTLD_NOW | RTLD_LOCAL);
    assert_non_null(library);
    return dlsym(library, name);
}

static fake_cuda_use *serve_with(void)
{
    void *symbol = fake_symbol("fake_cuda_serve");
    fake_cuda_use *use;
    memcpy(&use, &symbol, sizeof use);
    return use;
}

static int objects_left(void)
{
    void *symbol = fake_symbol("fake_cuda_live");
    fake_cuda_count *count;
    memcpy(&count, &symbol, sizeof count);
    return count();
}

static struct job open_job(struct arena *arena, char *blas)
{
    struct options *options = arena_new(arena, struct options);
    char *words[] = {"sinter",    "check", model,    "--target", "a100",
                     "--threads", "1",     "--blas", blas,       NULL};
    assert_int_equal(rt_command_line_parse(&compiler_command_table,
                                           (struct command_line *)options, 9, words),
                     0);
    struct job job = job_open(arena, options);
    job_run(&job);
    return job;
}

static struct checked check(enum plant plant, char *blas)
{
    struct checked out = {.arena = arena_create()};
    static const struct emulated_mode modes[] = {{false, false, true}};
    const char *reason = NULL;
    struct job job = open_job(out.arena, blas);
    struct check_device *device = check_device_find(&job, true, &reason);
    assert_non_null(device);
    assert_string_equal(device->name, "Fake GPU 0");
    struct device_program program = device_compile(&job, "check", 1, device->ptx);
    struct served served = {.program = &program, .plant = plant};
    struct fake_server server = {&served, find, run};
    served.emulation = emulation_create();
    served.unit = emulation_unit_open(program.emitted.emulated, program.emitted.emulated_length,
                                      false, NULL);
    device->program = &program;
    device->seconds = plant == NO_END ? 1 : 60;
    struct emulated_check options = {
        .modes = modes, .mode_count = 1, .samples = 2000, .seed = 3, .device = device};
    serve_with()(&server);
    out.results =
        check_emulated(job.module, job.pipeline.target, &program.emitted, &options, &out.count);
    serve_with()(NULL);
    out.runs = served.runs;
    check_device_close(device);
    emulation_unit_close(served.unit);
    emulation_destroy(served.emulation);
    assert_int_equal(objects_left(), 0);
    assert_true(out.count >= 2);
    return out;
}

static bool right(const struct check_result *result)
{
    return result->compared > 0 && result->worst <= result->limit;
}

/* --- tests --- */

static void right_kernels_pass_in_both_worlds(void **state)
{
    (void)state;
    struct checked c = check(RIGHT, "never");
    assert_int_equal(c.runs, c.count);
    for (size_t i = 0; i < c.count; i++) {
        assert_true(right(&c.results[i].check));
        assert_true(right(&c.results[i].device.check));
        assert_null(c.results[i].device.error);
        assert_string_equal(c.results[i].device.check.kernel, c.results[i].check.kernel);
    }
    arena_destroy(c.arena);
}

/* By the library that stands beside the driver. */
static void products_of_a_library_pass_in_both_worlds(void **state)
{
    (void)state;
    setenv("SINTER_CUBLASLT_LIBRARY", FAKE_CUDA, 1);
    struct checked c = check(RIGHT, "always");
    assert_int_equal(c.runs, c.count - 1);
    for (size_t i = 0; i < c.count; i++) {
        assert_null(c.results[i].device.error);
        assert_true(right(&c.results[i].check));
        assert_true(right(&c.results[i].device.check));
    }
    arena_destroy(c.arena);
}

static void wrong_numbers_are_found(void **state)
{
    (void)state;
    static const enum plant plants[] = {WRONG_NUMBER, NO_STORE};
    for (size_t p = 0; p < 2; p++) {
        struct checked c = check(plants[p], "never");
        for (size_t i = 0; i < c.count; i++) {
            assert_true(right(&c.results[i].check));
            assert_null(c.results[i].device.error);
            assert_false(right(&c.results[i].device.check));
        }
        arena_destroy(c.arena);
    }
}

static void stray_stores_are_found(void **state)
{
    (void)state;
    struct checked c = check(STRAY_STORE, "never");
    for (size_t i = 0; i < c.count; i++)
        assert_string_equal(c.results[i].device.error, "a store outside of the operands");
    arena_destroy(c.arena);
}

/* One launch fails; the other kernels run. */
static void a_failing_kernel_is_told(void **state)
{
    (void)state;
    setenv("FAKE_CUDA_FAIL", "cuLaunchKernel:1:700", 1);
    struct checked c = check(RIGHT, "never");
    unsetenv("FAKE_CUDA_FAIL");
    assert_int_equal(c.runs, c.count - 1);
    assert_non_null(strstr(c.results[0].device.error, "launching kernel 'k_"));
    assert_non_null(strstr(c.results[0].device.error, "CUDA_ERROR_FAKE (700)"));
    assert_true(right(&c.results[0].check));
    for (size_t i = 1; i < c.count; i++)
        assert_true(right(&c.results[i].device.check));
    arena_destroy(c.arena);
}

/* Nothing can be done with the GPU then: the process ends. */
static void a_kernel_that_does_not_end_is_told(void **state)
{
    (void)state;
    char said[600] = "";
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        check(NO_END, "never");
        _exit(0);
    }
    close(ends[1]);
    waitpid(child, &status, 0);
    assert_true(read(ends[0], said, sizeof said - 1) > 0);
    close(ends[0]);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EXIT_NUMERIC);
    assert_non_null(strstr(said, "sinter: error: kernel k_"));
    assert_non_null(strstr(said, " has not ended; Fake GPU 0, 1 s; "));
}

/* --- the command --- */

static const struct outcome *command(const char *library, const char *setting, const char *more)
{
    char chosen[400];
    const char *environment[] = {chosen, setting, NULL};
    const struct command_setting run_with = {.environment = environment};
    snprintf(chosen, sizeof chosen, "SINTER_CUDA_LIBRARY=%s", library);
    return command_line(&run_with, "%s check %s --target a100 --blas never %s", SINTER_COMPILER,
                        model, more);
}

static void expect_line(const struct outcome *o, const char *reason)
{
    if (o->code || !strstr(o->out, "distinct kernels for a100 under emulation, 0 wrong\n"))
        fail_msg("exit code %d: %s%s", o->code, o->out, o->err);
    const char *line = strstr(o->out, "\nnot run on a GPU: ");
    if (!line || !strstr(line, reason))
        fail_msg("'%s' is not said: %s", reason, o->out);
    assert_null(strstr(line, "install"));
    assert_null(strstr(line + 1, "\nnot run"));
}

static void what_is_missing_is_told(void **state)
{
    (void)state;
    expect_line(command("/nowhere/libcuda.so", NULL, ""), "no NVIDIA driver found");
    expect_line(command(FAKE_CUDA, "FAKE_CUDA_DEVICES=0", ""), "no GPU found");
    expect_line(command(FAKE_CUDA, NULL, "--cuda /nowhere"), "no NVRTC is found");
    if (no_nvrtc)
        return;
    expect_line(command(FAKE_CUDA, "FAKE_CUDA_SM=75", ""), "no code for this GPU; Fake GPU 0 is "
                                                           "sm_75");
    expect_line(command(FAKE_CUDA, "FAKE_CUDA_VERSION=11080", ""), "driver is too old");
    const struct outcome *o = command("/nowhere/libcuda.so", NULL, "--json");
    assert_int_equal(o->code, EXIT_OK);
    assert_non_null(strstr(o->err, "not run on a GPU: no NVIDIA driver found"));
    json_t *rows = json_loads(o->out, 0, NULL);
    assert_true(json_array_size(rows) >= 2);
    assert_null(json_object_get(json_array_get(rows, 0), "gpu"));
    json_decref(rows);
}

static void a_gpu_can_be_demanded_or_left_out(void **state)
{
    (void)state;
    const struct outcome *o = command("/nowhere/libcuda.so", NULL, "--device cuda");
    assert_int_equal(o->code, EXIT_DEVICE);
    assert_non_null(strstr(o->err, "no NVIDIA driver found"));
    o = command(FAKE_CUDA, "FAKE_CUDA_DEVICES=0", "--device cuda");
    assert_int_equal(o->code, EXIT_DEVICE);
    o = command("/nowhere/libcuda.so", NULL, "--device emulated");
    assert_int_equal(o->code, EXIT_OK);
    assert_null(strstr(o->out, "not run on a GPU"));
    o = command_line(NULL, "%s check %s --device cuda --samples 1", SINTER_COMPILER, model);
    assert_int_equal(o->code, EXIT_OK);
    assert_non_null(strstr(o->err, "--device has no effect; no --target is a GPU"));
}

/* The library without a server refuses every cubin: each kernel says so, and is wrong. */
static void the_command_reports_both_worlds(void **state)
{
    (void)state;
    const struct outcome *o = command(FAKE_CUDA, NULL, "");
    assert_int_equal(o->code, EXIT_NUMERIC);
    assert_non_null(strstr(o->out, "BAD "));
    assert_non_null(strstr(o->out, ", on the GPU nan\n     on the GPU: "));
    assert_non_null(strstr(o->out, "loading kernel 'k_"));
    assert_non_null(strstr(o->out, "distinct kernels for a100 under emulation, 0 wrong\n"));
    assert_non_null(strstr(o->out, "distinct kernels for a100 on Fake GPU 0, "));
    o = command(FAKE_CUDA, NULL, "--json");
    assert_int_equal(o->code, EXIT_NUMERIC);
    json_t *rows = json_loads(o->out, 0, NULL), *gpu;
    gpu = json_object_get(json_array_get(rows, 0), "gpu");
    assert_string_equal(json_string_value(json_object_get(gpu, "name")), "Fake GPU 0");
    assert_true(json_is_false(json_object_get(gpu, "ok")));
    assert_true(json_is_true(json_object_get(json_array_get(rows, 0), "ok")));
    json_decref(rows);
}

/* --- all --- */

static int begin(void **state)
{
    (void)state;
    struct arena *arena = arena_create();
    struct nvrtc nvrtc;
    const char *places;
    command_folder(folder, sizeof folder, "check-gpu");
    snprintf(model, sizeof model, "%s/net.ir", folder);
    command_write_file(model, text, strlen(text));
    no_nvrtc = !nvrtc_look(arena, NULL, &nvrtc, &places);
    arena_destroy(arena);
    setenv("SINTER_CUDA_LIBRARY", FAKE_CUDA, 1);
    return 0;
}

static int end(void **state)
{
    (void)state;
    command_remove(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest always[] = {
        cmocka_unit_test(what_is_missing_is_told),
        cmocka_unit_test(a_gpu_can_be_demanded_or_left_out),
    };
    const struct CMUnitTest compiled[] = {
        cmocka_unit_test(right_kernels_pass_in_both_worlds),
        cmocka_unit_test(products_of_a_library_pass_in_both_worlds),
        cmocka_unit_test(wrong_numbers_are_found),
        cmocka_unit_test(stray_stores_are_found),
        cmocka_unit_test(a_failing_kernel_is_told),
        cmocka_unit_test(a_kernel_that_does_not_end_is_told),
        cmocka_unit_test(the_command_reports_both_worlds),
    };
    int failed = cmocka_run_group_tests(always, begin, end);
    if (no_nvrtc)
        printf("SKIPPED %zu kernels on a driver without a GPU: no NVRTC\n",
               sizeof compiled / sizeof *compiled);
    else
        failed += cmocka_run_group_tests(compiled, begin, end);
    return failed;
}
