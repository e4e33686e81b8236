/*
 * bench of a generate program: a step is one whole call, from text to text. Without a prompt the
 * rows get five words each, as the public benchmark does that we are measured on: the words of
 * a fixed list in product order.
 */
#include "runtime/bench.h"
#include "runtime/generator.h"
#include "runtime/process.h"
#include "runtime/progress.h"
#include "runtime/prompts.h"
#include "runtime/verbs.h"
#include "runtime/writer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS = 12, WORDS_OF_ROW = 5, LONGEST_WORD = 5, SPREAD = 7919 };

static const char *const words[WORDS] = {"I",   "you", "get", "take", "it",    "of",
                                         "for", "from", "can", "not",  "would", "yes"};

struct call {
    const struct rt_options *options;
    struct rt_session *session;
    struct rt_prompts prompts;
    struct rt_generator generator;
    struct rt_writer *writers; /* [B] */
    struct rt_row *rows;       /* [B] */
    rt_i32 *ids;               /* [B, limit] */
    char **texts;              /* [B] */
    rt_i64 batch, limit, vocabulary;
};

static void close_call(struct call *call)
{
    for (rt_i64 i = 0; i < call->batch; i++) {
        if (call->writers)
            rt_writer_close(&call->writers[i]);
        if (call->texts)
            free(call->texts[i]);
    }
    free(call->writers);
    free(call->rows);
    free(call->ids);
    free(call->texts);
    rt_prompts_close(&call->prompts);
    rt_generator_close(&call->generator);
}

/* Five words by the digits of the row's number, repeated until `least` words stand there. */
static rt_status make_text(struct call *call, rt_i64 row, rt_i64 least)
{
    rt_i64 count = least > WORDS_OF_ROW ? least : WORDS_OF_ROW;
    size_t bytes = (size_t)count * (LONGEST_WORD + 1) + 1, used = 0;
    char *text = malloc(bytes);
    if (!text)
        return rt_fail(OUT_OF_MEMORY, bytes);
    for (rt_i64 i = 0; i < count; i++) {
        rt_i64 digit = row;
        for (rt_i64 place = i % WORDS_OF_ROW; place < WORDS_OF_ROW - 1; place++)
            digit /= WORDS;
        used += (size_t)snprintf(text + used, bytes - used, "%s%s", i ? " " : "",
                                 words[digit % WORDS]);
    }
    call->texts[row] = text;
    return 0;
}

static rt_status make_texts(struct call *call)
{
    const struct rt_options *options = call->options;
    rt_status status = 0;
    for (rt_i64 row = 0; row < call->batch && !status; row++) {
        if (options->argument_count == 0) {
            status = make_text(call, row, options->prompt_tokens);
            continue;
        }
        call->texts[row] = strdup(options->arguments[row % options->argument_count]);
        if (!call->texts[row])
            status = rt_fail(OUT_OF_MEMORY, strlen(options->arguments[0]));
    }
    return status;
}

static rt_status open_call(struct call *call)
{
    struct rt_sampling sampling;
    const struct rt_program *program = call->session->program;
    size_t batch = (size_t)program->batch;
    rt_sampling_of(call->options, &sampling);
    sampling.ignore_eos = true;
    rt_status status = rt_length_limit(program, call->options, &call->limit);
    if (!status)
        status = rt_vocabulary(call->session, &call->vocabulary);
    if (!status)
        status = rt_prompts_open(&call->prompts, program, call->vocabulary, false);
    if (!status)
        status = rt_generator_open(&call->generator, call->session, &sampling);
    if (status)
        return status;
    call->batch = program->batch;
    call->writers = calloc(batch, sizeof *call->writers);
    call->rows = calloc(batch, sizeof *call->rows);
    call->ids = calloc(batch * (size_t)call->limit, sizeof *call->ids);
    call->texts = calloc(batch, sizeof *call->texts);
    if (!call->writers || !call->rows || !call->ids || !call->texts)
        return rt_fail(OUT_OF_MEMORY, batch * (size_t)call->limit * sizeof *call->ids);
    for (size_t i = 0; i < batch && !status && call->prompts.has_tokenizer; i++)
        status = rt_writer_open(&call->writers[i], &call->prompts.tokenizer,
                                &call->options->stop);
    return status ? status : make_texts(call);
}

/* Ids instead of text, where the program has no tokenizer. */
static rt_status add_ids(struct call *call, rt_i64 row)
{
    rt_i64 count = call->options->prompt_tokens ? call->options->prompt_tokens : WORDS_OF_ROW + 1;
    size_t bytes = (size_t)count * 12 + 1, used = 0;
    char *text = malloc(bytes);
    if (!text)
        return rt_fail(OUT_OF_MEMORY, bytes);
    text[0] = '\0';
    for (rt_i64 i = 0; i < count; i++)
        used += (size_t)snprintf(text + used, bytes - used, "%lld ",
                                 (long long)(((i + 1) * (row + 1) * SPREAD) % call->vocabulary));
    rt_status status = rt_prompts_add_ids(&call->prompts, text);
    free(text);
    return status;
}

