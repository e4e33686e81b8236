/* See product_kernels.h. */
#include "tests/product_kernels.h"

#include "backends/cuda/emit.h"
#include "compiler/toolchain/nvrtc.h"
#include "ir/gpu_facts.h"
#include "ir/gpu_matmul.h"
#include "passes/passes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* Blocks that registers must allow, as the tile pass asks for: by the facts, with some to
 * spare. */
static int residency_of(const struct function *function, const struct kernel *kernel, int threads)
{
    enum { SPARE = 16 };
    struct gpu_facts facts;
    assert_true(gpu_matmul_facts(function, kernel, &facts));
    facts.registers += SPARE;
    if (facts.registers > GPU_THREAD_REGISTERS)
        facts.registers = GPU_THREAD_REGISTERS;
    int blocks = gpu_residency(gpu_find("a100"), &facts, threads);
    return blocks > 0 ? blocks : 1;
}

static void derive_kernel(struct module *module, const struct function *function,
                          struct kernel *kernel)
{
    struct product_layout layout;
    struct gpu_tile t;
    assert_true(product_segments(module->arena, function, kernel, &layout));
    assert_true(gpu_matmul_tile(&layout, kernel, &t));
    struct attributes *a = &kernel->attributes;
    attributes_set_int(module->arena, a, ATTRIBUTE_tiles, t.blocks);
    attributes_set_int(module->arena, a, ATTRIBUTE_shared, t.shared_bytes);
    attributes_set_int(module->arena, a, ATTRIBUTE_workspace, t.workspace_bytes);
    attributes_set_int(module->arena, a, ATTRIBUTE_counters, t.counters);
    attributes_set_int(module->arena, a, ATTRIBUTE_residency,
                       residency_of(function, kernel, t.threads));
}

void product_kernels_derive(struct module *module, void *context)
{
    (void)context;
    for (size_t i = 0; i < module->functions.count; i++) {
        const struct function *f = module->functions.items[i];
        for (size_t k = 0; k < f->kernels.count; k++)
            derive_kernel(module, f, f->kernels.items[k]);
    }
}

static void lint_kernel(const struct function *function, const struct device_code *code,
                        const char *architecture)
{
    struct gpu_facts facts;
    const struct kernel *kernel = function->kernels.items[0];
    assert_true(gpu_facts(function, kernel, &facts));
    struct cubin_limits limits = {.registers = GPU_THREAD_REGISTERS,
                                  .shared = 227 * 1024,
                                  .dynamic = facts.shared_bytes,
                                  .mma_count = facts.mma_count};
    const char *why = cubin_lint(&code->facts, &limits);
    if (why)
        fail_msg("%s for %s: %s; %d registers, %d expected", function->name, architecture, why,
                 code->facts.registers, facts.registers);
}

static size_t lint(const struct nvrtc *nvrtc, const char *architecture, const char *text,
                   size_t length, void (*derive)(struct module *module, void *context))
{
    struct arena *arena = arena_create();
    struct module *module = ir_parse(arena, diag_add_source("products.ir", text, length));
    const struct target *target = target_find(architecture);
    derive(module, NULL);
    pass_plan(module);
    module->stage = "plan";
    struct cuda_emit_options options = {.target = target};
    struct cuda_emit_result e = backend_cuda_emit(module, &options);
    size_t count = (size_t)e.kernel_count;
    struct device_source *sources = arena_array(arena, struct device_source, count);
    struct device_code *codes = arena_array(arena, struct device_code, count);
    for (size_t i = 0; i < count; i++) {
        sources[i].name = e.kernels[i].name;
        sources[i].text = cuda_kernel_source(arena, &e, (int)i, &sources[i].length);
    }
    struct device_options how = {.architecture = architecture, .no_cache = true, .threads = 2};
    nvrtc_compile(arena, nvrtc, sources, count, &how, codes);
    for (size_t f = 0; f < module->functions.count; f++)
        lint_kernel(module->functions.items[f], &codes[e.steps[f][0].kernel], architecture);
    arena_destroy(arena);
    return count;
}

void product_kernels_lint(const char *text, size_t length)
{
    kernels_lint(text, length, product_kernels_derive);
}

void kernels_lint(const char *text, size_t length,
                  void (*derive)(struct module *module, void *context))
{
    struct arena *arena = arena_create();
    struct nvrtc nvrtc;
    const char *places, *reason;
    size_t count = 0;
    if (nvrtc_look(arena, getenv("SINTER_CUDA"), &nvrtc, &places) &&
        nvrtc_version(arena, &nvrtc, &reason)) {
        count += lint(&nvrtc, "sm_80", text, length, derive);
        count += lint(&nvrtc, "sm_90a", text, length, derive);
        printf("%zu kernels compiled\n", count);
    } else {
        printf("SKIPPED 1 device code of products: no NVRTC\n");
    }
    arena_destroy(arena);
}
