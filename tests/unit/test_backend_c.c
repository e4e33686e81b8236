/*
 * The C backend on kernels of every skeleton: each file of tests/unit/kernels through the
 * passes, for every target that this machine can run, compiled in process and compared with the
 * interpreter; and what emitted text must and must not hold.
 */
#include "backends/c/emit.h"
#include "compiler/check.h"
#include "compiler/pipeline.h"
#include "compiler/toolchain/toolchain.h"
#include "runtime/cpu_features.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const files[] = {"loops", "products", "deep",    "attention",
                                    "conv",  "index",    "encoded", "segments"};

static struct module *plan(struct arena *arena, const char *name, const struct target *target)
{
    char *path = arena_printf(arena, "tests/unit/kernels/%s.ir", name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char *text = arena_array(arena, char, 1 << 16);
    size_t length = fread(text, 1, (1 << 16) - 1, file);
    fclose(file);
    struct module *module = ir_parse(arena, diag_add_source(path, text, length));
    struct pipeline_options options = {
        .target = target, .verify = true, .compute = DTYPE_f32, .task = TASK_predict};
    pipeline_run(module, &options, NULL);
    return module;
}

static struct emit_result emit(struct module *module, const struct target *target)
{
    struct emit_options options = {.facts = {.compiler = "sinter",
                                             .task = "predict",
                                             .dtype = "f32",
                                             .batch = 1,
                                             .bos_id = -1},
                                   .target = target,
                                   .units = 1};
    return backend_c_emit(module, &options);
}

static bool runs_here(struct arena *arena, const struct target *target)
{
    const char *const *feature = target_features(arena, target);
    while (*feature && rt_cpu_has(*feature))
        feature++;
    return !*feature;
}

/* The options that clang gets for a row of the target table. */
static const struct toolchain_target *switches(struct arena *arena, const struct target *target)
{
    struct toolchain_target *result = arena_new(arena, struct toolchain_target);
    *result = *toolchain_target(arena, target->level);
    if (!target->extra[0])
        return result;
    const char **all = arena_array(arena, const char *, result->switch_count + 3);
    memcpy(all, result->switches, result->switch_count * sizeof *all);
    all[result->switch_count] = "-target-feature";
    all[result->switch_count + 1] = arena_printf(arena, "+%s", target->extra);
    result->switches = all;
    result->switch_count += 2;
    return result;
}

static int check_file(const char *name, const struct target *target)
{
    struct arena *arena = arena_create();
    struct module *module = plan(arena, name, target);
    struct emit_result text = emit(module, target);
    struct object object;
    char *errors;
    enum toolchain_status status = toolchain_compile(text.units[0].text, text.units[0].length,
                                                     switches(arena, target), &object, &errors);
    if (status != TOOLCHAIN_OK)
        fail_msg("%s for %s: %s", name, target->name, errors);
    free(errors);
    size_t count;
    struct check_result *results = check_kernels(module, &object, 1, 300, 1, &count);
    for (size_t i = 0; i < count; i++)
        if (!(results[i].worst <= results[i].limit))
            fail_msg("%s for %s: kernel %s is off by %g", name, target->name, results[i].kernel,
                     results[i].worst);
    toolchain_free_objects(&object, 1);
    arena_destroy(arena);
    return (int)count;
}

static void numbers(void **state)
{
    (void)state;
    struct arena *arena = arena_create();
    const struct target *target;
    int kernels = 0, targets = 0;
    for (size_t row = 0; (target = target_row(row)); row++) {
        if (!runs_here(arena, target))
            continue;
        targets++;
        for (size_t i = 0; i < sizeof files / sizeof *files; i++)
            kernels += check_file(files[i], target);
    }
    arena_destroy(arena);
    assert_true(targets >= 1);
    assert_true(kernels >= 40 * targets);
}

static void must_contain(const char *file, const char *target, const char *const *lines)
{
    struct arena *arena = arena_create();
    const struct target *row = target_find(target);
    struct emit_result text = emit(plan(arena, file, row), row);
    for (; *lines; lines++)
        if (!strstr(text.units[0].text, *lines))
            fail_msg("%s for %s lacks: %s", file, target, *lines);
    arena_destroy(arena);
}

static void texts(void **state)
{
    (void)state;
    static const char *const loops[] = {
        "#define LANES 16", "m_exp_f32(",  "#pragma clang loop vectorize(assume_safety)",
        "m_clamp_i64(",     "round_bf16(", NULL};
    static const char *const pairs[] = {"pack_rows_pairs_bf16(target, x", "gemv_pairs(",
                                        "multiply_block(pairs, count, left_rows, ", NULL};
    static const char *const narrow[] = {"#define LANES 8", "#define NR 16", "gemv_bf16(",
                                         "pack_columns_f32_f32(target, x", NULL};
    must_contain("loops", "x86-64-v4", loops);
    must_contain("products", "znver5", pairs);
    must_contain("products", "x86-64-v3", narrow);
}

static void same_bytes(void **state)
{
    (void)state;
    const struct target *target = target_find("x86-64-v3");
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct arena *first = arena_create(), *second = arena_create();
        struct emit_result a = emit(plan(first, files[i], target), target);
        struct emit_result b = emit(plan(second, files[i], target), target);
        assert_int_equal(a.units[0].length, b.units[0].length);
        assert_memory_equal(a.units[0].text, b.units[0].text, a.units[0].length);
        arena_destroy(first);
        arena_destroy(second);
    }
}

/* Two uses of one structure are one function. */
static void shared_kernels(void **state)
{
    (void)state;
    static const char text[] =
        "ir 1\nmodule twice stage=clean\nfunc f\n  param %a : f32[8,40]\n"
        "  param %b : f32[8,40]\n  %x = exp %a : f32[8,40]\n"
        "  %y = exp %b : f32[8,40]\n  return %x as x\n  return %y as y\nend\n";
    struct arena *arena = arena_create();
    const struct target *target = target_find("x86-64-v3");
    struct module *module = ir_parse(arena, diag_add_source("twice.ir", text, sizeof text - 1));
    struct pipeline_options options = {.target = target, .task = TASK_predict};
    pipeline_run(module, &options, NULL);
    size_t kernels = module->functions.items[0]->kernels.count;
    struct emit_result result = emit(module, target);
    assert_true(kernels == 1 || result.kernels < (int)kernels);
    arena_destroy(arena);
}

static void target_table(void **state)
{
    (void)state;
    struct arena *arena = arena_create();
    const struct target *target;
    for (size_t i = 0; (target = target_row(i)); i++) {
        assert_ptr_equal(target_find(target->name), target);
        assert_int_equal(target->nr % target->lanes, 0);
        assert_true(target->mr == 6 || target->mr == 8);
        assert_true(target_features(arena, target)[0] != NULL);
    }
    assert_null(target_find("no-such-cpu"));
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),      cmocka_unit_test(texts),
        cmocka_unit_test(same_bytes),   cmocka_unit_test(shared_kernels),
        cmocka_unit_test(target_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
