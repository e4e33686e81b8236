/*
 * pass_cast against a bound from element types and the magnitudes of terms. The graphs are made of
 * sums and products of matrices, so that each result is a polynomial of the leaves; the same graph
 * with all leaves positive and no subtraction gives M, the sum of the magnitudes of its terms. If
 * no term passes more than b roundings of operands and f of results, then
 *     |rounded - exact| <= M ((1 + u_operand)^b (1 + 2^-24)^f - 1)
 * (Higham, Accuracy and Stability of Numerical Algorithms, section 3.4). A result beyond that is
 * wrong by more than rounding.
 */
#include "ir/base/str.h"
#include "ir/interp.h"
#include "passes/passes.h"
#include "tests/random_graph.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { GRAPHS = 150, STEPS = 9, LEAVES = 4, SIDE_MOST = 9 };

/* The most roundings that a term of a value has passed: of operands of products, of results. */
struct roundings {
    int operands, results;
};

struct graph {
    struct str text;
    struct roundings values[LEAVES + STEPS];
    int side, count;
};

static int most(int a, int b)
{
    return a > b ? a : b;
}

static struct roundings joined(struct roundings a, struct roundings b, bool product)
{
    if (product)
        return (struct roundings){a.operands + b.operands, a.results + b.results + 1};
    return (struct roundings){most(a.operands, b.operands), most(a.results, b.results) + 1};
}

/* The text of one step; `positive` replaces what could cancel. */
static void add_step(struct graph *g, uint64_t *random, bool positive)
{
    int n = g->count++, a = (int)random_below(random, (uint64_t)n), d = g->side;
    int b = (int)random_below(random, (uint64_t)n);
    struct roundings *out = &g->values[n];
    switch (random_below(random, 5)) {
    case 0:
        str_printf(&g->text, "  %%v%d = add %%v%d, %%v%d : f32[%d,%d]\n", n, a, b, d, d);
        *out = joined(g->values[a], g->values[b], false);
        break;
    case 1:
        str_printf(&g->text, "  %%v%d = %s %%v%d, %%v%d : f32[%d,%d]\n", n,
                   positive ? "add" : "sub", a, b, d, d);
        *out = joined(g->values[a], g->values[b], false);
        break;
    case 2:
        str_printf(&g->text, "  %%v%d = mul %%v%d, %%v%d : f32[%d,%d]\n", n, a, b, d, d);
        *out = joined(g->values[a], g->values[b], true);
        break;
    default:
        str_printf(&g->text, "  %%v%d = matmul %%v%d, %%v%d {dtype=f32%s} : f32[%d,%d]\n", n, a, b,
                   random_below(random, 2) ? " transb" : "", d, d);
        *out = joined(g->values[a], g->values[b], true);
        out->operands += 2;
    }
}

/* A graph of the seed; the same steps whether positive or not. */
static struct graph make_graph(struct arena *arena, uint64_t seed, bool positive)
{
    uint64_t random = seed * 977 + 5;
    struct graph g = {.text = str_create(arena), .count = LEAVES};
    g.side = 2 + (int)random_below(&random, SIDE_MOST - 1);
    str_printf(&g.text, "ir 1\nmodule m stage=simplify\n");
    for (int i = 0; i < LEAVES / 2; i++)
        str_printf(&g.text, "weight %%v%d {tensor=\"w%d\" file=\"x\"} : f32[%d,%d]\n", i, i, g.side,
                   g.side);
    str_printf(&g.text, "func main\n");
    for (int i = LEAVES / 2; i < LEAVES; i++)
        str_printf(&g.text, "  param %%v%d : f32[%d,%d]\n", i, g.side, g.side);
    for (int i = 0; i < STEPS; i++)
        add_step(&g, &random, positive);
    str_printf(&g.text, "  return %%v%d as y\nend\n", g.count - 1);
    return g;
}

/* Numbers that every element type holds, so that leaves have no error of their own. */
static void bind_leaf(struct interp *interp, const struct value *leaf, uint64_t seed,
                      bool positive)
{
    double *numbers = random_numbers(leaf, seed);
    for (int64_t i = 0; i < type_elements(&leaf->type); i++) {
        double number = dtype_round(DTYPE_bf16, numbers[i] / 2);
        numbers[i] = positive ? fabs(number) : number;
    }
    interp_bind(interp, leaf, numbers);
    free(numbers);
}

