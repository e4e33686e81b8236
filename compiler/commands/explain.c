/* `sinter explain`: what every kernel costs and what bounds it. */
#include "compiler/commands/explain_code.h"
#include "compiler/explain.h"
#include "compiler/job.h"
#include "compiler/program.h"
#include "runtime/json_write.h"

#include <stdio.h>

enum { NAME = 28, KEY = 17 };

static const char *bound_of(double compute, double memory)
{
    return compute > memory ? "compute" : "memory";
}

/* How much of the time that the bound takes, the other resource is busy too. */
static double other_share(double compute, double memory)
{
    double most = compute > memory ? compute : memory, least = compute > memory ? memory : compute;
    return most > 0 ? least / most : 0;
}

static double share(double part, double whole)
{
    return whole > 0 ? part / whole : 0;
}

static void print_kernel(const struct explained_kernel *kernel, double total)
{
    printf("%c %-*.*s %-13s %-12.12s %11.3f %11.3f %10.1f %6.1f%%  %-7s %5.0f%%\n",
           kernel->distinct ? '*' : ' ', NAME, NAME, kernel->name, kernel->skeleton, kernel->scope,
           kernel->flops / 1e6, kernel->bytes / 1e6, kernel->seconds * 1e6,
           100 * share(kernel->seconds, total), kernel->bound,
           100 * other_share(kernel->compute, kernel->memory));
}

/* --- GPUs --- */

static void print_gpu_kernel(const struct explained_kernel *kernel, double total)
{
    char skeleton[64];
    snprintf(skeleton, sizeof skeleton, "%s%s%s", kernel->skeleton, kernel->provider ? "/" : "",
             kernel->provider ? kernel->provider : "");
    printf("%c %-*.*s %-15s %-12.12s %11.3f %11.3f %10.2f %6.1f%%  %-10s %6.0f%% %6d\n",
           kernel->distinct ? '*' : ' ', NAME, NAME, kernel->name, skeleton, kernel->scope,
           kernel->flops / 1e6, kernel->bytes / 1e6, kernel->seconds * 1e6,
           100 * share(kernel->seconds, total), kernel->bound, 100 * kernel->occupancy,
           kernel->residency);
}

static void print_gpu_function(const struct explained_function *function)
{
    printf("\n%s: %zu kernels, %zu of them not seen before (*)\n", function->name, function->count,
           function->distinct);
    printf("  %-*s %-15s %-12s %11s %11s %10s %7s  %-10s %7s %6s\n", NAME, "kernel", "skeleton",
           "part", "MFLOP", "MB", "us", "share", "bound", "threads", "blocks");
    for (size_t i = 0; i < function->count; i++)
        print_gpu_kernel(&function->kernels[i], function->seconds);
    printf("  %-*s %-15s %-12s %11.3f %11.3f %10.2f\n", NAME, "total", "", "",
           function->flops / 1e6, function->bytes / 1e6, function->seconds * 1e6);
    printf("  at the GPU's peak figures %.2f us: the prediction is at %.0f%% of them\n",
           function->floor * 1e6, 100 * share(function->floor, function->seconds));
}

static void print_function(const struct explained_function *function)
{
    printf("\n%s: %zu kernels, %zu of them not seen before (*)\n", function->name, function->count,
           function->distinct);
    printf("  %-*s %-13s %-12s %11s %11s %10s %7s  %-7s %6s\n", NAME, "kernel", "skeleton", "part",
           "MFLOP", "MB", "us", "share", "bound", "other");
    for (size_t i = 0; i < function->count; i++)
        print_kernel(&function->kernels[i], function->seconds);
    printf("  %-*s %-13s %-12s %11.3f %11.3f %10.1f %6.1f%%  %-7s %5.0f%%\n", NAME, "total", "", "",
           function->flops / 1e6, function->bytes / 1e6, function->seconds * 1e6,
           function->count ? 100.0 : 0.0, bound_of(function->compute, function->memory),
           100 * other_share(function->compute, function->memory));
}

static void write_costs(struct rt_json_writer *json, double flops, double bytes, double compute,
                        double memory, double seconds, const char *bound)
{
    rt_json_write_double(json, "flops", flops);
    rt_json_write_double(json, "bytes", bytes);
    rt_json_write_double(json, "compute_s", compute);
    rt_json_write_double(json, "memory_s", memory);
    rt_json_write_double(json, "seconds", seconds);
    rt_json_write_text(json, "bound", bound);
    rt_json_write_double(json, "other", other_share(compute, memory));
}

