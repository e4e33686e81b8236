/*
 * Flash attention of the CUDA backend under the emulation: every tile of its list, every form of
 * line (head sizes 8 to 256), masks, rings, positions, bias, shared key heads, ragged edges; and
 * that the sums of a position do not depend on the chunk that it is computed in.
 */
#include "ir/base/str.h"
#include "ir/target.h"
#include "passes/passes.h"
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

static void expect_right(const struct attention_outcome *o)
{
    if (o->errors || !(o->worst <= 1))
        fail_msg("%d of %d runs are wrong, worst error %g tolerances; %s", o->errors, o->runs,
                 o->worst, o->text);
    assert_int_equal(o->ldmatrix.wavefronts, o->ldmatrix.minimum);
    assert_int_equal(o->loads.wavefronts, o->loads.minimum);
}

/* `plain`: lines are whole and come by asynchronous copies. */
static void run(const struct attention_case *cases, int count, bool plain, bool brief)
{
    struct attention_outcome o = attention_run(cases, count, brief, 1);
    expect_right(&o);
    if (plain)
        assert_int_equal(o.stores.wavefronts, o.stores.minimum);
    attention_free(&o);
}

#define CAUSAL "causal"
#define CACHED "causal cached"

/* batch, queries, heads, groups, slots, size, type, how, positions, scale, bias, tile. Together
 * they have every pair of head size and mask, of head size and element type, and of type and
 * number of stages. */
static const struct attention_case tensor[] = {
    {2, 37, 4, 1, 90, 64, "bf16", CACHED, {3, 50}, 0, NULL, 64, 32, 2, 2, 0, 0},
    {1, 150, 2, 2, 150, 64, "bf16", CAUSAL, {0}, 0, NULL, 128, 64, 4, 2, 0, 0},
    {1, 20, 2, 1, 77, 64, "f16", "", {0}, 0.3, "1,2,20,77", 32, 16, 2, 3, 0, 0},
    {2,
     20,
     8,
     1,
     64,
     80,
     "f16",
     "causal cached window=9 ring",
     {30, 100},
     0,
     NULL,
     32,
     32,
     1,
     3,
     0,
     0},
    {1, 33, 2, 1, 47, 80, "bf16", "", {0}, 0, NULL, 64, 32, 4, 2, 0, 0},
    {2, 17, 2, 2, 64, 96, "bf16", "causal cached window=20", {2, 40}, 0, NULL, 16, 32, 1, 4, 0, 0},
    {1, 40, 4, 1, 40, 96, "f16", CAUSAL, {0}, -0.1, NULL, 32, 32, 2, 2, 0, 0},
    {1,
     40,
     2,
     1,
     128,
     128,
     "bf16",
     "causal cached ring window=30",
     {300},
     0,
     NULL,
     64,
     64,
     4,
     2,
     0,
     0},
    {1, 130, 1, 1, 130, 128, "bf16", CAUSAL, {0}, 0, "1,1,1,130", 128, 64, 8, 2, 0, 0},
    {1, 50, 2, 1, 90, 160, "bf16", "window=11", {0}, 0, NULL, 64, 32, 4, 2, 0, 0},
    {1, 20, 1, 1, 50, 160, "f16", CACHED, {30}, 0, "1,1,20,50", 32, 16, 1, 2, 0, 0},
    {1, 30, 2, 1, 64, 256, "bf16", CACHED, {20}, 0, NULL, 32, 32, 2, 2, 0, 0},
    {1, 20, 2, 2, 40, 256, "f16", "window=6", {0}, 0, NULL, 16, 16, 1, 3, 0, 0},
};

