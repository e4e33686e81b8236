/*
 * Generation that launches ahead (generator_ahead.c) gives what generation in step gives, whatever
 * ends the rows; and it keeps one step in flight. The device is the CPU, told to be asynchronous.
 */
#include "runtime/generator.h"
#include "tests/unit/toy_program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { BATCH = 3, LENGTH = 48, PROMPTS = 40 };

/* --- the CPU as a device to go ahead of --- */

static struct rt_device_table ahead;
static int launches, collected, most_ahead;

static void describe(struct rt_device *device, struct rt_device_facts *facts)
{
    rt_device_cpu.describe(device, facts);
    facts->ahead = true;
}

static rt_status open_device(struct rt_device **device, const struct rt_device_options *options)
{
    rt_status status = rt_device_cpu.open(device, options);
    if (!status)
        (*device)->table = &ahead;
    return status;
}

static rt_status fetch(struct rt_device *device, rt_u64 offset, rt_u64 bytes, rt_u32 *ticket)
{
    launches++;
    most_ahead = launches - collected > most_ahead ? launches - collected : most_ahead;
    return rt_device_cpu.fetch(device, offset, bytes, ticket);
}

static rt_status collect(struct rt_device *device, rt_u32 ticket, void *to, rt_u64 bytes)
{
    collected++;
    return rt_device_cpu.collect(device, ticket, to, bytes);
}

/* --- runs --- */

struct result {
    rt_i32 ids[BATCH][LENGTH];
    rt_i64 count[BATCH], heard;
    enum rt_stop_reason reason[BATCH];
    struct rt_generation_times times;
};

struct stop {
    rt_i64 row, after; /* the listener stops this row after that many tokens; row -1: none */
    rt_i64 heard[BATCH], all;
};

static rt_status listen(void *context, rt_i64 row, rt_i32 token, bool *stop)
{
    struct stop *s = context;
    (void)token;
    s->all++;
    *stop = row == s->row && ++s->heard[row] == s->after;
    return 0;
}

static void generate(struct result *result, int seed, bool go_ahead, bool ignore_eos)
{
    struct rt_session_options options = {.threads = 1, .table = go_ahead ? &ahead : NULL};
    struct rt_sampling sampling = {.penalty = 1, .top_p = 1, .ignore_eos = ignore_eos};
    struct rt_session session;
    struct rt_generator generator;
    struct rt_row rows[BATCH] = {0};
    rt_i32 prompts[BATCH][8];
    struct stop stop = {.row = seed % 5 - 1, .after = 1 + seed % 7};
    assert_int_equal(rt_session_open(&session, toy_generate_program(BATCH, LENGTH, NULL, 0),
                                     &options), 0);
    assert_int_equal(rt_generator_open(&generator, &session, &sampling), 0);
    for (int run = 0; run < 2; run++) { /* what the first leaves behind must not matter */
        memset(result, 0, sizeof *result);
        for (int i = 0; i < BATCH; i++) {
            rt_i64 tokens = 1 + (seed + 3 * i) % 8;
            for (rt_i64 k = 0; k < tokens; k++)
                prompts[i][k] = (rt_i32)(3 + (seed * 37 + i * 11 + k * 101) % (TOY_VOCABULARY - 3));
            rows[i] = (struct rt_row){.prompt = {prompts[i], tokens}, .number = i,
                                      .most = 1 + (seed * 5 + i * 13) % (LENGTH - tokens),
                                      .ids = result->ids[i]};
        }
        memset(stop.heard, 0, sizeof stop.heard);
        assert_int_equal(
            rt_generator_run(&generator, rows, BATCH - (seed % 3 == 0), listen, &stop), 0);
        for (int i = 0; i < BATCH; i++) {
            result->count[i] = rows[i].count;
            result->reason[i] = rows[i].reason;
        }
    }
    result->heard = stop.all;
    result->times = generator.times;
    rt_generator_close(&generator);
    rt_session_close(&session);
}

static void rows_are_those_of_generation_in_step(void **unused)
{
    struct result in_step, going_ahead;
    int reasons[3] = {0};
    (void)unused;
    for (int seed = 0; seed < PROMPTS; seed++)
        for (int ignore_eos = 0; ignore_eos < 2; ignore_eos++) {
            generate(&in_step, seed, false, ignore_eos);
            generate(&going_ahead, seed, true, ignore_eos);
            for (int i = 0; i < BATCH; i++) {
                assert_int_equal(going_ahead.count[i], in_step.count[i]);
                assert_int_equal(going_ahead.reason[i], in_step.reason[i]);
                reasons[in_step.reason[i]]++;
            }
            assert_memory_equal(going_ahead.ids, in_step.ids, sizeof in_step.ids);
            assert_int_equal(going_ahead.heard, in_step.heard);
            assert_true(going_ahead.times.decode_steps >= in_step.times.decode_steps);
            assert_true(going_ahead.times.decode_steps <= in_step.times.decode_steps + 1);
            if (ignore_eos && seed % 5 == 0) /* the last step of every row is known before */
                assert_int_equal(going_ahead.times.decode_steps, in_step.times.decode_steps);
        }
    for (int i = 0; i < 3; i++)
        if (reasons[i] < 5)
            fail_msg("stop reason %d came only %d times", i, reasons[i]);
}

static void one_step_is_in_flight(void **unused)
{
    struct result result;
    (void)unused;
    launches = collected = most_ahead = 0;
    generate(&result, 4, true, true);
    assert_int_equal(most_ahead, 2); /* the token that is read, and the one after it */
    assert_int_equal(launches, collected);
}

/* A logit that is not finite ends a run at its token, whichever way; ahead, one step later. */
static void numbers_that_are_not_finite_are_noticed(void **unused)
{
    (void)unused;
    for (int go_ahead = 0; go_ahead < 2; go_ahead++) {
        struct rt_session_options options = {.threads = 1, .table = go_ahead ? &ahead : NULL};
        struct rt_sampling sampling = {.penalty = 1, .top_p = 1, .ignore_eos = true};
        struct rt_session session;
        struct rt_generator generator;
        rt_i32 prompt[] = {301, 302, 303}, ids[LENGTH];
        struct rt_row row = {.prompt = {prompt, 3}, .most = 30, .ids = ids};
        struct stop stop = {.row = -1};
        assert_int_equal(rt_session_open(&session, toy_generate_program(1, LENGTH, NULL, 0),
                                         &options), 0);
        assert_int_equal(rt_generator_open(&generator, &session, &sampling), 0);
        toy_overflow = 3 + 5; /* those after the fifth new token */
        launches = 0;
        assert_int_equal(rt_generator_run(&generator, &row, 1, listen, &stop), EXIT_NUMERIC);
        assert_non_null(strstr(rt_status_text(), "not finite; new token 6 of prompt 1"));
        assert_int_equal(stop.all, 5);
        if (go_ahead)
            assert_int_equal(launches, 7); /* tokens that were fetched: one beyond it */
        toy_overflow = 0;
        rt_status_clear();
        assert_int_equal(rt_generator_run(&generator, &row, 1, listen, &stop), 0);
        assert_int_equal(row.count, 30);
        rt_generator_close(&generator);
        rt_session_close(&session);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_those_of_generation_in_step),
        cmocka_unit_test(one_step_is_in_flight),
        cmocka_unit_test(numbers_that_are_not_finite_are_noticed),
    };
    ahead = rt_device_cpu;
    ahead.open = open_device;
    ahead.describe = describe;
    ahead.fetch = fetch;
    ahead.collect = collect;
    return cmocka_run_group_tests_name("ahead", tests, NULL, NULL);
}
