/*
 * Loops: what they compute against the same written out, the passes that take them apart, their
 * gradients against central differences, and what is refused.
 */
#include "ir/loop.h"
#include "ir/names.h"
#include "passes/passes.h"
#include "tests/outputs.h"
#include "tests/random_graph.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SEED = 5 };

static struct arena *arena;

static int begin(void **state)
{
    (void)state;
    arena = arena_create();
    return 0;
}

static int end(void **state)
{
    (void)state;
    arena_destroy(arena);
    return 0;
}

static struct module *parse(const char *text)
{
    struct module *module = ir_parse(arena, diag_add_source("loop.ir", text, strlen(text)));
    ir_verify(module, "parse", true);
    return module;
}

static struct function *last_function(const struct module *module)
{
    return module->functions.items[module->functions.count - 1];
}

/* --- values --- */

#define HEAD "ir 1\nmodule t stage=lower\n"

/* Two carried values that change places, a sliced one, one of all iterations, the index. */
#define PAIR                               \
    "func pair {role=body}\n"              \
    "  param %i : i32[]\n"                 \
    "  param %a : f32[2,3]\n"              \
    "  param %b : f32[2,3]\n"              \
    "  param %x : f32[2,3]\n"              \
    "  param %w : f32[3,3]\n"              \
    "  %f = cast %i {dtype=f32} : f32[]\n" \
    "  %p = matmul %a, %w : f32[2,3]\n"    \
    "  %s = add %p, %x : f32[2,3]\n"       \
    "  %t = tanh %s : f32[2,3]\n"          \
    "  %u = mul %t, %f : f32[2,3]\n"       \
    "  %v = sub %u, %b : f32[2,3]\n"       \
    "  return %b as next_a\n"              \
    "  return %v as next_b\n"              \
    "  return %t as seen\n"                \
    "end\n"

static const char pair[] = HEAD PAIR
    "func main {role=predict}\n"
    "  param %a : f32[2,3]\n"
    "  param %b : f32[2,3]\n"
    "  param %x : f32[4,2,3]\n"
    "  param %w : f32[3,3]\n"
    "  %p, %q, %r = loop %a, %b, %x, %w {body=pair trips=4 carried=2 sliced=1} : f32[2,3], "
    "f32[2,3], f32[4,2,3]\n"
    "  %m, %n, %o = loop %a, %b, %x, %w {body=pair trips=4 carried=2 sliced=1 reverse} : f32[2,3], "
    "f32[2,3], f32[4,2,3]\n"
    "  return %p as p\n  return %q as q\n  return %r as r\n"
    "  return %m as m\n  return %n as n\n  return %o as o\n"
    "end\n";

static const double *bound(const struct interp *interp, const struct function *main, int i)
{
    return interp_value(interp, &main->params.items[i]->results[0]);
}

/* One iteration of `pair` on plain arrays. */
static void step(int i, double *a, double *b, const double *x, const double *w, double *seen)
{
    double v[6];
    for (int e = 0; e < 6; e++) {
        double sum = x[e];
        for (int k = 0; k < 3; k++)
            sum += a[e / 3 * 3 + k] * w[k * 3 + e % 3];
        seen[e] = tanh(sum);
        v[e] = seen[e] * i - b[e];
    }
    memcpy(a, b, sizeof v);
    memcpy(b, v, sizeof v);
}

static void assert_near(const double *actual, const double *expected, int count)
{
    for (int i = 0; i < count; i++)
        assert_true(fabs(actual[i] - expected[i]) < 1e-12);
}

static void test_interpreter(void **state)
{
    (void)state;
    struct module *module = parse(pair);
    const struct function *main = last_function(module);
    struct interp *interp = interp_create(module, INTERP_EXACT);
    random_bind(interp, module, main, SEED);
    interp_function(interp, main);
    for (int reverse = 0; reverse < 2; reverse++) {
        double a[6], b[6], seen[24];
        memcpy(a, bound(interp, main, 0), sizeof a);
        memcpy(b, bound(interp, main, 1), sizeof b);
        for (int n = 0; n < 4; n++) {
            int i = reverse ? 3 - n : n;
            step(i, a, b, bound(interp, main, 2) + i * 6, bound(interp, main, 3), seen + i * 6);
        }
        const struct binding *outputs = &main->bindings.items[reverse * 3];
        assert_near(interp_value(interp, outputs[0].value), a, 6);
        assert_near(interp_value(interp, outputs[1].value), b, 6);
        assert_near(interp_value(interp, outputs[2].value), seen, 24);
    }
    interp_destroy(interp);
}

