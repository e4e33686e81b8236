/*
 * Random graphs through all passes of a prediction, with the interpreter before and after each.
 * Before cast: in f64 within 1e-12. Cast and the cleaning after it remove or add roundings: on
 * smooth graphs, within what the element type makes of values of this size. From layout on, bit for
 * bit in rounded mode; in the end through the bytes of the planned arena.
 */
#include "ir/target.h"
#include "passes/passes.h"
#include "tests/outputs.h"
#include "tests/random_graph.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { GRAPHS = 2000 };

struct run {
    struct module *module;
    uint64_t seed;
    struct outputs last;
};

static struct outputs evaluate(const struct run *run, enum interp_mode mode, bool planned)
{
    return outputs_of(run->module, run->module->functions.items[0], mode, run->seed, planned);
}

/* After a pass: verifies, and compares with what stood before. */
static void compare(struct run *run, const char *pass, enum interp_mode mode, double tolerance,
                    bool planned)
{
    ir_verify(run->module, pass, false);
    struct outputs now = evaluate(run, mode, planned);
    const char *difference = outputs_differ(&run->last, &now, tolerance);
    if (difference)
        fail_msg("seed %llu, after %s: %s", (unsigned long long)run->seed, pass, difference);
    outputs_free(&run->last);
    run->last = now;
}

/* Values are of the order of 1 to 10; a graph is at most some 30 roundings deep. */
static double cast_tolerance(enum dtype compute)
{
    return compute == DTYPE_bf16 ? 0.3 : compute == DTYPE_tf32 ? 0.05 : 2e-4;
}

/* Gradients and a step of the optimizer, in f64; false if the loss depends on no weight. */
static bool run_training(struct run *run)
{
    jmp_buf trap;
    bool trains = setjmp(trap) == 0;
    if (trains) {
        diag_set_trap(&trap);
        pass_grad(run->module);
    }
    diag_set_trap(NULL);
    if (!trains)
        return false;
    compare(run, "grad", INTERP_EXACT, 0, false);
    pass_optimizer(run->module);
    ir_verify(run->module, "optimizer", false);
    outputs_free(&run->last);
    run->last = evaluate(run, INTERP_EXACT, false); /* other outputs: now the states too */
    pass_simplify(run->module);
    compare(run, "simplify after optimizer", INTERP_EXACT, 1e-9, false);
    return true;
}

static void run_all(struct run *run, enum dtype compute, const struct target *target, bool smooth)
{
    struct module *module = run->module;
    run->last = evaluate(run, INTERP_EXACT, false);
    pass_simplify(module);
    compare(run, "simplify", INTERP_EXACT, 1e-12, false);
    if (smooth && run->seed % 8 == 0 && run_training(run))
        smooth = false; /* gradients are larger than the values that the bound is made for */
    pass_cast(module, compute);
    compare(run, "cast", INTERP_ROUNDED, smooth ? cast_tolerance(compute) : 1e300, false);
    pass_simplify(module);
    compare(run, "clean", INTERP_ROUNDED, smooth ? cast_tolerance(compute) : 1e300, false);
    pass_layout(module);
    compare(run, "layout", INTERP_ROUNDED, 0, false);
    pass_fuse(module, target);
    compare(run, "fuse", INTERP_ROUNDED, 0, false);
    pass_schedule(module);
    compare(run, "schedule", INTERP_ROUNDED, 0, false);
    pass_tile(module, target);
    compare(run, "tile", INTERP_ROUNDED, 0, false);
    pass_plan(module);
    compare(run, "plan", INTERP_ROUNDED, 0, true);
    outputs_free(&run->last);
}

