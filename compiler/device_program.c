/* See device_program.h. */
#include "compiler/device_program.h"

#include "compiler/progress.h"
#include "passes/tile_gpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- compiling --- */

static const char *lint(struct job *job, const struct cuda_kernel *kernel,
                        const struct device_code *code)
{
    struct cubin_limits limits = {
        .shared = job->pipeline.target->gpu->shared_block,
        .dynamic = kernel->shared,
        .mma_count = kernel->mma_count,
    };
    const char *reason = cubin_lint(&code->facts, &limits);
    return reason ? arena_copy(job->arena, reason, strlen(reason)) : NULL;
}

/* Kernels that have code. */
static size_t count_code(const struct device_program *program)
{
    size_t count = 0;
    for (int i = 0; i < program->emitted.kernel_count; i++)
        count += program->emitted.kernels[i].text != NULL;
    return count;
}

/* The kernels that were compiled in an earlier round, by text, which holds their names. */
struct compiler {
    struct job *job;
    struct nvrtc nvrtc; /* found when there is something to compile */
    struct device_options options;
    struct map known; /* to struct device_code */
};

static void compile(struct compiler *c, struct device_program *program)
{
    struct arena *arena = c->job->arena;
    size_t count = (size_t)program->emitted.kernel_count, wanted = 0;
    const char **reasons = arena_array(arena, const char *, count + 1);
    struct device_source *sources = arena_array(arena, struct device_source, count + 1);
    struct device_code *codes = arena_array(arena, struct device_code, count + 1);
    size_t *numbers = arena_array(arena, size_t, count + 1);
    program->code = arena_array(arena, struct device_code, count + 1);
    for (size_t i = 0; i < count; i++) {
        const struct cuda_kernel *kernel = &program->emitted.kernels[i];
        if (!kernel->text || map_get(&c->known, kernel->text))
            continue;
        struct device_source *source = &sources[wanted];
        source->name = kernel->name;
        source->text = cuda_kernel_source(arena, &program->emitted, (int)i, &source->length);
        numbers[wanted++] = i;
    }
    if (wanted > 0 && !c->nvrtc.path)
        c->nvrtc = nvrtc_find(arena, c->job->options->cuda);
    if (wanted > 0)
        nvrtc_compile(arena, &c->nvrtc, sources, wanted, &c->options, codes);
    for (size_t i = 0; i < wanted; i++)
        map_set(&c->known, program->emitted.kernels[numbers[i]].text, &codes[i]);
    for (size_t i = 0; i < count; i++) {
        const struct cuda_kernel *kernel = &program->emitted.kernels[i];
        if (!kernel->text)
            continue;
        program->code[i] = *(const struct device_code *)map_get(&c->known, kernel->text);
        reasons[i] = lint(c->job, kernel, &program->code[i]);
    }
    program->lint = reasons;
}

/* --- other tiles for kernels that spill --- */

/* What was tried with a kernel of the module. */
struct attempts {
    const struct function *function;
    struct kernel *kernel;
    int tried, best; /* numbers of candidates: the one that it has, and that of fewest spills */
    int64_t spills;  /* of the best */
    int count;
    bool ended;
};

static int64_t spills_of(const struct device_code *code)
{
    return code->facts.spill_stores + code->facts.spill_loads + code->facts.frame;
}

/* The first kernel of the module that is printed as number `index`. */
static void find_kernel(struct job *job, const struct device_program *program, int index,
                        struct attempts *out)
{
    for (size_t f = 0; f < job->module->functions.count; f++) {
        struct function *function = job->module->functions.items[f];
        for (size_t k = 0; k < function->kernels.count; k++)
            if (program->emitted.steps[f][k].kernel == index) {
                *out = (struct attempts){.function = function,
                                         .kernel = function->kernels.items[k]};
                return;
            }
    }
    fatal(INTERNAL, "a kernel that nothing uses", program->emitted.kernels[index].name);
}

static struct attempts *attempts_of(struct job *job, const struct device_program *program,
                                    struct map *all, int index, int64_t spills)
{
    struct attempts found;
    find_kernel(job, program, index, &found);
    void **place = map_insert(all, (const char *)&found.kernel, sizeof found.kernel);
    if (*place)
        return *place;
    struct attempts *attempts = arena_new(job->arena, struct attempts);
    *attempts = found;
    const struct tile_rules rules = pipeline_tile_rules(&job->pipeline);
    attempts->tried = tile_chosen(job->module, &rules, found.function, found.kernel);
    attempts->ended = attempts->tried < 0;
    attempts->best = attempts->tried;
    attempts->spills = spills;
    *place = attempts;
    return attempts;
}

static bool choose(struct job *job, struct attempts *a, int candidate)
{
    const struct tile_rules rules = pipeline_tile_rules(&job->pipeline);
    a->tried = candidate;
    return tile_choose(job->module, &rules, a->function, a->kernel, candidate);
}

/* Gives a kernel that spills its next tiles, or at last the best that were tried. True if it
 * was changed. */
static bool try_next(struct job *job, struct attempts *a, int64_t spills)
{
    enum { MOST = 4 };
    if (a->ended)
        return false;
    if (spills < a->spills) {
        a->spills = spills;
        a->best = a->tried;
    }
    int before = a->tried;
    if (a->count++ < MOST && choose(job, a, a->tried + 1))
        return true;
    a->ended = true;
    return a->best != before && choose(job, a, a->best);
}

