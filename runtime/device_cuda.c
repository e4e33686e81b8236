/*
 * An NVIDIA GPU as a device (device.h), by the driver's own interface: opening, closing, and the
 * table. cuda_device.h says which file does what.
 */
#include "runtime/cuda_device.h"

#include <stdio.h>
#include <stdlib.h>

static void cuda_close(struct rt_device *device)
{
    struct cuda *cuda = cuda_of(device);
    if (cuda->context && cuda->driver->context_set(cuda->context) == CUDA_OK) {
        if (cuda->stream)
            cuda->driver->stream_wait(cuda->stream);
        cuda_drop_kernels(cuda);
        if (cuda->memory)
            cuda->driver->memory_free(cuda->memory);
        cuda_close_transfers(cuda);
        if (cuda->stream)
            cuda->driver->stream_destroy(cuda->stream);
        cuda->driver->context_release(cuda->gpu.ordinal);
    }
    free(cuda->weights);
    free(cuda->constants);
    free(cuda->operands);
    free(cuda->parameters);
    free(cuda->sequences);
    free(cuda);
}

static rt_status open_context(struct cuda *cuda)
{
    cuda_result result = cuda->driver->context_retain(&cuda->context, cuda->gpu.ordinal);
    if (result) {
        cuda->context = NULL;
        return cuda_check(cuda, result, "opening a context");
    }
    rt_status status = cuda_enter(cuda);
    if (!status)
        status = cuda_check(cuda, cuda->driver->stream_create(&cuda->stream, CUDA_STREAM_OWN),
                            "opening a stream");
    return status ? status : cuda_open_transfers(cuda);
}

static rt_status cuda_open(struct rt_device **device, const struct rt_device_options *options)
{
    struct cuda *cuda = calloc(1, sizeof *cuda);
    (void)options; /* threads of the host compute nothing here */
    *device = NULL;
    if (!cuda)
        return rt_fail(OUT_OF_MEMORY, sizeof *cuda);
    cuda->base.table = &rt_device_cuda;
    rt_status status = rt_cuda_load(&cuda->driver);
    if (!status)
        status = rt_cuda_find(cuda->driver, &cuda->gpu);
    if (!status)
        status = open_context(cuda);
    if (status)
        cuda_close(&cuda->base);
    else
        *device = &cuda->base;
    return status;
}

static void cuda_describe(struct rt_device *device, struct rt_device_facts *facts)
{
    const struct cuda *cuda = cuda_of(device);
    *facts = (struct rt_device_facts){.memory_bytes = cuda->gpu.memory_bytes, .ahead = true};
    snprintf(facts->name, sizeof facts->name, "%s", cuda->gpu.name);
}

static rt_status cuda_bind(struct rt_device *device, const struct rt_program *program,
                           const void *const *weights)
{
    struct cuda *cuda = cuda_of(device);
    cuda->program = program;
    rt_status status = cuda_enter(cuda);
    if (!status)
        status = cuda_plan(cuda); /* before anything takes memory */
    if (!status)
        status = cuda_load_kernels(cuda); /* before the weights, which take long */
    if (!status)
        status = cuda_place(cuda, weights);
    if (!status)
        status = cuda_reserve_fetches(cuda);
    return status ? status : cuda_wait(device);
}

static void cuda_run(struct rt_device *device, rt_kernel *kernel, void *const *operands,
                     rt_i64 tiles)
{
    (void)device;
    kernel(operands, 0, tiles);
}

const struct rt_device_table rt_device_cuda = {
    .name = "cuda",
    .choose = rt_cuda_choose,
    .open = cuda_open,
    .close = cuda_close,
    .describe = cuda_describe,
    .bind = cuda_bind,
    .launch = cuda_launch,
    .run_step = cuda_run_step,
    .wait = cuda_wait,
    .write = cuda_write,
    .read = cuda_read,
    .copy = cuda_copy,
    .fetch = cuda_fetch,
    .collect = cuda_collect,
    .stamp = cuda_stamp,
    .elapsed = cuda_elapsed,
    .time_steps = cuda_time_steps,
    .fill = cuda_fill,
    .view = cuda_view,
    .run = cuda_run,
};
