/*
 * The verb `score`: the mean negative log-likelihood of a text. The file is tokenised once
 * without BOS and cut into consecutive windows of max-length - 1 tokens; each window runs as
 * one row of a batch with BOS in front, so that every token is scored exactly once. A model
 * without BOS cannot score the first token of a window: that one is only context.
 */
#include "runtime/feeder.h"
#include "runtime/files.h"
#include "runtime/json_write.h"
#include "runtime/npy.h"
#include "runtime/process.h"
#include "runtime/progress.h"
#include "runtime/prompts.h"
#include "runtime/roles.h"
#include "runtime/tokenizer.h"
#include "runtime/verbs.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_DUMP_BYTES 4000000000ull /* without --limit */

enum { MOST_TEXT = INT_MAX };

struct score {
    const struct rt_options *options;
    const char *path;
    struct rt_session session;
    struct rt_feeder feeder;
    rt_i64 vocabulary, batch, window; /* window: text tokens of a full one */
    bool bos;
    rt_i32 *text;                 /* the file's tokens */
    rt_i64 text_count;
    rt_i32 *rows;                 /* [B, window + 1] */
    struct rt_sequence *sequences; /* [B], into rows */
    rt_i32 *targets;              /* [B, largest chunk]: the next token, -1 where none is */
    double *losses;               /* [B, largest chunk] */
    double sum;
    rt_i64 scored;
    FILE *dump;
    char dump_name[4096];
};

static void close_all(struct score *score)
{
    rt_file_discard(score->dump, score->dump_name);
    free(score->text);
    free(score->rows);
    free(score->sequences);
    free(score->targets);
    free(score->losses);
    rt_feeder_close(&score->feeder);
    rt_session_close(&score->session);
}

static rt_status encode_text(struct score *score, const char *text, size_t length)
{
    const struct rt_program *program = score->session.program;
    struct rt_tokenizer tokenizer;
    size_t count = 0;
    if (!program->tokenizer)
        return rt_fail(NO_TOKENIZER, "the model directory");
    rt_status status = rt_tokenizer_open(&tokenizer, program->tokenizer,
                                         (size_t)program->tokenizer_bytes);
    if (!status)
        status = rt_tokenizer_encode(&tokenizer, text, length, 0, &score->text, &count);
    score->text_count = (rt_i64)count;
    return status ? status : rt_check_tokens(score->text, (rt_i64)count, score->vocabulary);
}

/* The file holds the tokens as numbers. */
static rt_status take_ids(struct score *score, const char *text, size_t length)
{
    struct rt_prompts prompts;
    if (strlen(text) != length)
        return rt_fail(IDS_SYNTAX, "\\0", (long long)score->vocabulary - 1);
    rt_status status =
        rt_prompts_open(&prompts, score->session.program, score->vocabulary, false);
    if (!status)
        status = rt_prompts_add_ids(&prompts, text);
    if (!status) {
        score->text = prompts.items[0].ids;
        score->text_count = prompts.items[0].count;
        prompts.items[0].ids = NULL;
    }
    rt_prompts_close(&prompts);
    return status;
}

static rt_status read_text(struct score *score)
{
    const struct rt_program *program = score->session.program;
    char *text = NULL;
    size_t length = 0;
    rt_status status = rt_read_file(score->path, MOST_TEXT, &text, &length);
    if (!status)
        status = score->options->as_ids ? take_ids(score, text, length)
                                        : encode_text(score, text, length);
    if (!status && score->bos)
        status = rt_check_tokens(&program->bos_id, 1, score->vocabulary);
    free(text);
    if (!status && score->options->limit && score->text_count > score->options->limit)
        score->text_count = score->options->limit;
    if (!status && score->text_count < (score->bos ? 1 : 2))
        status = rt_fail(SCORE_NO_LENGTH, score->path, (long long)score->text_count);
    return status;
}

static rt_status allocate(struct score *score)
{
    size_t batch = (size_t)score->batch, row = (size_t)score->window + 1;
    size_t chunk = (size_t)score->feeder.functions[0].chunk;
    score->rows = calloc(batch * row, sizeof *score->rows);
    score->sequences = calloc(batch, sizeof *score->sequences);
    score->targets = calloc(batch * chunk, sizeof *score->targets);
    score->losses = calloc(batch * chunk, sizeof *score->losses);
    if (!score->rows || !score->sequences || !score->targets || !score->losses)
        return rt_fail(OUT_OF_MEMORY, batch * row * sizeof *score->rows);
    return 0;
}