static void write_function(struct rt_json_writer *json, const struct explained_function *function)
{
    rt_json_write_object(json, NULL);
    rt_json_write_text(json, "function", function->name);
    rt_json_write_unsigned(json, "distinct", function->distinct);
    write_costs(json, function->flops, function->bytes, function->compute, function->memory,
                function->seconds, bound_of(function->compute, function->memory));
    if (function->floor > 0)
        rt_json_write_double(json, "floor_s", function->floor);
    char key[KEY];
    rt_json_write_array(json, "kernels");
    for (size_t i = 0; i < function->count; i++) {
        const struct explained_kernel *kernel = &function->kernels[i];
        rt_json_write_object(json, NULL);
        rt_json_write_text(json, "kernel", kernel->name);
        rt_json_write_text(json, "skeleton", kernel->skeleton);
        if (kernel->provider)
            rt_json_write_text(json, "provider", kernel->provider);
        rt_json_write_text(json, "part", kernel->scope);
        rt_json_write_bool(json, "distinct", kernel->distinct);
        if (kernel->residency > 0) {
            rt_json_write_double(json, "occupancy", kernel->occupancy);
            rt_json_write_int(json, "residency", kernel->residency);
            snprintf(key, sizeof key, "%016llx", (unsigned long long)kernel->key);
            rt_json_write_text(json, "key", key);
            rt_json_write_text(json, "tiles", kernel->tiles);
        }
        rt_json_write_double(json, "share", share(kernel->seconds, function->seconds));
        write_costs(json, kernel->flops, kernel->bytes, kernel->compute, kernel->memory,
                    kernel->seconds, kernel->bound);
        rt_json_write_end(json);
    }
    rt_json_write_end(json);
    rt_json_write_end(json);
}

/* What compiled kernels turn out to be changes their tiles: so that comes first. They are compiled
 * as `build` does it, so that its code in the cache serves. */
static const struct device_program *compile_code(struct job *jobs, size_t count, size_t number)
{
    struct job *job = &jobs[number];
    if (!job->options->code || !job->pipeline.target->gpu)
        return NULL;
    struct device_program *program = arena_new(job->arena, struct device_program);
    *program = device_compile(job, job->name, program_threads(job),
                              program_wants_ptx(jobs, count, number));
    return program;
}

static void write_all(struct rt_json_writer *json, struct job *job,
                      const struct device_program *code,
                      const struct explained_function *functions)
{
    rt_json_write_object(json, NULL);
    rt_json_write_text(json, "target", job->pipeline.target->name);
    rt_json_write_array(json, "functions");
    for (size_t f = 0; f < job->module->functions.count; f++)
        write_function(json, &functions[f]);
    rt_json_write_end(json);
    if (code)
        explain_code(code, json);
    rt_json_write_end(json);
}

static void print_all(struct job *job, const struct device_program *code,
                      const struct explained_function *functions)
{
    bool gpu = job->pipeline.target->gpu != NULL;
    printf("predicted for %s%s, by the figures of `sinter targets`\n",
           gpu ? "" : "one core of ", job->pipeline.target->name);
    for (size_t f = 0; f < job->module->functions.count; f++)
        if (gpu)
            print_gpu_function(&functions[f]);
        else
            print_function(&functions[f]);
    if (code)
        explain_code(code, NULL);
}

/* An object for one target, an array of them for several. */
int command_explain(const struct options *options)
{
    struct arena *arena = arena_create();
    struct job job = job_open(arena, options), *jobs = job_run_all(&job);
    struct rt_json_writer json;
    rt_json_write_open(&json, stdout, true);
    if (options->json && job.target_count > 1)
        rt_json_write_array(&json, NULL);
    for (size_t i = 0; i < job.target_count; i++) {
        const struct device_program *code = compile_code(jobs, job.target_count, i);
        const struct explained_function *functions =
            explain_module(jobs[i].module, jobs[i].pipeline.target);
        if (options->json)
            write_all(&json, &jobs[i], code, functions);
        else
            print_all(&jobs[i], code, functions);
    }
    if (options->json && job.target_count > 1)
        rt_json_write_end(&json);
    arena_destroy(arena);
    return EXIT_OK;
}
