/* Backward from the value to what is needed in full: see last_position.h. */
#include "passes/last_position.h"

#include <string.h>

struct copier {
    struct builder *builder;
    const signed char *axes;
    bool *full;            /* by value id: an ancestor of an update */
    struct value **copied; /* by value id */
    struct value *last;    /* i32[B,1] */
};

static void mark_full(struct copier *c)
{
    const struct function *function = c->builder->function;
    for (size_t i = function->nodes.count; i-- > 0;) {
        const struct node *node = function->nodes.items[i];
        bool needed = node->op == OP_update;
        for (int r = 0; r < node->result_count; r++)
            needed |= c->full[node->results[r].id];
        for (int o = 0; needed && o < node->operand_count; o++)
            c->full[node->operands[o]->id] = true;
    }
}

static struct value *copy_value(struct copier *c, struct value *value);

/* The position of a copied query: that of the chunk's first plus `last`. */
static struct value *last_query(struct copier *c, struct value *pos)
{
    return build_binary(c->builder, OP_add, pos,
                        build_reshape(c->builder, c->last, 1, pos->type.dims));
}

static struct attributes one_position(struct copier *c, const struct value *value)
{
    const struct node *node = value->node;
    struct arena *arena = c->builder->module->arena;
    struct attributes attributes = attributes_copy(arena, &node->attributes);
    int count;
    const int64_t *dims = node_list(node, dims, &count);
    if (dims) {
        int64_t changed[MAX_RANK];
        memcpy(changed, dims, (size_t)count * sizeof *dims);
        changed[(int)c->axes[value->id]] = 1;
        attributes_set_list(arena, &attributes, ATTRIBUTE_dims, changed, count);
    }
    return attributes;
}

/* The operand of a copy: what repeats along the sequence axis is cut to one of its rows. */
static struct value *copy_operand(struct copier *c, const struct value *of, int index)
{
    struct value *operand = of->node->operands[index];
    int axis = c->axes[of->id];
    bool repeats = op_info(of->node->op)->kind == KIND_EW && c->axes[operand->id] < 0 &&
                   operand->type.rank > axis && operand->type.dims[axis] != 1;
    return repeats ? build_slice(c->builder, operand, axis, 0, 1) : copy_value(c, operand);
}

static struct value *copy_node(struct copier *c, struct value *value)
{
    const struct node *node = value->node;
    struct value *operands[MAX_RANK * MAX_RANK];
    for (int i = 0; i < node->operand_count; i++)
        operands[i] = copy_operand(c, value, i);
    if (node->op == OP_attention)
        operands[3] = last_query(c, node->operands[3]);
    c->builder->location = node->location;
    c->builder->scope = node->scope;
    struct node *copy = build_node(c->builder, node->op, operands, node->operand_count,
                                   one_position(c, value), value->name);
    return &copy->results[value->result];
}

static struct value *copy_value(struct copier *c, struct value *value)
{
    if (c->axes[value->id] < 0)
        return value;
    struct value **copied = &c->copied[value->id];
    if (*copied)
        return *copied;
    enum op op = value->node->op;
    bool available = c->full[value->id] || op == OP_param || op == OP_iota;
    if (available && c->axes[value->id] == 1) {
        c->builder->location = value->node->location;
        c->builder->scope = value->node->scope;
        *copied = build_gather(c->builder, value, c->last, 1);
    } else {
        *copied = copy_node(c, value);
    }
    return *copied;
}

struct value *at_last_position(struct builder *b, const signed char *axes, struct value *value,
                               struct value *last)
{
    size_t count = b->module->next_value;
    struct copier copier = {b, axes, arena_array(b->module->arena, bool, count),
                            arena_array(b->module->arena, struct value *, count), last};
    mark_full(&copier);
    return copy_value(&copier, value);
}
