/* `sinter explain`: what every kernel costs and what bounds it. */
#include "compiler/job.h"
#include "ir/cost.h"

#include <stdio.h>

struct bound {
    double compute, memory; /* seconds */
};

static struct bound bound_of(const struct cost *cost, const struct target *target, bool bf16)
{
    double gflops = bf16 ? target->gflops_bf16 : target->gflops_f32;
    return (struct bound){cost->flops / (gflops * 1e9), cost->bytes / (target->gbs * 1e9)};
}

static void explain_function(const struct job *job, const struct function *function)
{
    double total = 0;
    printf("%s\n", function->name);
    for (size_t i = 0; i < function->kernels.count; i++) {
        const struct kernel *kernel = function->kernels.items[i];
        struct cost cost = kernel_cost(function, kernel);
        struct bound bound =
            bound_of(&cost, job->pipeline.target, job->pipeline.compute == DTYPE_bf16);
        double seconds = bound.compute > bound.memory ? bound.compute : bound.memory;
        printf("  %-28s %-14s %12.3f MF %12.3f MB %10.1f us  %s\n", kernel->name,
               skeleton_name(kernel->skeleton), cost.flops / 1e6, cost.bytes / 1e6, seconds * 1e6,
               bound.compute > bound.memory ? "compute" : "memory");
        total += seconds;
    }
    printf("  %-28s %-14s %39s %10.1f us of one core\n\n", "total", "", "", total * 1e6);
}

int command_explain(const struct options *options)
{
    struct arena *arena = arena_create();
    struct job job = job_open(arena, options);
    job_run(&job);
    printf("predicted for one core of %s, by the attainable figures of `sinter targets`\n\n",
           job.pipeline.target->name);
    for (size_t f = 0; f < job.module->functions.count; f++)
        explain_function(&job, job.module->functions.items[f]);
    arena_destroy(arena);
    return EXIT_OK;
}
