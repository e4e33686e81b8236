/* Element types, from logical f32 to what is stored and computed: pass_cast. */
#include "ir/build.h"
#include "ir/encoding.h"
#include "passes/passes.h"

#include <string.h>

struct caster {
    struct rebuild rebuild;
    enum dtype compute;
    struct value **converted; /* by id of a new value and dtype: its cast, once a function */
    uint32_t converted_values;
};

/* `value` as an element type: itself, or its cast, made once. Only floats are converted. */
static struct value *as_type(struct caster *c, struct value *value, enum dtype dtype)
{
    if (value->type.dtype == dtype || !dtype_is_float(value->type.dtype))
        return value;
    if (value->id >= c->converted_values)
        return build_cast(&c->rebuild.builder, value, dtype);
    struct value **known = &c->converted[(size_t)value->id * DTYPE_COUNT + dtype];
    if (!*known)
        *known = build_cast(&c->rebuild.builder, value, dtype);
    return *known;
}

/* What an operand of a structured op wants; f32 for all ops that are not products. */
static enum dtype wanted(const struct caster *c, const struct node *node, int operand)
{
    bool bias =
        node->op == OP_attention && operand == node->operand_count - 1 && node_int(node, biased);
    switch (node->op) {
    case OP_matmul:
    case OP_conv2d:
    case OP_conv2d_input:
    case OP_conv2d_filter:
    case OP_update: return c->compute;
    case OP_attention: return bias ? DTYPE_f32 : c->compute;
    default: return DTYPE_f32;
    }
}

static bool gives_f32(enum op op)
{
    return op == OP_matmul || op == OP_conv2d || op == OP_conv2d_input || op == OP_conv2d_filter ||
           op == OP_attention;
}

/* Index maps move bytes: they keep the element type of their first operand. */
static bool moves(const struct node *node)
{
    const struct op_info *info = op_info(node->op);
    return info->kind == KIND_OP && (info->flags & (OP_VIEW | OP_INDEX)) != 0;
}

static enum dtype moved_type(const struct caster *c, const struct node *node)
{
    enum dtype first = rebuild_get(&c->rebuild, node->operands[0])->type.dtype;
    for (int i = 1; node->op == OP_concat && i < node->operand_count; i++)
        if (rebuild_get(&c->rebuild, node->operands[i])->type.dtype != first)
            return DTYPE_f32;
    return first;
}

static void cast_node(struct caster *c, const struct node *old)
{
    struct arena *arena = c->rebuild.builder.module->arena;
    struct value **operands = arena_array(arena, struct value *, (size_t)old->operand_count + 1);
    rebuild_at(&c->rebuild, old);
    for (int i = 0; i < old->operand_count; i++) {
        bool moved = moves(old) && (i == 0 || old->op == OP_concat);
        enum dtype dtype = moved ? moved_type(c, old) : wanted(c, old, i);
        if (old->op == OP_cast)
            dtype = rebuild_get(&c->rebuild, old->operands[i])->type.dtype;
        operands[i] = as_type(c, rebuild_get(&c->rebuild, old->operands[i]), dtype);
    }
    struct attributes attributes = attributes_copy(arena, &old->attributes);
    if (gives_f32(old->op) && c->compute != DTYPE_f32)
        attributes_set_int(arena, &attributes, ATTRIBUTE_dtype, DTYPE_f32);
    struct node *node = build_node(&c->rebuild.builder, old->op, operands, old->operand_count,
                                   attributes, old->results[0].name);
    for (int i = 0; i < old->result_count; i++)
        rebuild_set(&c->rebuild, &old->results[i], &node->results[i]);
}

