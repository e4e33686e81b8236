/* Pass simplify: each rule, compositions of index maps, constants, and random graphs. */
#include "ir/build.h"
#include "passes/passes.h"
#include "tests/outputs.h"
#include "tests/random_graph.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { GRAPHS = 700 };

static size_t count_nodes(const struct module *module)
{
    return module->functions.items[0]->nodes.count;
}

/* --- random graphs --- */

static void keeps_values_of_random_graphs(void **state)
{
    (void)state;
    size_t before_nodes = 0, after_nodes = 0;
    for (uint64_t seed = 0; seed < GRAPHS; seed++) {
        struct arena *arena = arena_create();
        struct random_options options = {.nodes = 10 + (int)(seed % 30), .structured = seed % 2,
                                         .elements = 600};
        struct module *module = random_graph(arena, seed, &options);
        ir_verify(module, "random_graph", false);
        const struct function *function = module->functions.items[0];
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
        arena_destroy(arena);
    }
    assert_true(after_nodes < before_nodes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_values_of_random_graphs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
