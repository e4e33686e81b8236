/* Gradients of structured ops: gradient_NAME of each OP row. */
#include "passes/grad.h"

#include <string.h>

/* --- what has no gradient --- */

/* Sources and leaves: nothing before them. */
#define NOTHING(name)                                                                   \
    void gradient_##name(struct gradient *g, const struct node *node, struct value *dy) \
    {                                                                                   \
        (void)g, (void)node, (void)dy;                                                  \
    }
NOTHING(param)
NOTHING(weight)
NOTHING(state)
NOTHING(const)
NOTHING(iota)
NOTHING(positions)
NOTHING(decode)
NOTHING(mark) /* flags */

/* What goes into a state is read by a later call, which no gradient of this one can follow. */
#define REFUSED(op)                                                                   \
    void gradient_##op(struct gradient *g, const struct node *node, struct value *dy) \
    {                                                                                 \
        (void)g, (void)dy;                                                            \
        fatal_at(node->location, GRAD_MISSING, #op);                                  \
    }
REFUSED(update)

/* --- index maps --- */

static const struct type *operand_type(const struct node *node, int i)
{
    return &node->operands[i]->type;
}

void gradient_reshape(struct gradient *g, const struct node *node, struct value *dy)
{
    const struct type *type = operand_type(node, 0);
    gradient_add(g, node, 0, build_reshape(&g->b, dy, type->rank, type->dims));
}

void gradient_transpose(struct gradient *g, const struct node *node, struct value *dy)
{
    int rank;
    int64_t inverse[MAX_RANK];
    const int64_t *perm = node_list(node, perm, &rank);
    for (int i = 0; i < rank; i++)
        inverse[perm[i]] = i;
    gradient_add(g, node, 0, build_transpose(&g->b, dy, inverse));
}

void gradient_broadcast(struct gradient *g, const struct node *node, struct value *dy)
{
    gradient_add(g, node, 0, gradient_reduce_to(g, dy, operand_type(node, 0)));
}

/* x with `low` and `high` zeros before and after along one axis. */
static struct value *pad_axis(struct gradient *g, struct value *x, int axis, int64_t low,
                              int64_t high)
{
    struct arena *arena = g->b.module->arena;
    struct attributes attributes = {0};
    int64_t before[MAX_RANK] = {0}, after[MAX_RANK] = {0};
    before[axis] = low;
    after[axis] = high;
    attributes_set_list(arena, &attributes, ATTRIBUTE_low, before, x->type.rank);
    attributes_set_list(arena, &attributes, ATTRIBUTE_high, after, x->type.rank);
    return &build_node(&g->b, OP_pad, &x, 1, attributes, NULL)->results[0];
}

/*
 * x with step-1 zeros after each element along an axis: each element becomes a row of `step`
 * elements on an axis of its own, the first of them x. Needs a free rank; rows of x before the axis
 * are joined into one axis, those after it too.
 */
static struct value *spread_axis(struct gradient *g, struct value *x, int axis, int64_t step)
{
    int64_t outer = 1, inner = 1, dims[MAX_RANK];
    for (int i = 0; i < axis; i++)
        outer *= x->type.dims[i];
    for (int i = axis + 1; i < x->type.rank; i++)
        inner *= x->type.dims[i];
    int64_t split[] = {outer, x->type.dims[axis], 1, inner};
    memcpy(dims, x->type.dims, sizeof dims);
    dims[axis] *= step;
    struct value *rows = build_reshape(&g->b, x, 4, split);
    return build_reshape(&g->b, pad_axis(g, rows, 2, 0, step - 1), x->type.rank, dims);
}

void gradient_slice(struct gradient *g, const struct node *node, struct value *dy)
{
    int axis = (int)node_int(node, axis);
    int64_t at = node_int(node, at), step = node_int(node, step), len = node_int(node, len);
    int64_t room = operand_type(node, 0)->dims[axis] - at;
    if (step > 1 && len > 0) {
        dy = spread_axis(g, dy, axis, step);
        if (dy->type.dims[axis] > room)
            dy = build_slice(&g->b, dy, axis, 0, room);
    }
    gradient_add(g, node, 0, pad_axis(g, dy, axis, at, room - dy->type.dims[axis]));
}

/* x as [turns, elements of a turn, rest]: `turn` elements along the axis at a time. */
static struct value *split_turns(struct gradient *g, struct value *x, int axis, int64_t turn)
{
    int64_t dims[3] = {1, turn, 1};
    for (int i = 0; i < axis; i++)
        dims[0] *= x->type.dims[i];
    dims[0] *= turn ? x->type.dims[axis] / turn : 0;
    for (int i = axis + 1; i < x->type.rank; i++)
        dims[2] *= x->type.dims[i];
    return build_reshape(&g->b, x, 3, dims);
}

void gradient_concat(struct gradient *g, const struct node *node, struct value *dy)
{
    int axis = (int)node_int(node, axis);
    int64_t at = 0, granule = node_int(node, granule);
    if (granule) /* turns become an axis of their own */
        dy = split_turns(g, dy, axis, granule * node->operand_count);
    for (int i = 0; i < node->operand_count; i++) {
        const struct type *type = operand_type(node, i);
        int64_t len = granule ? granule : type->dims[axis];
        struct value *part = NULL;
        if (gradient_wanted(g, node, i))
            part = build_slice(&g->b, dy, granule ? 1 : axis, at, len);
        if (part)
            gradient_add(g, node, i,
                         granule ? build_reshape(&g->b, part, type->rank, type->dims) : part);
        at += len;
    }
}

void gradient_pad(struct gradient *g, const struct node *node, struct value *dy)
{
    int rank;
    const int64_t *low = node_list(node, low, &rank);
    for (int i = 0; i < rank; i++)
        if (dy->type.dims[i] != operand_type(node, 0)->dims[i])
            dy = build_slice(&g->b, dy, i, low[i], operand_type(node, 0)->dims[i]);
    gradient_add(g, node, 0, dy);
}

/* --- indexing --- */

static struct value *scatter(struct gradient *g, struct value *ids, struct value *rows, int rank,
                             const int64_t *dims)
{
    struct attributes attributes = {0};
    struct value *operands[] = {ids, rows};
    attributes_set_list(g->b.module->arena, &attributes, ATTRIBUTE_dims, dims, rank);
    return &build_node(&g->b, OP_scatter_add, operands, 2, attributes, NULL)->results[0];
}

/* Ids of rows of the table with its batch axes joined to its rows: b * rows + id. */
static struct value *joined_ids(struct gradient *g, struct value *ids, int batch, int64_t rows)
{
    enum dtype dtype = ids->type.dtype;
    int64_t groups = 1, each = 1;
    for (int i = 0; i < ids->type.rank; i++)
        *(i < batch ? &groups : &each) *= ids->type.dims[i];
    ids = build_binary(&g->b, OP_max, ids, build_constant(&g->b, dtype, 0));
    ids = build_binary(&g->b, OP_min, ids, build_constant(&g->b, dtype, (double)rows - 1));
    int64_t dims[] = {groups, each};
    struct value *first = build_iota(&g->b, dtype, 2, dims, 0);
    first = build_binary(&g->b, OP_mul, first, build_constant(&g->b, dtype, (double)rows));
    return build_binary(&g->b, OP_add, build_reshape(&g->b, ids, 2, dims), first);
}

void gradient_gather(struct gradient *g, const struct node *node, struct value *dy)
{
    const struct type *table = operand_type(node, 0);
    int batch = (int)node_int(node, batch), rank = 1;
    struct value *ids = node->operands[1];
    if (batch == 0) {
        gradient_add(g, node, 0, scatter(g, ids, dy, table->rank, table->dims));
        return;
    }
    ids = joined_ids(g, ids, batch, table->dims[batch]);
    int64_t joined[MAX_RANK] = {1}, rows[MAX_RANK + 1] = {ids->type.dims[0], ids->type.dims[1]};
    for (int i = 0; i <= batch; i++)
        joined[0] *= table->dims[i];
    for (int i = batch + 1; i < table->rank; i++, rank++)
        joined[rank] = rows[rank + 1] = table->dims[i];
    dy = build_reshape(&g->b, dy, rank + 1, rows);
    dy = scatter(g, ids, dy, rank, joined);
    gradient_add(g, node, 0, build_reshape(&g->b, dy, table->rank, table->dims));
}

void gradient_scatter_add(struct gradient *g, const struct node *node, struct value *dy)
{
    gradient_add(g, node, 1, build_gather(&g->b, dy, node->operands[0], 0));
}

/* --- products --- */

static struct value *swap_last(struct gradient *g, struct value *x)
{
    int64_t perm[MAX_RANK];
    for (int i = 0; i < x->type.rank; i++)
        perm[i] = i;
    perm[x->type.rank - 1] = x->type.rank - 2;
    perm[x->type.rank - 2] = x->type.rank - 1;
    return build_transpose(&g->b, x, perm);
}

/* All rows of a batch of matrices as one matrix. */
static struct value *join_rows(struct gradient *g, struct value *x)
{
    int64_t dims[] = {1, x->type.dims[x->type.rank - 1]};
    for (int i = 0; i < x->type.rank - 1; i++)
        dims[0] *= x->type.dims[i];
    return build_reshape(&g->b, x, 2, dims);
}

/* Y = A B: dA = dY B^T. */
static struct value *left_gradient(struct gradient *g, const struct node *node, struct value *dy)
{
    struct value *b = node->operands[1];
    struct value *da = build_matmul(&g->b, dy, b, false, !node_int(node, transb));
    return node_int(node, transa) ? swap_last(g, da) : da;
}

/* Y = A B: dB = A^T dY, summed over the batch if B is shared. */
static struct value *right_gradient(struct gradient *g, const struct node *node, struct value *dy)
{
    struct value *a = node->operands[0];
    bool transa = node_int(node, transa), transb = node_int(node, transb);
    if (operand_type(node, 1)->rank == 2 && a->type.rank > 2) {
        a = join_rows(g, transa ? swap_last(g, a) : a);
        dy = join_rows(g, dy);
        transa = false;
    }
    return transb ? build_matmul(&g->b, dy, a, true, transa)
                  : build_matmul(&g->b, a, dy, !transa, false);
}

void gradient_matmul(struct gradient *g, const struct node *node, struct value *dy)
{
    if (gradient_wanted(g, node, 0))
        gradient_add(g, node, 0, left_gradient(g, node, dy));
    if (gradient_wanted(g, node, 1))
        gradient_add(g, node, 1, right_gradient(g, node, dy));
}

/* --- convolution --- */

static void conv_gradient(struct gradient *g, const struct node *node, struct value *dy, enum op op,
                          int wanted)
{
    struct attributes attributes = node->attributes;
    const struct type *type = operand_type(node, wanted);
    struct value *operands[] = {node->operands[1 - wanted], dy};
    if (!gradient_wanted(g, node, wanted))
        return;
    attributes_set_list(g->b.module->arena, &attributes, ATTRIBUTE_dims, type->dims, 4);
    gradient_add(g, node, wanted,
                 &build_node(&g->b, op, operands, 2, attributes, NULL)->results[0]);
}

void gradient_conv2d(struct gradient *g, const struct node *node, struct value *dy)
{
    conv_gradient(g, node, dy, OP_conv2d_input, 0);
    conv_gradient(g, node, dy, OP_conv2d_filter, 1);
}

/* The attributes of conv2d among those of its gradients. */
static struct attributes without_dims(struct gradient *g, const struct attributes *attributes)
{
    struct attributes copy = attributes_copy(g->b.module->arena, attributes);
    attributes_remove(&copy, ATTRIBUTE_dims);
    return copy;
}

/* One of the three products of a convolution: x with w, w with dy, or x with dy. */
static struct value *conv_product(struct gradient *g, const struct node *node, enum op op,
                                  struct value *a, struct value *b, const struct type *result)
{
    struct attributes attributes = node->attributes;
    struct value *operands[] = {a, b};
    if (result)
        attributes_set_list(g->b.module->arena, &attributes, ATTRIBUTE_dims, result->dims, 4);
    else
        attributes = without_dims(g, &attributes);
    return &build_node(&g->b, op, operands, 2, attributes, NULL)->results[0];
}

/* y[n, h, w, i] = conv2d_input(w, dy): linear in both, and conv2d is its adjoint in dy. */
void gradient_conv2d_input(struct gradient *g, const struct node *node, struct value *dy)
{
    struct value *w = node->operands[0], *inner = node->operands[1];
    if (gradient_wanted(g, node, 0))
        gradient_add(g, node, 0, conv_product(g, node, OP_conv2d_filter, dy, inner, &w->type));
    if (gradient_wanted(g, node, 1))
        gradient_add(g, node, 1, conv_product(g, node, OP_conv2d, dy, w, NULL));
}

/* y[o, kh, kw, i] = conv2d_filter(x, dy): likewise. */
void gradient_conv2d_filter(struct gradient *g, const struct node *node, struct value *dy)
{
    struct value *x = node->operands[0], *inner = node->operands[1];
    if (gradient_wanted(g, node, 0))
        gradient_add(g, node, 0, conv_product(g, node, OP_conv2d_input, dy, inner, &x->type));
    if (gradient_wanted(g, node, 1))
        gradient_add(g, node, 1, conv_product(g, node, OP_conv2d, x, dy, NULL));
}

/* --- along an axis --- */

/* The element that sorting put at a place gets that place's gradient. The axis goes last, so that
 * rows are rows of a table. */
void gradient_sort(struct gradient *g, const struct node *node, struct value *dy)
{
    const struct type *type = operand_type(node, 0);
    int last = type->rank - 1, axis = (int)node_int(node, axis);
    int64_t perm[MAX_RANK], extent = type->dims[axis];
    for (int i = 0; i < type->rank; i++)
        perm[i] = i == axis ? last : i == last ? axis : i;
    struct value *indices = build_transpose(&g->b, (struct value *)&node->results[1], perm);
    struct value *rows = build_transpose(&g->b, dy, perm);
    const struct type moved = rows->type;
    const int64_t table[2] = {extent ? type_elements(type) / extent : 0, extent};
    const int64_t count = type_elements(type);
    struct value *ids = build_reshape(&g->b, indices, 2, table);
    struct value *first = build_iota(&g->b, DTYPE_i32, 2, table, 0);
    first = build_binary(&g->b, OP_mul, first, build_constant(&g->b, DTYPE_i32, (double)extent));
    ids = build_reshape(&g->b, build_binary(&g->b, OP_add, ids, first), 1, &count);
    struct value *dx = scatter(g, ids, build_reshape(&g->b, rows, 1, &count), 1, &count);
    dx = build_reshape(&g->b, dx, moved.rank, moved.dims);
    gradient_add(g, node, 0, build_transpose(&g->b, dx, perm));
}

/* dx[i] is the sum of dy from i on (after i, if exclusive): the total less what comes before. */
void gradient_cumsum(struct gradient *g, const struct node *node, struct value *dy)
{
    struct attributes attributes = node->attributes;
    int64_t axis = node_int(node, axis);
    attributes_set_int(g->b.module->arena, &attributes, ATTRIBUTE_exclusive,
                       !node_int(node, exclusive));
    struct value *before = &build_node(&g->b, OP_cumsum, &dy, 1, attributes, NULL)->results[0];
    struct value *total = build_reduce(&g->b, OP_sum, dy, &axis, 1);
    total = build_broadcast(&g->b, total, dy->type.rank, dy->type.dims);
    gradient_add(g, node, 0, build_binary(&g->b, OP_sub, total, before));
}
