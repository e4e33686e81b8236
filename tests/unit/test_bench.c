/* bench: statistics by hand-made numbers, bytes by hand-made tables, and the whole verb. */
#include "runtime/bench.h"
#include "runtime/roles.h"
#include "tests/unit/run_program.h"
#include "tests/unit/toy_program.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void test_quantile(void **state)
{
    double values[100];
    (void)state;
    for (int i = 0; i < 100; i++)
        values[i] = (i * 37) % 100 + 1;
    assert_true(bench_quantile(values, 100, 0.5) == 50);
    assert_true(bench_quantile(values, 100, 0.99) == 99);
    assert_true(bench_quantile(values, 100, 1) == 100);
    assert_true(bench_quantile(values, 1, 0.5) == 1);
    assert_true(isnan(bench_quantile(values, 0, 0.5)));
}

/* A gather reads less than its table; a weight that stands twice is read once. */
static void test_weight_bytes(void **state)
{
    const struct rt_weight weights[] = {{.bytes = 1000}, {.bytes = 64}};
    const struct rt_operand operands[] = {
        {RT_SPACE_ARENA, 0, 0}, {RT_SPACE_WEIGHT, 0, 0}, {RT_SPACE_WEIGHT, 0, 500},
        {RT_SPACE_WEIGHT, 1, 0}, {RT_SPACE_CONSTANT, 0, 0},
    };
    const struct rt_step steps[] = {
        {.first_operand = 0, .operand_count = 2, .bytes = 40, .flops = 3},
        {.first_operand = 1, .operand_count = 3, .bytes = 5000, .flops = 4},
        {.first_operand = 4, .operand_count = 1, .bytes = 5000, .flops = 5},
    };
    const struct rt_function function = {.steps = steps, .operands = operands, .step_count = 3};
    const struct rt_program program = {.weights = weights};
    (void)state;
    assert_true(bench_weight_bytes(&program, &function) == 40 + 1064);
    assert_true(bench_flops(&function) == 12);
}

static double field(const char *json, const char *group, const char *name)
{
    char key[64];
    const char *at = group ? strstr(json, group) : json;
    snprintf(key, sizeof key, "\"%s\": ", name);
    at = at ? strstr(at, key) : NULL;
    if (!at)
        fail_msg("no %s.%s in %s", group ? group : "", name, json);
    at += strlen(key);
    return strncmp(at, "null", 4) == 0 ? NAN : strtod(at, NULL);
}

static void test_generate_bench(void **state)
{
    (void)state;
    struct run run = run_line(toy_generate_program(2, 64, NULL, 0), NULL,
                              "bench --json --steps 3 --prompt-tokens 20");
    assert_int_equal(run.code, 0);
    assert_true(field(run.out, NULL, "prompt_tokens") == 20);
    assert_true(field(run.out, NULL, "new_tokens") == 44); /* EOS stops nothing */
    assert_true(field(run.out, NULL, "steps") == 3);
    assert_true(field(run.out, NULL, "batch") == 2);
    assert_true(field(run.out, "\"step_ms\"", "p99") >= field(run.out, "\"step_ms\"", "median"));
    /* of three steps, one has no less than the median of both parts */
    assert_true(field(run.out, "\"step_ms\"", "p99")
                >= field(run.out, "\"prefill\"", "ms")
                       + 43 * field(run.out, "\"decode\"", "ms_per_token") - 1e-6);
    assert_true(field(run.out, "\"decode\"", "bandwidth_share") > 0);
    assert_true(field(run.out, "\"prefill\"", "gflops") > 0);
    assert_true(field(run.out, "\"machine\"", "peak_gflops") > 0.1);
    assert_true(field(run.out, "\"machine\"", "bandwidth_gbs") > 0.1);
    assert_true(field(run.out, NULL, "peak_bytes") > 0);
    assert_true(field(run.out, NULL, "planned_bytes") >= 512 * 64 * 4);
    assert_true(isnan(field(run.out, NULL, "samples_per_s")));
    run = run_line(toy_generate_program(1, 64, NULL, 0), NULL, "bench --steps 2 -n 1");
    assert_int_equal(run.code, 0);
    assert_non_null(strstr(run.out, "step ms, mean"));
    assert_null(strstr(run.out, "decode ms/token")); /* one token: no decode step */
}

static void test_fit_bench(void **state)
{
    (void)state;
    struct run run = run_line(toy_fit_program(16, false), NULL, "bench --json --steps 2");
    assert_int_equal(run.code, 0);
    assert_true(field(run.out, NULL, "samples_per_s") > 0);
    assert_true(field(run.out, "\"compute\"", "gflops") > 0);
    assert_true(isnan(field(run.out, "\"decode\"", "gbs")));
    assert_true(isnan(field(run.out, NULL, "prompt_tokens")));
}

/* Each kernel once a function, with the number of steps that run it. */
static void test_kernels(void **state)
{
    (void)state;
    struct run run = run_line(toy_generate_program(2, 64, NULL, 0), NULL, "bench --kernels --json");
    assert_int_equal(run.code, 0);
    assert_true(run.out[0] == '[');
    assert_non_null(strstr(run.out, "\"function\":"));
    assert_non_null(strstr(run.out, "\"uses\":"));
    assert_null(strstr(run.out, "\"us\": 0,"));
    run = run_line(toy_generate_program(2, 64, NULL, 0), NULL, "bench --kernels");
    assert_int_equal(run.code, 0);
    assert_non_null(strstr(run.out, " us "));
}

static void test_info(void **state)
{
    (void)state;
    struct run run = run_line(toy_fit_program(16, false), NULL, "info --json");
    assert_int_equal(run.code, 0);
    assert_true(field(run.out, "\"weights\"", "tensors") == 2);
    run = run_line(toy_fit_program(16, false), NULL, "info");
    assert_non_null(strstr(run.out, "input x: f32[16,784]"));
    assert_int_equal(run_line(toy_fit_program(16, false), NULL, "--version").code, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quantile),       cmocka_unit_test(test_weight_bytes),
        cmocka_unit_test(test_generate_bench), cmocka_unit_test(test_fit_bench),
        cmocka_unit_test(test_kernels),
        cmocka_unit_test(test_info),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
