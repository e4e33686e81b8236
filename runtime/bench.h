/* What the verb `bench` measures, and the statistics of it; bench_fields.def is its output. */
#ifndef SINTER_BENCH_H
#define SINTER_BENCH_H

#include "runtime/measure.h"
#include "runtime/options.h"
#include "runtime/session.h"

#include <stdbool.h>

struct bench_result {
    const char *program, *version, *dtype;
    char cpu[64], device[64];
    rt_i64 threads, batch, prompt_tokens, new_tokens, steps; /* tokens: -1 where without meaning */
    double step_mean, step_median, step_p99;
    double samples_per_s;
    double prefill_ms, prefill_rate, prefill_gflops, prefill_share;
    double decode_ms, decode_rate, decode_gbs, decode_share;
    double compute_gflops, compute_share;
    double peak_gflops, bandwidth_gbs;
    rt_i64 peak_bytes, planned_bytes, weights;
};

/* The samples that are taken after every step. */
struct bench_samples {
    struct rt_session *session;
    struct rt_reader reader;
    double *step_ns, *prefill_ns, *decode_ns, *peak, *bandwidth; /* [steps] each */
    rt_i64 steps, done;
};

/* Fills what is known before the first step; everything measured becomes NAN. */
void bench_begin(struct bench_result *result, const struct rt_session *session,
                 const struct rt_options *options);

rt_status bench_samples_open(struct bench_samples *samples, struct rt_session *session,
                             rt_i64 steps);
void bench_samples_close(struct bench_samples *samples);

/* Records a step and the times of its parts (0 where it has none), and samples the machine. The
 * first step of all is not to be recorded. */
void bench_samples_add(struct bench_samples *samples, rt_u64 step_ns, rt_u64 prefill_ns,
                       rt_u64 decode_ns);

/* Step times, the machine's rates, memory. Rates and times of parts are medians on both sides of
 * a share, since a machine that is shared has outliers. */
void bench_finish(struct bench_result *result, struct bench_samples *samples);

/* Of values[0..count), which are sorted by it: the value at a share of the order, nearest rank. */
double bench_quantile(double *values, rt_i64 count, double share);

/* Bytes of weights that one launch of a function reads: of each kernel, what it reads in all or
 * its weights if those are less (a gather touches only some rows). */
double bench_weight_bytes(const struct rt_program *program, const struct rt_function *function);

double bench_flops(const struct rt_function *function);

void bench_print(const struct bench_result *result, bool json);

/* The measured steps of a program with a generate task, or with one function that is repeated. */
rt_status bench_generate(struct bench_result *result, struct rt_session *session,
                         const struct rt_options *options);
rt_status bench_function(struct bench_result *result, struct rt_session *session,
                         const struct rt_options *options);

/* Times every distinct kernel of the program; prints a table, or one JSON array. */
rt_status bench_kernels(struct rt_session *session, bool json);

#endif
