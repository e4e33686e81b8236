/*
 * Generation on a device that works while the host goes on: step t + 1 is launched before token t
 * is read, so that the device never waits for the host. The token goes from the sampler to the next
 * step inside the device. A row that stops at token t (EOS, a stop text) has then taken part in
 * one step more; what came of it is dropped, and its caches begin anew with the next batch. Rows
 * whose last token is known by their length take no part in it.
 */
#include "runtime/generator_internal.h"

#include <string.h>

/* A token of every row on its way to the host. */
struct flight {
    bool flying;
    rt_u32 ticket;
};

static rt_status launch_sampler(struct rt_generator *generator, struct flight *flight)
{
    struct rt_device *device = generator->session->device;
    rt_status status = rt_session_launch(generator->session, generator->sampler);
    if (!status)
        status = device->table->fetch(device, generator->token->offset, generator->token->bytes,
                                      &flight->ticket);
    flight->flying = !status;
    return status;
}

/* The rows that will want a token after the one in flight, as far as can be known; their number.
 * *changed: whether they are others than in the step before. */
static rt_i64 set_counts(struct rt_generator *generator, const struct rt_row *rows, rt_i64 count,
                         bool *changed)
{
    rt_i64 alive = 0;
    for (rt_i64 i = 0; i < generator->session->program->batch; i++) {
        rt_i32 goes_on = i < count && !rows[i].done && rows[i].count + 1 < rows[i].most;
        *changed |= generator->counts[i] != goes_on;
        generator->counts[i] = goes_on;
        alive += goes_on;
    }
    return alive;
}

static rt_status launch_step(struct rt_generator *generator, bool changed, struct flight *flight)
{
    struct rt_session *session = generator->session;
    struct rt_device *device = session->device;
    rt_status status = device->table->copy(device, generator->decode.tokens->offset,
                                           generator->token->offset, generator->token->bytes);
    if (!status && changed)
        status = rt_session_write(session, generator->decode.count, generator->counts);
    if (!status)
        status = rt_session_launch(session, generator->decode.index);
    return status ? status : launch_sampler(generator, flight);
}

static rt_status land(struct rt_generator *generator, const struct flight *flight)
{
    struct rt_device *device = generator->session->device;
    return device->table->collect(device, flight->ticket, generator->tokens,
                                  generator->token->bytes);
}

static bool all_done(const struct rt_row *rows, rt_i64 count)
{
    for (rt_i64 i = 0; i < count; i++)
        if (!rows[i].done)
            return false;
    return true;
}

rt_status generator_run_ahead(struct rt_generator *generator, struct rt_row *rows, rt_i64 count,
                              rt_listener *listener, void *context)
{
    struct flight now = {0}, next = {0};
    bool changed = true; /* nothing has been written yet */
    rt_status status = generator_write_numbers(generator, rows, count);
    if (!status)
        status = launch_sampler(generator, &now);
    if (!status)
        status = generator_stamp(generator, GENERATOR_FIRST);
    while (!status && now.flying) {
        next.flying = false;
        if (set_counts(generator, rows, count, &changed) > 0) {
            generator_count_step(generator, rows, count);
            status = launch_step(generator, changed, &next);
            changed = false;
        }
        if (!status)
            status = land(generator, &now);
        if (!status)
            status = generator_accept(generator, rows, count, listener, context);
        now = next;
        if (!status && all_done(rows, count)) {
            status = now.flying ? land(generator, &now) : 0; /* dropped */
            now.flying = false;
        }
    }
    return status;
}
