/* Shape rules of leaves, sources and index maps. */
#include "ir/shape.h"

/* A leaf's type is given where it is made; nothing may infer it. */
static void refuse_leaf(const struct shape_call *call)
{
    fatal(INTERNAL, "the type of a leaf cannot be inferred", call->name);
}

void shape_param(const struct shape_call *call)
{
    refuse_leaf(call);
}

void shape_weight(const struct shape_call *call)
{
    refuse_leaf(call);
}

void shape_state(const struct shape_call *call)
{
    refuse_leaf(call);
}

/* --- sources --- */

void shape_const(const struct shape_call *call)
{
    enum { INLINE_VALUES = 64 };
    int rank = 0, count = 0;
    enum dtype dtype = shape_dtype(call, DTYPE_f32);
    const int64_t *dims = call_list(call, dims, &rank);
    const int64_t *values = call_list(call, values, &count);
    bool blob = attributes_text(call->attributes, ATTRIBUTE_blob) != NULL;
    if (values || blob)
        dims = shape_list(call, ATTRIBUTE_dims, -1, 0, &rank);
    else if (dims)
        fatal_at(call->location, SHAPE_ATTRIBUTE, call->name, "dims", "a scalar has none");
    shape_result(call, 0, dtype, rank, dims);
    if (values && (blob || count > INLINE_VALUES || type_elements(&call->out[0]) != count))
        fatal_at(call->location, SHAPE_ATTRIBUTE, call->name, "values", "wrong number of items");
}

void shape_iota(const struct shape_call *call)
{
    int rank;
    enum dtype dtype = shape_dtype(call, DTYPE_i32);
    const int64_t *dims = shape_list(call, ATTRIBUTE_dims, -1, 0, &rank);
    int64_t axis = call_int(call, axis);
    shape_result(call, 0, dtype, rank, dims);
    if (dtype == DTYPE_bool)
        fatal_at(call->location, SHAPE_ATTRIBUTE, call->name, "dtype", "bool cannot count");
    if (axis < 0 || axis >= rank)
        fatal_at(call->location, SHAPE_AXIS, call->name, (long long)axis,
                 shape_text(&call->out[0]));
}

void shape_positions(const struct shape_call *call)
{
    shape_result(call, 0, DTYPE_i32, 2, shape_list(call, ATTRIBUTE_dims, 2, 0, NULL));
}

/* --- index maps --- */

void shape_reshape(const struct shape_call *call)
{
    int rank;
    const struct type *type = operand_type(call, 0);
    const int64_t *dims = shape_list(call, ATTRIBUTE_dims, -1, 0, &rank);
    shape_result(call, 0, type->dtype, rank, dims);
    if (type_elements(&call->out[0]) != type_elements(type))
        fatal_at(call->location, SHAPE_RESHAPE, shape_text(type), shape_text(&call->out[0]));
}

void shape_transpose(const struct shape_call *call)
{
    const struct type *type = operand_type(call, 0);
    const int64_t *perm = shape_list(call, ATTRIBUTE_perm, type->rank, 0, NULL);
    bool seen[MAX_RANK] = {false};
    int64_t dims[MAX_RANK];
    for (int i = 0; i < type->rank; i++) {
        if (perm[i] >= type->rank || seen[perm[i]])
            fatal_at(call->location, SHAPE_AXIS, call->name, (long long)perm[i], shape_text(type));
        seen[perm[i]] = true;
        dims[i] = type->dims[perm[i]];
    }
    shape_result(call, 0, type->dtype, type->rank, dims);
}

void shape_broadcast(const struct shape_call *call)
{
    int rank;
    const struct type *type = operand_type(call, 0);
    const int64_t *dims = shape_list(call, ATTRIBUTE_dims, -1, 0, &rank);
    shape_result(call, 0, type->dtype, rank, dims);
    bool fits = type->rank == 0 || type->rank == rank;
    for (int i = 0; fits && i < type->rank; i++)
        fits = type->dims[i] == dims[i] || type->dims[i] == 1;
    if (!fits)
        fatal_at(call->location, SHAPE_BROADCAST, shape_text(type), shape_text(&call->out[0]));
}

