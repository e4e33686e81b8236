/* See product.h. */
#include "ir/product.h"

static struct product_extents matmul_extents(const struct node *node)
{
    const struct type *a = &node->operands[0]->type, *b = &node->operands[1]->type;
    bool transa = node_int(node, transa), transb = node_int(node, transb);
    struct product_extents e = {.batch = 1, .shared_b = b->rank == 2, .transb = transb};
    e.m = a->dims[a->rank - (transa ? 1 : 2)];
    e.k = a->dims[a->rank - (transa ? 2 : 1)];
    e.n = b->dims[b->rank - (transb ? 2 : 1)];
    for (int i = 0; i < a->rank - 2; i++)
        e.batch *= a->dims[i];
    if (e.shared_b && !transa) { /* the leading axes are rows */
        e.m *= e.batch;
        e.batch = 1;
    }
    return e;
}

struct conv_extents conv_extents(const struct node *node)
{
    const struct type *x = &node->operands[0]->type, *w = &node->operands[1]->type;
    const struct type *y = &node->results[0].type;
    if (node->op == OP_conv2d_input) {
        x = y;
        w = &node->operands[0]->type;
        y = &node->operands[1]->type;
    } else if (node->op == OP_conv2d_filter) {
        w = y;
        y = &node->operands[1]->type;
    }
    int count;
    const int64_t *stride = node_list(node, stride, &count), *pad = node_list(node, pad, &count);
    struct conv_extents e = {.images = x->dims[0],
                             .height = x->dims[1],
                             .width = x->dims[2],
                             .channels = x->dims[3],
                             .out_height = y->dims[1],
                             .out_width = y->dims[2],
                             .out_channels = y->dims[3],
                             .rows = w->dims[1],
                             .columns = w->dims[2],
                             .groups = node_int(node, groups)};
    e.stride[0] = stride ? stride[0] : 1;
    e.stride[1] = stride ? stride[1] : 1;
    e.top = pad ? pad[0] : 0;
    e.left = pad ? pad[2] : 0;
    return e;
}

struct product_extents product_extents(const struct node *node)
{
    if (node->op == OP_matmul)
        return matmul_extents(node);
    struct conv_extents c = conv_extents(node);
    struct product_extents e = {.batch = c.groups};
    int64_t taps = c.rows * c.columns, in = c.channels / c.groups;
    int64_t out = c.out_channels / c.groups, pixels = c.images * c.out_height * c.out_width;
    if (node->op == OP_conv2d) {
        e.m = pixels;
        e.n = out;
        e.k = taps * in;
        e.transb = true;
    } else if (node->op == OP_conv2d_input) {
        e.m = c.images * c.height * c.width;
        e.n = in;
        e.k = taps * out;
    } else {
        e.m = out;
        e.n = taps * in;
        e.k = pixels;
    }
    return e;
}
