/*
 * The verb `generate`: prompts in batches, one prompt as a stream, or a dialogue on a terminal.
 * With --json one object for each prompt, in order, on a line of its own.
 */
#include "runtime/generator.h"
#include "runtime/json_write.h"
#include "runtime/process.h"
#include "runtime/prompts.h"
#include "runtime/report.h"
#include "runtime/verbs.h"
#include "runtime/writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct generate {
    const struct rt_options *options;
    struct rt_session session;
    struct rt_generator generator;
    struct rt_prompts prompts;
    struct rt_row *rows;       /* [B] */
    struct rt_writer *writers; /* [B]; unused without a tokenizer */
    rt_i32 *ids;               /* [B, limit] */
    rt_i64 limit;
    rt_i64 printed; /* prompts done, for the blank line between two */
    bool stream;    /* text goes out as it comes */
};

static const char *const reasons[] = {
    [RT_STOP_LENGTH] = "length",
    [RT_STOP_EOS] = "eos",
    [RT_STOP_TEXT] = "stop",
};

static void close_all(struct generate *generate)
{
    rt_i64 batch = generate->session.program ? generate->session.program->batch : 0;
    for (rt_i64 i = 0; generate->writers && i < batch; i++)
        rt_writer_close(&generate->writers[i]);
    free(generate->writers);
    free(generate->rows);
    free(generate->ids);
    rt_prompts_close(&generate->prompts);
    rt_generator_close(&generate->generator);
    rt_session_close(&generate->session);
}

static rt_status allocate(struct generate *generate)
{
    size_t batch = (size_t)generate->session.program->batch;
    generate->rows = calloc(batch, sizeof *generate->rows);
    generate->writers = calloc(batch, sizeof *generate->writers);
    generate->ids = calloc(batch * (size_t)generate->limit, sizeof *generate->ids);
    if (!generate->rows || !generate->writers || !generate->ids)
        return rt_fail(OUT_OF_MEMORY, batch * (size_t)generate->limit * sizeof *generate->ids);
    rt_status status = 0;
    for (size_t i = 0; i < batch && !status && generate->prompts.has_tokenizer; i++)
        status = rt_writer_open(&generate->writers[i], &generate->prompts.tokenizer,
                                &generate->options->stop);
    return status;
}

static rt_status open_all(struct generate *generate, const struct rt_program *program)
{
    const struct rt_options *options = generate->options;
    struct rt_sampling sampling;
    rt_i64 vocabulary = 0;
    rt_sampling_of(options, &sampling);
    rt_status status = rt_length_limit(program, options, &generate->limit);
    if (!status)
        status = rt_open_session(&generate->session, program, options);
    if (!status)
        status = rt_vocabulary(&generate->session, &vocabulary);
    if (!status)
        status = rt_generator_open(&generate->generator, &generate->session, &sampling);
    if (!status)
        status = rt_prompts_open(&generate->prompts, program, vocabulary, options->special);
    return status ? status : allocate(generate);
}

/* Puts out what is settled of a row's text. */
static rt_status put_text(struct rt_writer *writer)
{
    size_t length;
    const char *text = rt_writer_take(writer, &length);
    if (length == 0)
        return 0;
    fwrite(text, 1, length, stdout);
    return rt_flush(stdout, "standard output");
}

static rt_status hear(void *context, rt_i64 row, rt_i32 token, bool *stop)
{
    struct generate *generate = context;
    if (!generate->prompts.has_tokenizer) {
        if (!generate->stream)
            return 0;
        printf("%s%d", generate->rows[row].count > 1 ? " " : "", token);
        return rt_flush(stdout, "standard output");
    }
    rt_status status = rt_writer_push(&generate->writers[row], token, stop);
    return !status && generate->stream ? put_text(&generate->writers[row]) : status;
}

static void put_ids(struct rt_json_writer *json, const char *key, const rt_i32 *ids, rt_i64 count)
{
    rt_json_write_array(json, key);
    for (rt_i64 i = 0; i < count; i++)
        rt_json_write_int(json, NULL, ids[i]);
    rt_json_write_end(json);
}

static void put_json(const struct rt_row *row, const struct rt_writer *writer, bool has_text)
{
    struct rt_json_writer json;
    rt_json_write_open(&json, stdout, false);
    rt_json_write_object(&json, NULL);
    put_ids(&json, "prompt_ids", row->prompt.ids, row->prompt.count);
    put_ids(&json, "ids", row->ids, row->count);
    if (has_text)
        rt_json_write_bytes(&json, "text", writer->stops.text, writer->stops.length);
    else
        rt_json_write_null(&json, "text");
    rt_json_write_text(&json, "stop_reason", reasons[row->reason]);
    rt_json_write_end(&json);
}

static void put_prompt(const struct generate *generate, rt_i64 index)
{
    const struct rt_prompt *prompt = &generate->prompts.items[index];
    if (generate->printed > 0)
        putchar('\n');
    if (generate->options->echo && prompt->text)
        fwrite(prompt->text, 1, prompt->length, stdout);
}

/* What is left to print of a finished row. */
static rt_status put_row(struct generate *generate, rt_i64 row, rt_i64 index)
{
    bool has_text = generate->prompts.has_tokenizer;
    struct rt_row *done = &generate->rows[row];
    struct rt_writer *writer = &generate->writers[row];
    rt_status status = has_text ? rt_writer_finish(writer) : 0;
    if (status)
        return status;
    if (generate->options->json) {
        put_json(done, writer, has_text);
        return rt_flush(stdout, "standard output");
    }
    if (!generate->stream)
        put_prompt(generate, index);
    for (rt_i64 i = 0; !has_text && !generate->stream && i < done->count; i++)
        printf("%s%d", i > 0 ? " " : "", done->ids[i]);
    generate->printed++;
    if (has_text)
        status = put_text(writer);
    putchar('\n');
    return status ? status : rt_flush(stdout, "standard output");
}

