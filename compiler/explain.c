/* See explain.h. */
#include "compiler/explain.h"

#include "ir/cost.h"
#include "ir/signature.h"

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
        .flops = cost.flops,
        .bytes = cost.bytes,
        .compute = cost.flops / ((bf16 ? target->gflops_bf16 : target->gflops_f32) * 1e9),
        .memory = cost.bytes / (target->gbs * 1e9),
    };
    out.seconds = out.compute > out.memory ? out.compute : out.memory;
    return out;
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
            struct str signature = kernel_signature(arena, function, kernel);
            void **place = map_insert(&seen, signature.text, signature.length);
            one.distinct = !*place;
            *place = &functions[f];
            add(out, one);
        }
    }
    return functions;
}