/* The numbers of packed weights, where a function uses them: what it does not use is dead. */
static void decode_weights(struct caster *c)
{
    const struct module *module = c->rebuild.builder.module;
    for (size_t i = 0; i < module->weights.count; i++) {
        struct node *weight = module->weights.items[i];
        struct attributes attributes = {0};
        if (!node_text(weight, encoding))
            continue;
        struct node *scales = module_find_leaf(module, node_text(weight, scales));
        struct value *operands[] = {&weight->results[0], &scales->results[0]};
        attributes_set_text(module->arena, &attributes, ATTRIBUTE_encoding,
                            node_text(weight, encoding));
        attributes_set_int(module->arena, &attributes, ATTRIBUTE_group, node_int(weight, group));
        rebuild_at(&c->rebuild, weight);
        struct node *decode = build_node(&c->rebuild.builder, OP_decode, operands, 2, attributes,
                                         weight->results[0].name);
        rebuild_set(&c->rebuild, &weight->results[0], &decode->results[0]);
    }
}

static void cast_bindings(struct caster *c, struct function *function)
{
    for (size_t i = 0; i < function->bindings.count; i++) {
        struct binding *binding = &function->bindings.items[i];
        enum dtype dtype = binding->state ? binding->state->type.dtype : binding->value->type.dtype;
        struct value *value = rebuild_get(&c->rebuild, binding->value);
        c->rebuild.builder.location = binding->location;
        binding->value = as_type(c, value, dtype);
    }
}

static void cast_function(struct module *module, struct function *function, enum dtype compute)
{
    struct caster c = {rebuild_begin(module, function), compute, NULL, 0};
    /* Casts are made for values of this function's new nodes too: room for each to be new. */
    c.converted_values =
        module->next_value + (uint32_t)(4 * c.rebuild.old_count + module->weights.count);
    c.converted =
        arena_array(module->arena, struct value *, (size_t)c.converted_values * DTYPE_COUNT);
    decode_weights(&c);
    for (size_t i = 0; i < c.rebuild.old_count; i++)
        cast_node(&c, c.rebuild.old[i]);
    cast_bindings(&c, function);
    rebuild_end(&c.rebuild);
}

/* A weight's type becomes what its file stores; a cache holds what attention multiplies. */
static void type_leaves(struct module *module, enum dtype compute)
{
    for (size_t i = 0; i < module->weights.count; i++) {
        struct node *weight = module->weights.items[i];
        const struct encoding *encoding = encoding_find(node_text(weight, encoding));
        if (encoding)
            weight->results[0].type = encoded_type(encoding, &weight->results[0].type);
        if (attributes_find(&weight->attributes, ATTRIBUTE_stored))
            weight->results[0].type.dtype = (enum dtype)node_int(weight, stored);
        attributes_remove(&weight->attributes, ATTRIBUTE_stored);
    }
    for (size_t f = 0; f < module->functions.count; f++) {
        struct function *function = module->functions.items[f];
        for (size_t i = 0; i < function->nodes.count; i++) {
            const struct node *node = function->nodes.items[i];
            if (node->op == OP_update && dtype_is_float(node->operands[0]->type.dtype))
                node->operands[0]->type.dtype = compute;
        }
    }
}

/* Their weights are bytes now, and decode says the rest. */
static void forget_encodings(struct module *module)
{
    for (size_t i = 0; i < module->weights.count; i++) {
        struct attributes *attributes = &module->weights.items[i]->attributes;
        attributes_remove(attributes, ATTRIBUTE_encoding);
        attributes_remove(attributes, ATTRIBUTE_group);
        attributes_remove(attributes, ATTRIBUTE_scales);
    }
}

/*
 * Requires: no kernels; all floats are logical f32.
 * Preserves: values up to rounding: products (matmul, convolution, attention) multiply elements
 *   of `compute` and accumulate in f32; everything else is f32. Stored weights are converted
 *   where they are used, packed ones by decode.
 * Breaks: nothing.
 */
void pass_cast(struct module *module, enum dtype compute)
{
    type_leaves(module, compute);
    for (size_t f = 0; f < module->functions.count; f++)
        cast_function(module, module->functions.items[f], compute);
    forget_encodings(module);
    remove_dead(module);
}
