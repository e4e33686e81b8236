/* The generate loop: see generator.h. */
#include "runtime/generator_internal.h"

#include "runtime/process.h"
#include "runtime/roles.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The coldest temperature in use: below it logits divided by it could overflow, and unequal ones
 * already differ by so much that the likeliest token is drawn. */
#define COLDEST 1e-20

/* The inputs of `sample` that stay the same for a whole run. Taking the likeliest token after a
 * penalty is drawing from the one likeliest. */
static rt_status write_sampling(struct rt_generator *generator)
{
    const struct rt_sampling *s = &generator->sampling;
    bool likeliest = s->temperature <= 0;
    rt_i32 seed[2] = {(rt_i32)(rt_u32)s->seed, (rt_i32)(rt_u32)(s->seed >> 32)};
    rt_i32 top_k = likeliest ? 1 : (rt_i32)s->top_k;
    float temperature = likeliest ? 1.0f : (float)fmax(s->temperature, COLDEST);
    float top_p = likeliest ? 1.0f : (float)s->top_p;
    float min_p = likeliest ? 0.0f : (float)s->min_p, penalty = (float)s->penalty;
    const struct {
        const char *name;
        enum rt_dtype dtype;
        rt_i64 elements;
        const void *value;
    } inputs[] = {
        {"seed", RT_I32, 2, seed},          {"temperature", RT_F32, 1, &temperature},
        {"top_k", RT_I32, 1, &top_k},       {"top_p", RT_F32, 1, &top_p},
        {"min_p", RT_F32, 1, &min_p},       {"penalty", RT_F32, 1, &penalty},
    };
    rt_status status = 0;
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs && !status; i++) {
        const struct rt_port *port;
        status = rt_session_input(generator->session, generator->sampler, inputs[i].name,
                                  inputs[i].dtype, inputs[i].elements, &port);
        if (!status)
            status = rt_session_write(generator->session, port, inputs[i].value);
    }
    return status;
}

static rt_status find_sampler(struct rt_generator *generator)
{
    struct rt_session *session = generator->session;
    bool greedy = generator->sampling.temperature <= 0 && generator->sampling.penalty == 1;
    rt_i64 batch = session->program->batch;
    rt_status status = rt_session_function(session, greedy ? RT_ROLE_GREEDY : RT_ROLE_SAMPLE,
                                           &generator->sampler);
    if (!status)
        status = rt_session_output(session, generator->sampler, "token", RT_I32, batch,
                                   &generator->token);
    if (status || greedy)
        return status;
    status = rt_session_input(session, generator->sampler, "row", RT_I32, batch, &generator->row);
    return status ? status : write_sampling(generator);
}

static rt_status find_decode(struct rt_generator *generator)
{
    struct rt_session *session = generator->session;
    struct rt_feed_function *decode = &generator->decode;
    rt_i64 batch = session->program->batch;
    decode->chunk = 1;
    rt_status status = rt_session_function(session, RT_ROLE_DECODE, &decode->index);
    if (!status)
        status = rt_session_input(session, decode->index, "tokens", RT_I32, batch,
                                  &decode->tokens);
    if (!status)
        status = rt_session_input(session, decode->index, "count", RT_I32, batch, &decode->count);
    return status;
}

static rt_status allocate(struct rt_generator *generator)
{
    size_t batch = (size_t)generator->session->program->batch;
    generator->sequences = calloc(batch, sizeof *generator->sequences);
    generator->tokens = calloc(3 * batch, sizeof *generator->tokens);
    if (!generator->sequences || !generator->tokens)
        return rt_fail(OUT_OF_MEMORY, batch * sizeof *generator->sequences);
    generator->counts = generator->tokens + batch;
    generator->numbers = generator->counts + batch;
    return 0;
}

