/*
 * `bench --kernels`: the time of every distinct kernel by itself. Steps that run the same code are
 * timed together, one after the other, so that each launch finds other weights than the one before
 * it, as in a real run (a GPU makes copies where they are too few); positions stand near the end of
 * the caches, so that attention has work. `cold` in the JSON tells whether a run's weights and
 * caches exceed twice the GPU's last cache; null where the kernel reads none, or that is unknown.
 */
#include "runtime/bench.h"
#include "runtime/json_write.h"
#include "runtime/roles.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_LAUNCHES = 20 };

struct kernel_time {
    const char *target, *function, *name, *symbol;
    rt_u32 step; /* the first one that runs it */
    rt_u32 uses; /* in the function */
    double predicted, flops, bytes; /* predicted: microseconds */
    struct rt_step_time time;
};

static bool same_code(const struct rt_program *program, const struct rt_step *a,
                      const struct rt_step *b)
{
    return program->gpu ? a->launch == b->launch
                        : a->kernel == b->kernel && a->tiles == b->tiles;
}

static void print_text(const struct kernel_time *k)
{
    double gbs = 1e-3 * k->bytes / k->time.microseconds;
    printf("%-12s %-34s %4u %10.2f us %9.1f GFLOP/s %8.1f GB/s", k->function, k->name, k->uses,
           k->time.microseconds, 1e-3 * k->flops / k->time.microseconds, gbs);
    if (k->predicted > 0)
        printf(" predicted %.2f us", k->predicted);
    printf("\n");
}

static void print_json(struct rt_json_writer *json, const struct kernel_time *k)
{
    rt_json_write_object(json, NULL);
    rt_json_write_text(json, "target", k->target);
    rt_json_write_text(json, "function", k->function);
    rt_json_write_unsigned(json, "step", k->step);
    rt_json_write_text(json, "kernel", k->symbol);
    rt_json_write_text(json, "name", k->name);
    rt_json_write_unsigned(json, "uses", k->uses);
    rt_json_write_double(json, "us", k->time.microseconds);
    if (k->predicted > 0)
        rt_json_write_double(json, "predicted_us", k->predicted);
    rt_json_write_double(json, "flops", k->flops);
    rt_json_write_double(json, "bytes", k->bytes);
    rt_json_write_unsigned(json, "launches", k->time.launches);
    rt_json_write_unsigned(json, "distinct_bytes", k->time.bytes);
    if (k->time.bytes > 0 && k->time.cache_bytes > 0)
        rt_json_write_bool(json, "cold", k->time.bytes >= 2 * k->time.cache_bytes);
    else
        rt_json_write_null(json, "cold");
    rt_json_write_end(json);
}

/* Steps first.. of a function that run the same code as step `first`; 0 if an earlier one does. */
static rt_u32 gather(const struct rt_program *program, const struct rt_function *function,
                     rt_u32 first, rt_u32 *out_steps)
{
    rt_u32 count = 0;
    for (rt_u32 i = 0; i < function->step_count; i++)
        if (same_code(program, &function->steps[i], &function->steps[first])) {
            if (i < first)
                return 0;
            out_steps[count++] = i;
        }
    return count;
}

static rt_status time_function(struct rt_session *session, rt_u32 number, rt_u32 *steps,
                               struct rt_json_writer *json)
{
    const struct rt_program *program = session->program;
    const struct rt_function *function = &program->functions[number];
    for (rt_u32 i = 0; i < function->step_count; i++) {
        const struct rt_step *step = &function->steps[i];
        rt_u32 count = gather(program, function, i, steps);
        if (count == 0)
            continue;
        struct kernel_time k = {
            .target = program->gpu ? program->gpu->name : program->cpu,
            .function = function->name, .name = step->name, .step = i, .uses = count,
            .symbol = program->gpu ? program->launches[step->launch].symbol : step->name,
            .predicted = 1e-3 * step->predicted_ns,
            .flops = (double)step->flops, .bytes = (double)step->bytes};
        rt_status status = session->device->table->time_steps(
            session->device, number, steps, count, LEAST_LAUNCHES, &k.time);
        if (status)
            return status;
        if (json)
            print_json(json, &k);
        else
            print_text(&k);
        fflush(stdout); /* the next kernel may be the one that never comes back */
    }
    return 0;
}

/* Every row has tokens up to shortly before the end of the cache. */
static rt_status set_positions(struct rt_session *session)
{
    const struct rt_port *pos = rt_session_state(session, "pos");
    rt_i32 at = (rt_i32)session->program->max_length - 2;
    if (!pos || pos->dtype != RT_I32 || at < 0)
        return 0;
    return session->device->table->fill(session->device, pos->offset, pos->bytes, &at, sizeof at);
}

/* All inputs `count` say that every position of the chunk is valid. */
static rt_status set_counts(struct rt_session *session, const struct rt_function *function)
{
    rt_i32 chunk = (rt_i32)function->chunk;
    for (rt_u32 i = 0; i < function->input_count; i++) {
        const struct rt_port *port = &function->inputs[i];
        if (chunk > 0 && port->dtype == RT_I32 && strcmp(port->name, "count") == 0)
            return session->device->table->fill(session->device, port->offset, port->bytes,
                                                &chunk, sizeof chunk);
    }
    return 0;
}

rt_status bench_kernels(struct rt_session *session, bool as_json)
{
    const struct rt_program *program = session->program;
    struct rt_json_writer json;
    rt_u32 most = 0;
    if (!session->device->table->time_steps)
        return rt_fail(BENCH_NO_CLOCK, session->device->table->name);
    for (rt_u32 f = 0; f < program->function_count; f++)
        most = program->functions[f].step_count > most ? program->functions[f].step_count : most;
    rt_u32 *steps = calloc(most + 1u, sizeof *steps);
    if (!steps)
        return rt_fail(OUT_OF_MEMORY, most * sizeof *steps);
    rt_json_write_open(&json, stdout, false);
    if (as_json)
        rt_json_write_array(&json, NULL);
    rt_status status = 0;
    for (rt_u32 f = 0; f < program->function_count && !status; f++) {
        status = set_positions(session);
        if (!status)
            status = set_counts(session, &program->functions[f]);
        if (!status)
            status = time_function(session, f, steps, as_json ? &json : NULL);
    }
    if (as_json)
        rt_json_write_end(&json);
    free(steps);
    return status;
}
