/* One rule per kind of op, over the axis of its operands: see positions.h. */
#include "passes/positions.h"

#include <stdlib.h>

static _Noreturn void refuse(const struct node *node)
{
    fatal_at(node->location, POSITIONS_MIXED, op_info(node->op)->name);
}

static int axis_of(const struct value *value, const signed char *axes)
{
    return axes[value->id];
}

/* All operands agree, or do not depend on the position and repeat along it. With one new
 * position the extents cannot tell; the functions with larger chunks of the same text do. */
static int elementwise_axis(const struct node *node, int64_t chunk, const signed char *axes)
{
    int axis = -1;
    for (int i = 0; i < node->operand_count; i++) {
        int other = axis_of(node->operands[i], axes);
        if (other >= 0 && axis >= 0 && other != axis)
            refuse(node);
        axis = other >= 0 ? other : axis;
    }
    for (int i = 0; axis >= 0 && chunk > 1 && i < node->operand_count; i++) {
        const struct type *type = &node->operands[i]->type;
        bool independent = axis_of(node->operands[i], axes) < 0;
        if (independent && type->rank > axis && type->dims[axis] != 1 &&
            node->operands[i]->node->op != OP_broadcast)
            refuse(node);
    }
    return axis;
}

static int64_t elements_before(const struct type *type, int axis)
{
    int64_t product = 1;
    for (int i = 0; i < axis; i++)
        product *= type->dims[i];
    return product;
}

/* The axis survives a reshape if an axis of its extent stands behind as many elements; of
 * several (extents of 1), the one that moved least. */
static int reshape_axis(const struct node *node, int axis)
{
    const struct type *from = &node->operands[0]->type, *to = &node->results[0].type;
    int best = -1;
    for (int i = 0; i < to->rank; i++)
        if (to->dims[i] == from->dims[axis] &&
            elements_before(to, i) == elements_before(from, axis) &&
            (best < 0 || abs(i - axis) < abs(best - axis)))
            best = i;
    if (best < 0)
        refuse(node);
    return best;
}

static int transpose_axis(const struct node *node, int axis)
{
    int count;
    const int64_t *perm = node_list(node, perm, &count);
    for (int i = 0; i < count; i++)
        if (perm[i] == axis)
            return i;
    refuse(node);
}

/* For ops along one axis, which must be another. */
static int along_axis(const struct node *node, const signed char *axes)
{
    int axis = -1;
    for (int i = 0; i < node->operand_count; i++) {
        int other = axis_of(node->operands[i], axes);
        if (i > 0 && other != axis)
            refuse(node);
        axis = other;
    }
    if (axis >= 0 && node_int(node, axis) == axis)
        refuse(node);
    return axis;
}

static int pad_axis(const struct node *node, int axis)
{
    int count;
    const int64_t *low = node_list(node, low, &count), *high = node_list(node, high, &count);
    if (axis >= 0 && (low[axis] || high[axis]))
        refuse(node);
    return axis;
}

static int reduce_axis(const struct node *node, int axis)
{
    int count;
    const int64_t *reduced = node_list(node, axes, &count);
    for (int i = 0; axis >= 0 && i < count; i++)
        if (reduced[i] == axis)
            refuse(node);
    return axis;
}

static int gather_axis(const struct node *node, const signed char *axes)
{
    if (axis_of(node->operands[0], axes) >= 0)
        refuse(node);
    return axis_of(node->operands[1], axes);
}

static int matmul_axis(const struct node *node, const signed char *axes)
{
    int axis = axis_of(node->operands[0], axes), rank = node->operands[0]->type.rank;
    int contracted = node_int(node, transa) ? rank - 2 : rank - 1;
    if (axis_of(node->operands[1], axes) >= 0 || axis == contracted)
        refuse(node);
    if (axis >= 0 && node_int(node, transa) && axis == rank - 1)
        return rank - 2;
    return axis;
}

static int structured_axis(const struct node *node, const signed char *axes)
{
    int axis = node->operand_count ? axis_of(node->operands[0], axes) : -1;
    switch (node->op) {
    case OP_reshape: return axis < 0 ? -1 : reshape_axis(node, axis);
    case OP_transpose: return axis < 0 ? -1 : transpose_axis(node, axis);
    case OP_broadcast: return axis;
    case OP_slice:
    case OP_concat:
    case OP_sort:
    case OP_cumsum: return along_axis(node, axes);
    case OP_pad: return pad_axis(node, axis);
    case OP_gather: return gather_axis(node, axes);
    case OP_matmul: return matmul_axis(node, axes);
    case OP_attention: return axis;
    case OP_update:
    case OP_mark: return -1;
    default: break;
    }
    for (int i = 0; i < node->operand_count; i++)
        if (axis_of(node->operands[i], axes) >= 0)
            refuse(node);
    return -1;
}

void find_position_axes(const struct function *function, int64_t chunk, signed char *axes)
{
    for (size_t i = 0; i < function->nodes.count; i++) {
        const struct node *node = function->nodes.items[i];
        const struct op_info *info = op_info(node->op);
        if (axes[node->results[0].id] >= 0)
            continue; /* a seed */
        int axis;
        if (info->kind == KIND_EW)
            axis = elementwise_axis(node, chunk, axes);
        else if (info->kind == KIND_RED)
            axis = reduce_axis(node, axis_of(node->operands[0], axes));
        else
            axis = structured_axis(node, axes);
        for (int result = 0; result < info->results; result++)
            axes[node->results[result].id] = (signed char)axis;
    }
}