/* Lines of an odd number of chunks, of 64 bytes, and rows that no 16-byte copy can read. */
static const struct attention_case narrow[] = {
    {2, 40, 8, 1, 64, 8, "bf16", CACHED, {1, 24}, 0, NULL, 32, 32, 2, 2, 0, 0},
    {1, 40, 4, 4, 40, 16, "bf16", "causal window=7", {0}, 0, "1,1,40,40", 64, 16, 2, 2, 0, 0},
    {1, 33, 4, 2, 65, 32, "f16", "", {0}, 0, NULL, 64, 64, 2, 2, 0, 0},
    {1, 33, 2, 1, 48, 40, "bf16", CACHED, {15}, 0, NULL, 32, 48, 1, 3, 0, 0},
    {2, 19, 2, 1, 33, 20, "bf16", CAUSAL, {0}, 0, NULL, 32, 32, 1, 2, 0, 0},
    {1, 19, 3, 1, 33, 7, "f16", "", {0}, 0, NULL, 16, 32, 1, 2, 0, 0},
    {1, 9, 2, 1, 21, 7, "f32", "", {0}, -0.5, NULL, 16, 16, 1, 2, 0, 0},
    {1, 40, 2, 1, 20, 64, "bf16", "window=5", {0}, 0, NULL, 64, 32, 4, 2, 0, 0},
};

static const struct attention_case scalar[] = {
    {1, 40, 8, 1, 64, 8, "f32", CACHED, {24}, 0, NULL, 64, 32, 4, 2, 0, 0},
    {2, 20, 2, 2, 50, 16, "f32", "", {0}, 0, "2,1,20,50", 32, 16, 2, 2, 0, 0},
    {1, 40, 4, 1, 40, 64, "f32", "causal window=12", {0}, 0, NULL, 64, 32, 4, 2, 0, 0},
    {2,
     18,
     2,
     1,
     32,
     80,
     "f32",
     "causal cached window=9 ring",
     {3, 70},
     0,
     NULL,
     32,
     16,
     1,
     3,
     0,
     0},
    {1, 20, 2, 1, 37, 128, "f32", CAUSAL, {0}, 0, NULL, 32, 32, 2, 2, 0, 0},
    {1, 20, 1, 1, 40, 256, "f32", CACHED, {17}, 0, NULL, 16, 16, 1, 2, 0, 0},
};

#define COUNT(cases) ((int)(sizeof(cases) / sizeof *(cases)))

static void on_tensor_cores(void **state)
{
    (void)state;
    run(tensor, COUNT(tensor), true, false);
}

static void narrow_lines(void **state)
{
    (void)state;
    run(narrow, COUNT(narrow), false, false);
}

static void in_f32(void **state)
{
    (void)state;
    run(scalar, COUNT(scalar), true, false);
}

/* The tiles that passes choose from: each with every head size, every mask with every tile and
 * every head size, blocks of keys by turns. */
static void every_tile(void **state)
{
    (void)state;
    static const int tiles[][3] = {
#define TILE_ATTENTION(...) {__VA_ARGS__},
#include "passes/tile_shapes.def"
    };
    static const int sizes[] = {64, 80, 128, 256, 8, 16, 96, 160}, blocks[] = {16, 32, 64};
    static const char *const how[] = {CACHED, CAUSAL, "window=9", "causal cached ring window=20"};
    int most = is_full() ? COUNT(sizes) : 4;
    for (int i = 0; i < COUNT(tiles); i++) {
        struct attention_case cases[COUNT(sizes) * 2];
        int count = 0;
        for (int k = 0; k < most * (is_full() ? 2 : 1); k++) {
            int other = i + k + k / most, size = sizes[k % most];
            cases[count++] = (struct attention_case){.batch = 1,
                                                     .queries = tiles[i][0] + 1 + other % 3 * 3,
                                                     .heads = 2,
                                                     .groups = 1 + other % 2,
                                                     .slots = 170,
                                                     .size = size,
                                                     .dtype = other / 2 % 2 ? "bf16" : "f16",
                                                     .how = how[other % 4],
                                                     .positions = {31},
                                                     .rows = tiles[i][0],
                                                     .keys = size > 128 ? 32 : blocks[(i + k) % 3],
                                                     .warps = tiles[i][2],
                                                     .stages = tiles[i][1]};
        }
        run(cases, count, true, false);
    }
}

/* --- chunks --- */