static void passes_keep_values(void **state)
{
    (void)state;
    static const char *const targets[] = {"x86-64-v3", "a100", "x86-64-v4", "h200"};
    for (uint64_t seed = 0; seed < GRAPHS; seed++) {
        struct arena *arena = arena_create();
        struct random_options options = {.nodes = 4 + (int)(seed % 37),
                                         .smooth = seed % 4 == 0,
                                         .structured = seed % 2,
                                         .elements = seed % 3 ? 200 : 2000};
        struct run run = {random_graph(arena, seed, &options), seed, {0}};
        const struct target *target = target_find(targets[seed / 8 % 4]);
        enum dtype compute = seed / 32 % 2 ? DTYPE_bf16 : DTYPE_f32;
        if (target->gpu && seed / 64 % 4 == 0)
            compute = DTYPE_tf32;
        run_all(&run, compute, target, options.smooth);
        arena_destroy(arena);
    }
}

/* The comparison that all of the above relies on. */
static void a_wrong_number_is_caught(void **state)
{
    (void)state;
    struct arena *arena = arena_create();
    struct random_options options = {.nodes = 10, .smooth = true};
    struct module *module = random_graph(arena, 1, &options);
    struct run run = {module, 1, {0}};
    struct outputs before = evaluate(&run, INTERP_ROUNDED, false);
    struct outputs after = evaluate(&run, INTERP_ROUNDED, false);
    assert_null(outputs_differ(&before, &after, 0));
    after.items[0].numbers[0] *= 1 + 1e-7;
    assert_non_null(outputs_differ(&before, &after, 0));
    assert_non_null(outputs_differ(&before, &after, 1e-12));
    outputs_free(&before);
    outputs_free(&after);
    arena_destroy(arena);
}

/* --- wrong plans --- */

static bool is_read_after(const struct function *function, const struct value *value, size_t at)
{
    for (size_t i = at + 1; i < function->nodes.count; i++)
        for (int k = 0; k < function->nodes.items[i]->operand_count; k++)
            if (function->nodes.items[i]->operands[k] == value &&
                function->nodes.items[i]->kernel != function->nodes.items[at]->kernel)
                return true;
    return false;
}

/* Puts a value where another stands that will still be read; false if there are no such two. */
static bool overlap(struct module *module)
{
    const struct function *function = module->functions.items[0];
    for (size_t j = 0; j < function->nodes.count; j++)
        for (size_t i = 0; i < j; i++) {
            struct value *old = &function->nodes.items[i]->results[0];
            struct value *new = &function->nodes.items[j]->results[0];
            if (old->place.kind != PLACE_ARENA || new->place.kind != PLACE_ARENA ||
                old->node->kernel == new->node->kernel || type_elements(&new->type) < 2 ||
                type_bytes(&new->type) > type_bytes(&old->type) || !is_read_after(function, old, j))
                continue;
            new->place.offset = old->place.offset;
            return true;
        }
    return false;
}

/* What the planned interpreter is for. Not every overlap shows: a reader may take a part that was
 * spared. */
static void wrong_plans_are_caught(void **state)
{
    (void)state;
    int planted = 0, caught = 0;
    for (uint64_t seed = 0; seed < 400; seed++) {
        struct arena *arena = arena_create();
        struct random_options options = {.nodes = 20, .smooth = true};
        struct run run = {random_graph(arena, seed, &options), seed, {0}};
        const struct target *target = target_find("x86-64-v3");
        pass_cast(run.module, DTYPE_f32);
        pass_layout(run.module);
        pass_fuse(run.module, target);
        pass_tile(run.module, target);
        pass_plan(run.module);
        struct outputs before = evaluate(&run, INTERP_ROUNDED, true);
        if (overlap(run.module)) {
            struct outputs after = evaluate(&run, INTERP_ROUNDED, true);
            planted++;
            caught += outputs_differ(&before, &after, 0) != NULL;
            outputs_free(&after);
        }
        outputs_free(&before);
        arena_destroy(arena);
    }
    assert_true(planted > 20);
    assert_true(caught * 3 >= planted * 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes_keep_values),
        cmocka_unit_test(a_wrong_number_is_caught),
        cmocka_unit_test(wrong_plans_are_caught),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
