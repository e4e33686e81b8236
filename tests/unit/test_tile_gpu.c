/* Tiles of GPU kernels: choices, their order, and what follows from them. */
#include "ir/gpu.h"
#include "ir/gpu_facts.h"
#include "ir/gpu_predict.h"
#include "ir/signature.h"
#include "ir/target.h"
#include "passes/passes.h"
#include "passes/tile_gpu.h"
#include "passes/tile_tuning.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

static const char text[] = "ir 1\n"
                           "module t stage=layout\n"
                           "weight %w {tensor=w init=0.02} : bf16[1024,2048]\n"
                           "weight %v {tensor=v init=0.02} : bf16[1024,2048]\n"
                           "func predict\n"
                           "  param %x : bf16[512,2048]\n"
                           "  %a = matmul %x, %w {dtype=f32 transb} : f32[512,1024]\n"
                           "  %b = matmul %x, %v {dtype=f32 transb} : f32[512,1024]\n"
                           "  %y = mul %a, %b : f32[512,1024]\n"
                           "  return %y as y\n"
                           "end\n";

static struct module *planned(struct arena *arena, const char *target)
{
    struct module *module = ir_parse(arena, diag_add_source("t.ir", text, strlen(text)));
    const struct target *row = target_find(target);
    assert_non_null(row);
    pass_fuse(module, row);
    pass_tile(module, row);
    pass_plan(module);
    ir_verify(module, "plan", false);
    return module;
}

static void targets_have_names(void **state)
{
    (void)state;
    static const char *const names[] = {"a100", "a100-80", "h100", "h200"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_string_equal(target_find(names[i])->name, names[i]);
        assert_ptr_equal(target_find(names[i])->gpu, gpu_find(names[i]));
    }
    assert_string_equal(target_find("sm_80")->name, "a100");
    assert_string_equal(target_find("sm_90a")->name, "h200");
    assert_null(target_find("sm_9"));
    assert_null(target_find(""));
    assert_null(target_find("x86-64-v3")->gpu);
}

static void residency_counts_everything(void **state)
{
    (void)state;
    const struct gpu *a100 = gpu_find("a100");
    struct gpu_facts facts = {.shared_bytes = 0, .registers = 32};
    assert_int_equal(gpu_residency(a100, &facts, 256), 8);
    facts.registers = 128;
    assert_int_equal(gpu_residency(a100, &facts, 256), 2);
    facts.shared_bytes = 100 << 10;
    assert_int_equal(gpu_residency(a100, &facts, 256), 1);
    facts.shared_bytes = 164 << 10;
    assert_int_equal(gpu_residency(a100, &facts, 256), 0);
    assert_int_equal(gpu_residency(gpu_find("h100"), &facts, 256), 1);
    facts = (struct gpu_facts){.registers = 255};
    assert_int_equal(gpu_residency(a100, &facts, 1024), 0);
}

static void candidates_come_in_order(void **state)
{
    (void)state;
    struct arena *arena = arena_create();
    struct module *module = planned(arena, "a100");
    const struct function *function = module->functions.items[0];
    struct kernel *kernel = function->kernels.items[0];
    const struct gpu *gpu = gpu_find("a100");
    const struct tile_rules rules = {.gpu = gpu};
    struct gpu_prediction before, now;
    assert_int_equal(kernel->skeleton, SKELETON_matmul);
    assert_int_equal(tile_chosen(module, &rules, function, kernel), 0);
    assert_true(gpu_predict(gpu, function, kernel, &before));
    int count = 1;
    for (; tile_choose(module, &rules, function, kernel, count); count++) {
        assert_true(gpu_predict(gpu, function, kernel, &now));
        assert_true(now.us + now.doubt_us >= before.us + before.doubt_us);
        assert_int_equal(tile_chosen(module, &rules, function, kernel), count);
        ir_verify(module, "plan", false);
        before = now;
    }
    assert_true(count > 10);
    assert_false(tile_choose(module, &rules, function, kernel, -1));
    assert_int_equal(tile_chosen(module, &rules, function, kernel), count - 1);
    arena_destroy(arena);
}

static void predictions_keep_above_the_floor(void **state)
{
    (void)state;
    static const char *const names[] = {"a100", "a100-80", "h100", "h200"};
    double last = 1e9;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct arena *arena = arena_create();
        struct module *module = planned(arena, names[i]);
        const struct function *function = module->functions.items[0];
        const struct gpu *gpu = gpu_find(names[i]);
        struct gpu_prediction prediction;
        assert_true(gpu_predict(gpu, function, function->kernels.items[0], &prediction));
        assert_true(prediction.us > 4.3e9 / (gpu->rates[FAMILY_mma_bf16].peak * 1e6));
        assert_true(prediction.us < 60);
        assert_true(prediction.us <= last);
        last = prediction.us;
        arena_destroy(arena);
    }
}

static void measured_times_decide(void **state)
{
    (void)state;
    struct arena *arena = arena_create();
    struct tile_list *list = arena_new(arena, struct tile_list);
    list->count = 4;
    list->items[0] = (struct tile_candidate){.threads = 128, .cols = 64, .split = 1, .us = 10};
    list->items[1] = (struct tile_candidate){.threads = 128, .cols = 32, .band = 1, .us = 12};
    list->items[2] = (struct tile_candidate){.threads = 256, .cols = 32, .split = 2, .us = 20};
    list->items[3] = (struct tile_candidate){.provider = PROVIDER_cublaslt, .us = 20};
    static const char rows[] = "# remark\n"
                               "00000000000000ab threads=128 cols=32 residency=4 us=24\n"
                               "00000000000000ab threads=256 cols=32 split=2 us=30\n"
                               "00000000000000ac threads=128 cols=64 us=1\n"
                               "00000000000000ab tiles=1 provider=unheard us=1\n"
                               "00000000000000ab tiles=1 workspace=64 provider=cublaslt us=27\n"
                               "00000000000000ab threads=128 cols=64 us=-1\n"
                               "00000000000000ab threads=128 unheard=64 us=1\n"
                               "00000000000000ab threads=128 cols=64 us=oops\n"
                               "nonsense";
    tile_tune((struct tile_tuning){rows, sizeof rows - 1}, 0xab, list);
    assert_float_equal(list->items[1].us, 24, 0);
    assert_float_equal(list->items[2].us, 30, 0);
    assert_float_equal(list->items[3].us, 27, 0);
    assert_float_equal(list->items[0].us, 20, 1e-6); /* as far off as the best measured one */
    arena_destroy(arena);
}

static void keys_outlast_the_plan(void **state)
{
    (void)state;
    struct arena *arena = arena_create();
    struct module *module = ir_parse(arena, diag_add_source("t.ir", text, strlen(text)));
    const struct target *row = target_find("a100");
    const struct function *function = module->functions.items[0];
    pass_fuse(module, row);
    uint64_t key = kernel_key(arena, function, function->kernels.items[0]);
    pass_tile(module, row);
    pass_plan(module);
    assert_true(key == kernel_key(arena, function, function->kernels.items[0]));
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(targets_have_names),
        cmocka_unit_test(residency_counts_everything),
        cmocka_unit_test(candidates_come_in_order),
        cmocka_unit_test(predictions_keep_above_the_floor),
        cmocka_unit_test(measured_times_decide),
        cmocka_unit_test(keys_outlast_the_plan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
