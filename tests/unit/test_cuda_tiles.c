/*
 * Every candidate that pass tile lists for a kernel computes what the interpreter does: small
 * kernels of each skeleton, once with each candidate that fits. Without SINTER_FULL as many as
 * it takes for every pair of values of two attributes to be there.
 */
#include "ir/base/str.h"
#include "passes/passes.h"
#include "passes/tile_gpu.h"
#include "tests/emulated.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { CHOICES = 14 };

static const char leaves[] = "ir 1\nmodule m stage=clean\n"
                             "weight %w {tensor=w file=x} : bf16[100,264]\n"
                             "weight %u {tensor=u file=x} : bf16[100,264]\n";

static const char few[] = "  param %x : bf16[1,1,264]\n  param %r : f32[1,1,100]\n"
                          "  %p = matmul %x, %w {transb dtype=f32} : f32[1,1,100]\n"
                          "  %y = add %r, %p : f32[1,1,100]\n  return %y as y\nend\n";

static const char gated[] = "  param %x : f32[3,1,264]\n"
                            "  %c = cast %x {dtype=bf16} : bf16[3,1,264]\n"
                            "  %g = matmul %c, %w {transb dtype=f32} : f32[3,1,100]\n"
                            "  %v = matmul %c, %u {transb dtype=f32} : f32[3,1,100]\n"
                            "  %s = sigmoid %g : f32[3,1,100]\n"
                            "  %y = mul %s, %v : f32[3,1,100]\n  return %y as y\nend\n";

static const char skinny[] = "  param %x : bf16[17,1,264]\n  param %r : f32[17,1,100]\n"
                             "  %p = matmul %x, %w {transb dtype=f32} : f32[17,1,100]\n"
                             "  %y = add %r, %p : f32[17,1,100]\n  return %y as y\nend\n";

static const char split[] =
    "  param %q : bf16[2,1,8,64]\n  param %k : bf16[2,300,2,64]\n"
    "  param %v : bf16[2,300,2,64]\n  param %pos : i32[2]\n"
    "  %o = attention %q, %k, %v, %pos {causal cached scale=0.125} : bf16[2,1,8,64]\n"
    "  return %o as o\nend\n";

static const char conv[] =
    "  param %x : bf16[1,10,9,64]\n  param %f : bf16[72,3,3,64]\n"
    "  %p = conv2d %x, %f {stride=[1,1] pad=[1,1,1,1] dtype=f32} : f32[1,10,9,72]\n"
    "  %y = relu %p : f32[1,10,9,72]\n  return %y as y\nend\n";

static const char lines[] = "  param %x : f32[3,9001]\n"
                            "  %m = maximum %x {axes=[1]} : f32[3,1]\n"
                            "  %b = broadcast %m {dims=[3,9001]} : f32[3,9001]\n"
                            "  %d = sub %x, %b : f32[3,9001]\n  return %d as d\nend\n";

static const char columns[] = "  param %x : f32[300,132]\n"
                              "  %m = variance %x {axes=[0]} : f32[1,132]\n"
                              "  return %m as m\nend\n";

static const char sorted[] = "  param %x : f32[2,1500]\n"
                             "  %a, %b = sort %x {axis=1} : f32[2,1500], i32[2,1500]\n"
                             "  return %a as a\n  return %b as b\nend\n";

static const char running[] = "  param %x : f32[2,5001]\n"
                              "  %a = cumsum %x {axis=1} : f32[2,5001]\n  return %a as a\nend\n";

/* --- candidates --- */

struct choice {
    struct tile_list *list; /* those to run */
    enum skeleton skeleton;
};

static struct kernel *find_kernel(const struct function *function, enum skeleton skeleton)
{
    for (size_t i = 0; i < function->kernels.count; i++)
        if (function->kernels.items[i]->skeleton == skeleton)
            return function->kernels.items[i];
    fail_msg("%s has no kernel of skeleton %s", function->name, skeleton_name(skeleton));
    return NULL;
}

static void values_of(const struct tile_candidate *c, int64_t values[CHOICES])
{
    const int64_t all[CHOICES] = {c->tiles,   c->threads, c->rows,   c->cols, c->kc,
                                  c->warps_m, c->warps_n, c->stages, c->split, c->band,
                                  c->pair,    c->vector,  c->keys,   c->nr};
    memcpy(values, all, sizeof all);
}

