/*
 * Times of single kernels. A kernel in a graph costs its work and a share of the graph's own; the
 * same graph of kernels that do nothing has only the latter, and the difference is what the kernel
 * adds. The launches of a graph go over different weights (cuda_rotate.h). The times are those of
 * events around whole graphs, the least of several runs each; the clocks of a GPU that had nothing
 * to do are low, so that it works for a while before the first of them.
 */
#include "runtime/cuda_rotate.h"

#include <math.h>
#include <stdlib.h>

enum {
    TIMED_RUNS = 5,            /* at least */
    TIMED_MICROSECONDS = 5000, /* at least, in all runs */
    WARM_MICROSECONDS = 100000
};

/* Any driver compiles it for its GPU. */
static const char nothing[] = ".version 7.0\n.target sm_80\n.address_size 64\n"
                              ".visible .entry nothing()\n{\n    ret;\n}\n";

struct timing {
    struct cuda *cuda;
    const struct rt_function *function;
    rt_u32 number; /* of the function */
    const rt_u32 *steps;
    rt_u32 count;
    struct cuda_rotation rotation;
    cuda_module module;
    cuda_function empty; /* of the kernel that does nothing */
};

static rt_status launch_empty(const struct timing *t, const struct rt_launch *launch,
                              const char *name)
{
    cuda_result result = t->cuda->driver->launch(t->empty, launch->blocks, 1, 1, launch->threads,
                                                 1, 1, 0, t->cuda->stream, NULL, NULL);
    return cuda_check(t->cuda, result, name);
}

static rt_status record_launches(struct timing *t, bool empty)
{
    struct cuda *cuda = t->cuda;
    void **all = cuda->parameters + cuda->sequences[t->number].first_operand;
    rt_status status = 0;
    for (rt_u32 i = 0; i < t->rotation.rounds * t->count && !status; i++) {
        const struct rt_step *step = &t->function->steps[t->steps[i % t->count]];
        const struct rt_launch *launch = &cuda->program->launches[step->launch];
        void **parameters =
            cuda_rotated(&t->rotation, i / t->count, step, all + step->first_operand);
        status = empty ? launch_empty(t, launch, step->name)
                       : cuda_queue_step(cuda, step, parameters);
    }
    return status;
}

/* Libraries load what they need when they first compute, which must not be recorded. */
static rt_status run_products(struct timing *t)
{
    struct cuda *cuda = t->cuda;
    void **all = cuda->parameters + cuda->sequences[t->number].first_operand;
    rt_status status = 0;
    for (rt_u32 i = 0; i < t->count && !status; i++) {
        const struct rt_step *step = &t->function->steps[t->steps[i]];
        if (cuda->program->launches[step->launch].product)
            status = cuda_queue_step(cuda, step, all + step->first_operand);
    }
    return status;
}

static rt_status record(struct timing *t, bool empty, cuda_executable *out)
{
    const struct cuda_driver *driver = t->cuda->driver;
    cuda_graph graph = NULL;
    rt_status status = cuda_check(
        t->cuda, driver->capture_begin(t->cuda->stream, CUDA_CAPTURE_THREAD), "recording kernels");
    if (status)
        return status;
    status = record_launches(t, empty);
    cuda_result result = driver->capture_end(t->cuda->stream, &graph);
    if (!status && !result)
        result = driver->graph_instantiate(out, graph, 0);
    if (graph)
        driver->graph_destroy(graph);
    return status ? status : cuda_check(t->cuda, result, "recording kernels");
}

static rt_status time_run(struct timing *t, cuda_executable graph, double *microseconds)
{
    struct rt_device *device = &t->cuda->base;
    rt_u64 nanoseconds = 0;
    rt_status status = cuda_stamp(device, 0);
    if (!status)
        status = cuda_check(t->cuda, t->cuda->driver->graph_launch(graph, t->cuda->stream),
                            "timing kernels");
    if (!status)
        status = cuda_stamp(device, 1);
    if (!status)
        status = cuda_elapsed(device, 0, 1, &nanoseconds);
    *microseconds = 1e-3 * (double)nanoseconds;
    return status;
}

/* The least time of a graph; the first run does not count, nor those until the GPU is warm. */
static rt_status least_time(struct timing *t, cuda_executable graph, double *microseconds)
{
    double time = 0, sum = 0;
    rt_status status = time_run(t, graph, &time);
    for (; !status && t->cuda->worked < WARM_MICROSECONDS; t->cuda->worked += 1 + time)
        status = time_run(t, graph, &time);
    *microseconds = INFINITY;
    for (int i = 0; !status && (i < TIMED_RUNS || sum < TIMED_MICROSECONDS); i++) {
        status = time_run(t, graph, &time);
        *microseconds = fmin(*microseconds, time);
        sum += 1 + time; /* an end also for a clock that stands still */
    }
    return status;
}

static rt_status time_graph(struct timing *t, bool empty, double *microseconds)
{
    cuda_executable graph = NULL;
    rt_status status = record(t, empty, &graph);
    if (!status)
        status = least_time(t, graph, microseconds);
    if (graph)
        t->cuda->driver->graph_free(graph);
    return status;
}

static rt_status load_empty(struct timing *t)
{
    const struct cuda_driver *driver = t->cuda->driver;
    rt_status status =
        cuda_check(t->cuda, driver->module_load(&t->module, nothing), "loading a kernel");
    if (status)
        return status;
    return cuda_check(t->cuda, driver->module_function(&t->empty, t->module, "nothing"),
                      "loading a kernel");
}

static rt_status time_both(struct timing *t, struct rt_step_time *out)
{
    double whole = 0, frame = 0;
    out->launches = t->rotation.rounds * t->count;
    out->bytes = cuda_rotated_bytes(&t->rotation);
    out->cache_bytes = t->cuda->gpu.cache_bytes;
    if (out->launches == 0)
        return 0;
    rt_status status = load_empty(t);
    if (!status)
        status = run_products(t);
    if (!status)
        status = time_graph(t, false, &whole);
    if (!status)
        status = time_graph(t, true, &frame);
    out->microseconds = fmax(0, whole - frame) / out->launches;
    return status;
}

rt_status cuda_time_steps(struct rt_device *device, rt_u32 function, const rt_u32 *steps,
                          rt_u32 count, rt_u32 least, struct rt_step_time *out)
{
    struct cuda *cuda = cuda_of(device);
    struct timing t = {.cuda = cuda,
                       .function = &cuda->program->functions[function],
                       .number = function,
                       .steps = steps,
                       .count = count};
    *out = (struct rt_step_time){0};
    rt_status status = cuda_enter(cuda);
    if (!status)
        status = cuda_rotation_open(&t.rotation, cuda, function, steps, count, least);
    if (!status)
        status = time_both(&t, out);
    if (t.module)
        cuda->driver->module_unload(t.module);
    cuda_rotation_close(&t.rotation);
    return status;
}
