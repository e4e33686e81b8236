/* The verb `bench`: statistics and output; see bench.h. */
#include "runtime/bench.h"

#include "runtime/bench_verify.h"
#include "runtime/cpu_features.h"
#include "runtime/json_write.h"
#include "runtime/verbs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STANDARD_STEPS = 100, LABEL_WIDTH = 28 };

static int ascending(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return left < right ? -1 : left > right;
}

double bench_quantile(double *values, rt_i64 count, double share)
{
    if (count < 1)
        return NAN;
    qsort(values, (size_t)count, sizeof *values, ascending);
    rt_i64 rank = (rt_i64)ceil(share * (double)count);
    return values[rank < 1 ? 0 : rank > count ? count - 1 : rank - 1];
}

double bench_flops(const struct rt_function *function)
{
    double flops = 0;
    for (rt_u32 i = 0; i < function->step_count; i++)
        flops += (double)function->steps[i].flops;
    return flops;
}

/* Bytes of the distinct weights among a kernel's operands. */
static double operand_weights(const struct rt_program *program, const struct rt_function *function,
                              const struct rt_step *step)
{
    const struct rt_operand *operands = function->operands + step->first_operand;
    double bytes = 0;
    for (rt_u32 i = 0; i < step->operand_count; i++) {
        bool repeated = operands[i].space != RT_SPACE_WEIGHT;
        for (rt_u32 j = 0; j < i && !repeated; j++)
            repeated = operands[j].space == RT_SPACE_WEIGHT
                       && operands[j].index == operands[i].index;
        if (!repeated)
            bytes += (double)program->weights[operands[i].index].bytes;
    }
    return bytes;
}

double bench_weight_bytes(const struct rt_program *program, const struct rt_function *function)
{
    double bytes = 0;
    for (rt_u32 i = 0; i < function->step_count; i++) {
        double weights = operand_weights(program, function, &function->steps[i]);
        double all = (double)function->steps[i].bytes;
        bytes += weights < all ? weights : all;
    }
    return bytes;
}

void bench_begin(struct bench_result *result, const struct rt_session *session,
                 const struct rt_options *options)
{
    const struct rt_program *program = session->program;
    struct rt_device_facts facts;
    session->device->table->describe(session->device, &facts);
    *result = (struct bench_result){
        .program = options->program,
        .version = program->compiler,
        .dtype = program->dtype,
        .threads = facts.threads,
        .batch = program->batch,
        .prompt_tokens = -1,
        .new_tokens = -1,
        .steps = options->steps ? options->steps : STANDARD_STEPS,
        .samples_per_s = NAN,
        .prefill_ms = NAN, .prefill_rate = NAN, .prefill_gflops = NAN, .prefill_share = NAN,
        .decode_ms = NAN, .decode_rate = NAN, .decode_gbs = NAN, .decode_share = NAN,
        .compute_gflops = NAN, .compute_share = NAN,
        .planned_bytes = (rt_i64)(program->arena_bytes + session->weights.anonymous_bytes),
        .weights = (rt_i64)session->weights.mapped_bytes,
    };
    rt_cpu_name(result->cpu, sizeof result->cpu);
    snprintf(result->device, sizeof result->device, "%s", facts.name);
    if (program->gpu) {
        result->planned_bytes = (rt_i64)(program->arena_bytes + session->weights.mapped_bytes
                                         + session->weights.anonymous_bytes);
        result->peak_gflops = program->gpu->gflops;
        result->bandwidth_gbs = program->gpu->gbs;
    }
}

rt_status bench_samples_open(struct bench_samples *samples, struct rt_session *session,
                             rt_i64 steps)
{
    *samples = (struct bench_samples){.session = session, .steps = steps};
    samples->step_ns = calloc((size_t)steps * 5, sizeof *samples->step_ns);
    if (!samples->step_ns)
        return rt_fail(OUT_OF_MEMORY, (size_t)steps * 5 * sizeof *samples->step_ns);
    samples->prefill_ns = samples->step_ns + steps;
    samples->decode_ns = samples->prefill_ns + steps;
    samples->peak = samples->decode_ns + steps;
    samples->bandwidth = samples->peak + steps;
    return rt_reader_open(&samples->reader, session);
}

void bench_samples_close(struct bench_samples *samples)
{
    free(samples->step_ns);
    rt_reader_close(&samples->reader);
    *samples = (struct bench_samples){0};
}

