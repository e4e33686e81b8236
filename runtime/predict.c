/*
 * The verb `predict`: the first output of the model for every sample of IDX files. With --labels
 * it prints the share of samples whose largest value stands at the label; else the place of the
 * largest value of each (or the value, where there is only one).
 */
#include "runtime/convert.h"
#include "runtime/dataset.h"
#include "runtime/files.h"
#include "runtime/json_write.h"
#include "runtime/npy.h"
#include "runtime/process.h"
#include "runtime/progress.h"
#include "runtime/roles.h"
#include "runtime/verbs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct predict {
    const struct rt_options *options;
    struct rt_session session;
    struct rt_dataset dataset;
    rt_u32 function;
    const struct rt_port *output;
    rt_i64 width;    /* values of a sample's output */
    float *values;   /* [B, width] */
    void *raw;       /* the same as the output stores it */
    rt_i64 *samples; /* [B] */
    struct rt_idx labels;
    rt_i64 right;
    FILE *out;
    char out_name[4096];
    struct rt_json_writer json;
};

static void close_all(struct predict *predict)
{
    rt_file_discard(predict->out, predict->out_name);
    rt_idx_close(&predict->labels);
    free(predict->values);
    free(predict->raw);
    free(predict->samples);
    rt_dataset_close(&predict->dataset);
    rt_session_close(&predict->session);
}

static rt_status find_output(struct predict *predict)
{
    const struct rt_function *function =
        &predict->session.program->functions[predict->function];
    rt_i64 batch = predict->session.program->batch;
    if (function->output_count < 1)
        return rt_fail(PORT_MISSING, "first output", function->name);
    predict->output = &function->outputs[0];
    rt_i64 elements = rt_port_elements(predict->output);
    predict->width = elements / batch;
    predict->values = calloc((size_t)elements + 1, sizeof *predict->values);
    predict->raw = malloc(predict->output->bytes + 1);
    predict->samples = calloc((size_t)batch, sizeof *predict->samples);
    if (predict->width < 1 || elements % batch != 0)
        return rt_fail(PORT_SHAPE, predict->output->name, function->name);
    if (!predict->values || !predict->raw || !predict->samples)
        return rt_fail(OUT_OF_MEMORY, (size_t)elements * sizeof *predict->values);
    return 0;
}

static rt_status open_labels(struct predict *predict)
{
    const char *path = predict->options->labels;
    rt_status status = rt_idx_open(&predict->labels, path);
    if (!status && predict->labels.sample != 1)
        status = rt_fail(IDX_SHAPE, path, (long long)predict->labels.sample, "labels", 1ll);
    if (!status && predict->labels.count != predict->dataset.count)
        status = rt_fail(IDX_COUNT, path, (long long)predict->labels.count,
                         (long long)predict->dataset.count);
    return status;
}

static rt_status open_all(struct predict *predict, const struct rt_program *program)
{
    const struct rt_options *options = predict->options;
    rt_status status = rt_open_session(&predict->session, program, options);
    if (!status)
        status = rt_session_function(&predict->session, RT_ROLE_PREDICT, &predict->function);
    if (!status)
        status = find_output(predict);
    if (!status)
        status = rt_dataset_open(&predict->dataset, &predict->session, predict->function, options,
                                 0);
    if (!status && options->labels)
        status = open_labels(predict);
    if (!status && options->out)
        status = rt_file_create(options->out, predict->out_name, sizeof predict->out_name,
                                &predict->out);
    if (!status && predict->out)
        rt_npy_header(predict->out, predict->dataset.count, predict->width);
    return status;
}

static rt_i64 largest(const float *values, rt_i64 count)
{
    rt_i64 best = 0;
    for (rt_i64 i = 1; i < count; i++)
        best = values[i] > values[best] ? i : best;
    return best;
}

static void tell_sample(struct predict *predict, rt_i64 sample, const float *values)
{
    rt_i64 class = largest(values, predict->width);
    bool alone = predict->width == 1;
    if (predict->labels.values)
        predict->right += class == (rt_i64)rt_idx_value(&predict->labels, sample);
    else if (predict->options->json && alone)
        rt_json_write_double(&predict->json, NULL, (double)values[0]);
    else if (predict->options->json)
        rt_json_write_int(&predict->json, NULL, class);
    else if (!predict->out && alone)
        printf("%.9g\n", (double)values[0]);
    else if (!predict->out)
        printf("%lld\n", (long long)class);
}

static rt_status predict_batch(struct predict *predict, rt_i64 first, rt_i64 count)
{
    rt_i64 elements = rt_port_elements(predict->output);
    for (rt_i64 i = 0; i < count; i++)
        predict->samples[i] = first + i;
    rt_status status = rt_dataset_load(&predict->dataset, predict->samples, count);
    if (!status)
        status = rt_session_launch(&predict->session, predict->function);
    if (!status)
        status = rt_session_read(&predict->session, predict->output, predict->raw);
    if (status)
        return status;
    if (!rt_convert(predict->values, RT_F32, predict->raw, predict->output->dtype,
                    (rt_u64)elements))
        return rt_fail(PORT_SHAPE, predict->output->name, RT_ROLE_PREDICT);
    for (rt_i64 i = 0; i < count; i++)
        tell_sample(predict, first + i, predict->values + i * predict->width);
    if (!predict->out)
        return 0;
    errno = 0;
    fwrite(predict->values, sizeof *predict->values, (size_t)(count * predict->width),
           predict->out);
    return rt_written(predict->out, predict->options->out);
}

static rt_status predict_all(struct predict *predict)
{
    rt_i64 batch = predict->dataset.batch, count = predict->dataset.count;
    struct rt_progress progress;
    rt_status status = 0;
    rt_progress_open(&progress, "predict", count);
    for (rt_i64 first = 0; first < count && !status; first += batch) {
        status = predict_batch(predict, first, count - first < batch ? count - first : batch);
        if (!status)
            status = rt_process_interrupted();
        rt_progress_show(&progress, first, "");
    }
    rt_progress_close(&progress);
    if (!status && predict->out) {
        status = rt_file_commit(predict->out, predict->out_name, predict->options->out);
        predict->out = NULL;
    }
    return status;
}

static void begin_result(struct predict *predict)
{
    if (!predict->options->json)
        return;
    rt_json_write_open(&predict->json, stdout, false);
    rt_json_write_object(&predict->json, NULL);
    rt_json_write_int(&predict->json, "samples", predict->dataset.count);
    if (!predict->labels.values)
        rt_json_write_array(&predict->json, predict->width == 1 ? "values" : "classes");
}

static void end_result(struct predict *predict)
{
    double share = predict->dataset.count > 0
                       ? (double)predict->right / (double)predict->dataset.count
                       : 0;
    if (!predict->options->json) {
        if (predict->labels.values)
            printf("accuracy %.2f %% (%lld of %lld)\n", 100 * share, (long long)predict->right,
                   (long long)predict->dataset.count);
        return;
    }
    if (predict->labels.values)
        rt_json_write_double(&predict->json, "accuracy", share);
    else
        rt_json_write_end(&predict->json);
    rt_json_write_end(&predict->json);
}

rt_status rt_run_predict(const struct rt_program *program, const struct rt_options *options)
{
    struct predict predict = {.options = options};
    rt_status status = open_all(&predict, program);
    if (!status) {
        begin_result(&predict);
        status = predict_all(&predict);
        if (!status)
            end_result(&predict);
    }
    close_all(&predict);
    return status;
}
