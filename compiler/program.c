/* See program.h. */
#include "compiler/program.h"

#include "backends/c/emit.h"
#include "compiler/device_program.h"
#include "compiler/progress.h"
#include "compiler/tokenizer/tokenizer.h"
#include "compiler/toolchain/output.h"
#include "compiler/version.h"
#include "ir/gpu.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { UNITS_MOST = 16, UNITS_A_FUNCTION = 2 };

static const char *const task_names[] = {"generate", "predict", "fit"};

unsigned program_threads(const struct job *job)
{
    cpu_set_t cpus;
    if (job->options->threads > 0)
        return (unsigned)job->options->threads;
    return sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? (unsigned)CPU_COUNT(&cpus) : 1;
}

static const char *absolute_path(struct job *job)
{
    char *path = realpath(job->options->arguments[0], NULL);
    char *copy = path ? arena_copy(job->arena, path, strlen(path)) : NULL;
    free(path);
    return copy ? copy : "";
}

static void add_tokenizer(struct job *job, struct program_facts *facts)
{
    facts->bos_id = -1;
    if (job->pipeline.task != TASK_generate || !job->directory)
        return;
    enum { EOS_MOST = 64 };
    int32_t *eos = arena_array(job->arena, int32_t, EOS_MOST), bos;
    facts->eos_ids = eos;
    facts->eos_count = model_directory_token_ids(job->directory, "eos_token_id", eos, EOS_MOST);
    if (model_directory_token_ids(job->directory, "bos_token_id", &bos, 1))
        facts->bos_id = bos;
    if (!tokenizer_present(job->directory->path))
        return;
    struct tokenizer_blob blob = tokenizer_compile(job->arena, job->directory->path);
    facts->tokenizer = blob.bytes;
    facts->tokenizer_bytes = blob.size;
    facts->bos_id = blob.summary.bos;
    facts->eos_ids = blob.summary.eos;
    facts->eos_count = blob.summary.eos_count;
}

static struct program_facts facts_of(struct job *job)
{
    struct program_facts facts = {
        .compiler = "sinter " SINTER_VERSION,
        .task = task_names[job->pipeline.task],
        .dtype = dtype_name(job->pipeline.compute),
        .cpu = job->cpu->cpu,
        .cpu_features = job->cpu->features,
        .weights_path = job->random_weights ? "" : absolute_path(job),
        .batch = job->options->batch,
        .max_length = job->pipeline.max_length,
        .random_weights = job->random_weights,
        .random_seed = (uint64_t)job->options->seed,
    };
    add_tokenizer(job, &facts);
    return facts;
}

/* What `info` tells beside the tables. */
static void add_facts(struct job *job)
{
    int64_t parameters = 0;
    for (size_t i = 0; i < job->module->weights.count; i++)
        parameters += type_elements(&job->module->weights.items[i]->results[0].type);
    module_add_fact(job->module, "parameters",
                    arena_printf(job->arena, "%lld", (long long)parameters));
    if (job->directory)
        module_add_fact(job->module, "model type", model_directory_type(job->directory));
}

struct program_facts program_facts_of(struct job *job, int number, bool more)
{
    struct program_facts facts = facts_of(job);
    facts.number = number;
    facts.more = more;
    add_facts(job);
    return facts;
}

/* --- units --- */

struct units {
    struct arena *arena;
    ARRAY_OF(struct toolchain_source) list;
};

static void add_unit(struct units *units, const char *text, size_t length)
{
    const char *name = arena_printf(units->arena, "unit%zu.c", units->list.count);
    struct toolchain_source source = {name, text, length};
    array_push(units->arena, &units->list, source);
}

static void add_cpu(struct job *job, const struct program_facts *facts, struct units *units)
{
    struct emit_options options = {.facts = *facts, .target = job->pipeline.target};
    /* Not by the number of threads: the program's bytes must not depend on it. */
    size_t count = job->module->functions.count * UNITS_A_FUNCTION;
    options.units = job->options->emit ? 1 : count > UNITS_MOST ? UNITS_MOST : (int)count;
    progress_begin("emitting C");
    struct emit_result result = backend_c_emit(job->module, &options);
    progress_end();
    for (int i = 0; i < result.count; i++)
        add_unit(units, result.units[i].text, result.units[i].length);
    if (job->options->emit)
        output_write(job->options->emit, result.units[0].text, result.units[0].length, 0666);
}

static void add_gpu(struct job *job, const struct program_facts *facts, const char *path, bool ptx,
                    struct units *units)
{
    struct device_program program = device_compile(job, path, program_threads(job), ptx);
    for (int i = 0; i < program.emitted.kernel_count; i++)
        if (program.lint[i])
            warn(KERNEL_SPILLS, program.emitted.kernels[i].name, job->pipeline.target->name,
                 program.lint[i]);
    struct str text = device_unit(job, &program, facts);
    add_unit(units, text.text, text.length);
}

bool program_wants_ptx(const struct job *jobs, size_t count, size_t number)
{
    for (size_t i = 0; i < count; i++) {
        const struct gpu *gpu = jobs[i].pipeline.target->gpu;
        if (gpu && strcmp(gpu->architecture, "sm_80") == 0)
            return i == number;
    }
    return false;
}

static struct units make_units(struct job *jobs, size_t count, const char *path)
{
    struct units units = {.arena = jobs->arena};
    for (size_t i = 0; i < count; i++) {
        struct job *job = &jobs[i];
        struct program_facts facts = program_facts_of(job, (int)i, i + 1 < count);
        if (job->pipeline.target->gpu)
            add_gpu(job, &facts, path, program_wants_ptx(jobs, count, i), &units);
        else
            add_cpu(job, &facts, &units);
    }
    return units;
}

struct object *program_compile(struct job *jobs, size_t job_count, const char *path,
                               size_t *out_count)
{
    struct units units = make_units(jobs, job_count, path);
    size_t count = units.list.count;
    struct object *objects = arena_array(jobs->arena, struct object, count);
    progress_begin("compiling kernels");
    toolchain_compile_all(units.list.items, count, jobs->cpu, program_threads(jobs), path,
                          objects);
    progress_end();
    *out_count = count;
    return objects;
}