void bench_samples_add(struct bench_samples *samples, rt_u64 step_ns, rt_u64 prefill_ns,
                       rt_u64 decode_ns)
{
    rt_i64 i = samples->done++;
    samples->step_ns[i] = (double)step_ns;
    samples->prefill_ns[i] = (double)prefill_ns;
    samples->decode_ns[i] = (double)decode_ns;
    if (samples->session->program->gpu)
        return; /* shares are of the figures of the target's table */
    samples->peak[i] = rt_measure_peak(samples->session);
    samples->bandwidth[i] = rt_measure_bandwidth(samples->session, &samples->reader);
}

void bench_finish(struct bench_result *result, struct bench_samples *samples)
{
    double sum = 0;
    for (rt_i64 i = 0; i < samples->done; i++)
        sum += samples->step_ns[i];
    result->step_mean = sum / (double)samples->done * 1e-6;
    result->step_median = bench_quantile(samples->step_ns, samples->done, 0.5) * 1e-6;
    result->step_p99 = bench_quantile(samples->step_ns, samples->done, 0.99) * 1e-6;
    if (!samples->session->program->gpu) {
        result->peak_gflops = bench_quantile(samples->peak, samples->done, 0.5) * 1e-9;
        result->bandwidth_gbs = bench_quantile(samples->bandwidth, samples->done, 0.5) * 1e-9;
    }
    if (result->bandwidth_gbs == 0)
        result->bandwidth_gbs = NAN;
    result->prefill_share = result->prefill_gflops / result->peak_gflops;
    result->compute_share = result->compute_gflops / result->peak_gflops;
    result->decode_share = result->decode_gbs / result->bandwidth_gbs;
    result->peak_bytes = (rt_i64)rt_measure_anonymous();
}

static void print_json(const struct bench_result *result)
{
    struct rt_json_writer json;
    rt_json_write_open(&json, stdout, true);
    rt_json_write_object(&json, NULL);
#define TEXT(name, value, label) rt_json_write_text(&json, name, value);
#define INTEGER(name, value, label)           \
    if ((value) >= 0)                         \
        rt_json_write_int(&json, name, value); \
    else                                      \
        rt_json_write_null(&json, name);
#define REAL(name, value, label) rt_json_write_double(&json, name, value);
#define OPEN(name) rt_json_write_object(&json, name);
#define CLOSE() rt_json_write_end(&json);
#include "runtime/bench_fields.def"
    rt_json_write_end(&json);
}

static void print_line(const char *label, const char *value)
{
    if (label)
        printf("%-*s%s\n", LABEL_WIDTH, label, value);
}

static void print_integer(const char *label, rt_i64 value)
{
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)value);
    if (value >= 0)
        print_line(label, text);
}

static void print_real(const char *label, double value)
{
    char text[32];
    snprintf(text, sizeof text, "%.4g", value);
    if (isfinite(value))
        print_line(label, text);
}

static void print_text(const struct bench_result *result)
{
#define TEXT(name, value, label) print_line(label, value);
#define INTEGER(name, value, label) print_integer(label, value);
#define REAL(name, value, label) print_real(label, value);
#define OPEN(name)
#define CLOSE()
#include "runtime/bench_fields.def"
}

void bench_print(const struct bench_result *result, bool json)
{
    if (json)
        print_json(result);
    else
        print_text(result);
}

/* Single kernels take no prompts and no steps. */
static rt_status check_options(const struct rt_options *options)
{
    const char *other = options->steps            ? "--steps"
                        : options->argument_count ? "a prompt"
                                                  : NULL;
    if (options->kernels && options->verify)
        return rt_fail(BENCH_WAYS, "--kernels", "--verify");
    if ((options->kernels || options->verify) && other)
        return rt_fail(BENCH_WAYS, options->kernels ? "--kernels" : "--verify", other);
    return 0;
}

rt_status rt_run_bench(const struct rt_program *program, const struct rt_options *options)
{
    struct rt_session session;
    struct bench_result result;
    rt_status status = check_options(options);
    if (!status)
        status = rt_open_session(&session, program, options);
    if (status)
        return status;
    if (options->kernels || options->verify) {
        status = options->verify ? bench_verify(&session, options->verify, options->json)
                                 : bench_kernels(&session, options->json);
        rt_session_close(&session);
        return status;
    }
    bench_begin(&result, &session, options);
    status = strcmp(program->task, "generate") == 0
                 ? bench_generate(&result, &session, options)
                 : bench_function(&result, &session, options);
    if (!status)
        bench_print(&result, options->json);
    rt_session_close(&session);
    return status;
}
