/* See stored_view.h. */
#include "ir/stored_view.h"

#include <string.h>

enum { ROW_BYTES = 16 };

/* --- memory --- */

static void set_contiguous(struct stored_view *view, int64_t row)
{
    int64_t stride = 1;
    for (int k = view->rank; k-- > 0;) {
        view->strides[k] = stride;
        stride *= k == view->rank - 1 ? row : view->dims[k];
    }
}

struct stored_view stored_view_of(const struct value *value, bool padded)
{
    const struct type *type = &value->type;
    struct stored_view view = {.base = value, .rank = type->rank};
    memcpy(view.dims, type->dims, sizeof view.dims);
    if (type->strided) {
        memcpy(view.strides, type->strides, sizeof view.strides);
        view.offset = type->offset;
        return view;
    }
    int64_t unit = ROW_BYTES * 8 / dtype_bits(type->dtype);
    int64_t row = type->rank > 0 ? type->dims[type->rank - 1] : 1;
    if (padded && type->rank >= 2 && dtype_is_float(type->dtype))
        row = (row + unit - 1) / unit * unit;
    set_contiguous(&view, row);
    return view;
}

/* --- reshape --- */

/* Neighbouring axes that lie in memory like one, as one; axes of extent 1 disappear. */
static void join_axes(struct stored_view *view)
{
    int rank = 0;
    for (int k = 0; k < view->rank; k++) {
        if (view->dims[k] == 1)
            continue;
        bool joins = rank > 0 && view->strides[rank - 1] == view->dims[k] * view->strides[k];
        rank += !joins;
        view->dims[rank - 1] = joins ? view->dims[rank - 1] * view->dims[k] : view->dims[k];
        view->strides[rank - 1] = view->strides[k];
    }
    view->rank = rank;
}

/* Each new axis is cut off the end of what is left of an old one. */
bool stored_view_reshape(struct stored_view *view, int rank, const int64_t *dims)
{
    struct stored_view from = *view;
    join_axes(&from);
    int at = from.rank - 1;
    int64_t left = at >= 0 ? from.dims[at] : 1, stride = at >= 0 ? from.strides[at] : 1;
    for (int k = rank; k-- > 0;) {
        if (left == 1 && at > 0) {
            left = from.dims[--at];
            stride = from.strides[at];
        }
        view->dims[k] = dims[k];
        view->strides[k] = dims[k] == 1 ? left * stride : stride;
        if (dims[k] == 0 || left % dims[k] != 0)
            return false;
        left /= dims[k];
        stride *= dims[k];
    }
    view->rank = rank;
    return left == 1 && at <= 0;
}

/* --- index maps --- */

static bool permute(struct stored_view *view, const struct node *node)
{
    const struct stored_view from = *view;
    int count;
    const int64_t *perm = node_list(node, perm, &count);
    for (int k = 0; k < count; k++) {
        view->dims[k] = from.dims[perm[k]];
        view->strides[k] = from.strides[perm[k]];
    }
    return count == from.rank;
}

static bool cut(struct stored_view *view, const struct node *node)
{
    int64_t axis = node_int(node, axis);
    view->offset += node_int(node, at) * view->strides[axis];
    view->dims[axis] = node->results[0].type.dims[axis];
    view->strides[axis] *= view->dims[axis] > 1 ? node_int(node, step) : 1;
    return true;
}

static bool repeat(struct stored_view *view, const struct type *to)
{
    const struct stored_view from = *view;
    for (int k = 0; k < to->rank; k++) {
        bool same = k < from.rank && from.dims[k] == to->dims[k];
        view->dims[k] = to->dims[k];
        view->strides[k] = same ? from.strides[k] : 0;
    }
    view->rank = to->rank;
    return from.rank == 0 || from.rank == to->rank;
}

static bool apply(struct stored_view *view, const struct node *node)
{
    const struct type *to = &node->results[0].type;
    switch (node->op) {
    case OP_reshape: return stored_view_reshape(view, to->rank, to->dims);
    case OP_transpose: return permute(view, node);
    case OP_slice: return cut(view, node);
    case OP_broadcast: return repeat(view, to);
    default: return false;
    }
}

bool stored_view(const struct kernel *kernel, const struct value *value, bool padded,
                 struct stored_view *out)
{
    enum { MOST = 32 };
    const struct node *maps[MOST];
    int count = 0;
    for (; value->node->kernel == kernel; value = value->node->operands[0]) {
        if (value->node->operand_count != 1 || count == MOST)
            return false;
        maps[count++] = value->node;
    }
    *out = stored_view_of(value, padded);
    bool strided = value->node->op != OP_const;
    while (count > 0 && strided)
        strided = apply(out, maps[--count]);
    return strided;
}
