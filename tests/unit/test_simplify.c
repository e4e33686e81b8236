/* Pass simplify: each rule, compositions of index maps, constants, and random graphs. */
#include "ir/build.h"
#include "passes/passes.h"
#include "passes/term.h"
#include "tests/outputs.h"
#include "tests/random_graph.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { GRAPHS = 700 };

static size_t count_nodes(const struct module *of)
{
    return of->functions.items[0]->nodes.count;
}

/* --- every rule --- */

static struct arena *arena;
static struct module *module;
static struct function *function;
static struct builder b;

static int begin(void **state)
{
    (void)state;
    arena = arena_create();
    module = module_create(arena, "test");
    function = module_add_function(module, "main");
    b = (struct builder){module, function, {0}, ""};
    return 0;
}

static int end(void **state)
{
    (void)state;
    arena_destroy(arena);
    return 0;
}

/* A param for each name of a rule, made at its first use; c is a constant power of two. */
static struct value *named(struct value **known, char name, bool truth)
{
    struct value **value = &known[name - 'a'];
    int64_t dims[] = {5};
    if (!*value && name == 'c')
        *value = build_constant(&b, DTYPE_f32, -0.25);
    if (!*value)
        *value = build_param(&b, (char[]){name, '\0'},
                             type_make(truth ? DTYPE_bool : DTYPE_f32, 1, dims));
    return *value;
}

static struct value *build_rule(const struct term *term, struct value **known, bool truth)
{
    struct value *operands[TERM_ARGUMENTS];
    enum op op;
    if (term->kind == TERM_NAME)
        return named(known, term->name[0], truth);
    if (term->kind == TERM_NUMBER)
        return build_constant(&b, truth ? DTYPE_bool : DTYPE_f32, term->number);
    assert_true(op_parse(term->name, strlen(term->name), &op));
    for (int i = 0; i < term->count; i++) {
        enum ew_rule rule = op_info(op)->rule;
        bool wants_truth = rule == RULE_LOGIC || (rule == RULE_SELECT && i == 0);
        operands[i] = build_rule(term->arguments[i], known, wants_truth);
    }
    return &build_node(&b, op, operands, term->count, (struct attributes){0}, NULL)->results[0];
}

static bool is_logic(const struct term *term)
{
    enum op op;
    return term->kind == TERM_CALL && op_parse(term->name, strlen(term->name), &op) &&
           op_info(op)->rule == RULE_LOGIC;
}

static void check_rule(const char *pattern)
{
    struct value *known[26] = {0};
    const struct term *term = term_parse(arena, pattern);
    struct value *y = build_rule(term, known, is_logic(term));
    build_output(&b, "y", y);
    ir_verify(module, "test", false);
    size_t before_length, after_length;
    char *before_text = ir_print(module, &before_length);
    struct outputs before = outputs_of(module, function, INTERP_EXACT, 3, false);
    pass_simplify(module);
    ir_verify(module, "simplify", false);
    char *after_text = ir_print(module, &after_length);
    struct outputs after = outputs_of(module, function, INTERP_EXACT, 3, false);
    const char *difference = outputs_differ(&before, &after, 1e-14);
    if (difference || strcmp(before_text, after_text) == 0)
        fail_msg("%s: %s", pattern, difference ? difference : "nothing happened");
    outputs_free(&before);
    outputs_free(&after);
}

static void every_rule_applies_and_holds(void **state)
{
    static const char *const patterns[] = {
#define RULE(pattern, result, condition) pattern,
#include "passes/rules.def"
    };
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        end(state);
        begin(state);
        check_rule(patterns[i]);
    }
}

/* --- what must not happen --- */

static size_t count_ops(enum op op)
{
    size_t count = 0;
    for (size_t i = 0; i < function->nodes.count; i++)
        count += function->nodes.items[i]->op == op;
    return count;
}

static void nothing_is_lost(void **state)
{
    (void)state;
    int64_t dims[] = {4};
    struct value *x = build_param(&b, "x", type_make(DTYPE_f32, 1, dims));
    struct value *third = build_binary(&b, OP_div, x, build_constant(&b, DTYPE_f32, 3));
    struct value *none = build_binary(&b, OP_sub, x, x); /* NaN where x is infinite */
    struct value *zero = build_binary(&b, OP_mul, x, build_constant(&b, DTYPE_f32, 0));
    struct value *narrow = build_cast(&b, build_cast(&b, x, DTYPE_bf16), DTYPE_f32);
    struct value *sum = build_binary(&b, OP_add, build_binary(&b, OP_add, third, none), zero);
    sum = build_binary(&b, OP_add, sum, narrow);
    build_output(&b, "y", sum);
    pass_simplify(module);
    assert_int_equal(count_ops(OP_div), 1);
    assert_int_equal(count_ops(OP_sub), 1);
    assert_int_equal(count_ops(OP_mul), 1);
    assert_int_equal(count_ops(OP_cast), 2);
    assert_int_equal(count_ops(OP_add), 3);
}

