/*
 * The CUDA backend prints a kernel once for all that share its signature. Here every kernel of
 * every committed checkpoint is printed alone: it must give the text, the launch and the operands
 * that the emitted program has for its step.
 */
#include "backends/cuda/emit.h"
#include "backends/cuda/kernel.h"
#include "compiler/job.h"
#include "runtime/status.h"
#include "tests/reference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { WORDS = 12 };

struct variant {
    char *dtype, *batch;
    int steps, kernels; /* met so far */
};

static struct job plan(struct arena *arena, char **words)
{
    struct options *options = arena_new(arena, struct options);
    if (rt_command_line_parse(&compiler_command_table, (struct command_line *)options, WORDS,
                              words))
        fail_msg("%s", rt_status_text());
    struct job job = job_open(arena, options);
    pipeline_run(job.module, &job.pipeline, NULL);
    job.module->target = job.pipeline.target->name;
    return job;
}

static void compare(const struct job *job, const struct cuda_emit_result *emitted, size_t f,
                    size_t k)
{
    const struct function *function = job->module->functions.items[f];
    const struct cuda_step *step = &emitted->steps[f][k];
    const struct cuda_kernel *kernel = &emitted->kernels[step->kernel];
    struct cuda_kernel_text alone =
        cuda_kernel_print(job->arena, job->module, job->pipeline.target, function,
                          function->kernels.items[k]);
    assert_non_null(kernel->text);
    assert_string_equal(strstr(kernel->text, kernel->name) + strlen(kernel->name), alone.body);
    assert_string_equal(step->step.function, kernel->name);
    assert_int_equal(kernel->blocks, alone.blocks);
    assert_int_equal(kernel->threads, alone.threads);
    assert_int_equal(kernel->shared, alone.shared);
    assert_int_equal(kernel->residency, alone.residency);
    assert_int_equal(step->step.operand_count, alone.operand_count);
    for (size_t i = 0; i < alone.operand_count; i++)
        assert_ptr_equal(step->step.operands[i], alone.operands[i]);
}

static void check(const struct reference *reference, void *context)
{
    struct variant *variant = context;
    char path[256];
    snprintf(path, sizeof path, "tests/fixtures/checkpoints/%s", reference->name);
    char *words[WORDS + 1] = {"sinter", "build", path,           "--dtype", variant->dtype,
                              "--batch", variant->batch, "--max-length", "64",
                              "--target", "a100", "--verify"};
    struct arena *arena = arena_create();
    struct job job = plan(arena, words);
    struct cuda_emit_result emitted = backend_cuda_emit(
        job.module, &(struct cuda_emit_options){.target = job.pipeline.target});
    for (size_t f = 0; f < job.module->functions.count; f++) {
        size_t count = job.module->functions.items[f]->kernels.count;
        for (size_t k = 0; k < count; k++)
            compare(&job, &emitted, f, k);
        variant->steps += (int)count;
    }
    variant->kernels += emitted.kernel_count;
    arena_destroy(arena);
}

static void checkpoints(void **state)
{
    struct variant *variant = *state;
    assert_true(reference_each(check, variant) >= 12);
    assert_true(variant->kernels < variant->steps);
}

int main(void)
{
    struct variant variants[] = {{.dtype = "f32", .batch = "1"}, {.dtype = "bf16", .batch = "5"}};
    const struct CMUnitTest tests[] = {
        {"f32, batch 1", checkpoints, NULL, NULL, &variants[0]},
        {"bf16, batch 5", checkpoints, NULL, NULL, &variants[1]},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
