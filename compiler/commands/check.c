/* `sinter check`: every distinct kernel against the interpreter, or named values of the model
 * against another framework's. */
#include "compiler/check_emulated.h"
#include "compiler/check_fixtures.h"
#include "compiler/against.h"
#include "compiler/job.h"
#include "compiler/program.h"
#include "compiler/toolchain/output.h"
#include "ir/gpu.h"
#include "runtime/json_write.h"

#include <stdio.h>

static bool passes(const struct check_result *result)
{
    return result->worst <= result->limit;
}

static void write_result(struct rt_json_writer *json, const struct check_result *result)
{
    rt_json_write_object(json, NULL);
    rt_json_write_text(json, "function", result->function);
    rt_json_write_text(json, "kernel", result->kernel);
    rt_json_write_text(json, "skeleton", result->skeleton);
    rt_json_write_int(json, "compared", result->compared);
    rt_json_write_double(json, "worst", result->worst);
    rt_json_write_double(json, "limit", result->limit);
    rt_json_write_bool(json, "ok", passes(result));
    rt_json_write_end(json);
}

static void print_result(const struct check_result *result)
{
    printf("%-4s %-12s %-24s %-14s %8lld compared  worst %.2e of %.0e\n",
           passes(result) ? "ok" : "BAD", result->function, result->kernel, result->skeleton,
           (long long)result->compared, result->worst, result->limit);
}

static void report(const struct options *options, const struct check_result *results, size_t count)
{
    struct rt_json_writer json;
    if (options->json) {
        rt_json_write_open(&json, stdout, true);
        rt_json_write_array(&json, NULL);
    }
    for (size_t i = 0; i < count; i++)
        if (options->json)
            write_result(&json, &results[i]);
        else
            print_result(&results[i]);
    if (options->json)
        rt_json_write_end(&json);
}

/* --- kernels for a CPU --- */

static int check_cpu(struct job *job)
{
    const struct options *options = job->options;
    struct object *objects;
    size_t count, result_count, bad = 0;
    objects = program_compile(job, 1, "sinter-check", &count);
    struct check_result *results = check_kernels(job->module, objects, count, options->samples,
                                                 (uint64_t)options->seed, &result_count);
    toolchain_free_objects(objects, count);
    report(options, results, result_count);
    for (size_t i = 0; i < result_count; i++)
        bad += !passes(&results[i]);
    if (!options->json)
        printf("%zu distinct kernels, %zu wrong\n", result_count, bad);
    return bad ? EXIT_NUMERIC : EXIT_OK;
}

/* --- kernels for a GPU: under emulation, and on one --- */

/* Operations (or bytes) of a kernel that the emulation does in about a third of a second. */
static const double most_emulated = 1e8;

static bool device_passes(const struct device_result *result)
{
    return !result->error && passes(&result->check);
}

static bool emulated_passes(const struct emulated_result *result)
{
    return result->errors == 0 && passes(&result->check);
}

/* The kernels of a program in both worlds. */
struct gpu_check {
    struct job *job;
    struct check_device *device; /* NULL: emulated only, for this reason */
    const char *reason;
    struct emulated_result *results;
    size_t count, bad, device_bad;
};

static void write_device(struct rt_json_writer *json, const struct gpu_check *gpu,
                         const struct device_result *result)
{
    rt_json_write_object(json, "gpu");
    rt_json_write_text(json, "name", gpu->device->name);
    rt_json_write_int(json, "compared", result->check.compared);
    rt_json_write_double(json, "worst", result->check.worst);
    rt_json_write_text(json, "error", result->error ? result->error : "");
    rt_json_write_bool(json, "ok", device_passes(result));
    rt_json_write_end(json);
}

