/* See device_program.h. */
#include "compiler/device_program.h"

#include "compiler/progress.h"
#include "ir/gpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static void compile(struct job *job, struct device_program *program, const char *path,
                    unsigned threads, bool ptx)
{
    size_t count = (size_t)program->emitted.kernel_count;
    const char **reasons = arena_array(job->arena, const char *, count + 1);
    struct device_source *sources = arena_array(job->arena, struct device_source, count + 1);
    struct nvrtc nvrtc = nvrtc_find(job->arena, job->options->cuda);
    struct device_options options = {
        .architecture = job->pipeline.target->gpu->architecture,
        .ptx = ptx,
        .threads = threads,
        .path = path,
    };
    for (size_t i = 0; i < count; i++) {
        sources[i].name = program->emitted.kernels[i].name;
        sources[i].text =
            cuda_kernel_source(job->arena, &program->emitted, (int)i, &sources[i].length);
    }
    program->code = arena_array(job->arena, struct device_code, count + 1);
    nvrtc_compile(job->arena, &nvrtc, sources, count, &options, program->code);
    for (size_t i = 0; i < count; i++)
        reasons[i] = lint(job, &program->emitted.kernels[i], &program->code[i]);
    program->lint = reasons;
}

struct device_program device_emit(struct job *job)
{
    struct cuda_emit_options options = {.target = job->pipeline.target};
    return (struct device_program){.emitted = backend_cuda_emit(job->module, &options)};
}

struct device_program device_compile(struct job *job, const char *path, unsigned threads,
                                     bool ptx)
{
    struct device_program program = device_emit(job);
    progress_begin(arena_printf(job->arena, "compiling %d kernels for %s",
                                program.emitted.kernel_count, job->pipeline.target->name));
    compile(job, &program, path, threads, ptx);
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

/* Images: the cubins of all kernels, then their PTX where there is any. */
static struct program_gpu describe(struct job *job, const struct device_program *program)
{
    const struct gpu *gpu = job->pipeline.target->gpu;
    size_t count = (size_t)program->emitted.kernel_count;
    struct program_launch *launches = arena_array(job->arena, struct program_launch, count + 1);
    struct program_image *images = arena_array(job->arena, struct program_image, 2 * count + 1);
    struct program_gpu out = {
        .name = gpu->name,
        .sm = (uint32_t)atoi(gpu->architecture + strlen("sm_")),
        .exact = gpu->architecture[strlen(gpu->architecture) - 1] == 'a',
        .multiprocessors = (uint32_t)gpu->multiprocessors,
        .memory_bytes = (uint64_t)gpu->memory_bytes,
        .gflops_bf16 = gpu->rates[FAMILY_mma_bf16].peak * 1e3,
        .gbs = gpu->hbm_peak_gbs,
        .launches = launches,
        .images = images,
        .launch_count = count,
        .image_count = count,
    };
    for (size_t i = 0; i < count; i++) {
        const struct cuda_kernel *kernel = &program->emitted.kernels[i];
        const struct device_code *code = program->code ? &program->code[i] : NULL;
        launches[i] = (struct program_launch){kernel->name,    (uint32_t)i,    PROGRAM_NO_IMAGE,
                                              kernel->blocks, kernel->threads, kernel->shared};
        if (!code)
            launches[i].ptx = (uint32_t)(count + i);
        if (code)
            images[i] = (struct program_image){code->cubin, code->cubin_length, code->facts.cuda};
        if (!code || !code->ptx)
            continue;
        launches[i].ptx = (uint32_t)out.image_count;
        images[out.image_count++] =
            (struct program_image){code->ptx, code->ptx_length, code->facts.cuda};
    }
    if (!program->code) {
        out.images = NULL;
        out.image_count = 2 * count;
    }
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
