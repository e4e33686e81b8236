/*
 * The verb `fit`: plain epochs over IDX files. Which sample comes when is a function of (seed,
 * epoch, position), or the file of --order. Only whole batches are trained on. A loss that is
 * not finite ends the run, and nothing is saved; so do MOST_SKIPPED + 1 gradients in a row that
 * are not, while fewer are told and cost their steps only, since the program applies none of them.
 */
#include "runtime/dataset.h"
#include "runtime/files.h"
#include "runtime/json_write.h"
#include "runtime/npy.h"
#include "runtime/process.h"
#include "runtime/progress.h"
#include "runtime/report.h"
#include "runtime/roles.h"
#include "runtime/save.h"
#include "runtime/shuffle.h"
#include "runtime/verbs.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_SKIPPED = 3 };

struct fit {
    const struct rt_options *options;
    struct rt_session session;
    struct rt_dataset dataset;
    rt_u32 function;
    const struct rt_port *loss;
    const struct rt_port *finite; /* NULL if the program does not tell */
    const struct rt_port *step;   /* NULL if the program draws no numbers */
    rt_i32 *order; /* of --order, else NULL */
    rt_i64 order_count;
    rt_i64 *samples; /* [B] */
    rt_i64 steps_in_epoch, steps, done;
    int skipped; /* steps in a row that were not applied */
    FILE *losses;
    char losses_name[4096];
};

static void close_all(struct fit *fit)
{
    rt_file_discard(fit->losses, fit->losses_name);
    free(fit->order);
    free(fit->samples);
    rt_dataset_close(&fit->dataset);
    rt_session_close(&fit->session);
}

static rt_status set_number(struct fit *fit, const char *name, double value)
{
    const struct rt_port *port;
    float number = (float)value;
    rt_status status = rt_session_input(&fit->session, fit->function, name, RT_F32, 1, &port);
    return status ? status : rt_session_write(&fit->session, port, &number);
}

/* What random numbers are a function of, besides their place. */
static rt_status set_seed(struct fit *fit)
{
    const struct rt_function *function = &fit->session.program->functions[fit->function];
    const rt_u64 seed = (rt_u64)fit->options->seed;
    const rt_u32 halves[2] = {(rt_u32)seed, (rt_u32)(seed >> 32)};
    const struct rt_port *port;
    bool draws = false;
    for (rt_u32 i = 0; i < function->input_count; i++)
        draws |= strcmp(function->inputs[i].name, RT_INPUT_SEED) == 0;
    if (!draws)
        return 0;
    rt_status status =
        rt_session_input(&fit->session, fit->function, RT_INPUT_STEP, RT_I32, 1, &fit->step);
    if (!status)
        status = rt_session_input(&fit->session, fit->function, RT_INPUT_SEED, RT_I32, 2, &port);
    return status ? status : rt_session_write(&fit->session, port, halves);
}

static rt_status read_order(struct fit *fit)
{
    const char *path = fit->options->order;
    rt_status status = rt_npy_read_i32(path, &fit->order, &fit->order_count);
    for (rt_i64 i = 0; !status && i < fit->order_count; i++)
        if (fit->order[i] < 0 || fit->order[i] >= fit->dataset.count)
            status = rt_fail(ORDER_RANGE, (long long)fit->order[i], path, (long long)i,
                             (long long)fit->dataset.count);
    return status;
}

static rt_status plan_steps(struct fit *fit)
{
    const struct rt_options *options = fit->options;
    rt_i64 count = fit->order ? fit->order_count : fit->dataset.count;
    fit->steps_in_epoch = count / fit->dataset.batch;
    if (fit->steps_in_epoch < 1)
        return rt_fail(IDX_FEW, fit->order ? options->order : fit->dataset.inputs[0].path,
                       (long long)count, (long long)fit->dataset.batch);
    if (__builtin_mul_overflow(fit->steps_in_epoch, options->epochs, &fit->steps))
        return rt_fail(SIZE_OVERFLOW, "steps of all epochs");
    if (options->steps && options->steps < fit->steps)
        fit->steps = options->steps;
    fit->samples = calloc((size_t)fit->dataset.batch, sizeof *fit->samples);
    return fit->samples ? 0 : rt_fail(OUT_OF_MEMORY, (size_t)fit->dataset.batch * 8);
}

static rt_status find_outputs(struct fit *fit)
{
    struct rt_session *session = &fit->session;
    rt_status status = rt_session_output(session, fit->function, "loss", RT_F32, 1, &fit->loss);
    if (!status && rt_session_has_output(session, fit->function, RT_OUTPUT_FINITE))
        status = rt_session_output(session, fit->function, RT_OUTPUT_FINITE, RT_BOOL, 1,
                                   &fit->finite);
    return status;
}

static rt_status open_all(struct fit *fit, const struct rt_program *program)
{
    const struct rt_options *options = fit->options;
    rt_status status = rt_open_session(&fit->session, program, options);
    if (!status)
        status = rt_session_function(&fit->session, RT_ROLE_FIT, &fit->function);
    if (!status)
        status = find_outputs(fit);
    if (!status)
        status = set_number(fit, "learning_rate", options->learning_rate);
    if (!status)
        status = set_number(fit, "momentum", options->momentum);
    if (!status)
        status = set_seed(fit);
    if (!status)
        status = rt_dataset_open(&fit->dataset, &fit->session, fit->function, options,
                                 rt_dataset_classes(&fit->session));
    if (!status && options->order)
        status = read_order(fit);
    if (!status)
        status = plan_steps(fit);
    if (!status && options->save)
        status = rt_save_prepare(options->save);
    if (!status && options->losses)
        status = rt_file_create(options->losses, fit->losses_name, sizeof fit->losses_name,
                                &fit->losses);
    return status;
}

