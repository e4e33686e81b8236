/*
 * Random graphs through all passes and the C backend, against the interpreter on the same planned
 * module: whole functions, from the same numbers in the same leaves.
 */
#include "backends/c/emit.h"
#include "compiler/check_memory.h"
#include "compiler/toolchain/toolchain.h"
#include "ir/target.h"
#include "passes/passes.h"
#include "runtime/program.h"
#include "tests/outputs.h"
#include "tests/random_graph.h"

#include <dlfcn.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Enough to meet each op in many company; all of them with SINTER_FULL. */
enum { SOME_GRAPHS = 250, ALL_GRAPHS = 2000 };

/* In units of the larger of 1 and the value: f32 sums of up to 2,000 terms in another order,
 * through some 30 steps; in bf16 a value may round the other way. */
static const double tolerance_f32 = 5e-4, tolerance_bf16 = 0.3;

/* Some graphs amplify: sin(sum of 1,000 terms). How much, the roundings of the interpreter show,
 * which rounds once a value; sums round once a term. */
static const double amplified = 100;

static double amplification(const struct outputs *exact, const struct outputs *rounded)
{
    double worst = 0;
    for (size_t i = 0; i < exact->count; i++)
        for (int64_t k = 0; k < exact->items[i].count; k++) {
            double a = exact->items[i].numbers[k], b = rounded->items[i].numbers[k];
            double error = fabs(a - b) / fmax(1, fmax(fabs(a), fabs(b)));
            worst = error > worst ? error : worst;
        }
    return worst;
}

struct graph {
    struct arena *arena;
    struct module *module;
    uint64_t seed;
    enum dtype compute;
    const struct target *target;
    const struct toolchain_target *cpu;
    void *library;
    const struct rt_program *program;
    struct check_memory memory;
};

static void run_passes(struct graph *g)
{
    pass_simplify(g->module);
    pass_cast(g->module, g->compute);
    pass_simplify(g->module);
    pass_layout(g->module);
    pass_fuse(g->module, g->target);
    pass_schedule(g->module);
    pass_tile(g->module, g->target);
    pass_plan(g->module);
    ir_verify(g->module, "plan", false);
}

static void load(struct graph *g)
{
    char path[] = "/tmp/sinter-random-XXXXXX", *errors;
    struct emit_options options = {.facts = {.compiler = "test",
                                             .task = "predict",
                                             .dtype = "f32",
                                             .cpu = g->cpu->cpu,
                                             .weights_path = "",
                                             .bos_id = -1},
                                   .target = g->target,
                                   .units = 1};
    struct emit_result emitted = backend_c_emit(g->module, &options);
    struct object object;
    if (toolchain_compile(emitted.units[0].text, emitted.units[0].length, g->cpu, &object,
                          &errors) != TOOLCHAIN_OK)
        fail_msg("seed %llu: %s", (unsigned long long)g->seed, errors);
    close(mkstemp(path));
    toolchain_link_kernels(&object, 1, path);
    g->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    unlink(path);
    toolchain_free_objects(&object, 1);
    if (!g->library)
        fail_msg("seed %llu: %s", (unsigned long long)g->seed, dlerror());
    g->program = dlsym(g->library, "rt_program");
    assert_non_null(g->program);
}

static void write_leaf(struct graph *g, const struct value *leaf)
{
    double *numbers = random_numbers(leaf, g->seed);
    write_elements(leaf->type.dtype, check_memory_of(&g->memory, leaf), numbers,
                   type_elements(&leaf->type));
    free(numbers);
}

static void write_leaves(struct graph *g, const struct function *function)
{
    for (size_t i = 0; i < g->module->weights.count; i++)
        write_leaf(g, &g->module->weights.items[i]->results[0]);
    for (size_t i = 0; i < g->module->states.count; i++)
        write_leaf(g, &g->module->states.items[i]->results[0]);
    for (size_t i = 0; i < function->params.count; i++)
        write_leaf(g, &function->params.items[i]->results[0]);
}

static void run_steps(struct graph *g)
{
    const struct rt_function *function = &g->program->functions[0];
    for (rt_u32 s = 0; s < function->step_count; s++) {
        const struct rt_step *step = &function->steps[s];
        void **operands = arena_array(g->arena, void *, (size_t)step->operand_count + 1);
        for (rt_u32 i = 0; i < step->operand_count; i++) {
            const struct rt_operand *operand = &function->operands[step->first_operand + i];
            char *base = operand->space == RT_SPACE_ARENA ? g->memory.arena
                         : operand->space == RT_SPACE_WEIGHT
                             ? check_memory_weight(&g->memory, operand->index)
                             : (char *)(uintptr_t)g->program->constants[operand->index].bytes;
            operands[i] = base + operand->offset;
        }
        step->kernel(operands, 0, step->tiles);
    }
}

static struct outputs read_outputs(struct graph *g, const struct function *function)
{
    struct outputs outputs = {calloc(function->bindings.count + 1, sizeof *outputs.items), 0};
    for (size_t i = 0; i < function->bindings.count; i++) {
        const struct binding *binding = &function->bindings.items[i];
        const struct value *value = binding->state ? binding->state : binding->value;
        struct output *output = &outputs.items[outputs.count++];
        output->name = strdup(binding->name);
        output->count = type_elements(&value->type);
        output->numbers = calloc((size_t)output->count + 1, sizeof(double));
        for (int64_t k = 0; k < output->count; k++)
            output->numbers[k] =
                read_element(value->type.dtype, check_memory_of(&g->memory, value), k);
    }
    return outputs;
}

static void check_graph(struct graph *g, double tolerance)
{
    const struct function *function = g->module->functions.items[0];
    run_passes(g);
    load(g);
    g->memory = check_memory_create(g->module);
    write_leaves(g, function);
    run_steps(g);
    struct outputs actual = read_outputs(g, function);
    struct outputs expected = outputs_of(g->module, function, INTERP_ROUNDED, g->seed, false);
    struct outputs exact = outputs_of(g->module, function, INTERP_EXACT, g->seed, false);
    if (g->compute == DTYPE_f32)
        tolerance = fmax(tolerance, amplified * amplification(&exact, &expected));
    const char *difference = outputs_differ(&expected, &actual, tolerance);
    if (difference)
        fail_msg("seed %llu: %s", (unsigned long long)g->seed, difference);
    outputs_free(&expected);
    outputs_free(&actual);
    outputs_free(&exact);
    check_memory_destroy(&g->memory);
    dlclose(g->library);
}

static void backend_equals_interpreter(void **state)
{
    (void)state;
    uint64_t count = getenv("SINTER_FULL") ? ALL_GRAPHS : SOME_GRAPHS;
    struct arena *cpus = arena_create();
    const struct toolchain_target *cpu = toolchain_target(cpus, "x86-64-v3");
    for (uint64_t seed = 0; seed < count; seed++) {
        struct random_options options = {.nodes = 4 + (int)(seed % 37),
                                         .smooth = true,
                                         .structured = seed % 2,
                                         .elements = seed % 3 ? 200 : 2000};
        struct graph g = {.arena = arena_create(),
                          .seed = seed,
                          .cpu = cpu,
                          .compute = seed % 4 == 3 ? DTYPE_bf16 : DTYPE_f32,
                          .target = target_find("x86-64-v3")};
        g.module = random_graph(g.arena, seed, &options);
        check_graph(&g, g.compute == DTYPE_bf16 ? tolerance_bf16 : tolerance_f32);
        arena_destroy(g.arena);
    }
    printf("%llu random graphs\n", (unsigned long long)count);
    arena_destroy(cpus);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(backend_equals_interpreter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