/* The result of a module, by malloc. */
static double *evaluate(struct module *module, enum interp_mode mode, uint64_t seed, bool positive,
                        int64_t *out_count)
{
    struct interp *interp = interp_create(module, mode);
    const struct function *function = module->functions.items[0];
    for (size_t i = 0; i < module->weights.count; i++)
        bind_leaf(interp, &module->weights.items[i]->results[0], seed, positive);
    for (size_t i = 0; i < function->params.count; i++)
        bind_leaf(interp, &function->params.items[i]->results[0], seed, positive);
    interp_function(interp, function);
    const struct value *result = function->bindings.items[0].value;
    *out_count = type_elements(&result->type);
    double *numbers = malloc(sizeof *numbers * (size_t)*out_count);
    for (int64_t i = 0; i < *out_count; i++)
        numbers[i] = interp_value(interp, result)[i];
    interp_destroy(interp);
    return numbers;
}

static double unit_roundoff(enum dtype dtype)
{
    return dtype == DTYPE_bf16 ? 0x1p-8 : dtype == DTYPE_tf32 ? 0x1p-11 : 0x1p-24;
}

static struct module *parse(struct arena *arena, const struct str *text)
{
    return ir_parse(arena, diag_add_source("graph.ir", text->text, text->length));
}

/* The worst error of a graph cast to `compute`, in parts of the bound for `claimed`; `planted`:
 * every result moves away from the exact one by that many bounds more. */
static double worst_part(uint64_t seed, enum dtype compute, enum dtype claimed, double planted)
{
    struct arena *arena = arena_create();
    struct graph graph = make_graph(arena, seed, false), terms = make_graph(arena, seed, true);
    struct roundings depth = graph.values[graph.count - 1];
    int64_t count;
    double *exact = evaluate(parse(arena, &graph.text), INTERP_EXACT, seed, false, &count);
    double *magnitude = evaluate(parse(arena, &terms.text), INTERP_EXACT, seed, true, &count);
    struct module *module = parse(arena, &graph.text);
    pass_cast(module, compute);
    ir_verify(module, "cast", false);
    double *rounded = evaluate(module, INTERP_ROUNDED, seed, false, &count), worst = 0;
    double relative = expm1(depth.operands * log1p(unit_roundoff(claimed)) +
                            (depth.results + 1) * log1p(0x1p-24));
    for (int64_t i = 0; i < count; i++) {
        double bound = relative * magnitude[i], error = rounded[i] - exact[i];
        error += copysign(planted * bound, error);
        worst = bound > 0 ? fmax(worst, fabs(error) / bound) : fmax(worst, error != 0);
    }
    free(exact);
    free(magnitude);
    free(rounded);
    arena_destroy(arena);
    return worst;
}

static void rounding_stays_within_its_bound(void **state)
{
    static const enum dtype types[] = {DTYPE_f32, DTYPE_tf32, DTYPE_bf16};
    (void)state;
    for (uint64_t seed = 0; seed < GRAPHS; seed++)
        for (int t = 0; t < 3; t++) {
            double worst = worst_part(seed, types[t], types[t], 0);
            if (worst > 1)
                fail_msg("seed %d, %s: %g of the bound", (int)seed, dtype_name(types[t]), worst);
            assert_true(worst_part(seed, types[t], types[t], 1.001) > 1);
        }
}

/* Operands of a coarser type than claimed show: the bound is not so wide that anything passes. */
static void coarser_operands_are_seen(void **state)
{
    int seen = 0, graphs = 0;
    (void)state;
    for (uint64_t seed = 0; seed < GRAPHS; seed++) {
        struct arena *arena = arena_create();
        struct graph graph = make_graph(arena, seed, false);
        bool rounds = graph.values[graph.count - 1].operands > 0;
        arena_destroy(arena);
        if (!rounds)
            continue;
        graphs++;
        seen += worst_part(seed, DTYPE_tf32, DTYPE_f32, 0) > 1;
    }
    assert_true(graphs > GRAPHS / 2);
    assert_true(seen * 2 > graphs); /* the others multiply leaves alone, which are exact */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rounding_stays_within_its_bound),
        cmocka_unit_test(coarser_operands_are_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