rt_status rt_generator_open(struct rt_generator *generator, struct rt_session *session,
                            const struct rt_sampling *sampling)
{
    struct rt_device_facts facts;
    *generator = (struct rt_generator){.session = session, .sampling = *sampling};
    session->device->table->describe(session->device, &facts);
    generator->ahead = facts.ahead;
    rt_status status = rt_feeder_open(&generator->prompts, session, RT_ROLE_PREFILL);
    if (!status)
        status = find_decode(generator);
    if (!status)
        status = find_sampler(generator);
    if (!status)
        status = allocate(generator);
    if (status)
        rt_generator_close(generator);
    return status;
}

void rt_generator_close(struct rt_generator *generator)
{
    rt_feeder_close(&generator->prompts);
    free(generator->sequences);
    free(generator->tokens);
    *generator = (struct rt_generator){0};
}

static double flops_of(const struct rt_function *function)
{
    double flops = 0;
    for (rt_u32 i = 0; i < function->step_count; i++)
        flops += (double)function->steps[i].flops;
    return flops;
}

static rt_status prefill(struct rt_generator *generator, const struct rt_row *rows, rt_i64 count)
{
    const struct rt_program *program = generator->session->program;
    rt_feeder_start(&generator->prompts);
    for (rt_i64 i = 0; i < count; i++)
        generator->sequences[i] = rows[i].prompt;
    for (;;) {
        struct rt_fed fed;
        rt_status status = rt_feeder_next(&generator->prompts, generator->sequences, count, &fed);
        if (!status && !fed.function)
            break;
        if (!status)
            status = rt_process_interrupted();
        if (status)
            return status;
        double share = (double)fed.tokens / (double)(program->batch * fed.function->chunk);
        generator->times.prefill_flops +=
            share * flops_of(&program->functions[fed.function->index]);
        generator->times.prefill_tokens += fed.tokens;
    }
    return 0;
}

rt_status generator_write_numbers(struct rt_generator *generator, const struct rt_row *rows,
                                  rt_i64 count)
{
    if (!generator->row)
        return 0;
    for (rt_i64 i = 0; i < count; i++)
        generator->numbers[i] = (rt_i32)rows[i].number;
    return rt_session_write(generator->session, generator->row, generator->numbers);
}

static rt_status sample(struct rt_generator *generator, const struct rt_row *rows, rt_i64 count)
{
    rt_status status = generator_write_numbers(generator, rows, count);
    if (!status)
        status = rt_session_launch(generator->session, generator->sampler);
    return status ? status
                  : rt_session_read(generator->session, generator->token, generator->tokens);
}

static bool is_eos(const struct rt_program *program, rt_i32 token)
{
    for (rt_u32 i = 0; i < program->eos_count; i++)
        if (program->eos_ids[i] == token)
            return true;
    return false;
}

static rt_status finish_row(struct rt_row *row, enum rt_stop_reason reason)
{
    row->done = true;
    row->reason = reason;
    return 0;
}

/* Appends a row's new token and decides whether the row goes on. */
static rt_status accept(struct rt_generator *generator, struct rt_row *rows, rt_i64 index,
                        rt_listener *listener, void *context)
{
    struct rt_row *row = &rows[index];
    rt_i32 token = generator->tokens[index];
    bool stop = false;
    if (token < 0)
        return rt_fail(LOGITS_NOT_FINITE, (long long)row->count + 1, (long long)row->number + 1);
    row->ids[row->count++] = token;
    if (!generator->sampling.ignore_eos && is_eos(generator->session->program, token))
        return finish_row(row, RT_STOP_EOS);
    rt_status status = listener ? listener(context, index, token, &stop) : 0;
    if (stop)
        return finish_row(row, RT_STOP_TEXT);
    if (row->count >= row->most)
        finish_row(row, RT_STOP_LENGTH);
    return status;
}

/* The tokens just sampled become the next input of the rows that go on; returns their number. */
static rt_i64 set_inputs(struct rt_generator *generator, const struct rt_row *rows, rt_i64 count)
{
    rt_i64 alive = 0;
    memset(generator->counts, 0,
           (size_t)generator->session->program->batch * sizeof *generator->counts);
    for (rt_i64 i = 0; i < count; i++) {
        generator->counts[i] = !rows[i].done;
        alive += !rows[i].done;
    }
    return alive;
}

