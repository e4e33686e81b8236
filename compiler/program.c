/* See program.h. */
#include "compiler/program.h"

#include "backends/c/emit.h"
#include "compiler/progress.h"
#include "compiler/tokenizer/tokenizer.h"
#include "compiler/toolchain/output.h"
#include "compiler/version.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { UNITS_MOST = 16, UNITS_A_FUNCTION = 2 };

static const char *const task_names[] = {"generate", "predict", "fit"};

static unsigned thread_count(const struct job *job)
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

static struct emit_result emit(struct job *job)
{
    add_facts(job);
    struct emit_options options = {.facts = facts_of(job), .target = job->pipeline.target};
    /* Not by the number of threads: the program's bytes must not depend on it. */
    size_t units = job->module->functions.count * UNITS_A_FUNCTION;
    options.units = job->options->emit ? 1 : units > UNITS_MOST ? UNITS_MOST : (int)units;
    progress_begin("emitting C");
    struct emit_result result = backend_c_emit(job->module, &options);
    progress_end();
    return result;
}

struct object *program_compile(struct job *job, const char *path, size_t *out_count)
{
    struct emit_result result = emit(job);
    size_t count = (size_t)result.count;
    struct toolchain_source *sources = arena_array(job->arena, struct toolchain_source, count);
    struct object *objects = arena_array(job->arena, struct object, count);
    for (size_t i = 0; i < count; i++)
        sources[i] = (struct toolchain_source){arena_printf(job->arena, "unit%zu.c", i),
                                               result.units[i].text, result.units[i].length};
    if (job->options->emit)
        output_write(job->options->emit, sources[0].text, sources[0].length, 0666);
    progress_begin("compiling kernels");
    toolchain_compile_all(sources, count, job->cpu, thread_count(job), path, objects);
    progress_end();
    *out_count = count;
    return objects;
}
