/* See cost.h. Flops by op: from the row (EW, RED), or cost_NAME (OP). */
#include "ir/cost.h"

#include "ir/loop.h"

static double node_flops(const struct node *node);

static double elements(const struct value *value)
{
    return (double)type_elements(&value->type);
}

static double bytes(const struct value *value)
{
    return (double)type_bytes(&value->type);
}

/* --- flops of structured ops --- */

#define OP(name, ...) static double cost_##name(const struct node *node);
#include "ir/ops.def"

#define FREE(name)                                     \
    static double cost_##name(const struct node *node) \
    {                                                  \
        (void)node;                                    \
        return 0;                                      \
    }
FREE(param)
FREE(weight)
FREE(state)
FREE(const)
FREE(iota)
FREE(positions)
FREE(reshape)
FREE(transpose)
FREE(broadcast)
FREE(slice)
FREE(concat)
FREE(pad)
FREE(gather)
FREE(decode)
FREE(update)
FREE(mark)

static double cost_scatter_add(const struct node *node)
{
    return elements(node->operands[1]);
}

static double cost_matmul(const struct node *node)
{
    const struct type *a = &node->operands[0]->type;
    int64_t inner = a->dims[a->rank - 1 - (node_int(node, transa) ? 1 : 0)];
    return 2 * elements(&node->results[0]) * (double)inner;
}

/* Multiply-adds of a convolution with result `y` and filter `w`. */
static double conv_flops(const struct value *y, const int64_t *w)
{
    return 2 * elements(y) * (double)w[1] * (double)w[2] * (double)w[3];
}

static double cost_conv2d(const struct node *node)
{
    return conv_flops(&node->results[0], node->operands[1]->type.dims);
}

static double cost_conv2d_input(const struct node *node)
{
    return conv_flops(node->operands[1], node->operands[0]->type.dims);
}

static double cost_conv2d_filter(const struct node *node)
{
    return conv_flops(node->operands[1], node->results[0].type.dims);
}

/* Two products over all key slots; the softmax is small beside them. */
static double cost_attention(const struct node *node)
{
    return 4 * elements(node->operands[0]) * (double)node->operands[1]->type.dims[1];
}

static double cost_sort(const struct node *node)
{
    double extent = (double)node->results[0].type.dims[node_int(node, axis)], levels = 0;
    for (double n = extent; n > 1; n /= 2)
        levels++;
    return elements(&node->results[0]) * levels;
}

static double cost_cumsum(const struct node *node)
{
    return elements(&node->results[0]);
}

/* All iterations. */
static double cost_loop(const struct node *node)
{
    const struct loop loop = loop_of(node);
    double flops = 0;
    for (size_t i = 0; i < loop.body->nodes.count; i++)
        flops += node_flops(loop.body->nodes.items[i]);
    return (double)loop.trips * flops;
}

static double (*const structured_flops[OP_COUNT])(const struct node *node) = {
#define OP(name, ...) [OP_##name] = cost_##name,
#include "ir/ops.def"
};

static double node_flops(const struct node *node)
{
    const struct op_info *info = op_info(node->op);
    if (info->kind == KIND_EW)
        return info->flops * elements(&node->results[0]);
    if (info->kind == KIND_RED)
        return info->flops * elements(node->operands[0]);
    return structured_flops[node->op](node);
}

/* --- bytes --- */

/* What a node reads of its operand i: of tables and sliced values only the part it uses. */
static double bytes_read(const struct node *node, int i)
{
    bool part = i == 0 && (node->op == OP_gather || node->op == OP_slice);
    double whole = bytes(node->operands[i]);
    if (i == 0 && (op_info(node->op)->flags & OP_EFFECT))
        return 0;
    if (part && bytes(&node->results[0]) < whole)
        return bytes(&node->results[0]);
    return whole;
}

/* What storing a result writes: an update in place only its new rows. */
static double bytes_written(const struct node *node, int result)
{
    if (op_info(node->op)->flags & OP_EFFECT)
        return bytes(node->operands[1]);
    return bytes(&node->results[result]);
}

struct cost node_cost(const struct node *node)
{
    struct cost cost = {.flops = node_flops(node)};
    if (op_info(node->op)->flags & (OP_LEAF | OP_SOURCE | OP_VIEW))
        return cost;
    for (int i = 0; i < node->operand_count; i++)
        cost.bytes += bytes_read(node, i);
    for (int i = 0; i < node->result_count; i++)
        cost.bytes += bytes_written(node, i);
    return cost;
}

/* The nodes of a kernel, which stand together. */
struct range {
    struct node *const *nodes;
    size_t count;
};

static struct range kernel_range(const struct function *function, const struct kernel *kernel)
{
    size_t at = 0, count = 0;
    while (at < function->nodes.count && function->nodes.items[at]->kernel != kernel)
        at++;
    while (at + count < function->nodes.count &&
           function->nodes.items[at + count]->kernel == kernel)
        count++;
    return (struct range){count ? function->nodes.items + at : NULL, count};
}

/* Bytes that a kernel reads of `value`, which comes from outside. */
static double kernel_reads(struct range range, const struct value *value)
{
    double sum = 0;
    for (size_t n = 0; n < range.count; n++)
        for (int i = 0; i < range.nodes[n]->operand_count; i++)
            if (range.nodes[n]->operands[i] == value)
                sum += bytes_read(range.nodes[n], i);
    return sum < bytes(value) ? sum : bytes(value);
}

/* True if no operand before number i of node n is the same value. */
static bool first_use(struct range range, size_t n, int i)
{
    const struct value *value = range.nodes[n]->operands[i];
    for (size_t m = 0; m <= n; m++)
        for (int k = 0; k < (m < n ? range.nodes[m]->operand_count : i); k++)
            if (range.nodes[m]->operands[k] == value)
                return false;
    return true;
}

/* Before plan the values that leave a kernel have no place yet; after it, one in the arena. */
static bool is_written(const struct value *value)
{
    return value->place.kind == PLACE_NONE || value->place.kind == PLACE_ARENA;
}

/* Bytes that node n reads from outside its kernel and no node before it does, and writes: of
 * leaves, and of values of more than `least` bytes. */
static double node_traffic(struct range range, size_t n, double least)
{
    const struct node *node = range.nodes[n];
    double sum = 0;
    for (int i = 0; i < node->operand_count; i++) {
        const struct value *value = node->operands[i];
        bool leaf = op_info(value->node->op)->flags & OP_LEAF;
        if (value->node->kernel != node->kernel && first_use(range, n, i) &&
            (leaf || bytes(value) > least))
            sum += kernel_reads(range, value);
    }
    for (int i = 0; i < node->result_count; i++)
        if (is_written(&node->results[i]) && bytes(&node->results[i]) > least)
            sum += bytes_written(node, i);
    return sum;
}

struct cost kernel_cost(const struct function *function, const struct kernel *kernel)
{
    struct cost cost = {0};
    struct range range = kernel_range(function, kernel);
    for (size_t n = 0; n < range.count; n++) {
        cost.flops += node_flops(range.nodes[n]);
        cost.bytes += node_traffic(range, n, -1);
    }
    return cost;
}

double kernel_far_bytes(const struct function *function, const struct kernel *kernel, double near)
{
    double sum = 0;
    struct range range = kernel_range(function, kernel);
    for (size_t n = 0; n < range.count; n++)
        sum += node_traffic(range, n, near);
    return sum;
}
