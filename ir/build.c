/* Making nodes: see build.h. */
#include "ir/build.h"

#include "ir/loop.h"
#include "ir/names.h"

#include <string.h>

struct node *build_node(struct builder *b, enum op op, struct value *const *operands, int count,
                        struct attributes attributes, const char *name)
{
    struct type types[MAX_RESULTS];
    if (!b->function)
        fatal(INTERNAL, "a node outside a function", op_info(op)->name);
    infer_types(op, operands, count, &attributes, b->location, types);
    struct node *node = node_create_results(b->module, op, count, result_count_of(op, &attributes));
    if (count)
        memcpy(node->operands, operands, (size_t)count * sizeof *operands);
    node->attributes = attributes;
    node->location = b->location;
    node->scope = b->scope ? b->scope : "";
    for (int i = 0; i < node->result_count; i++) {
        node->results[i].type = types[i];
        name_result(b->module, b->function, &node->results[i], name);
    }
    array_push(b->module->arena, &b->function->nodes, node);
    return node;
}

static struct value *build(struct builder *b, enum op op, struct value *const *operands, int count,
                           struct attributes attributes)
{
    return &build_node(b, op, operands, count, attributes, NULL)->results[0];
}

struct value *build_unary(struct builder *b, enum op op, struct value *a)
{
    return build(b, op, &a, 1, (struct attributes){0});
}

struct value *build_binary(struct builder *b, enum op op, struct value *x, struct value *y)
{
    struct value *operands[] = {x, y};
    return build(b, op, operands, 2, (struct attributes){0});
}

struct value *build_select(struct builder *b, struct value *c, struct value *x, struct value *y)
{
    struct value *operands[] = {c, x, y};
    return build(b, OP_select, operands, 3, (struct attributes){0});
}

struct value *build_constant(struct builder *b, enum dtype dtype, double value)
{
    struct attributes attributes = {0};
    attributes_set_real(b->module->arena, &attributes, ATTRIBUTE_value, value);
    attributes_set_int(b->module->arena, &attributes, ATTRIBUTE_dtype, dtype);
    return build(b, OP_const, NULL, 0, attributes);
}

struct value *build_cast(struct builder *b, struct value *a, enum dtype dtype)
{
    struct attributes attributes = {0};
    if (a->type.dtype == dtype)
        return a;
    attributes_set_int(b->module->arena, &attributes, ATTRIBUTE_dtype, dtype);
    return build(b, OP_cast, &a, 1, attributes);
}

struct value *build_iota(struct builder *b, enum dtype dtype, int rank, const int64_t *dims,
                         int axis)
{
    struct attributes attributes = {0};
    attributes_set_int(b->module->arena, &attributes, ATTRIBUTE_dtype, dtype);
    attributes_set_list(b->module->arena, &attributes, ATTRIBUTE_dims, dims, rank);
    attributes_set_int(b->module->arena, &attributes, ATTRIBUTE_axis, axis);
    return build(b, OP_iota, NULL, 0, attributes);
}

static struct value *build_listed(struct builder *b, enum op op, struct value *a,
                                  enum attribute_id id, const int64_t *list, int count)
{
    struct attributes attributes = {0};
    attributes_set_list(b->module->arena, &attributes, id, list, count);
    return build(b, op, &a, 1, attributes);
}

struct value *build_reshape(struct builder *b, struct value *a, int rank, const int64_t *dims)
{
    return build_listed(b, OP_reshape, a, ATTRIBUTE_dims, dims, rank);
}

struct value *build_transpose(struct builder *b, struct value *a, const int64_t *perm)
{
    return build_listed(b, OP_transpose, a, ATTRIBUTE_perm, perm, a->type.rank);
}

struct value *build_broadcast(struct builder *b, struct value *a, int rank, const int64_t *dims)
{
    int missing = rank - a->type.rank;
    if (missing > 0 && a->type.rank > 0 && rank <= MAX_RANK) {
        int64_t padded[MAX_RANK];
        for (int i = 0; i < rank; i++)
            padded[i] = i < missing ? 1 : a->type.dims[i - missing];
        a = build_reshape(b, a, rank, padded);
    }
    return build_listed(b, OP_broadcast, a, ATTRIBUTE_dims, dims, rank);
}