/* Two updates that look alike are two updates; their operands are one. */
static void effects_are_not_merged(void **state)
{
    (void)state;
    int64_t cache[] = {2, 3}, rows[] = {2, 1}, count[] = {2};
    struct value *s = build_state(&b, "s", type_make(DTYPE_f32, 2, cache), (struct attributes){0});
    struct value *x = build_param(&b, "x", type_make(DTYPE_f32, 2, rows));
    struct value *n = build_param(&b, "n", type_make(DTYPE_i32, 1, count));
    for (int i = 0; i < 2; i++) {
        struct value *operands[] = {s, build_unary(&b, OP_exp, x), n, n};
        struct attributes none = {0};
        struct value *y = &build_node(&b, OP_update, operands, 4, none, NULL)->results[0];
        build_output(&b, i ? "second" : "first", y);
    }
    pass_simplify(module);
    assert_int_equal(count_ops(OP_update), 2);
    assert_int_equal(count_ops(OP_exp), 1);
}

/* --- constants --- */

static void constants_do_not_grow(void **state)
{
    (void)state;
    int64_t small[] = {8}, large[] = {8, 100};
    struct value *ramp = build_iota(&b, DTYPE_i32, 1, small, 0);
    struct value *twice = build_binary(&b, OP_add, ramp, ramp);
    struct value *wide =
        build_broadcast(&b, build_reshape(&b, twice, 2, (int64_t[]){8, 1}), 2, large);
    struct value *columns = build_iota(&b, DTYPE_i32, 2, large, 1);
    struct value *third = build_cast(&b, twice, DTYPE_f32);
    third = build_binary(&b, OP_div, third, build_constant(&b, DTYPE_f32, 3));
    build_output(&b, "mask", build_binary(&b, OP_lt, columns, wide));
    build_output(&b, "third", third);
    pass_simplify(module);
    assert_int_equal(module->blobs.count, 0);
    assert_int_equal(count_ops(OP_lt), 1);   /* 800 elements out of 8 */
    assert_int_equal(count_ops(OP_add), 0);  /* 8 integers */
    assert_int_equal(count_ops(OP_div), 1);  /* thirds are not f32 */
    assert_int_equal(count_ops(OP_cast), 0); /* whole numbers are */
}

static void scalars_keep_their_precision(void **state)
{
    (void)state;
    struct value *tenth = build_constant(&b, DTYPE_f32, 0.1);
    build_output(&b, "y", build_unary(&b, OP_exp, build_unary(&b, OP_sin, tenth)));
    pass_simplify(module);
    assert_int_equal(function->nodes.count, 1);
    const struct node *node = function->nodes.items[0];
    assert_true(node_real(node, value) ==
                op_info(OP_exp)->reference(op_info(OP_sin)->reference(0.1, 0, 0, 0), 0, 0, 0));
}

/* --- random graphs --- */

static void keeps_values_of_random_graphs(void **state)
{
    size_t before_nodes = 0, after_nodes = 0;
    for (uint64_t seed = 0; seed < GRAPHS; seed++) {
        begin(state);
        struct random_options options = {
            .nodes = 10 + (int)(seed % 30), .structured = seed % 2, .elements = 600};
        module = random_graph(arena, seed, &options);
        ir_verify(module, "random_graph", false);
        function = module->functions.items[0];
        struct outputs before = outputs_of(module, function, INTERP_EXACT, seed, false);
        before_nodes += count_nodes(module);
        pass_simplify(module);
        ir_verify(module, "simplify", false);
        after_nodes += count_nodes(module);
        struct outputs after = outputs_of(module, function, INTERP_EXACT, seed, false);
        const char *difference = outputs_differ(&before, &after, 1e-12);
        if (difference)
            fail_msg("seed %llu: %s", (unsigned long long)seed, difference);
        outputs_free(&before);
        outputs_free(&after);
        end(state);
    }
    assert_true(after_nodes < before_nodes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_rule_applies_and_holds, begin, end),
        cmocka_unit_test_setup_teardown(nothing_is_lost, begin, end),
        cmocka_unit_test_setup_teardown(effects_are_not_merged, begin, end),
        cmocka_unit_test_setup_teardown(constants_do_not_grow, begin, end),
        cmocka_unit_test_setup_teardown(scalars_keep_their_precision, begin, end),
        cmocka_unit_test(keeps_values_of_random_graphs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
