/* Chunked prompts: see feeder.h. */
#include "runtime/feeder.h"

#include "runtime/roles.h"

#include <stdlib.h>
#include <string.h>

static void sort_by_chunk(struct rt_feeder *feeder)
{
    for (int i = 1; i < feeder->function_count; i++)
        for (int j = i; j > 0 && feeder->functions[j - 1].chunk < feeder->functions[j].chunk; j--) {
            struct rt_feed_function moved = feeder->functions[j];
            feeder->functions[j] = feeder->functions[j - 1];
            feeder->functions[j - 1] = moved;
        }
}

static rt_status add_function(struct rt_feeder *feeder, rt_u32 index)
{
    const struct rt_program *program = feeder->session->program;
    const struct rt_function *function = &program->functions[index];
    if (feeder->function_count == RT_MAX_CHUNKS || function->chunk < 1)
        return rt_fail(PORT_SHAPE, "tokens", function->name);
    struct rt_feed_function *added = &feeder->functions[feeder->function_count++];
    *added = (struct rt_feed_function){.index = index, .chunk = function->chunk};
    rt_status status = rt_session_input(feeder->session, index, "tokens", RT_I32,
                                        program->batch * function->chunk, &added->tokens);
    if (!status)
        status = rt_session_input(feeder->session, index, "count", RT_I32, program->batch,
                                  &added->count);
    return status;
}

rt_status rt_feeder_open(struct rt_feeder *feeder, struct rt_session *session, const char *role)
{
    *feeder = (struct rt_feeder){.session = session};
    rt_u32 index;
    rt_status status = rt_session_function(session, role, &index);
    while (!status && index < session->program->function_count) {
        status = add_function(feeder, index);
        index = rt_session_find(session, role, index + 1);
    }
    if (status)
        return status;
    sort_by_chunk(feeder);
    size_t batch = (size_t)session->program->batch;
    size_t most = batch * (size_t)feeder->functions[0].chunk;
    feeder->tokens = calloc(most, sizeof *feeder->tokens);
    feeder->counts = calloc(batch, sizeof *feeder->counts);
    if (!feeder->tokens || !feeder->counts) {
        rt_feeder_close(feeder);
        return rt_fail(OUT_OF_MEMORY, most * sizeof *feeder->tokens);
    }
    return 0;
}

void rt_feeder_close(struct rt_feeder *feeder)
{
    free(feeder->tokens);
    free(feeder->counts);
    *feeder = (struct rt_feeder){0};
}

int rt_feeder_choose(const struct rt_feeder *feeder, rt_i64 remaining)
{
    int last = feeder->function_count - 1, choice = last;
    while (choice > 0 && feeder->functions[choice].chunk < remaining)
        choice--; /* the smallest that holds all, or the largest */
    rt_i64 chunk = feeder->functions[choice].chunk;
    while (choice < last && remaining <= chunk / 2) {
        choice++; /* mostly empty: the next smaller one leaves less to waste */
        chunk = feeder->functions[choice].chunk;
    }
    return choice;
}

void rt_feeder_start(struct rt_feeder *feeder)
{
    feeder->position = 0;
}

static rt_i64 longest(const struct rt_sequence *rows, rt_i64 count)
{
    rt_i64 most = 0;
    for (rt_i64 i = 0; i < count; i++)
        most = rows[i].count > most ? rows[i].count : most;
    return most;
}

/* Right-padded rows of the chunk; returns the number of valid tokens. */
static rt_i64 fill_chunk(struct rt_feeder *feeder, const struct rt_sequence *rows, rt_i64 count,
                         rt_i64 chunk)
{
    rt_i64 batch = feeder->session->program->batch, total = 0;
    memset(feeder->tokens, 0, (size_t)(batch * chunk) * sizeof *feeder->tokens);
    memset(feeder->counts, 0, (size_t)batch * sizeof *feeder->counts);
    for (rt_i64 row = 0; row < count; row++) {
        rt_i64 left = rows[row].count - feeder->position;
        rt_i64 valid = left < 0 ? 0 : left < chunk ? left : chunk;
        if (valid > 0)
            memcpy(feeder->tokens + row * chunk, rows[row].ids + feeder->position,
                   (size_t)valid * sizeof *feeder->tokens);
        feeder->counts[row] = (rt_i32)valid;
        total += valid;
    }
    return total;
}

rt_status rt_feeder_next(struct rt_feeder *feeder, const struct rt_sequence *rows, rt_i64 count,
                         struct rt_fed *fed)
{
    rt_i64 remaining = longest(rows, count) - feeder->position;
    *fed = (struct rt_fed){.begin = feeder->position};
    if (remaining <= 0)
        return 0;
    const struct rt_feed_function *function =
        &feeder->functions[rt_feeder_choose(feeder, remaining)];
    fed->function = function;
    fed->tokens = fill_chunk(feeder, rows, count, function->chunk);
    feeder->position += function->chunk;
    rt_status status = rt_session_write(feeder->session, function->tokens, feeder->tokens);
    if (!status)
        status = rt_session_write(feeder->session, function->count, feeder->counts);
    return status ? status : rt_session_launch(feeder->session, function->index);
}
