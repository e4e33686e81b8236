/* The C interface: generation. See library.h. */
#include "runtime/generator.h"
#include "runtime/library_model.h"
#include "runtime/prompts.h"
#include "runtime/writer.h"

#include <stdlib.h>

struct call {
    struct sinter_generate_options options;
    struct rt_list stops;
    struct rt_prompts prompts;
    struct rt_generator generator;
    struct rt_writer writer;
    struct rt_row row;
    sinter_token *token;
    void *context;
};

SINTER_EXPORT void sinter_generate_defaults(struct sinter_generate_options *options)
{
    *options = (struct sinter_generate_options){.top_p = 1, .repetition_penalty = 1};
}

static rt_status copy_stops(struct call *call)
{
    if (call->options.stop_count > RT_LIST_MAX)
        return rt_fail(OPTION_TOO_MANY, "stop", "generate", (int)RT_LIST_MAX);
    for (int i = 0; i < call->options.stop_count; i++)
        call->stops.items[call->stops.count++] = call->options.stop[i];
    return 0;
}

static rt_status open_call(struct call *call, struct sinter_model *model)
{
    const struct sinter_generate_options *options = &call->options;
    struct rt_sampling sampling = {
        .temperature = options->temperature,
        .top_p = options->top_p,
        .min_p = options->min_p,
        .penalty = options->repetition_penalty,
        .top_k = options->top_k,
        .seed = options->seed,
        .ignore_eos = options->ignore_eos != 0,
    };
    rt_status status = copy_stops(call);
    if (!status)
        status = rt_generator_open(&call->generator, &model->session, &sampling);
    if (!status)
        status = rt_prompts_open(&call->prompts, model->session.program, model->vocabulary,
                                 options->special != 0);
    if (!status && call->prompts.has_tokenizer)
        status = rt_writer_open(&call->writer, &call->prompts.tokenizer, &call->stops);
    return status;
}

static void close_call(struct call *call)
{
    free(call->row.ids);
    rt_writer_close(&call->writer);
    rt_prompts_close(&call->prompts);
    rt_generator_close(&call->generator);
}

static rt_status hear(void *context, rt_i64 row, rt_i32 token, bool *stop)
{
    struct call *call = context;
    size_t length = 0;
    const char *text = "";
    rt_status status = 0;
    (void)row;
    if (call->prompts.has_tokenizer) {
        status = rt_writer_push(&call->writer, token, stop);
        text = rt_writer_take(&call->writer, &length);
    }
    if (!status && call->token(call->context, token, text, length) != 0)
        *stop = true;
    return status;
}

static rt_status run_call(struct call *call)
{
    const struct rt_program *program = call->prompts.program;
    struct rt_row *row = &call->row;
    size_t length = 0;
    const char *text = "";
    rt_status status = rt_prompts_fit(&call->prompts, 0, program->max_length,
                                      call->options.max_new_tokens, RT_TRUNCATE_NO, &row->most);
    if (status)
        return status;
    row->prompt = (struct rt_sequence){call->prompts.items[0].ids, call->prompts.items[0].count};
    row->ids = calloc((size_t)row->most, sizeof *row->ids);
    if (!row->ids)
        return rt_fail(OUT_OF_MEMORY, (size_t)row->most * sizeof *row->ids);
    if (call->prompts.has_tokenizer)
        status = rt_writer_start(&call->writer, row->prompt, row->most);
    if (!status)
        status = rt_generator_run(&call->generator, row, 1, hear, call);
    if (!status && call->prompts.has_tokenizer) {
        status = rt_writer_finish(&call->writer);
        text = rt_writer_take(&call->writer, &length);
    }
    if (!status)
        call->token(call->context, -1, text, length);
    return status;
}

static void begin_call(struct call *call, const struct sinter_generate_options *options,
                       sinter_token *token, void *context)
{
    rt_status_clear();
    *call = (struct call){.token = token, .context = context};
    sinter_generate_defaults(&call->options);
    if (options)
        call->options = *options;
}

SINTER_EXPORT int sinter_generate(struct sinter_model *model, const char *prompt, size_t length,
                                  const struct sinter_generate_options *options,
                                  sinter_token *token, void *context)
{
    struct call call;
    begin_call(&call, options, token, context);
    rt_status status = open_call(&call, model);
    if (!status)
        status = rt_prompts_add_text(&call.prompts, prompt, length);
    if (!status)
        status = run_call(&call);
    close_call(&call);
    return status;
}

SINTER_EXPORT int sinter_generate_ids(struct sinter_model *model, const int32_t *ids,
                                      size_t count, const struct sinter_generate_options *options,
                                      sinter_token *token, void *context)
{
    struct call call;
    begin_call(&call, options, token, context);
    rt_status status = open_call(&call, model);
    if (!status)
        status = rt_prompts_copy_ids(&call.prompts, ids, (rt_i64)count);
    if (!status)
        status = run_call(&call);
    close_call(&call);
    return status;
}