struct value *build_slice(struct builder *b, struct value *a, int axis, int64_t at, int64_t len)
{
    struct attributes attributes = {0};
    attributes_set_int(b->module->arena, &attributes, ATTRIBUTE_axis, axis);
    attributes_set_int(b->module->arena, &attributes, ATTRIBUTE_at, at);
    attributes_set_int(b->module->arena, &attributes, ATTRIBUTE_len, len);
    return build(b, OP_slice, &a, 1, attributes);
}

struct value *build_concat(struct builder *b, struct value *const *parts, int count, int axis)
{
    struct attributes attributes = {0};
    attributes_set_int(b->module->arena, &attributes, ATTRIBUTE_axis, axis);
    return build(b, OP_concat, parts, count, attributes);
}

struct value *build_reduce(struct builder *b, enum op op, struct value *a, const int64_t *axes,
                           int count)
{
    return build_listed(b, op, a, ATTRIBUTE_axes, axes, count);
}

struct value *build_matmul(struct builder *b, struct value *x, struct value *y, bool transa,
                           bool transb)
{
    struct attributes attributes = {0};
    struct value *operands[] = {x, y};
    attributes_set_int(b->module->arena, &attributes, ATTRIBUTE_transa, transa);
    attributes_set_int(b->module->arena, &attributes, ATTRIBUTE_transb, transb);
    return build(b, OP_matmul, operands, 2, attributes);
}

struct value *build_gather(struct builder *b, struct value *table, struct value *ids, int batch)
{
    struct attributes attributes = {0};
    struct value *operands[] = {table, ids};
    attributes_set_int(b->module->arena, &attributes, ATTRIBUTE_batch, batch);
    return build(b, OP_gather, operands, 2, attributes);
}

/* --- leaves and results --- */

static struct node *create_leaf(struct builder *b, enum op op, struct type type,
                                struct attributes attributes)
{
    if (!type_dims_valid(type.dtype, type.rank, type.dims))
        fatal_at(b->location, SHAPE_TOO_LARGE, op_info(op)->name);
    struct node *node = node_create(b->module, op, 0);
    node->attributes = attributes;
    node->location = b->location;
    node->scope = b->scope ? b->scope : "";
    node->results[0].type = type;
    return node;
}

struct value *build_param(struct builder *b, const char *name, struct type type)
{
    struct node *node = create_leaf(b, OP_param, type, (struct attributes){0});
    name_value(b->module, b->function, &node->results[0], name);
    array_push(b->module->arena, &b->function->params, node);
    return &node->results[0];
}

struct value *build_weight(struct builder *b, const char *name, struct type type,
                           struct attributes attributes)
{
    struct node *node = create_leaf(b, OP_weight, type, attributes);
    name_value(b->module, NULL, &node->results[0], name);
    array_push(b->module->arena, &b->module->weights, node);
    return &node->results[0];
}

struct value *build_state(struct builder *b, const char *name, struct type type,
                          struct attributes attributes)
{
    struct node *node = create_leaf(b, OP_state, type, attributes);
    name_value(b->module, NULL, &node->results[0], name);
    array_push(b->module->arena, &b->module->states, node);
    return &node->results[0];
}

void build_output(struct builder *b, const char *name, struct value *value)
{
    const char *copy = arena_copy(b->module->arena, name, strlen(name));
    struct binding binding = {copy, value, NULL, b->location};
    array_push(b->module->arena, &b->function->bindings, binding);
}

void build_store(struct builder *b, struct value *state, struct value *value)
{
    if (state->node->op != OP_state || !type_equal(&state->type, &value->type))
        fatal_at(b->location, SHAPE_STORE, state->name, type_text(b->module->arena, &state->type),
                 value->name, type_text(b->module->arena, &value->type));
    struct binding binding = {state->name, value, state, b->location};
    array_push(b->module->arena, &b->function->bindings, binding);
}
