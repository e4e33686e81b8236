/* See explain.h. */
#include "compiler/explain.h"

#include "ir/cost.h"
#include "ir/text.h"

#include <string.h>

/* The number of a value in the order in which a map has met them, from 1. */
static size_t number_of(struct map *map, const struct value *value)
{
    void **place = map_insert(map, (const char *)&value->id, sizeof value->id);
    if (!*place)
        *place = (void *)(uintptr_t)map->count;
    return (size_t)(uintptr_t)*place;
}

static void sign_node(struct str *text, struct map *inside, struct map *outside,
                      const struct node *node)
{
    str_printf(text, "%d", (int)node->op);
    print_attributes(text, &node->attributes);
    for (int i = 0; i < node->operand_count; i++) {
        const struct value *operand = node->operands[i];
        bool local = map_find(inside, (const char *)&operand->id, sizeof operand->id) != NULL;
        str_printf(text, " %c%zu:%s", local ? 'l' : 'o',
                   number_of(local ? inside : outside, operand),
                   type_text(text->arena, &operand->type));
    }
    for (int r = 0; r < op_info(node->op)->results; r++) {
        const struct value *value = &node->results[r];
        str_printf(text, " =%zu:%s@%d", number_of(inside, value),
                   type_text(text->arena, &value->type), (int)value->place.kind);
    }
    str_printf(text, "\n");
}

/* A text that two kernels share if the same code computes both. */
static struct str sign(struct arena *arena, const struct function *function,
                       const struct kernel *kernel)
{
    struct str text = str_create(arena);
    struct map inside = map_create(arena), outside = map_create(arena);
    str_printf(&text, "%d", (int)kernel->skeleton);
    print_attributes(&text, &kernel->attributes);
    for (size_t i = 0; i < function->nodes.count; i++)
        if (function->nodes.items[i]->kernel == kernel)
            sign_node(&text, &inside, &outside, function->nodes.items[i]);
    return text;
}

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
            struct str signature = sign(arena, function, kernel);
            void **place = map_insert(&seen, signature.text, signature.length);
            one.distinct = !*place;
            *place = &functions[f];
            add(out, one);
        }
    }
    return functions;
}
