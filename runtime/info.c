/* The verb `info`: what a program was built from, its plan, its functions and its weights. It
 * opens nothing, so it works on machines that cannot run the program. */
#include "runtime/device.h"
#include "runtime/json_write.h"
#include "runtime/verbs.h"

#include <stdbool.h>
#include <stdio.h>

struct totals {
    double flops, bytes;
};

static struct totals totals_of(const struct rt_function *function)
{
    struct totals totals = {0};
    for (rt_u32 i = 0; i < function->step_count; i++) {
        totals.flops += (double)function->steps[i].flops;
        totals.bytes += (double)function->steps[i].bytes;
    }
    return totals;
}

static double weight_bytes(const struct rt_program *program)
{
    double bytes = 0;
    for (rt_u32 i = 0; i < program->weight_count; i++)
        bytes += (double)program->weights[i].bytes;
    return bytes;
}

static void print_port(const char *kind, const struct rt_port *port)
{
    printf("    %s %s: %s[", kind, port->name, rt_dtype_name(port->dtype));
    for (rt_u32 i = 0; i < port->rank; i++)
        printf("%s%lld", i ? "," : "", (long long)port->dims[i]);
    puts("]");
}

static const char *target_of(const struct rt_program *program)
{
    return program->gpu ? program->gpu->name : program->cpu;
}

static void print_functions(const struct rt_program *program)
{
    for (rt_u32 i = 0; i < program->function_count; i++) {
        const struct rt_function *function = &program->functions[i];
        struct totals totals = totals_of(function);
        printf("  %s (%s", function->name, function->role);
        if (function->chunk)
            printf(", %lld positions", (long long)function->chunk);
        printf("): %u kernels, %.4g GFLOP, %.4g MB\n", function->step_count, totals.flops * 1e-9,
               totals.bytes * 1e-6);
        for (rt_u32 k = 0; k < function->input_count; k++)
            print_port("input", &function->inputs[k]);
        for (rt_u32 k = 0; k < function->output_count; k++)
            print_port("output", &function->outputs[k]);
    }
}

/* The plan and the functions of each target, under its name where there are several. */
static void print_plans(const struct rt_program *first)
{
    bool several = first->other != NULL;
    for (const struct rt_program *program = first; program; program = program->other) {
        if (several)
            printf("on %s\n", target_of(program));
        printf("memory      %llu bytes, %llu of them state\n",
               (unsigned long long)program->arena_bytes,
               (unsigned long long)program->state_bytes);
        puts("functions");
        print_functions(program);
    }
}

static void print_text(const struct rt_program *program)
{
    const char *recorded = program->random_weights ? "random" : program->weights_path;
    char targets[256];
    printf("model       %s\ntask        %s\ndtype       %s\n%s%s\nbuilt by    %s\n",
           program->model, program->task, program->dtype,
           program->gpu || program->other ? "targets     " : "cpu         ",
           rt_target_names(program, targets, sizeof targets), program->compiler);
    printf("batch       %lld\nmax length  %lld\n", (long long)program->batch,
           (long long)program->max_length);
    for (rt_u32 i = 0; i < program->fact_count; i++)
        printf("%-11s %s\n", program->facts[i].name, program->facts[i].value);
    printf("weights     %u tensors, %.0f bytes, %s\n", program->weight_count,
           weight_bytes(program), recorded);
    print_plans(program);
}

static void write_function(struct rt_json_writer *json, const struct rt_function *function)
{
    struct totals totals = totals_of(function);
    rt_json_write_object(json, NULL);
    rt_json_write_text(json, "name", function->name);
    rt_json_write_text(json, "role", function->role);
    rt_json_write_int(json, "chunk", function->chunk);
    rt_json_write_int(json, "kernels", function->step_count);
    rt_json_write_double(json, "flops", totals.flops);
    rt_json_write_double(json, "bytes", totals.bytes);
    rt_json_write_end(json);
}

static void write_weights(struct rt_json_writer *json, const struct rt_program *program)
{
    rt_json_write_object(json, "weights");
    rt_json_write_int(json, "tensors", program->weight_count);
    rt_json_write_double(json, "bytes", weight_bytes(program));
    rt_json_write_text(json, "path", program->random_weights ? NULL : program->weights_path);
    rt_json_write_bool(json, "random", program->random_weights);
    rt_json_write_end(json);
}

/* What differs from target to target. */
static void write_plan(struct rt_json_writer *json, const struct rt_program *program)
{
    rt_json_write_text(json, "target", target_of(program));
    rt_json_write_unsigned(json, "planned_bytes", program->arena_bytes);
    rt_json_write_unsigned(json, "state_bytes", program->state_bytes);
    rt_json_write_array(json, "functions");
    for (rt_u32 i = 0; i < program->function_count; i++)
        write_function(json, &program->functions[i]);
    rt_json_write_end(json);
}

static void print_json(const struct rt_program *program)
{
    struct rt_json_writer json;
    char targets[256];
    rt_json_write_open(&json, stdout, true);
    rt_json_write_object(&json, NULL);
    rt_json_write_text(&json, "compiler", program->compiler);
    rt_json_write_text(&json, "model", program->model);
    rt_json_write_text(&json, "task", program->task);
    rt_json_write_text(&json, "dtype", program->dtype);
    rt_json_write_text(&json, "cpu", program->cpu);
    rt_json_write_text(&json, "targets", rt_target_names(program, targets, sizeof targets));
    rt_json_write_int(&json, "batch", program->batch);
    rt_json_write_int(&json, "max_length", program->max_length);
    rt_json_write_object(&json, "facts");
    for (rt_u32 i = 0; i < program->fact_count; i++)
        rt_json_write_text(&json, program->facts[i].name, program->facts[i].value);
    rt_json_write_end(&json);
    write_weights(&json, program);
    write_plan(&json, program);
    rt_json_write_array(&json, "others");
    for (const struct rt_program *other = program->other; other; other = other->other) {
        rt_json_write_object(&json, NULL);
        write_plan(&json, other);
        rt_json_write_end(&json);
    }
    rt_json_write_end(&json);
    rt_json_write_end(&json);
}

rt_status rt_run_info(const struct rt_program *program, const struct rt_options *options)
{
    if (options->json)
        print_json(program);
    else
        print_text(program);
    return 0;
}
