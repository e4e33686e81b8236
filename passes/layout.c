/* Operands as the skeletons can take them, results as places can hold them: pass_layout. */
#include "ir/build.h"
#include "passes/passes.h"

#include <string.h>

/* Operands that a skeleton reads from memory itself: contiguous values. `update` and `mark`
 * compute what they store, so theirs may be any expression. */
static bool reads_memory(enum op op)
{
    const struct op_info *info = op_info(op);
    return info->kind == KIND_OP && info->flags == 0;
}

/* A packed weight. */
static bool is_decoded(const struct node *node)
{
    return node->op == OP_decode && node->operands[0]->node->op == OP_weight &&
           node->operands[1]->node->op == OP_weight;
}

/* Weights joined along the columns of a product: its segments. */
static bool is_segments(const struct node *product, int operand)
{
    const struct node *node = product->operands[operand]->node;
    if (node->op == OP_cast)
        node = node->operands[0]->node;
    if (product->op != OP_matmul || operand != 1 || node->op != OP_concat)
        return false;
    for (int i = 0; i < node->operand_count; i++)
        if (node->operands[i]->node->op != OP_weight)
            return false;
    return node_int(node, axis) == node->results[0].type.rank - (node_int(product, transb) ? 2 : 1);
}

/* A value that will stand in memory, or a reshape of one. The filter of a product may be decoded
 * from its stored type on the way. */
static bool is_contiguous(const struct value *value, bool decodes)
{
    const struct node *node = value->node;
    const struct op_info *info = op_info(node->op);
    if (info->flags & OP_LEAF)
        return true;
    if (node->op == OP_reshape)
        return is_contiguous(node->operands[0], decodes);
    if (node->op == OP_cast && decodes)
        node = node->operands[0]->node;
    if (decodes && (node->op == OP_weight || is_decoded(node)))
        return true;
    node = value->node;
    return info->kind != KIND_OP || info->flags == 0 || node->op == OP_update;
}

static bool decodes_operand(enum op op, int operand)
{
    return op == OP_matmul && operand == 1;
}

static struct value *copy_of(struct builder *b, struct value *value)
{
    return &build_node(b, OP_copy, &value, 1, (struct attributes){0}, value->name)->results[0];
}

/* Whether a node only exchanges the last two axes. */
static bool is_matrix_transpose(const struct node *node)
{
    int rank;
    const int64_t *perm = node->op == OP_transpose ? node_list(node, perm, &rank) : NULL;
    if (!perm || rank < 2)
        return false;
    for (int i = 0; i < rank - 2; i++)
        if (perm[i] != i)
            return false;
    return perm[rank - 1] == rank - 2 && perm[rank - 2] == rank - 1;
}

/* A transposed matrix is read along its other axis instead of being transposed. */
static void absorb_transpose(struct builder *b, struct node *node, int operand)
{
    enum attribute_id flag = operand ? ATTRIBUTE_transb : ATTRIBUTE_transa;
    const struct node *source = node->operands[operand]->node;
    if (!is_matrix_transpose(source))
        return;
    int64_t now = attributes_int(&node->attributes, flag);
    node->operands[operand] = source->operands[0];
    attributes_set_int(b->module->arena, &node->attributes, flag, !now);
}

static void lay_out_operands(struct rebuild *r, struct node *node)
{
    rebuild_at(r, node);
    for (int i = 0; i < node->operand_count; i++) {
        if (node->op == OP_matmul)
            absorb_transpose(&r->builder, node, i);
        if (!is_segments(node, i) &&
            !is_contiguous(node->operands[i], decodes_operand(node->op, i)))
            node->operands[i] = copy_of(&r->builder, node->operands[i]);
    }
}

/* The copy of a structured node comes last, after the copies of its operands. */
static void lay_out_node(struct rebuild *r, const struct node *old)
{
    struct node *copy = rebuild_copy(r, old);
    if (!reads_memory(old->op))
        return;
    r->builder.function->nodes.count--;
    lay_out_operands(r, copy);
    array_push(r->builder.module->arena, &r->builder.function->nodes, copy);
}

static bool bound_before(const struct function *function, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (function->bindings.items[i].value == function->bindings.items[index].value)
            return true;
    return false;
}

/* Every result is a value of its own, which plan can put where it belongs. A state's next value
 * is a copy that fuse merges into the kernel before it if no one reads the old value later. */
static void lay_out_binding(struct builder *b, struct function *function, size_t index)
{
    struct binding *binding = &function->bindings.items[index];
    const struct op_info *info = op_info(binding->value->node->op);
    bool effect = (info->flags & OP_EFFECT) != 0;
    bool computed = info->kind != KIND_OP || info->flags == 0;
    if (effect && binding->state && !bound_before(function, index))
        return;
    if (!binding->state && computed && !bound_before(function, index))
        return;
    b->location = binding->location;
    b->scope = binding->value->node->scope;
    binding->value = copy_of(b, binding->value);
}

static void lay_out_function(struct module *module, struct function *function)
{
    struct rebuild r = rebuild_begin(module, function);
    for (size_t i = 0; i < r.old_count; i++)
        lay_out_node(&r, r.old[i]);
    rebuild_end(&r);
    for (size_t i = 0; i < function->bindings.count; i++)
        lay_out_binding(&r.builder, function, i);
}

/*
 * Requires: no kernels.
 * Preserves: every value, bit for bit.
 * Breaks: nothing. Afterwards operands of structured ops are contiguous (leaves, computed values,
 *   reshapes of them; the second operand of matmul also a packed weight, weights joined along its
 *   columns, and a cast of either),
 *   and each binding has a computed value of its own.
 */
void pass_layout(struct module *module)
{
    for (size_t f = 0; f < module->functions.count; f++)
        lay_out_function(module, module->functions.items[f]);
    remove_dead(module);
}
