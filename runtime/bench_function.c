/*
 * bench of a fit or predict program: a step is one launch of its function with new inputs, made
 * of numbers from a fixed generator (labels: small whole numbers), copied in and the first
 * output read back.
 */
#include "runtime/bench.h"
#include "runtime/convert.h"
#include "runtime/dataset.h"
#include "runtime/process.h"
#include "runtime/progress.h"
#include "runtime/roles.h"
#include "runtime/verbs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct call {
    struct rt_session *session;
    const struct rt_function *function;
    rt_u32 index;
    unsigned char *buffer; /* as large as the largest port */
    rt_i64 classes;
    rt_u64 random;
    rt_u64 computed; /* nanoseconds of the device in the last call */
};

/* A number in [0, 1): Steele, Lea, Flood: "Fast splittable pseudorandom number generators". */
static double next_number(struct call *call)
{
    rt_u64 mixed = call->random += 0x9e3779b97f4a7c15u;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebu;
    return (double)((mixed ^ mixed >> 31) >> 40) * 0x1p-24;
}

static void put_value(struct call *call, const struct rt_port *port, rt_i64 index)
{
    unsigned size = rt_dtype_size(port->dtype);
    unsigned char *at = call->buffer + (size_t)index * size;
    float number = (float)next_number(call);
    rt_i64 label = (rt_i64)(number * (float)(call->classes > 0 ? call->classes : 1));
    double wide = (double)number;
    if (port->dtype == RT_F32 || port->dtype == RT_TF32 || port->dtype == RT_BF16 ||
        port->dtype == RT_F16)
        rt_convert(at, port->dtype, &number, RT_F32, 1);
    else if (port->dtype == RT_F64)
        memcpy(at, &wide, size);
    else
        memcpy(at, &label, size); /* little endian: the low bytes */
}

static rt_status put_inputs(struct call *call)
{
    rt_status status = 0;
    for (rt_u32 i = 0; i < call->function->input_count && !status; i++) {
        const struct rt_port *port = &call->function->inputs[i];
        rt_i64 count = rt_port_elements(port);
        float setting = 1e-3f; /* learning rate and momentum: small, so that nothing overflows */
        if (count == 1 && port->dtype == RT_F32)
            memcpy(call->buffer, &setting, sizeof setting);
        else
            for (rt_i64 k = 0; k < count; k++)
                put_value(call, port, k);
        status = rt_session_write(call->session, port, call->buffer);
    }
    return status;
}

static rt_status run_call(struct call *call, rt_u64 *nanoseconds)
{
    rt_status status = put_inputs(call);
    struct rt_device *device = call->session->device;
    rt_u64 start = rt_now();
    if (!status)
        status = device->table->stamp(device, 0);
    if (!status)
        status = rt_session_launch(call->session, call->index);
    if (!status)
        status = device->table->stamp(device, 1);
    if (!status && call->function->output_count > 0)
        status = rt_session_read(call->session, &call->function->outputs[0], call->buffer);
    if (!status)
        status = device->table->elapsed(device, 0, 1, &call->computed);
    *nanoseconds = rt_now() - start;
    return status ? status : rt_process_interrupted();
}

static rt_status open_call(struct call *call)
{
    const struct rt_program *program = call->session->program;
    bool trains = strcmp(program->task, "fit") == 0;
    rt_u64 largest = sizeof(float);
    rt_status status = rt_session_function(call->session, trains ? RT_ROLE_FIT : RT_ROLE_PREDICT,
                                           &call->index);
    if (status)
        return status;
    call->function = &program->functions[call->index];
    call->classes = rt_dataset_classes(call->session);
    for (rt_u32 i = 0; i < call->function->input_count; i++)
        if (call->function->inputs[i].bytes > largest)
            largest = call->function->inputs[i].bytes;
    for (rt_u32 i = 0; i < call->function->output_count; i++)
        if (call->function->outputs[i].bytes > largest)
            largest = call->function->outputs[i].bytes;
    call->buffer = calloc(1, largest);
    return call->buffer ? 0 : rt_fail(OUT_OF_MEMORY, (size_t)largest);
}

static rt_status measure(struct bench_result *result, struct call *call,
                         struct bench_samples *samples)
{
    struct rt_progress progress;
    rt_status status = 0;
    double total = 0, computed = 0, steps = (double)result->steps;
    rt_progress_open(&progress, "bench", result->steps);
    for (rt_i64 step = 0; step <= result->steps && !status; step++) {
        rt_u64 nanoseconds;
        status = run_call(call, &nanoseconds);
        if (status || step == 0)
            continue; /* the first step is not counted */
        bench_samples_add(samples, nanoseconds, 0, 0);
        total += (double)nanoseconds * 1e-9;
        computed += (double)call->computed * 1e-9;
        rt_progress_show(&progress, step, "");
    }
    rt_progress_close(&progress);
    if (status)
        return status;
    result->samples_per_s = steps * (double)result->batch / total;
    result->compute_gflops = steps * bench_flops(call->function) / computed * 1e-9;
    bench_finish(result, samples);
    return 0;
}

rt_status bench_function(struct bench_result *result, struct rt_session *session,
                         const struct rt_options *options)
{
    struct call call = {.session = session, .random = (rt_u64)options->seed};
    struct bench_samples samples = {0};
    rt_status status = open_call(&call);
    if (!status)
        status = bench_samples_open(&samples, session, result->steps);
    if (!status)
        status = measure(result, &call, &samples);
    bench_samples_close(&samples);
    free(call.buffer);
    return status;
}
