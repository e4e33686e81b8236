/*
 * Times of single kernels. A kernel in a graph costs its work and a share of the graph's own; the
 * same graph of kernels that do nothing has only the latter, and the difference is what the kernel
 * adds. The times are those of events around whole graphs, the least of several runs each.
 */
#include "runtime/cuda_device.h"

#include <math.h>
#include <stdlib.h>

enum { TIMED_RUNS = 5 };

/* Any driver compiles it for its GPU. */
static const char nothing[] = ".version 7.0\n.target sm_80\n.address_size 64\n"
                              ".visible .entry nothing()\n{\n    ret;\n}\n";

struct timing {
    struct cuda *cuda;
    const struct rt_function *function;
    rt_u32 number; /* of the function */
    const rt_u32 *steps;
    rt_u32 count, launches;
    cuda_function empty; /* of the kernel that does nothing */
};

static rt_status record_launches(struct timing *t, bool empty)
{
    struct cuda *cuda = t->cuda;
    void **parameters = cuda->parameters + cuda->sequences[t->number].first_operand;
    for (rt_u32 i = 0; i < t->launches; i++) {
        const struct rt_step *step = &t->function->steps[t->steps[i % t->count]];
        const struct rt_launch *launch = &cuda->program->launches[step->launch];
        cuda_result result = cuda->driver->launch(
            empty ? t->empty : cuda->kernels[step->launch], launch->blocks, 1, 1, launch->threads,
            1, 1, empty ? 0 : launch->shared, cuda->stream,
            empty ? NULL : parameters + step->first_operand, NULL);
        if (result)
            return cuda_check(cuda, result, step->name);
    }
    return 0;
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

/* The least time of a graph, in microseconds; the first run does not count. */
static rt_status least_time(struct timing *t, cuda_executable graph, double *microseconds)
{
    struct rt_device *device = &t->cuda->base;
    rt_status status = 0;
    *microseconds = INFINITY;
    for (int i = 0; i <= TIMED_RUNS && !status; i++) {
        rt_u64 nanoseconds = 0;
        status = cuda_stamp(device, 0);
        if (!status)
            status = cuda_check(t->cuda, t->cuda->driver->graph_launch(graph, t->cuda->stream),
                                "timing kernels");
        if (!status)
            status = cuda_stamp(device, 1);
        if (!status)
            status = cuda_elapsed(device, 0, 1, &nanoseconds);
        if (i > 0 && 1e-3 * (double)nanoseconds < *microseconds)
            *microseconds = 1e-3 * (double)nanoseconds;
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

rt_status cuda_time_steps(struct rt_device *device, rt_u32 function, const rt_u32 *steps,
                          rt_u32 count, rt_u32 least, double *microseconds)
{
    struct cuda *cuda = cuda_of(device);
    struct timing t = {cuda, &cuda->program->functions[function], function, steps, count, count,
                       NULL};
    cuda_module module = NULL;
    double whole = 0, frame = 0;
    *microseconds = 0;
    while (t.launches < least && count > 0)
        t.launches += count;
    rt_status status = cuda_enter(cuda);
    if (!status)
        status = cuda_check(cuda, cuda->driver->module_load(&module, nothing), "loading a kernel");
    if (!status)
        status = cuda_check(cuda, cuda->driver->module_function(&t.empty, module, "nothing"),
                            "loading a kernel");
    if (!status)
        status = time_graph(&t, false, &whole);
    if (!status)
        status = time_graph(&t, true, &frame);
    if (module)
        cuda->driver->module_unload(module);
    if (!status && t.launches > 0)
        *microseconds = fmax(0, whole - frame) / t.launches;
    return status;
}
