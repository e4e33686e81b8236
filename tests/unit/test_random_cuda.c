/*
 * Random graphs through the passes for a GPU and the CUDA backend, under emulation: the
 * counterpart of test_random_backend.c, kernel by kernel against the interpreter. With arguments,
 * the seeds to run instead.
 */
#include "passes/passes.h"
#include "tests/emulated.h"
#include "tests/random_graph.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Sums of numbers of both signs may be small beside their terms: in units of the tolerance, which
 * is relative to the sum. */
static const double cancelled = 50;

/* A compilation and some launches each; more of them with SINTER_FULL. */
enum { SOME_GRAPHS = 24, ALL_GRAPHS = 300 };

static struct module *plan(struct arena *arena, uint64_t seed, const struct target *target)
{
    struct random_options options = {.nodes = 4 + (int)(seed % 37),
                                     .smooth = true,
                                     .structured = seed % 2,
                                     .elements = seed % 3 ? 200 : 2000};
    struct module *module = random_graph(arena, seed, &options);
    pass_simplify(module);
    pass_cast(module, seed % 4 == 3 ? DTYPE_bf16 : DTYPE_f32);
    pass_simplify(module);
    pass_layout(module);
    pass_fuse(module, target);
    pass_schedule(module);
    pass_tile(module, target);
    pass_plan(module);
    ir_verify(module, "plan", false);
    return module;
}

static int run_seed(uint64_t seed, struct emulated_report *out)
{
    struct arena *arena = arena_create();
    const struct target *target = target_find("a100");
    struct emulated_request request = {.brief = true, .seed = seed};
    *out = emulated_module(plan(arena, seed, target), target, &request);
    arena_destroy(arena);
    bool bad = out->errors > 0 || !(out->worst <= cancelled);
    if (bad)
        printf("seed %llu: %s\n", (unsigned long long)seed, out->text);
    return bad;
}

static void kernels_equal_interpreter(void **state)
{
    (void)state;
    uint64_t count = getenv("SINTER_FULL") ? ALL_GRAPHS : SOME_GRAPHS;
    struct emulated_report report;
    int kernels = 0, bad = 0;
    for (uint64_t seed = 0; seed < count; seed++) {
        bad += run_seed(seed, &report);
        kernels += report.kernels;
    }
    printf("%llu random graphs, %d kernels\n", (unsigned long long)count, kernels);
    assert_int_equal(bad, 0);
}

int main(int count, char **words)
{
    struct emulated_report report;
    int bad = 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernels_equal_interpreter),
    };
    for (int i = 1; i < count; i++)
        bad += run_seed(strtoull(words[i], NULL, 10), &report);
    return count > 1 ? bad : cmocka_run_group_tests(tests, NULL, NULL);
}