/* A loop in a loop; loops that run once or never; a carried integer; nothing carried. */
static const char nested[] = HEAD
    "func inner {role=body}\n"
    "  param %j : i32[]\n  param %n : i32[]\n  param %h : f32[3]\n  param %y : f32[3]\n"
    "  %one = const {value=1 dtype=i32} : i32[]\n"
    "  %m = add %n, %one : i32[]\n"
    "  %f = cast %m {dtype=f32} : f32[]\n"
    "  %g = mul %y, %f : f32[3]\n"
    "  %k = sin %h : f32[3]\n"
    "  %l = add %g, %k : f32[3]\n"
    "  return %m as m\n  return %l as l\n  return %g as g\n"
    "end\n"
    "func outer {role=body}\n"
    "  param %i : i32[]\n  param %n : i32[]\n  param %h : f32[3]\n  param %x : f32[5,3]\n"
    "  %m, %l, %g = loop %n, %h, %x {body=inner trips=5 carried=2 sliced=1} : i32[], f32[3], "
    "f32[5,3]\n"
    "  return %m as m\n  return %l as l\n  return %g as g\n  return %l as each\n"
    "end\n"
    "func alone {role=body}\n"
    "  param %i : i32[]\n  param %x : f32[3]\n"
    "  %f = cast %i {dtype=f32} : f32[]\n"
    "  %y = add %x, %f : f32[3]\n"
    "  return %y as y\n"
    "end\n"
    "func main {role=predict}\n"
    "  param %n : i32[]\n  param %h : f32[3]\n  param %x : f32[5,3]\n  param %z : f32[7,5,3]\n"
    "  param %none : f32[0,5,3]\n  param %single : f32[1,5,3]\n"
    "  %m, %l, %g, %e = loop %n, %h, %z {body=outer trips=7 carried=2 sliced=1} : i32[], f32[3], "
    "f32[7,5,3], f32[7,3]\n"
    "  %m0, %l0, %g0, %e0 = loop %n, %h, %none {body=outer carried=2 sliced=1} : i32[], f32[3], "
    "f32[0,5,3], f32[0,3]\n"
    "  %m1, %l1, %g1, %e1 = loop %n, %h, %single {body=outer trips=1 carried=2 sliced=1} : i32[], "
    "f32[3], f32[1,5,3], f32[1,3]\n"
    "  %y = loop %h {body=alone trips=130} : f32[130,3]\n"
    "  return %m as m\n  return %l as l\n  return %g as g\n  return %e as e\n"
    "  return %l0 as l0\n  return %e0 as e0\n  return %l1 as l1\n  return %e1 as e1\n"
    "  return %m1 as m1\n  return %y as y\n"
    "end\n";

static bool has_loops(const struct module *module)
{
    for (size_t f = 0; f < module->functions.count; f++)
        for (size_t i = 0; i < module->functions.items[f]->nodes.count; i++)
            if (module->functions.items[f]->nodes.items[i]->op == OP_loop)
                return true;
    return false;
}

static void compare(struct module *module, struct outputs *before, const char *after)
{
    ir_verify(module, after, false);
    struct outputs now = outputs_of(module, last_function(module), INTERP_EXACT, SEED, false);
    const char *difference = outputs_differ(before, &now, 1e-12);
    if (difference)
        fail_msg("%s: %s", after, difference);
    outputs_free(&now);
}

/* The interpreter before and after every pass that meets loops; then they are gone. */
static void check_passes(const char *text)
{
    struct module *module = parse(text);
    struct outputs before = outputs_of(module, last_function(module), INTERP_EXACT, SEED, false);
    pass_simplify(module);
    compare(module, &before, "simplify");
    assert_true(has_loops(module));
    pass_unroll(module);
    compare(module, &before, "unroll");
    assert_false(has_loops(module));
    assert_int_equal(module->functions.count, 1);
    module = parse(text); /* unroll alone, and on demand */
    pass_unroll(module);
    compare(module, &before, "unroll alone");
    outputs_free(&before);
}

static void test_passes(void **state)
{
    (void)state;
    check_passes(pair);
    check_passes(nested);
}

static bool provide(void *context, const struct value *value, int64_t element, double *out)
{
    const double *numbers = interp_value(context, value);
    if (value->node->op != OP_param || !numbers)
        return false;
    *out = numbers[element];
    return true;
}

static void test_on_demand(void **state)
{
    (void)state;
    struct module *module = parse(nested);
    const struct function *main = last_function(module);
    struct interp *interp = interp_create(module, INTERP_EXACT);
    random_bind(interp, module, main, SEED);
    interp_function(interp, main);
    const struct value *g = main->bindings.items[2].value;
    for (int64_t i = 0; i < 105; i += 26) {
        double one = interp_element(module, INTERP_EXACT, g, i, provide, interp);
        assert_true(one == interp_value(interp, g)[i]);
    }
    interp_destroy(interp);
}

