/*
 * Kernels of the GPU: modules, launches, graphs. A function runs step by step the first time, so
 * that a kernel that cannot start is named, and is recorded while the GPU works; from then on it
 * is one graph, whose kernels take what changes (tokens, positions, seeds) from the arena, so that
 * one graph serves always.
 */
#include "runtime/cuda_blas.h"
#include "runtime/cuda_device.h"

#include <stdio.h>
#include <stdlib.h>

static rt_status fail_kernel(const struct cuda *cuda, cuda_result result, const char *what,
                             const char *name)
{
    char text[256];
    snprintf(text, sizeof text, "%s '%s'", what, name);
    return cuda_check(cuda, result, text);
}

/* --- modules --- */

static rt_status load_kernel(struct cuda *cuda, rt_u32 number, bool ptx)
{
    const struct rt_launch *launch = &cuda->program->launches[number];
    rt_u32 image = ptx ? launch->ptx : launch->image;
    cuda_result result = CUDA_OK;
    if (!cuda->modules[image])
        result = cuda->driver->module_load(&cuda->modules[image],
                                           cuda->program->images[image].bytes);
    if (!result)
        result = cuda->driver->module_function(&cuda->kernels[number], cuda->modules[image],
                                               launch->symbol);
    if (!result && launch->shared > CUDA_SHARED_ALWAYS)
        result = cuda->driver->function_set(cuda->kernels[number], CUDA_FUNCTION_SHARED,
                                            (int)launch->shared);
    return result ? fail_kernel(cuda, result, "loading kernel", launch->symbol) : 0;
}

rt_status cuda_load_kernels(struct cuda *cuda)
{
    const struct rt_program *program = cuda->program;
    rt_u32 needed;
    bool ptx = rt_cuda_fit(program, &cuda->gpu, &needed) != CUDA_FIT_CUBIN;
    cuda->modules = calloc(program->image_count + 1u, sizeof *cuda->modules);
    cuda->kernels = calloc(program->launch_count + 1u, sizeof *cuda->kernels);
    if (!cuda->modules || !cuda->kernels)
        return rt_fail(OUT_OF_MEMORY, program->launch_count * sizeof *cuda->kernels);
    rt_status status = 0;
    for (rt_u32 i = 0; i < program->launch_count && !status; i++)
        if (!program->launches[i].product)
            status = load_kernel(cuda, i, ptx);
    return status ? status : cuda_blas_open(cuda);
}

void cuda_drop_kernels(struct cuda *cuda)
{
    const struct rt_program *program = cuda->program;
    for (rt_u32 f = 0; program && cuda->sequences && f < program->function_count; f++)
        if (cuda->sequences[f].graph)
            cuda->driver->graph_free(cuda->sequences[f].graph);
    cuda_blas_close(cuda);
    for (rt_u32 i = 0; program && cuda->modules && i < program->image_count; i++)
        if (cuda->modules[i])
            cuda->driver->module_unload(cuda->modules[i]);
    free(cuda->modules);
    free(cuda->kernels);
}

/* --- launches --- */

rt_status cuda_queue_step(struct cuda *cuda, const struct rt_step *step, void **parameters)
{
    const struct rt_launch *launch = &cuda->program->launches[step->launch];
    if (launch->product)
        return cuda_blas_multiply(cuda, step, parameters);
    cuda_result result = cuda->driver->launch(
        cuda->kernels[step->launch], launch->blocks, 1, 1, launch->threads, 1, 1, launch->shared,
        cuda->stream, parameters, NULL);
    return result ? fail_kernel(cuda, result, "launching kernel", step->name) : 0;
}

static rt_status launch_step(struct cuda *cuda, rt_u32 index, rt_u32 number)
{
    const struct rt_step *step = &cuda->program->functions[index].steps[number];
    void **parameters = cuda->parameters + cuda->sequences[index].first_operand;
    return cuda_queue_step(cuda, step, parameters + step->first_operand);
}

static rt_status launch_steps(struct cuda *cuda, rt_u32 index)
{
    rt_u32 count = cuda->program->functions[index].step_count;
    rt_status status = 0;
    for (rt_u32 i = 0; i < count && !status; i++)
        status = launch_step(cuda, index, i);
    return status;
}

rt_status cuda_run_step(struct rt_device *device, rt_u32 function, rt_u32 step)
{
    struct cuda *cuda = cuda_of(device);
    rt_status status = cuda_enter(cuda);
    return status ? status : launch_step(cuda, function, step);
}

static rt_status capture(struct cuda *cuda, rt_u32 index)
{
    const struct cuda_driver *driver = cuda->driver;
    const char *name = cuda->program->functions[index].name;
    cuda_graph graph = NULL;
    cuda_result result = driver->capture_begin(cuda->stream, CUDA_CAPTURE_THREAD);
    if (result)
        return fail_kernel(cuda, result, "recording function", name);
    rt_status status = launch_steps(cuda, index);
    result = driver->capture_end(cuda->stream, &graph); /* ends the capture on failure too */
    if (!status && !result)
        result = driver->graph_instantiate(&cuda->sequences[index].graph, graph, 0);
    if (graph)
        driver->graph_destroy(graph);
    return status || !result ? status : fail_kernel(cuda, result, "recording function", name);
}

rt_status cuda_launch(struct rt_device *device, rt_u32 index)
{
    struct cuda *cuda = cuda_of(device);
    struct cuda_sequence *sequence = &cuda->sequences[index];
    const struct rt_function *function = &cuda->program->functions[index];
    rt_status status = cuda_enter(cuda);
    if (status || function->step_count == 0)
        return status;
    if (!sequence->graph) {
        status = launch_steps(cuda, index);
        return status ? status : capture(cuda, index);
    }
    cuda_result result = cuda->driver->graph_launch(sequence->graph, cuda->stream);
    return result ? fail_kernel(cuda, result, "launching function", function->name) : 0;
}
