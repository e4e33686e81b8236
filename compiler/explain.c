/* See explain.h. */
#include "compiler/explain.h"

#include "ir/cost.h"
#include "ir/gpu_predict.h"
#include "ir/signature.h"
#include "ir/text.h"

#include <math.h>
#include <string.h>

static bool multiplies_bf16(const struct function *function, const struct kernel *kernel)
{
    for (size_t i = 0; i < function->nodes.count; i++) {
        const struct node *node = function->nodes.items[i];
        bool product = skeleton_anchor(kernel->skeleton) == node->op;
        if (node->kernel == kernel && product && node->operand_count > 0 &&
            node->operands[0]->type.dtype == DTYPE_bf16)
            return true;
    }
    return false;
}

static const char *scope_of(const struct function *function, const struct kernel *kernel)
{
    for (size_t i = 0; i < function->nodes.count; i++)
        if (function->nodes.items[i]->kernel == kernel && function->nodes.items[i]->scope)
            return function->nodes.items[i]->scope;
    return "";
}

static struct explained_kernel explain_kernel(const struct function *function,
                                              const struct kernel *kernel,
                                              const struct target *target)
{
    struct cost cost = kernel_cost(function, kernel);
    bool bf16 = multiplies_bf16(function, kernel);
    struct explained_kernel out = {
        .name = kernel->name,
        .skeleton = skeleton_name(kernel->skeleton),
        .scope = scope_of(function, kernel),
        .provider = attributes_text(&kernel->attributes, ATTRIBUTE_provider),
        .flops = cost.flops,
        .bytes = cost.bytes,
        .compute = cost.flops / ((bf16 ? target->gflops_bf16 : target->gflops_f32) * 1e9),
        .memory = cost.bytes / (target->gbs * 1e9),
    };
    out.seconds = out.compute > out.memory ? out.compute : out.memory;
    out.bound = out.compute > out.memory ? "compute" : "memory";
    return out;
}

static const char *kernel_attributes_text(struct arena *arena, const struct kernel *kernel)
{
    struct str text = str_create(arena);
    print_attributes(&text, &kernel->attributes);
    return text.text;
}

static void predict(struct explained_kernel *out, struct arena *arena,
                    const struct function *function, const struct kernel *kernel,
                    const struct gpu *gpu)
{
    struct gpu_prediction prediction;
    if (!gpu_predict(gpu, function, kernel, &prediction))
        fatal(INTERNAL, "a kernel does not fit the GPU", kernel->name);
    out->compute = prediction.compute_us * 1e-6;
    out->memory = prediction.hbm_us * 1e-6;
    out->seconds = prediction.us * 1e-6;
    out->bound = prediction.bound;
    out->occupancy = prediction.occupancy;
    out->key = kernel_key(arena, function, kernel);
    out->tiles = kernel_attributes_text(arena, kernel);
    out->residency = prediction.residency;
}

/* At peak figures: all operations by the fastest family that multiplies 16 bits or, where no
 * operand has 16 bits, by TF32 or f32; all weights and states once. */
static double find_floor(const struct function *function, const struct gpu *gpu, double flops)
{
    enum gpu_family family = FAMILY_ffma;
    double bytes = 0;
    for (size_t i = 0; i < function->nodes.count; i++) {
        const struct node *node = function->nodes.items[i];
        enum dtype dtype = node->operand_count ? node->operands[0]->type.dtype : DTYPE_f32;
        bool product =
            node->op == OP_matmul || node->op == OP_conv2d || node->op == OP_attention;
        if (product && dtype_bits(dtype) == 16)
            family = FAMILY_mma_bf16;
        else if (product && dtype == DTYPE_tf32 && family == FAMILY_ffma)
            family = FAMILY_mma_tf32;
    }
    for (size_t i = 0; i < function->kernels.count; i++)
        bytes += kernel_far_bytes(function, function->kernels.items[i], INFINITY);
    double rate = gpu->rates[family].peak;
    if (family != FAMILY_ffma && gpu->rates[FAMILY_wgmma_bf16].peak > 0)
        rate = gpu->rates[family == FAMILY_mma_bf16 ? FAMILY_wgmma_bf16 : FAMILY_wgmma_tf32].peak;
    return fmax(flops / (rate * 1e12), bytes / (gpu->hbm_peak_gbs * 1e9));
}

static void add(struct explained_function *out, struct explained_kernel kernel)
{
    out->kernels[out->count++] = kernel;
    out->distinct += kernel.distinct;
    out->flops += kernel.flops;
    out->bytes += kernel.bytes;
    out->compute += kernel.compute;
    out->memory += kernel.memory;
    out->seconds += kernel.seconds;
}

struct explained_function *explain_module(const struct module *module, const struct target *target)
{
    struct arena *arena = module->arena;
    struct map seen = map_create(arena);
    struct explained_function *functions =
        arena_array(arena, struct explained_function, module->functions.count + 1);
    for (size_t f = 0; f < module->functions.count; f++) {
        const struct function *function = module->functions.items[f];
        struct explained_function *out = &functions[f];
        out->name = function->name;
        out->kernels = arena_array(arena, struct explained_kernel, function->kernels.count + 1);
        for (size_t i = 0; i < function->kernels.count; i++) {
            const struct kernel *kernel = function->kernels.items[i];
            struct explained_kernel one = explain_kernel(function, kernel, target);
            if (target->gpu)
                predict(&one, arena, function, kernel, target->gpu);
            struct str signature = kernel_signature(arena, function, kernel);
            void **place = map_insert(&seen, signature.text, signature.length);
            one.distinct = !*place;
            *place = &functions[f];
            add(out, one);
        }
        if (target->gpu)
            out->floor = find_floor(function, target->gpu, out->flops);
    }
    return functions;
}