/* Whether values a and b of two attributes stand together in one of the first `count`. */
static bool is_covered(const struct tile_list *list, int count, const int64_t *values, int a,
                       int b)
{
    int64_t other[CHOICES];
    for (int i = 0; i < count; i++) {
        values_of(&list->items[i], other);
        if (other[a] == values[a] && other[b] == values[b])
            return true;
    }
    return false;
}

static bool adds_a_pair(const struct tile_list *list, int count, const struct tile_candidate *c)
{
    int64_t values[CHOICES];
    values_of(c, values);
    for (int a = 0; a < CHOICES; a++)
        for (int b = a + 1; b < CHOICES; b++)
            if (!is_covered(list, count, values, a, b))
                return true;
    return false;
}

static void keep_some(struct tile_list *list)
{
    int count = 0;
    bool full = getenv("SINTER_FULL") != NULL;
    for (int i = 0; i < list->count; i++)
        if (full || adds_a_pair(list, count, &list->items[i]))
            list->items[count++] = list->items[i];
    list->count = count;
}

static struct choice list_candidates(struct arena *arena, const char *body,
                                     enum skeleton skeleton)
{
    const struct target *target = target_find("a100");
    const char *text = arena_printf(arena, "%sfunc f\n%s", leaves, body);
    struct module *module = ir_parse(arena, diag_add_source("tiles.ir", text, strlen(text)));
    struct choice choice = {arena_new(arena, struct tile_list), skeleton};
    pass_layout(module);
    pass_fuse(module, target);
    pass_schedule(module);
    const struct function *function = module->functions.items[0];
    struct tile_subject subject = {.arena = arena,
                                   .gpu = target->gpu,
                                   .blas = TILE_BLAS_never,
                                   .function = function,
                                   .kernel = find_kernel(function, skeleton)};
    tile_candidates(&subject, choice.list);
    assert_true(choice.list->count > 1);
    keep_some(choice.list);
    return choice;
}

/* --- runs --- */

/* Function i gets candidate i. */
static void give(struct module *module, void *context)
{
    const struct choice *choice = context;
    for (int i = 0; i < choice->list->count; i++) {
        const struct function *function = module->functions.items[i];
        struct tile_subject subject = {.arena = module->arena,
                                       .gpu = gpu_find("a100"),
                                       .blas = TILE_BLAS_never,
                                       .function = function,
                                       .kernel = find_kernel(function, choice->skeleton)};
        assert_true(tile_apply(&subject, &choice->list->items[i]));
    }
}

static void check(const char *body, enum skeleton skeleton)
{
    struct arena *arena = arena_create();
    struct choice choice = list_candidates(arena, body, skeleton);
    struct str text = str_create(arena);
    str_printf(&text, "%s", leaves);
    for (int i = 0; i < choice.list->count; i++)
        str_printf(&text, "func f%d\n%s", i, body);
    struct emulated_request request = {.tiled = give,
                                       .context = &choice,
                                       .samples = 100,
                                       .skeleton = skeleton_name(skeleton)};
    struct emulated_report report = emulated_text(text.text, &request);
    emulated_expect(&report);
    printf("%s: %d candidates\n", skeleton_name(skeleton), choice.list->count);
    arena_destroy(arena);
}

#define TILES_TEST(name, skeleton)           \
    static void test_##name(void **state)    \
    {                                        \
        (void)state;                         \
        check(name, SKELETON_##skeleton);    \
    }
TILES_TEST(few, gemv)
TILES_TEST(gated, gemv)
TILES_TEST(skinny, skinny)
TILES_TEST(split, split_attention)
TILES_TEST(conv, conv2d)
TILES_TEST(lines, rows)
TILES_TEST(columns, rows)
TILES_TEST(sorted, sort)
TILES_TEST(running, cumsum)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_few),    cmocka_unit_test(test_gated),
        cmocka_unit_test(test_skinny), cmocka_unit_test(test_split),
        cmocka_unit_test(test_conv),   cmocka_unit_test(test_lines),
        cmocka_unit_test(test_columns), cmocka_unit_test(test_sorted),
        cmocka_unit_test(test_running),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