static rt_status set_row(struct generate *generate, rt_i64 row, rt_i64 index)
{
    const struct rt_options *options = generate->options;
    struct rt_row *set = &generate->rows[row];
    rt_i64 most = 0;
    rt_status status = rt_prompts_fit(&generate->prompts, index, generate->limit,
                                      options->max_new_tokens,
                                      (enum rt_truncate)options->truncate, &most);
    if (status)
        return status;
    const struct rt_prompt *prompt = &generate->prompts.items[index];
    *set = (struct rt_row){
        .prompt = {prompt->ids, prompt->count},
        .most = most,
        .number = index,
        .ids = generate->ids + row * generate->limit,
    };
    return generate->prompts.has_tokenizer
               ? rt_writer_start(&generate->writers[row], set->prompt, most)
               : 0;
}

static rt_status run_batch(struct generate *generate, rt_i64 first, rt_i64 count)
{
    rt_status status = 0;
    for (rt_i64 i = 0; i < count && !status; i++)
        status = set_row(generate, i, first + i);
    if (status)
        return status;
    generate->stream = count == 1 && !generate->options->json;
    if (generate->stream)
        put_prompt(generate, first);
    status = rt_generator_run(&generate->generator, generate->rows, count, hear, generate);
    if (status && generate->stream)
        putchar('\n');
    for (rt_i64 i = 0; i < count && !status; i++)
        status = put_row(generate, i, first + i);
    return status;
}

/* All prompts are fitted once before the first runs, so that a bad one is known at once. */
static rt_status run_prompts(struct generate *generate)
{
    rt_i64 batch = generate->session.program->batch, most;
    rt_status status = 0;
    for (rt_i64 i = 0; i < generate->prompts.count && !status; i++)
        status = rt_prompts_fit(&generate->prompts, i, generate->limit,
                                generate->options->max_new_tokens,
                                (enum rt_truncate)generate->options->truncate, &most);
    for (rt_i64 first = 0; first < generate->prompts.count && !status; first += batch) {
        rt_i64 left = generate->prompts.count - first;
        status = run_batch(generate, first, left < batch ? left : batch);
    }
    return status;
}

/* One line of the dialogue; a prompt that does not fit is said and forgotten. */
static rt_status answer(struct generate *generate, const char *line, size_t length)
{
    rt_prompts_clear(&generate->prompts);
    generate->printed = 0;
    rt_status status = rt_prompts_add_text(&generate->prompts, line, length);
    if (!status)
        status = run_batch(generate, 0, 1);
    if (status != EXIT_USAGE && status != EXIT_DATA)
        return status;
    rt_report_failure(status);
    rt_status_clear();
    return 0;
}

static rt_status interact(struct generate *generate)
{
    bool json = generate->options->json; /* answers alone, one on each line */
    const char *prompt = json ? "" : "> ";
    char *line = NULL;
    size_t capacity = 0;
    rt_status status = 0;
    while (!status) {
        fputs(prompt, stdout);
        status = rt_flush(stdout, "standard output");
        ssize_t length = status ? -1 : getline(&line, &capacity, stdin);
        if (length < 0)
            break;
        length -= length > 0 && line[length - 1] == '\n';
        if (length > 0)
            status = answer(generate, line, (size_t)length);
    }
    free(line);
    if (!json)
        putchar('\n');
    return status ? status : rt_process_interrupted();
}

static rt_status collect(struct generate *generate)
{
    const struct rt_options *options = generate->options;
    rt_status status = 0;
    int sources = (options->argument_count > 0) + (options->ids.count > 0)
                  + (options->batch_file != NULL);
    if (sources > 1)
        return rt_fail(PROMPT_SOURCES, "they would be mixed up");
    for (int i = 0; i < options->argument_count && !status; i++)
        status = rt_prompts_add_text(&generate->prompts, options->arguments[i],
                                     strlen(options->arguments[i]));
    for (int i = 0; i < options->ids.count && !status; i++)
        status = rt_prompts_add_ids(&generate->prompts, options->ids.items[i]);
    if (options->batch_file && !status)
        status = rt_prompts_add_lines(&generate->prompts, options->batch_file);
    if (sources == 0 && !status)
        status = rt_prompts_add_input(&generate->prompts);
    return status;
}

rt_status rt_run_generate(const struct rt_program *program, const struct rt_options *options)
{
    struct generate generate = {.options = options};
    bool given = options->argument_count > 0 || options->ids.count > 0 || options->batch_file;
    bool interactive = options->interactive || (!given && isatty(STDIN_FILENO));
    rt_status status = 0;
    if (interactive && given)
        status = rt_fail(PROMPT_SOURCES, "--interactive reads its own");
    if (!status)
        status = open_all(&generate, program);
    if (!status && interactive && !generate.prompts.has_tokenizer)
        status = rt_fail(NO_TOKENIZER, "the model directory");
    if (!status && interactive)
        status = interact(&generate);
    else if (!status)
        status = collect(&generate);
    if (!status && !interactive)
        status = run_prompts(&generate);
    close_all(&generate);
    return status;
}