/* --- gradients --- */

/* A recurrent layer with a gate, its last state and all its states in the loss; weights in, and
 * a loop in the loop. */
static const char recurrent[] = HEAD
    "weight %w {tensor=w} : f32[3,3]\n"
    "weight %u {tensor=u} : f32[6,2,3]\n"
    "weight %h {tensor=h} : f32[2,3]\n"
    "func twice {role=body}\n"
    "  param %j : i32[]\n  param %a : f32[2,3]\n  param %v : f32[3,3]\n"
    "  %p = matmul %a, %v : f32[2,3]\n"
    "  %t = tanh %p : f32[2,3]\n"
    "  return %t as t\n"
    "end\n"
    "func cell {role=body}\n"
    "  param %i : i32[]\n  param %n : i32[]\n  param %a : f32[2,3]\n  param %x : f32[2,3]\n"
    "  param %v : f32[3,3]\n  param %unused : f32[2,3]\n"
    "  %one = const {value=1 dtype=i32} : i32[]\n"
    "  %m = add %n, %one : i32[]\n"
    "  %t = loop %a, %v {body=twice trips=2 carried=1} : f32[2,3]\n"
    "  %f = cast %m {dtype=f32} : f32[]\n"
    "  %s = mul %x, %f : f32[2,3]\n"
    "  %g = sigmoid %s : f32[2,3]\n"
    "  %r = mul %t, %g : f32[2,3]\n"
    "  %q = square %r : f32[2,3]\n"
    "  return %m as m\n  return %r as r\n  return %q as q\n  return %r as each\n"
    "end\n"
    "func fit {role=fit}\n"
    "  param %n : i32[]\n  param %c : f32[6,2,3]\n"
    "  %m, %r, %q, %each = loop %n, %h, %u, %w, %h {body=cell trips=6 carried=2 sliced=1} : i32[], "
    "f32[2,3], f32[6,2,3], f32[6,2,3]\n"
    "  %a = mul %q, %c : f32[6,2,3]\n"
    "  %b = mul %each, %a : f32[6,2,3]\n"
    "  %sum = sum %b {axes=[0,1,2]} : f32[1,1,1]\n"
    "  %first = reshape %sum {dims=[]} : f32[]\n"
    "  %end = sum %r {axes=[0,1]} : f32[1,1]\n"
    "  %second = reshape %end {dims=[]} : f32[]\n"
    "  %loss = add %first, %second : f32[]\n"
    "  return %loss as loss\n"
    "end\n";

static const double *output(const struct interp *interp, const struct function *f, const char *name)
{
    for (size_t i = 0; i < f->bindings.count; i++)
        if (strcmp(f->bindings.items[i].name, name) == 0)
            return interp_value(interp, f->bindings.items[i].value);
    fail_msg("no output '%s'", name);
    return NULL;
}

/* The loss with element e of a weight moved by h. */
static double moved_loss(struct module *module, const struct value *weight, int64_t e, double h)
{
    const struct function *fit = last_function(module);
    struct interp *interp = interp_create(module, INTERP_EXACT);
    double *numbers = random_numbers(weight, SEED);
    random_bind(interp, module, fit, SEED);
    numbers[e] += h;
    interp_bind(interp, weight, numbers);
    interp_function(interp, fit);
    double loss = *output(interp, fit, "loss");
    interp_destroy(interp);
    free(numbers);
    return loss;
}

static void check_gradients(struct module *module, double tolerance)
{
    const struct function *fit = last_function(module);
    struct interp *interp = interp_create(module, INTERP_EXACT);
    random_bind(interp, module, fit, SEED);
    interp_function(interp, fit);
    for (size_t i = 0; i < module->weights.count; i++) {
        const struct value *weight = &module->weights.items[i]->results[0];
        const double *gradient = output(interp, fit, arena_printf(arena, "d.%s", weight->name));
        for (int64_t e = 0; e < type_elements(&weight->type); e++) {
            double up = moved_loss(module, weight, e, 1e-5), h = 2e-5;
            double slope = (up - moved_loss(module, weight, e, -1e-5)) / h;
            if (!(fabs(slope - gradient[e]) <= tolerance * fmax(1, fabs(slope))))
                fail_msg("d.%s[%d]: %g, not %g", weight->name, (int)e, gradient[e], slope);
        }
    }
    interp_destroy(interp);
}