static bool replace_spilling(struct job *job, const struct device_program *program,
                             struct map *all)
{
    bool changed = false;
    for (int i = 0; i < program->emitted.kernel_count; i++) {
        int64_t spills = spills_of(&program->code[i]);
        if (spills > 0)
            changed |= try_next(job, attempts_of(job, program, all, i, spills), spills);
    }
    return changed;
}

struct device_program device_emit(struct job *job)
{
    struct cuda_emit_options options = {.target = job->pipeline.target};
    return (struct device_program){.emitted = backend_cuda_emit(job->module, &options)};
}

struct device_program device_compile(struct job *job, const char *path, unsigned threads,
                                     bool ptx)
{
    struct compiler compiler = {
        .job = job,
        .options = {.architecture = job->pipeline.target->gpu->architecture,
                    .ptx = ptx,
                    .threads = threads,
                    .told = progress_count,
                    .path = path},
        .known = map_create(job->arena),
    };
    struct map attempts = map_create(job->arena);
    struct device_program program = device_emit(job);
    progress_begin(arena_printf(job->arena, "compiling %zu kernels for %s", count_code(&program),
                                job->pipeline.target->name));
    compile(&compiler, &program);
    while (replace_spilling(job, &program, &attempts)) {
        program = device_emit(job);
        compile(&compiler, &program);
    }
    progress_end();
    return program;
}

/* --- the unit --- */

static struct program_step **steps_of(struct job *job, const struct device_program *program)
{
    size_t functions = job->module->functions.count;
    struct program_step **steps = arena_array(job->arena, struct program_step *, functions + 1);
    for (size_t f = 0; f < functions; f++) {
        size_t count = job->module->functions.items[f]->kernels.count;
        steps[f] = arena_array(job->arena, struct program_step, count + 1);
        for (size_t k = 0; k < count; k++) {
            steps[f][k] = program->emitted.steps[f][k].step;
            steps[f][k].launch = (size_t)program->emitted.steps[f][k].kernel;
            steps[f][k].function = NULL;
        }
    }
    return steps;
}

/* TFLOP/s of the data sheet for products of a type: by the GPU's fastest instructions. */
static double peak_of(const struct gpu *gpu, enum dtype compute)
{
    const struct gpu_rate *rates = gpu->rates;
    if (compute != DTYPE_bf16 && compute != DTYPE_tf32)
        return rates[FAMILY_ffma].peak;
    bool bf16 = compute == DTYPE_bf16;
    double group = rates[bf16 ? FAMILY_wgmma_bf16 : FAMILY_wgmma_tf32].peak;
    return group > 0 ? group : rates[bf16 ? FAMILY_mma_bf16 : FAMILY_mma_tf32].peak;
}

struct rt_target device_target(const struct gpu *gpu)
{
    const char *architecture = gpu->architecture;
    return (struct rt_target){.name = gpu->name,
                              .sm = (rt_u32)atoi(architecture + strlen("sm_")),
                              .exact = architecture[strlen(architecture) - 1] == 'a',
                              .multiprocessors = (rt_u32)gpu->multiprocessors,
                              .memory_bytes = (rt_u64)gpu->memory_bytes};
}

/* Images: the cubins of all kernels, then their PTX where there is any. */
static struct program_gpu describe(struct job *job, const struct device_program *program)
{
    const struct gpu *gpu = job->pipeline.target->gpu;
    size_t count = (size_t)program->emitted.kernel_count, coded = count_code(program), at = 0;
    struct program_launch *launches = arena_array(job->arena, struct program_launch, count + 1);
    struct program_image *images = arena_array(job->arena, struct program_image, 2 * count + 1);
    const struct rt_target target = device_target(gpu);
    struct program_gpu out = {
        .name = target.name,
        .sm = target.sm,
        .exact = target.exact,
        .multiprocessors = target.multiprocessors,
        .memory_bytes = target.memory_bytes,
        .gflops = peak_of(gpu, job->pipeline.compute) * 1e3,
        .gbs = gpu->hbm_peak_gbs,
        .launches = launches,
        .images = images,
        .launch_count = count,
        .image_count = program->code ? coded : 2 * coded,
    };
    for (size_t i = 0; i < count; i++) {
        const struct cuda_kernel *kernel = &program->emitted.kernels[i];
        const struct device_code *code = program->code ? &program->code[i] : NULL;
        launches[i] = (struct program_launch){
            kernel->name,   PROGRAM_NO_IMAGE, PROGRAM_NO_IMAGE,       kernel->blocks,
            kernel->threads, kernel->shared,   kernel->product, kernel->workspace_bytes};
        if (kernel->product)
            continue;
        launches[i].image = (uint32_t)at++;
        if (!code)
            launches[i].ptx = (uint32_t)(coded + launches[i].image);
        if (code)
            images[launches[i].image] =
                (struct program_image){code->cubin, code->cubin_length, code->facts.cuda};
        if (!code || !code->ptx)
            continue;
        launches[i].ptx = (uint32_t)out.image_count;
        images[out.image_count++] =
            (struct program_image){code->ptx, code->ptx_length, code->facts.cuda};
    }
    if (!program->code)
        out.images = NULL;
    return out;
}

struct str device_unit(struct job *job, const struct device_program *program,
                       const struct program_facts *facts)
{
    const struct embedded_file *types = toolchain_file("program.h");
    struct program_gpu gpu = describe(job, program);
    struct program_facts own = *facts;
    struct str out = str_create(job->arena);
    own.gpu = &gpu;
    own.cpu = NULL;
    own.cpu_features = NULL;
    str_printf(&out, "/* Made by sinter for %s. */\n", gpu.name);
    str_bytes(&out, types->text, types->length);
    program_print(&out, job->module, &own, steps_of(job, program));
    return out;
}
