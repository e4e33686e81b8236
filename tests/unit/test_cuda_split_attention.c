/*
 * Decode attention of the CUDA backend under the emulation: keys shared out among blocks, whose
 * partial results the last one joins; key heads with 1 to 20 query heads, head sizes 8 to 256,
 * rings and windows, positions from the first to the last slot. Slots behind the position are
 * NaN: they are never read.
 */
#include "tests/attention_cases.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool is_full(void)
{
    return getenv("SINTER_FULL") != NULL;
}

static void run(const struct attention_case *cases, int count)
{
    struct attention_outcome o = attention_run(cases, count, false, 1);
    if (o.errors || !(o.worst <= 1))
        fail_msg("%d of %d runs are wrong, worst error %g tolerances; %s", o.errors, o.runs,
                 o.worst, o.text);
    assert_int_equal(o.ldmatrix.wavefronts, o.ldmatrix.minimum);
    assert_int_equal(o.loads.wavefronts, o.loads.minimum);
    attention_free(&o);
}

#define COUNT(cases) ((int)(sizeof(cases) / sizeof *(cases)))
#define CACHED "causal cached"

/* batch, 1, heads, groups, slots, size, type, how, positions, scale, bias, 0, keys, warps,
 * stages, split */
static const struct attention_case tensor[] = {
    {3, 1, 8, 2, 128, 64, "bf16", CACHED, {0, 63, 127}, 0, NULL, 0, 32, 2, 2, 3, 0},
    {2, 1, 8, 1, 200, 128, "bf16", CACHED, {31, 199}, 0, NULL, 0, 128, 4, 2, 2, 0},
    {2, 1, 4, 1, 90, 80, "f16", "causal cached window=30", {20, 89}, 0, NULL, 0, 32, 1, 3, 4, 0},
    {2,
     1,
     8,
     2,
     64,
     256,
     "bf16",
     "causal cached window=40 ring",
     {20, 500},
     0,
     NULL,
     0,
     64,
     4,
     2,
     1,
     0},
    {1, 1, 20, 1, 70, 96, "f16", CACHED, {44}, 0, "1,20,1,70", 0, 16, 1, 2, 5, 0},
    {2, 1, 4, 2, 64, 160, "bf16", CACHED, {63, 5}, -0.1, NULL, 0, 64, 2, 2, 2, 0},
    {1, 1, 8, 4, 64, 16, "bf16", CACHED, {50}, 0, NULL, 0, 32, 2, 2, 2, 0},
    {1, 1, 8, 1, 64, 8, "f16", "cached", {50}, 0, NULL, 0, 32, 2, 2, 2, 0},
    {1, 1, 4, 1, 64, 20, "bf16", CACHED, {33}, 0, NULL, 0, 32, 1, 2, 2, 0},
};

static const struct attention_case scalar[] = {
    {3, 1, 2, 2, 128, 256, "bf16", CACHED, {0, 63, 127}, 0, NULL, 0, 16, 4, 0, 3, 0},
    {2, 1, 2, 2, 90, 128, "f16", "causal cached window=30", {20, 89}, 0, NULL, 0, 64, 4, 0, 2, 0},
    {2,
     1,
     4,
     4,
     64,
     64,
     "bf16",
     "causal cached window=40 ring",
     {20, 500},
     0,
     NULL,
     0,
     32,
     2,
     0,
     4,
     0},
    {2, 1, 8, 1, 128, 8, "f32", CACHED, {9, 100}, 0, NULL, 0, 64, 2, 0, 2, 0},
    {1, 1, 12, 1, 70, 16, "f32", CACHED, {44}, 0, "1,1,1,70", 0, 64, 1, 0, 1, 0},
    {2, 1, 4, 2, 64, 80, "f32", CACHED, {63, 5}, -0.1, NULL, 0, 16, 4, 0, 5, 0},
    {1, 1, 8, 4, 64, 160, "f32", "cached", {50}, 0, NULL, 0, 8, 2, 0, 2, 0},
    {1, 1, 8, 1, 64, 256, "f32", CACHED, {50}, 0, NULL, 0, 16, 2, 0, 2, 0},
    {1, 1, 2, 1, 40, 320, "f32", CACHED, {33}, 0, NULL, 0, 8, 1, 0, 2, 0},
    {1, 1, 2, 2, 64, 20, "bf16", CACHED, {33}, 0, NULL, 0, 32, 1, 0, 2, 0},
};

static void on_tensor_cores(void **state)
{
    (void)state;
    run(tensor, COUNT(tensor));
}

static void by_ffma(void **state)
{
    (void)state;
    run(scalar, COUNT(scalar));
}

/* Every split of every head size, at a first, a middle and the last position. */
static void every_split(void **state)
{
    (void)state;
    static const int sizes[] = {8, 16, 64, 80, 96, 128, 160, 256}, splits[] = {1, 2, 7, 16};
    if (!is_full())
        return;
    for (int i = 0; i < COUNT(sizes); i++) {
        struct attention_case cases[3 * COUNT(splits)];
        int count = 0;
        for (int k = 0; k < COUNT(splits); k++)
            for (int share = 1; share <= 8; share += share == 1 ? 3 : 4)
                cases[count++] = (struct attention_case){.batch = 3,
                                                         .queries = 1,
                                                         .heads = 8,
                                                         .groups = 8 / share,
                                                         .slots = 300,
                                                         .size = sizes[i],
                                                         .dtype = k % 2 ? "bf16" : "f16",
                                                         .how = CACHED,
                                                         .positions = {0, 140, 299},
                                                         .keys = 64,
                                                         .warps = 2,
                                                         .stages = 2,
                                                         .split = splits[k]};
        run(cases, count);
    }
}

/* A reference that sees one key more shows. */
static void planted(void **state)
{
    (void)state;
    struct attention_case wrong[] = {tensor[0], scalar[1]};
    for (int i = 0; i < 2; i++) {
        wrong[i].wrong = 1;
        struct attention_outcome o = attention_run(&wrong[i], 1, true, 1);
        assert_int_equal(o.errors, 0);
        assert_true(o.worst > 3);
        attention_free(&o);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_tensor_cores),
        cmocka_unit_test(by_ffma),
        cmocka_unit_test(every_split),
        cmocka_unit_test(planted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