static void test_gradients(void **state)
{
    (void)state;
    struct module *module = parse(recurrent);
    pass_simplify(module);
    pass_grad(module);
    ir_verify(module, "grad", false);
    assert_true(has_loops(module));
    check_gradients(module, 1e-7);
    size_t length;
    const char *text = ir_print(module, &length); /* loops and their bodies as text, and back */
    struct module *again = parse(text);
    assert_string_equal(ir_print(again, NULL), text);
    struct outputs before = outputs_of(module, last_function(module), INTERP_EXACT, SEED, false);
    pass_simplify(module);
    compare(module, &before, "simplify");
    pass_unroll(module);
    compare(module, &before, "unroll");
    outputs_free(&before);
    check_gradients(module, 1e-7);
}

/* --- what is refused --- */

static const char *verdict(const char *text)
{
    jmp_buf trap;
    volatile bool failed = true;
    if (setjmp(trap) == 0) {
        diag_set_trap(&trap);
        pass_unroll(parse(text));
        failed = false;
    }
    diag_set_trap(NULL);
    return failed ? diag_last_message() : "";
}

#define BODY(params, lines)                                   \
    HEAD "weight %w {tensor=w} : f32[3]\nstate %s : f32[3]\n" \
         "func f {role=body}\n" params lines "end\n"
#define MAIN(line)                                                                \
    "func main {role=predict}\n  param %x : f32[3]\n  param %y : f32[5,3]\n" line \
    "  return %r as r\nend\n"
#define I "  param %i : i32[]\n"
#define A "  param %a : f32[3]\n"

static void test_refusals(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {HEAD MAIN("  %r = loop %x {body=f trips=3 carried=1} : f32[3]\n"), "no such function"},
        {BODY(I A, "  return %a as a\n")
             MAIN("  %r = loop %x {body=f trips=-1 carried=1} : f32[3]\n"),
         "number of trips"},
        {BODY(I A, "  return %a as a\n")
             MAIN("  %r = loop %x {body=f trips=3 carried=2} : f32[3]\n"),
         "fewer operands"},
        {BODY(A I, "  return %a as a\n")
             MAIN("  %r = loop %x {body=f trips=3 carried=1} : f32[3]\n"),
         "first param"},
        {BODY(I A, "  return %i as a\n")
             MAIN("  %r = loop %x {body=f trips=3 carried=1} : f32[3]\n"),
         "first outputs have the types"},
        {BODY(I A, "  return %a as a\n")
             MAIN("  %r = loop %y {body=f trips=3 sliced=1} : f32[3,3]\n"),
         "one part for each iteration"},
        {BODY(I A, "  return %a as a\n") MAIN("  %r = loop %y {body=f trips=3} : f32[3,5,3]\n"),
         "types of the operands"},
        {BODY(I, "  return %i as a\n") MAIN("  %r = loop %y {body=f trips=3} : i32[3]\n"),
         "for each operand"},
        {BODY(I A, "  %b = add %a, %w : f32[3]\n  return %b as b\n")
             MAIN("  %r = loop %x {body=f trips=3} : f32[3,3]\n"),
         "no weights and states"},
        {BODY(I A, "  return %a as a\n  store %s = %a\n")
             MAIN("  %r, %q = loop %x {body=f trips=3} : f32[3,3], f32[3,3]\n"),
         "stores to no state"},
        {BODY(I A, "  return %a as a\n")
             MAIN("  %r, %q = loop %x {body=f trips=3} : f32[3,3], f32[3]\n"),
         "as many results"},
        {BODY(I A, "  %r = loop %a {body=f trips=3} : f32[3,3]\n  return %r as r\n")
             MAIN("  %r = exp %x : f32[3]\n"),
         "no such function"},
        {HEAD "func f {role=predict}\n" I
              "  return %i as a\nend\n" MAIN("  %r = loop {body=f trips=3} : i32[3]\n"),
         "of role body"},
        {BODY(I A, "  %b = exp %a : f32[3]\n  return %b as a\n")
             MAIN("  %r = loop %x {body=f trips=2000000000 carried=1} : f32[3]\n"),
         "too long"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (!strstr(verdict(cases[i].text), cases[i].message))
            fail_msg("'%s', not '%s'", verdict(cases[i].text), cases[i].message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_interpreter, begin, end),
        cmocka_unit_test_setup_teardown(test_passes, begin, end),
        cmocka_unit_test_setup_teardown(test_on_demand, begin, end),
        cmocka_unit_test_setup_teardown(test_gradients, begin, end),
        cmocka_unit_test_setup_teardown(test_refusals, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