static void write_emulated(struct rt_json_writer *json, const struct gpu_check *gpu,
                           const struct emulated_result *result)
{
    rt_json_write_object(json, NULL);
    rt_json_write_text(json, "function", result->check.function);
    rt_json_write_text(json, "kernel", result->check.kernel);
    rt_json_write_text(json, "skeleton", result->check.skeleton);
    rt_json_write_int(json, "blocks", result->blocks);
    rt_json_write_int(json, "compared", result->check.compared);
    rt_json_write_double(json, "worst", result->check.worst);
    rt_json_write_double(json, "limit", result->check.limit);
    rt_json_write_text(json, "error", result->error ? result->error : "");
    rt_json_write_bool(json, "ok", emulated_passes(result));
    if (gpu->device)
        write_device(json, gpu, &result->device);
    rt_json_write_end(json);
}

static void print_emulated(const struct gpu_check *gpu, const struct emulated_result *result)
{
    const struct check_result *check = &result->check;
    const struct device_result *device = &result->device;
    bool right = emulated_passes(result) && (!gpu->device || device_passes(device));
    printf("%-4s %-12s %-24s %-15s %6d blocks %6lld compared  worst %.2e of %.0e",
           right ? "ok" : "BAD", check->function, check->kernel, check->skeleton, result->blocks,
           (long long)check->compared, check->worst, check->limit);
    if (gpu->device)
        printf(", on the GPU %.2e", device->check.worst);
    printf("\n");
    if (result->error)
        printf("     %s\n", result->error);
    if (gpu->device && device->error)
        printf("     on the GPU: %s\n", device->error);
}

/* Beside JSON the line on missing GPUs goes to standard error. */
static void print_sums(const struct gpu_check *gpu)
{
    const char *target = gpu->job->pipeline.target->name;
    bool json = gpu->job->options->json;
    if (!json)
        printf("%zu distinct kernels for %s under emulation, %zu wrong\n", gpu->count, target,
               gpu->bad);
    if (gpu->device && !json)
        printf("%zu distinct kernels for %s on %s%s, %zu wrong\n", gpu->count, target,
               gpu->device->name, gpu->device->ptx ? ", translated from PTX" : "",
               gpu->device_bad);
    if (gpu->reason)
        fprintf(json ? stderr : stdout, "not run on a GPU: %s\n", gpu->reason);
}

static void report_gpu(const struct gpu_check *gpu)
{
    struct rt_json_writer json;
    bool as_json = gpu->job->options->json;
    if (as_json) {
        rt_json_write_open(&json, stdout, true);
        rt_json_write_array(&json, NULL);
    }
    for (size_t i = 0; i < gpu->count; i++)
        if (as_json)
            write_emulated(&json, gpu, &gpu->results[i]);
        else
            print_emulated(gpu, &gpu->results[i]);
    if (as_json)
        rt_json_write_end(&json);
    print_sums(gpu);
}

/* Compiled only for a GPU to run on: the emulation needs no NVRTC. */
static struct device_program make_program(struct gpu_check *gpu)
{
    const struct options *options = gpu->job->options;
    if (options->device != CHOICE_DEVICE_emulated)
        gpu->device = check_device_find(gpu->job, options->device == CHOICE_DEVICE_cuda,
                                        &gpu->reason);
    if (!gpu->device)
        return device_emit(gpu->job);
    return device_compile(gpu->job, "sinter-check", program_threads(gpu->job), gpu->device->ptx);
}

static int check_gpu(struct job *job)
{
    const struct options *options = job->options;
    static const struct emulated_mode modes[] = {{true, true, true}};
    struct gpu_check gpu = {.job = job};
    const struct device_program program = make_program(&gpu);
    struct emulated_check check = {.modes = modes,
                                   .mode_count = sizeof modes / sizeof *modes,
                                   .samples = options->samples,
                                   .seed = (uint64_t)options->seed,
                                   .most_work = most_emulated,
                                   .device = gpu.device,
                                   .workers = program_threads(job)};
    if (gpu.device)
        gpu.device->program = &program;
    gpu.results = check_emulated(job->module, job->pipeline.target, &program.emitted, &check,
                                 &gpu.count);
    check_device_close(gpu.device);
    for (size_t i = 0; i < gpu.count; i++) {
        gpu.bad += !emulated_passes(&gpu.results[i]);
        gpu.device_bad += gpu.device && !device_passes(&gpu.results[i].device);
    }
    report_gpu(&gpu);
    return gpu.bad || gpu.device_bad ? EXIT_NUMERIC : EXIT_OK;
}