static rt_status encode(struct call *call)
{
    rt_status status = 0;
    rt_i64 wanted = call->options->prompt_tokens;
    rt_prompts_clear(&call->prompts);
    for (rt_i64 row = 0; row < call->batch && !status; row++) {
        status = call->prompts.has_tokenizer
                     ? rt_prompts_add_text(&call->prompts, call->texts[row],
                                           strlen(call->texts[row]))
                     : add_ids(call, row);
        if (status)
            break;
        struct rt_prompt *prompt = &call->prompts.items[row];
        if (wanted > prompt->count)
            return rt_fail(BENCH_PROMPT, (long long)row + 1, (long long)prompt->count,
                           (long long)wanted);
        if (wanted)
            prompt->count = wanted;
        rt_i64 most;
        status = rt_prompts_fit(&call->prompts, row, call->limit, call->options->max_new_tokens,
                                RT_TRUNCATE_NO, &most);
        call->rows[row] = (struct rt_row){
            .prompt = {prompt->ids, prompt->count},
            .most = most,
            .number = row,
            .ids = call->ids + row * call->limit,
        };
    }
    return status;
}

static rt_status hear(void *context, rt_i64 row, rt_i32 token, bool *stop)
{
    struct call *call = context;
    bool matched; /* nothing stops a measured call */
    (void)stop;
    return call->prompts.has_tokenizer ? rt_writer_push(&call->writers[row], token, &matched) : 0;
}

static rt_status run_call(struct call *call, rt_u64 *nanoseconds)
{
    rt_u64 start = rt_now();
    bool text = call->prompts.has_tokenizer;
    rt_status status = encode(call);
    for (rt_i64 i = 0; i < call->batch && !status && text; i++)
        status = rt_writer_start(&call->writers[i], call->rows[i].prompt, call->rows[i].most);
    if (!status)
        status = rt_generator_run(&call->generator, call->rows, call->batch, hear, call);
    for (rt_i64 i = 0; i < call->batch && !status && text; i++)
        status = rt_writer_finish(&call->writers[i]);
    *nanoseconds = rt_now() - start;
    return status;
}

/* Every step does the same work, so the counts of the last one hold for all. */
static void fill(struct bench_result *result, const struct call *call,
                 struct bench_samples *samples)
{
    const struct rt_program *program = call->session->program;
    const struct rt_generation_times *times = &call->generator.times;
    double prefill = bench_quantile(samples->prefill_ns, samples->done, 0.5) * 1e-9;
    double decode = bench_quantile(samples->decode_ns, samples->done, 0.5) * 1e-9;
    double count = (double)times->decode_steps;
    result->prompt_tokens = call->rows[0].prompt.count;
    result->new_tokens = call->rows[0].count;
    result->prefill_ms = prefill * 1e3;
    result->prefill_rate = (double)times->prefill_tokens / prefill;
    result->prefill_gflops = times->prefill_flops / prefill * 1e-9;
    if (times->decode_steps == 0)
        return;
    double weights = bench_weight_bytes(program,
                                        &program->functions[call->generator.decode.index]);
    result->decode_ms = decode / count * 1e3;
    result->decode_rate = count * (double)call->batch / decode;
    result->decode_gbs = (weights * count + times->cache_bytes) / decode * 1e-9;
}

static rt_status measure(struct bench_result *result, struct call *call,
                         struct bench_samples *samples)
{
    struct rt_progress progress;
    rt_status status = 0;
    rt_progress_open(&progress, "bench", result->steps);
    for (rt_i64 step = 0; step <= result->steps && !status; step++) {
        rt_u64 nanoseconds;
        status = run_call(call, &nanoseconds);
        if (status || step == 0)
            continue; /* the first step is not counted */
        bench_samples_add(samples, nanoseconds, call->generator.times.prefill,
                          call->generator.times.decode);
        rt_progress_show(&progress, step, "");
    }
    rt_progress_close(&progress);
    if (!status) {
        fill(result, call, samples);
        bench_finish(result, samples);
    }
    return status;
}

rt_status bench_generate(struct bench_result *result, struct rt_session *session,
                         const struct rt_options *options)
{
    struct call call = {.options = options, .session = session};
    struct bench_samples samples = {0};
    rt_status status = open_call(&call);
    if (!status)
        status = bench_samples_open(&samples, session, result->steps);
    if (!status)
        status = measure(result, &call, &samples);
    bench_samples_close(&samples);
    close_call(&call);
    return status;
}