/* One chunk of 64 and four of 16, with tiles of their own, give every position the same bits. */
static void expect_same(struct attention_case whole, struct attention_case part)
{
    struct attention_case cases[5] = {whole};
    for (int i = 0; i < 4; i++) {
        cases[i + 1] = part;
        cases[i + 1].queries = 16;
        cases[i + 1].positions[0] = whole.positions[0] + 16 * i;
    }
    struct attention_outcome o = attention_run(cases, 5, true, 3);
    expect_right(&o);
    size_t each = o.first[2] - o.first[1];
    for (size_t i = 0; i < 4; i++)
        assert_memory_equal(o.results + o.first[i + 1], o.results + i * each,
                            each * sizeof *o.results);
    attention_free(&o);
}

static void chunks(void **state)
{
    (void)state;
    static const char *const how[] = {CACHED, "causal cached window=20",
                                      "causal cached window=20 ring"};
    for (int i = 0; i < 3; i++)
        for (int type = 0; type < 2; type++) {
            struct attention_case whole = {1,
                                           64,
                                           4,
                                           2,
                                           160,
                                           type ? 40 : 64,
                                           type ? "f32" : "bf16",
                                           how[i],
                                           {37},
                                           0,
                                           NULL,
                                           64,
                                           32,
                                           type ? 2 : 4,
                                           2,
                                           0,
                                           0};
            struct attention_case part = whole;
            part.rows = 16;
            part.warps = 1;
            part.stages = 3;
            expect_same(whole, part);
        }
}

/* What the passes choose for the chunks of one prompt: tiles of their own, one block of keys. */
static void one_block_of_keys(void **state)
{
    (void)state;
    static const int sizes[] = {8, 64, 80, 128, 256};
    const struct target *target = target_find("a100");
    struct arena *arena = arena_create();
    struct str out = str_create(arena);
    str_printf(&out, "ir 1\nmodule m stage=clean\n");
    for (int i = 0; i < COUNT(sizes); i++)
        for (int chunk = 16; chunk <= 256; chunk *= 4)
            str_printf(&out,
                       "func f%d_%d\n  param %%q : bf16[1,%d,8,%d]\n  param %%k : "
                       "bf16[1,2048,2,%d]\n  param %%pos : i32[1]\n  %%o = attention %%q, %%k, "
                       "%%k, %%pos {causal cached} : bf16[1,%d,8,%d]\n  return %%o as o\nend\n",
                       sizes[i], chunk, chunk, sizes[i], sizes[i], chunk, sizes[i]);
    struct module *module = ir_parse(arena, diag_add_source("m.ir", out.text, out.length));
    pass_layout(module);
    pass_fuse(module, target);
    pass_schedule(module);
    pass_tile(module, target);
    for (size_t i = 0; i < module->functions.count; i++) {
        const struct kernel *kernel = module->functions.items[i]->kernels.items[0];
        const struct kernel *first = module->functions.items[i / 3 * 3]->kernels.items[0];
        assert_int_equal(kernel->skeleton, SKELETON_attention);
        assert_int_equal(attributes_int(&kernel->attributes, ATTRIBUTE_keys),
                         attributes_int(&first->attributes, ATTRIBUTE_keys));
    }
    arena_destroy(arena);
}

/* --- the test itself --- */

/* A reference that sees one key more shows. */
static void planted(void **state)
{
    (void)state;
    struct attention_case wrong[] = {tensor[0], scalar[0]};
    for (int i = 0; i < 2; i++) {
        wrong[i].wrong = 1;
        struct attention_outcome o = attention_run(&wrong[i], 1, true, 1);
        assert_int_equal(o.errors, 0);
        assert_true(o.worst > 5);
        attention_free(&o);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_tensor_cores), cmocka_unit_test(narrow_lines),
        cmocka_unit_test(in_f32),          cmocka_unit_test(every_tile),
        cmocka_unit_test(chunks),          cmocka_unit_test(one_block_of_keys),
        cmocka_unit_test(planted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