static rt_status open_dump(struct score *score)
{
    const struct rt_options *options = score->options;
    rt_i64 windows = (score->text_count + score->window - 1) / score->window;
    rt_i64 positions = score->text_count + (score->bos ? windows : 0);
    rt_u64 bytes;
    if (__builtin_mul_overflow((rt_u64)positions, (rt_u64)score->vocabulary * sizeof(float),
                               &bytes))
        bytes = ~0ull;
    if (bytes > MOST_DUMP_BYTES && !options->limit)
        return rt_fail(DUMP_TOO_LARGE, (unsigned long long)bytes, options->dump_logits);
    rt_status status = rt_file_create(options->dump_logits, score->dump_name,
                                      sizeof score->dump_name, &score->dump);
    if (!status)
        rt_npy_header(score->dump, positions, score->vocabulary);
    return status;
}

static rt_status open_all(struct score *score, const struct rt_program *program)
{
    score->path = score->options->arguments[0];
    score->batch = program->batch;
    score->window = program->max_length - 1;
    score->bos = program->bos_id >= 0;
    if (score->window < 1)
        return rt_fail(SCORE_NO_LENGTH, score->path, (long long)score->window);
    rt_status status = rt_open_session(&score->session, program, score->options);
    if (!status)
        status = rt_vocabulary(&score->session, &score->vocabulary);
    if (!status)
        status = rt_feeder_open(&score->feeder, &score->session, RT_ROLE_SCORE);
    if (!status)
        status = read_text(score);
    if (!status)
        status = allocate(score);
    return status || !score->options->dump_logits ? status : open_dump(score);
}

/* One position a tile: -log softmax(logits)[target], by log-sum-exp in double. */
static void loss_kernel(void *const *operands, rt_i64 begin, rt_i64 end)
{
    const float *logits = operands[0];
    const rt_i32 *targets = operands[1];
    double *losses = operands[2];
    rt_i64 vocabulary = *(const rt_i64 *)operands[3];
    for (rt_i64 p = begin; p < end; p++) {
        const float *row = logits + p * vocabulary;
        if (targets[p] < 0)
            continue;
        float most = row[0];
        for (rt_i64 v = 1; v < vocabulary; v++)
            most = row[v] > most ? row[v] : most;
        double sum = 0;
        for (rt_i64 v = 0; v < vocabulary; v++)
            sum += exp((double)row[v] - (double)most);
        losses[p] = log(sum) + (double)most - (double)row[targets[p]];
    }
}

/* The rows of windows first .. first + count - 1. */
static void set_rows(struct score *score, rt_i64 first, rt_i64 count)
{
    for (rt_i64 i = 0; i < count; i++) {
        rt_i64 begin = (first + i) * score->window, left = score->text_count - begin;
        rt_i64 length = left < score->window ? left : score->window;
        rt_i32 *row = score->rows + i * (score->window + 1);
        score->sequences[i] = (struct rt_sequence){row, length + score->bos};
        if (score->bos)
            *row++ = score->session.program->bos_id;
        memcpy(row, score->text + begin, (size_t)length * sizeof *row);
    }
}

/* Writes the valid positions of each row where they belong in the file. */
static rt_status dump_chunk(struct score *score, const struct rt_fed *fed, const float *logits,
                            rt_i64 first, rt_i64 count)
{
    rt_i64 full = score->window + score->bos, chunk = fed->function->chunk;
    size_t position = (size_t)score->vocabulary * sizeof(float);
    for (rt_i64 row = 0; row < count; row++) {
        rt_i64 left = score->sequences[row].count - fed->begin;
        rt_i64 valid = left < chunk ? left : chunk;
        rt_i64 place = (first + row) * full + fed->begin;
        if (valid <= 0)
            continue;
        if (fseeko(score->dump, RT_NPY_HEADER + (off_t)(place * (rt_i64)position), SEEK_SET) != 0)
            return rt_fail(FILE_WRITE, score->options->dump_logits, strerror(errno));
        errno = 0;
        fwrite(logits + row * chunk * score->vocabulary, position, (size_t)valid, score->dump);
        rt_status status = rt_written(score->dump, score->options->dump_logits);
        if (status)
            return status;
    }
    return rt_flush(score->dump, score->options->dump_logits);
}