static rt_i64 sample_at(const struct fit *fit, rt_i64 epoch, rt_i64 position)
{
    if (fit->order)
        return fit->order[position];
    return rt_shuffled((rt_u64)fit->options->seed, epoch, position, fit->dataset.count);
}

static rt_status train_step(struct fit *fit, float *loss)
{
    rt_i64 epoch = fit->done / fit->steps_in_epoch, step = fit->done % fit->steps_in_epoch;
    for (rt_i64 i = 0; i < fit->dataset.batch; i++)
        fit->samples[i] = sample_at(fit, epoch, step * fit->dataset.batch + i);
    rt_status status = rt_dataset_load(&fit->dataset, fit->samples, fit->dataset.batch);
    const rt_i32 number = (rt_i32)fit->done;
    if (!status && fit->step)
        status = rt_session_write(&fit->session, fit->step, &number);
    if (!status)
        status = rt_session_launch(&fit->session, fit->function);
    if (!status)
        status = rt_session_read(&fit->session, fit->loss, loss);
    if (!status && !isfinite(*loss))
        status = rt_fail(LOSS_NOT_FINITE, (double)*loss, (long long)epoch + 1,
                         (long long)step + 1);
    fit->done++;
    return status;
}

/* Whether the last step was applied: a few in a row may not be. */
static rt_status check_update(struct fit *fit, struct rt_progress *progress)
{
    long long epoch = (fit->done - 1) / fit->steps_in_epoch + 1;
    long long step = (fit->done - 1) % fit->steps_in_epoch + 1;
    unsigned char finite = 1;
    rt_status status = fit->finite ? rt_session_read(&fit->session, fit->finite, &finite) : 0;
    fit->skipped = finite ? 0 : fit->skipped + 1;
    if (status || finite)
        return status;
    if (fit->skipped > MOST_SKIPPED)
        return rt_fail(GRADIENT_NOT_FINITE, fit->skipped, epoch, step);
    rt_progress_close(progress);
    rt_warn(UPDATE_SKIPPED, epoch, step);
    return 0;
}

static rt_status log_loss(struct fit *fit, float loss)
{
    if (!fit->losses)
        return 0;
    errno = 0;
    fprintf(fit->losses, "%.9g\n", (double)loss);
    return rt_written(fit->losses, fit->options->losses);
}

static rt_status report_epoch(const struct fit *fit, rt_i64 epoch, double mean, double seconds)
{
    struct rt_json_writer json;
    if (!fit->options->json) {
        printf("epoch %lld/%lld  loss %.5f  %.2f s\n", (long long)epoch + 1,
               (long long)fit->options->epochs, mean, seconds);
        return rt_flush(stdout, "standard output");
    }
    rt_json_write_open(&json, stdout, false);
    rt_json_write_object(&json, NULL);
    rt_json_write_int(&json, "epoch", epoch + 1);
    rt_json_write_double(&json, "loss", mean);
    rt_json_write_double(&json, "seconds", seconds);
    rt_json_write_end(&json);
    return rt_flush(stdout, "standard output");
}

static rt_status train_epoch(struct fit *fit, struct rt_progress *progress)
{
    rt_i64 epoch = fit->done / fit->steps_in_epoch, first = fit->done;
    rt_u64 start = rt_now();
    double sum = 0;
    rt_status status = 0;
    while (!status && fit->done < fit->steps && fit->done / fit->steps_in_epoch == epoch) {
        char note[48];
        float loss = 0;
        status = train_step(fit, &loss);
        if (!status)
            status = check_update(fit, progress);
        if (!status)
            status = log_loss(fit, loss);
        if (!status)
            status = rt_process_interrupted();
        sum += (double)loss;
        snprintf(note, sizeof note, "loss %.4f", (double)loss);
        rt_progress_show(progress, fit->done, note);
    }
    rt_progress_close(progress);
    if (status)
        return status;
    return report_epoch(fit, epoch, sum / (double)(fit->done - first),
                        (double)(rt_now() - start) * 1e-9);
}

static rt_status train(struct fit *fit)
{
    struct rt_progress progress;
    rt_status status = 0;
    rt_progress_open(&progress, "fit", fit->steps);
    while (fit->done < fit->steps && !status)
        status = train_epoch(fit, &progress);
    return status;
}

/* An interrupted run keeps what it has learnt: losses and weights of its last whole step. */
static rt_status save(struct fit *fit, rt_status status)
{
    bool stopped = status == EXIT_INTERRUPTED || status == EXIT_TERMINATED;
    rt_status saved = 0;
    if (status && !stopped)
        return status;
    if (fit->losses) {
        saved = rt_file_commit(fit->losses, fit->losses_name, fit->options->losses);
        fit->losses = NULL;
    }
    if (!saved && fit->options->save)
        saved = rt_save_weights(&fit->session, fit->options->save);
    if (!saved && !fit->options->save)
        rt_warn(FIT_DISCARDED, (long long)fit->done);
    return saved ? saved : status;
}

rt_status rt_run_fit(const struct rt_program *program, const struct rt_options *options)
{
    struct fit fit = {.options = options};
    rt_status status = open_all(&fit, program);
    if (!status)
        status = save(&fit, train(&fit));
    close_all(&fit);
    return status;
}
