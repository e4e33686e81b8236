/* See plan_pitch.h. */
#include "passes/plan_pitch.h"

enum { ROW_BYTES = 16 };

static int64_t row_extent(const struct type *type)
{
    return type->rank > 0 ? type->dims[type->rank - 1] : 1;
}

/* Pixels and filters of convolutions stay packed: the taps of a few channels are neighbours. */
static bool is_matrix_op(enum op op)
{
    return op == OP_matmul || op == OP_attention;
}

/* The value in memory that an operand of a kernel's node is read from. */
static struct value *memory_under(const struct node *user, struct value *value)
{
    while (value->place.kind == PLACE_VIEW || value->place.kind == PLACE_REG) {
        bool within = value->node->kernel == user->kernel && value->node->operand_count == 1;
        if (!within || (value->node->op != OP_reshape && value->node->op != OP_cast))
            return NULL;
        value = value->node->operands[0];
    }
    return value->node->kernel == user->kernel && user->kernel ? NULL : value;
}

static bool is_output(const struct function *function, const struct value *value)
{
    for (size_t i = 0; i < function->bindings.count; i++)
        if (!function->bindings.items[i].state && function->bindings.items[i].value == value)
            return true;
    return false;
}

static void pad_rows(struct type *type)
{
    int64_t unit = ROW_BYTES * 8 / dtype_bits(type->dtype);
    int64_t stride = (row_extent(type) + unit - 1) / unit * unit;
    type->strided = true;
    type->strides[type->rank - 1] = 1;
    for (int k = type->rank - 2; k >= 0; k--) {
        type->strides[k] = stride;
        stride *= type->dims[k];
    }
}

static void pitch_operand(const struct function *function, const struct node *node, int operand)
{
    struct value *value = memory_under(node, node->operands[operand]);
    if (!value || value->node->op == OP_param || value->place.kind == PLACE_CONSTANT ||
        is_output(function, value) || node_text(value->node, source))
        return;
    struct type *type = &value->type;
    bool whole = row_extent(type) == row_extent(&node->operands[operand]->type);
    if (type->rank >= 2 && whole && !type->strided && dtype_is_float(type->dtype) &&
        row_extent(type) * dtype_bits(type->dtype) / 8 % ROW_BYTES != 0)
        pad_rows(type);
}

/* What lives in a state has the state's type, and an updated state is one to the states too. */
static void share_types(const struct function *function)
{
    for (size_t i = function->nodes.count; i-- > 0;) {
        struct node *node = function->nodes.items[i];
        if ((op_info(node->op)->flags & OP_EFFECT) && node->results[0].type.strided)
            node->operands[0]->type = node->results[0].type;
    }
    for (size_t i = 0; i < function->nodes.count; i++) {
        struct node *node = function->nodes.items[i];
        if ((op_info(node->op)->flags & OP_EFFECT) && node->operands[0]->type.strided)
            node->results[0].type = node->operands[0]->type;
    }
    for (size_t i = 0; i < function->bindings.count; i++) {
        const struct binding *binding = &function->bindings.items[i];
        if (binding->state && binding->state->type.strided)
            binding->value->type = binding->state->type;
    }
}

void pitch_operands(struct module *module)
{
    for (size_t f = 0; f < module->functions.count; f++) {
        const struct function *function = module->functions.items[f];
        for (size_t i = 0; i < function->nodes.count; i++) {
            const struct node *node = function->nodes.items[i];
            for (int k = 0; is_matrix_op(node->op) && k < node->operand_count; k++)
                pitch_operand(function, node, k);
        }
        share_types(function);
    }
    for (size_t f = 0; f < module->functions.count; f++)
        share_types(module->functions.items[f]);
}