/* --- for other machines --- */

static int write_fixtures(struct job *job)
{
    const struct options *options = job->options;
    const struct gpu *gpu = job->pipeline.target->gpu;
    struct fixture_options fixture = {.target = gpu ? gpu->name : job->cpu->cpu,
                                      .samples = options->samples,
                                      .seed = (uint64_t)options->seed};
    if (!job->random_weights)
        fatal(FIXTURES_WEIGHTS, "--fixtures", options->arguments[0]);
    struct str text = check_fixtures(job->module, &fixture);
    output_write(options->fixtures, text.text, text.length, 0666);
    return EXIT_OK;
}

static int check_job(const struct options *options)
{
    struct arena *arena = arena_create();
    struct job job = job_open(arena, options);
    if (options->device && options->fixtures)
        warn(OPTION_IDLE, "device", "no kernel runs for --fixtures");
    job_run(&job);
    job_check_kernels(&job);
    int result = options->fixtures          ? write_fixtures(&job)
                 : job.pipeline.target->gpu ? check_gpu(&job)
                                            : check_cpu(&job);
    arena_destroy(arena);
    return result;
}

/* --- another framework's values --- */

static void print_value(struct arena *arena, const struct options *options,
                        const struct against_result *result)
{
    printf("%-4s %-32s %-24s worst %.2e of %.0e, rms %.3g\n",
           result->worst <= options->tolerance ? "ok" : "BAD", result->name,
           type_text(arena, &result->type), result->worst, options->tolerance, result->rms);
}

static void write_value(struct rt_json_writer *json, struct arena *arena,
                        const struct options *options, const struct against_result *result)
{
    rt_json_write_object(json, NULL);
    rt_json_write_text(json, "name", result->name);
    rt_json_write_text(json, "type", type_text(arena, &result->type));
    rt_json_write_double(json, "worst", result->worst);
    rt_json_write_double(json, "limit", options->tolerance);
    rt_json_write_double(json, "rms", result->rms);
    rt_json_write_bool(json, "ok", result->worst <= options->tolerance);
    rt_json_write_end(json);
}

static size_t report_values(struct arena *arena, const struct options *options,
                            const struct against_result *results, size_t count)
{
    struct rt_json_writer json;
    size_t bad = 0;
    if (options->json) {
        rt_json_write_open(&json, stdout, true);
        rt_json_write_array(&json, NULL);
    }
    for (size_t i = 0; i < count; i++) {
        bad += !(results[i].worst <= options->tolerance);
        if (options->json)
            write_value(&json, arena, options, &results[i]);
        else
            print_value(arena, options, &results[i]);
    }
    if (options->json)
        rt_json_write_end(&json);
    else
        printf("%zu values, %zu wrong\n", count, bad);
    return bad;
}

/* The whole entry at once, unless the command line says otherwise. */
static int check_against(const struct options *options)
{
    struct arena *arena = arena_create();
    struct options predict = *options;
    if (!predict.task)
        predict.task = CHOICE_TASK_predict;
    struct npz npz = npz_open(arena, options->against);
    struct job job = job_open(arena, &predict);
    size_t count;
    struct against_result *results = against_compare(&job, &npz, &count);
    size_t bad = report_values(arena, options, results, count);
    arena_destroy(arena);
    return bad ? EXIT_NUMERIC : EXIT_OK;
}

int command_check(const struct options *options)
{
    return options->against ? check_against(options) : check_job(options);
}
