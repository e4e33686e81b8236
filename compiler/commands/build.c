/* `sinter build`: a model becomes an executable, or a library with its header. */
#include "compiler/emit_only.h"
#include "compiler/header.h"
#include "compiler/job.h"
#include "compiler/memory.h"
#include "compiler/program.h"
#include "compiler/progress.h"
#include "ir/base/str.h"
#include "runtime/json_write.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* The model's name, or "libNAME.so" of a library. */
static const char *output_path(const struct job *job)
{
    const struct options *options = job->options;
    const char *path = options->output ? options->output
                       : options->lib  ? arena_printf(job->arena, "lib%s.so", job->name)
                                       : arena_printf(job->arena, "./%s", job->name);
    job_check_output(job, path);
    if (options->emit)
        job_check_output(job, options->emit);
    if (options->lib)
        job_check_output(job, header_path(job->arena, path));
    return path;
}

static const char *weights_of(const struct job *job)
{
    return job->random_weights ? "random" : job->directory ? job->directory->weights : "none";
}

static void say_json(const struct job *job, const char *path, long long bytes)
{
    struct rt_json_writer json;
    rt_json_write_open(&json, stdout, true);
    rt_json_write_object(&json, NULL);
    rt_json_write_text(&json, "output", path);
    rt_json_write_int(&json, "bytes", bytes);
    rt_json_write_array(&json, "targets");
    for (size_t i = 0; i < job->target_count; i++)
        rt_json_write_text(&json, NULL,
                           job->targets[i]->gpu ? job->targets[i]->name : job->cpu->cpu);
    rt_json_write_end(&json);
    rt_json_write_text(&json, "dtype", dtype_name(job->pipeline.compute));
    rt_json_write_text(&json, "weights", weights_of(job));
    rt_json_write_end(&json);
}

static void say(const struct job *job, const char *path)
{
    struct stat facts;
    long long bytes = stat(path, &facts) == 0 ? (long long)facts.st_size : 0;
    struct str targets = str_create(job->arena);
    if (job->options->json) {
        say_json(job, path, bytes);
        return;
    }
    for (size_t i = 0; i < job->target_count; i++)
        str_printf(&targets, "%s%s", i ? " and " : "",
                   job->targets[i]->gpu ? job->targets[i]->name : job->cpu->cpu);
    fprintf(stderr, "%s: %lld kB, for %s, %s, weights %s\n", path, (bytes + 999) / 1000,
            targets.text, dtype_name(job->pipeline.compute),
            weights_of(job));
}

static struct job *run_passes(struct job *job)
{
    progress_begin("optimising");
    struct job *jobs = job_run_all(job);
    progress_end();
    for (size_t i = 0; i < job->target_count; i++)
        memory_warn(jobs[i].module, jobs[i].pipeline.target);
    return jobs;
}

/* The sources of a program instead of one. */
static void build_project(struct job *job, const char *folder)
{
    const struct options *options = job->options;
    const char *given = options->output ? "output"
                        : options->emit ? "emit"
                        : options->lib  ? "lib"
                                        : NULL;
    for (size_t i = 0; i < job->target_count; i++)
        if (!job->targets[i]->gpu)
            fatal(EMIT_ONLY_CPU, folder);
    if (given)
        fatal(EMIT_ONLY_WITH, given);
    emit_only_check(folder);
    emit_only(run_passes(job), job->target_count, folder);
    fprintf(stderr, "%s: build it with cmake -S %s -B BUILD && cmake --build BUILD\n", folder,
            folder);
}

/* What is asked of a CPU that there is none among the targets. */
static void check_options(const struct job *job)
{
    size_t gpus = 0;
    for (size_t i = 0; i < job->target_count; i++)
        gpus += job->targets[i]->gpu != NULL;
    if (job->options->emit && gpus == job->target_count && !job->options->emit_only)
        fatal(EMIT_NO_CPU, job->options->emit);
}

int command_build(const struct options *options)
{
    struct arena *arena = arena_create();
    progress_report_all(options->time);
    struct job job = job_open(arena, options);
    check_options(&job);
    if (options->emit_only) {
        build_project(&job, options->emit_only);
        arena_destroy(arena);
        return EXIT_OK;
    }
    const char *path = output_path(&job);
    struct job *jobs = run_passes(&job);
    size_t count;
    struct object *objects = program_compile(jobs, job.target_count, path, &count);
    progress_begin("linking");
    if (options->lib) {
        toolchain_link_shared(objects, count, path);
        header_write(&job, path);
    } else {
        toolchain_link_executable(objects, count, path);
    }
    progress_end();
    toolchain_free_objects(objects, count);
    say(&job, path);
    arena_destroy(arena);
    return EXIT_OK;
}