void shape_slice(const struct shape_call *call)
{
    const struct type *type = operand_type(call, 0);
    int axis = shape_axis(call, 0);
    int64_t at = call_int(call, at), len = call_int(call, len), step = call_int(call, step);
    int64_t extent = type->dims[axis], limit = (int64_t)1 << 40;
    bool inside = at >= 0 && len >= 0 && step >= 1 && at <= extent && len <= extent;
    if (inside && len > 0)
        inside = step < limit && at < extent && (len - 1) <= (extent - 1 - at) / step;
    if (!inside)
        fatal_at(call->location, SHAPE_SLICE, shape_text(type), (long long)axis, (long long)len,
                 (long long)at, (long long)step);
    struct type result = type_make(type->dtype, type->rank, type->dims);
    result.dims[axis] = len;
    shape_result(call, 0, result.dtype, result.rank, result.dims);
}

static void refuse_granule(const struct shape_call *call)
{
    fatal_at(call->location, SHAPE_ATTRIBUTE, call->name, "granule",
             "operands that take turns have equal extents, multiples of it");
}

void shape_concat(const struct shape_call *call)
{
    int axis = shape_axis(call, 0);
    struct type result = type_make(operand_type(call, 0)->dtype, operand_type(call, 0)->rank,
                                   operand_type(call, 0)->dims);
    for (int i = 1; i < call->count; i++) {
        struct type part = *operand_type(call, i);
        shape_need_same_dtype(call, 0, i);
        int64_t extent = part.rank > axis ? part.dims[axis] : 0;
        if (part.rank > axis)
            part.dims[axis] = operand_type(call, 0)->dims[axis];
        if (!type_same_dims(&part, operand_type(call, 0)))
            fatal_at(call->location, SHAPE_DIMS, call->name, shape_text(operand_type(call, 0)),
                     shape_text(operand_type(call, i)));
        result.dims[axis] += extent; /* at most 64 of less than 2^40 */
        if (call_int(call, granule) && extent != operand_type(call, 0)->dims[axis])
            refuse_granule(call);
    }
    int64_t granule = call_int(call, granule);
    if (granule < 0 || (granule > 0 && operand_type(call, 0)->dims[axis] % granule))
        refuse_granule(call);
    shape_result(call, 0, result.dtype, result.rank, result.dims);
}

void shape_pad(const struct shape_call *call)
{
    const struct type *type = operand_type(call, 0);
    const int64_t *low = shape_list(call, ATTRIBUTE_low, type->rank, 0, NULL);
    const int64_t *high = shape_list(call, ATTRIBUTE_high, type->rank, 0, NULL);
    int64_t dims[MAX_RANK];
    for (int i = 0; i < type->rank; i++)
        dims[i] = low[i] + type->dims[i] + high[i];
    shape_result(call, 0, type->dtype, type->rank, dims);
}

/* %table[b.., N, d..] by %ids[b.., i..] gives [b.., i.., d..]. */
void shape_gather(const struct shape_call *call)
{
    const struct type *table = operand_type(call, 0), *ids = operand_type(call, 1);
    int64_t batch = call_int(call, batch), dims[2 * MAX_RANK];
    int rank = 0;
    shape_need_index(call, 1);
    bool fits = batch >= 0 && batch <= ids->rank && batch < table->rank;
    for (int i = 0; fits && i < batch; i++)
        fits = table->dims[i] == ids->dims[i];
    if (!fits)
        fatal_at(call->location, SHAPE_INDEX, call->name, shape_text(table), shape_text(ids));
    for (int i = 0; i < ids->rank; i++)
        dims[rank++] = ids->dims[i];
    for (int i = (int)batch + 1; i < table->rank; i++)
        dims[rank++] = table->dims[i];
    shape_result(call, 0, table->dtype, rank, dims);
}