rt_status generator_accept(struct rt_generator *generator, struct rt_row *rows, rt_i64 count,
                           rt_listener *listener, void *context)
{
    rt_status status = 0;
    for (rt_i64 i = 0; i < count && !status; i++)
        if (!rows[i].done)
            status = accept(generator, rows, i, listener, context);
    return status ? status : rt_process_interrupted();
}

/* Bytes of KV caches that a decode step reads: those of the positions stored so far. */
static double live_cache(const struct rt_generator *generator, const struct rt_row *rows,
                         rt_i64 count)
{
    const struct rt_program *program = generator->session->program;
    double bytes = 0;
    for (rt_u32 i = 0; i < program->state_count; i++) {
        const struct rt_state *state = &program->states[i];
        if (state->slots <= 0)
            continue;
        double slot = (double)state->port.bytes / ((double)program->batch * (double)state->slots);
        for (rt_i64 row = 0; row < count; row++) {
            rt_i64 stored = rows[row].prompt.count + rows[row].count;
            if (!rows[row].done)
                bytes += slot * (double)(stored < state->slots ? stored : state->slots);
        }
    }
    return bytes;
}

void generator_count_step(struct rt_generator *generator, const struct rt_row *rows,
                          rt_i64 count)
{
    generator->times.cache_bytes += live_cache(generator, rows, count);
    generator->times.decode_steps++;
}

static rt_status decode(struct rt_generator *generator)
{
    struct rt_session *session = generator->session;
    rt_status status = rt_session_write(session, generator->decode.tokens, generator->tokens);
    if (!status)
        status = rt_session_write(session, generator->decode.count, generator->counts);
    return status ? status : rt_session_launch(session, generator->decode.index);
}

static rt_status one_token(struct rt_generator *generator, struct rt_row *rows, rt_i64 count,
                           rt_listener *listener, void *context)
{
    rt_status status = sample(generator, rows, count);
    return status ? status : generator_accept(generator, rows, count, listener, context);
}

/* Each token is read before the next step begins: for devices that work while the host waits. */
static rt_status run_in_step(struct rt_generator *generator, struct rt_row *rows, rt_i64 count,
                             rt_listener *listener, void *context)
{
    rt_status status = one_token(generator, rows, count, listener, context);
    if (!status)
        status = generator_stamp(generator, GENERATOR_FIRST);
    while (!status && set_inputs(generator, rows, count) > 0) {
        generator_count_step(generator, rows, count);
        status = decode(generator);
        if (!status)
            status = one_token(generator, rows, count, listener, context);
    }
    return status;
}

rt_status generator_stamp(struct rt_generator *generator, enum generator_stamp which)
{
    struct rt_device *device = generator->session->device;
    return device->table->stamp(device, which);
}

/* What the device took for the parts of the run. */
static rt_status take_times(struct rt_generator *generator)
{
    struct rt_device *device = generator->session->device;
    rt_status status = generator_stamp(generator, GENERATOR_END);
    if (!status)
        status = device->table->elapsed(device, GENERATOR_BEGIN, GENERATOR_FED,
                                        &generator->times.prefill);
    return status ? status
                  : device->table->elapsed(device, GENERATOR_FIRST, GENERATOR_END,
                                           &generator->times.decode);
}

rt_status rt_generator_run(struct rt_generator *generator, struct rt_row *rows, rt_i64 count,
                           rt_listener *listener, void *context)
{
    generator->times = (struct rt_generation_times){0};
    for (rt_i64 i = 0; i < count; i++) {
        rows[i].count = 0;
        rows[i].done = false;
        rows[i].reason = RT_STOP_LENGTH;
    }
    rt_status status = rt_session_reset(generator->session, false);
    if (!status)
        status = generator_stamp(generator, GENERATOR_BEGIN);
    if (!status)
        status = prefill(generator, rows, count);
    if (!status)
        status = generator_stamp(generator, GENERATOR_FED);
    if (!status)
        status = generator->ahead
                     ? generator_run_ahead(generator, rows, count, listener, context)
                     : run_in_step(generator, rows, count, listener, context);
    return status ? status : take_times(generator);
}