/* Adds the losses of a chunk's positions, row by row. */
static rt_status sum_chunk(struct score *score, const struct rt_fed *fed, rt_i64 first,
                           rt_i64 count)
{
    rt_i64 chunk = fed->function->chunk;
    for (rt_i64 i = 0; i < count * chunk; i++) {
        if (score->targets[i] < 0)
            continue;
        rt_i64 token = (first + i / chunk) * score->window + fed->begin + i % chunk
                       + !score->bos;
        if (!isfinite(score->losses[i]))
            return rt_fail(SCORE_NOT_FINITE, (long long)token, score->path);
        score->sum += score->losses[i];
        score->scored++;
    }
    return 0;
}

static rt_status score_chunk(struct score *score, const struct rt_fed *fed, rt_i64 first,
                             rt_i64 count)
{
    rt_i64 chunk = fed->function->chunk;
    const struct rt_port *port;
    const void *logits;
    struct rt_device *device = score->session.device;
    rt_status status = rt_session_output(&score->session, fed->function->index, "all_logits",
                                         RT_F32, score->batch * chunk * score->vocabulary, &port);
    if (!status)
        status = device->table->view(device, port->offset, port->bytes, &logits);
    if (status)
        return status;
    for (rt_i64 i = 0; i < count * chunk; i++) {
        const struct rt_sequence *row = &score->sequences[i / chunk];
        rt_i64 next = fed->begin + i % chunk + 1;
        score->targets[i] = next < row->count ? row->ids[next] : -1;
    }
    void *operands[] = {(void *)logits, score->targets, score->losses, &score->vocabulary};
    device->table->run(device, loss_kernel, operands, count * chunk);
    status = sum_chunk(score, fed, first, count);
    return status || !score->dump ? status : dump_chunk(score, fed, logits, first, count);
}

static rt_status score_batch(struct score *score, rt_i64 first, rt_i64 count)
{
    set_rows(score, first, count);
    rt_feeder_start(&score->feeder);
    rt_status status = rt_session_reset(&score->session, false);
    while (!status) {
        struct rt_fed fed;
        status = rt_feeder_next(&score->feeder, score->sequences, count, &fed);
        if (status || !fed.function)
            break;
        status = score_chunk(score, &fed, first, count);
        if (!status)
            status = rt_process_interrupted();
    }
    return status;
}

static rt_status score_windows(struct score *score)
{
    rt_i64 windows = (score->text_count + score->window - 1) / score->window;
    struct rt_progress progress;
    rt_status status = 0;
    rt_progress_open(&progress, "score", windows);
    for (rt_i64 first = 0; first < windows && !status; first += score->batch) {
        rt_i64 left = windows - first;
        status = score_batch(score, first, left < score->batch ? left : score->batch);
        rt_progress_show(&progress, first + score->batch, "");
    }
    rt_progress_close(&progress);
    if (!status && score->dump) {
        status = rt_file_commit(score->dump, score->dump_name, score->options->dump_logits);
        score->dump = NULL;
    }
    return status;
}

static void print_result(const struct score *score)
{
    double mean = score->sum / (double)score->scored;
    struct rt_json_writer json;
    if (!score->options->json) {
        printf("tokens      %lld\nnll         %.6f\nperplexity  %.6f\n",
               (long long)score->scored, mean, exp(mean));
        return;
    }
    rt_json_write_open(&json, stdout, false);
    rt_json_write_object(&json, NULL);
    rt_json_write_int(&json, "tokens", score->scored);
    rt_json_write_double(&json, "nll", mean);
    rt_json_write_double(&json, "perplexity", exp(mean));
    rt_json_write_end(&json);
}

rt_status rt_run_score(const struct rt_program *program, const struct rt_options *options)
{
    struct score score = {.options = options};
    rt_status status = open_all(&score, program);
    if (!status)
        status = score_windows(&score);
    if (!status)
        print_result(&score);
    close_all(&score);
    return status;
}
