/* Shape rules of structured ops. */
#include "ir/shape.h"

/* %ids[i..], %rows[i.., d..] {dims = [N, d..]} */
void shape_scatter_add(const struct shape_call *call)
{
    int rank;
    const struct type *ids = operand_type(call, 0), *rows = operand_type(call, 1);
    const int64_t *dims = shape_list(call, ATTRIBUTE_dims, -1, 0, &rank);
    shape_need_index(call, 0);
    bool fits = rank >= 1 && rows->rank == ids->rank + rank - 1;
    for (int i = 0; fits && i < rows->rank; i++)
        fits = rows->dims[i] == (i < ids->rank ? ids->dims[i] : dims[i - ids->rank + 1]);
    if (!fits || rows->dtype == DTYPE_bool)
        fatal_at(call->location, SHAPE_INDEX, call->name, shape_text(rows), shape_text(ids));
    shape_result(call, 0, rows->dtype, rank, dims);
}

static void refuse_matmul(const struct shape_call *call, const char *why)
{
    fatal_at(call->location, SHAPE_MATMUL, shape_text(operand_type(call, 0)),
             shape_text(operand_type(call, 1)), why);
}

/* The result's dtype is the attribute, or that of the first operand. */
void shape_matmul(const struct shape_call *call)
{
    const struct type *a = operand_type(call, 0), *b = operand_type(call, 1);
    enum dtype dtype = shape_dtype(call, a->dtype);
    shape_need_rank(call, 0, 2);
    shape_need_rank(call, 1, 2);
    shape_need_float(call, 0);
    shape_need_float(call, 1);
    if (!dtype_is_float(dtype))
        fatal_at(call->location, SHAPE_ATTRIBUTE, call->name, "dtype", "a float type is needed");
    if (b->rank != 2 && b->rank != a->rank)
        refuse_matmul(call, "the second has rank 2, or the rank of the first");
    for (int i = 0; b->rank > 2 && i < a->rank - 2; i++)
        if (a->dims[i] != b->dims[i])
            refuse_matmul(call, "leading dimensions differ");
    int transa = call_int(call, transa) != 0, transb = call_int(call, transb) != 0;
    if (a->dims[a->rank - 1 - transa] != b->dims[b->rank - 2 + transb])
        refuse_matmul(call, "inner dimensions differ");
    struct type result = type_make(dtype, a->rank, a->dims);
    result.dims[a->rank - 2] = a->dims[a->rank - 2 + transa];
    result.dims[a->rank - 1] = b->dims[b->rank - 1 - transb];
    shape_result(call, 0, result.dtype, result.rank, result.dims);
}

/* --- convolutions --- */

static void refuse_conv(const struct shape_call *call, const char *why)
{
    fatal_at(call->location, SHAPE_CONV, call->name, shape_text(operand_type(call, 0)),
             shape_text(operand_type(call, 1)), why);
}

/* Dims [N,H',W',O] of a convolution of x by w, checked. */
static void conv_dims(const struct shape_call *call, const int64_t *x, const int64_t *w,
                      int64_t *out_dims)
{
    const int64_t *stride = shape_list(call, ATTRIBUTE_stride, 2, 1, NULL);
    const int64_t *pad = shape_list(call, ATTRIBUTE_pad, 4, 0, NULL);
    int64_t groups = call_int(call, groups);
    if (groups < 1 || w[0] % groups || x[3] % groups || x[3] / groups != w[3])
        refuse_conv(call, "channels do not fit the filter and the groups");
    out_dims[0] = x[0];
    out_dims[3] = w[0];
    for (int i = 0; i < 2; i++) {
        int64_t room = x[1 + i] + pad[2 * i] + pad[2 * i + 1] - w[1 + i];
        if (room < 0 || w[1 + i] < 1)
            refuse_conv(call, "the filter is larger than the padded image, or empty");
        out_dims[1 + i] = room / stride[i] + 1;
    }
}

static void need_conv_operands(const struct shape_call *call)
{
    for (int i = 0; i < 2; i++) {
        shape_need_float(call, i);
        if (operand_type(call, i)->rank != 4)
            refuse_conv(call, "both have rank 4");
    }
}

void shape_conv2d(const struct shape_call *call)
{
    int64_t dims[4];
    need_conv_operands(call);
    conv_dims(call, operand_type(call, 0)->dims, operand_type(call, 1)->dims, dims);
    shape_result(call, 0, shape_dtype(call, operand_type(call, 0)->dtype), 4, dims);
}

static void need_conv_gradient(const struct shape_call *call, const int64_t *x, const int64_t *w)
{
    int64_t dims[4];
    conv_dims(call, x, w, dims);
    for (int i = 0; i < 4; i++)
        if (operand_type(call, 1)->dims[i] != dims[i])
            refuse_conv(call, "the gradient does not have the dimensions of the result");
}

void shape_conv2d_input(const struct shape_call *call)
{
    need_conv_operands(call);
    const int64_t *dims = shape_list(call, ATTRIBUTE_dims, 4, 0, NULL);
    need_conv_gradient(call, dims, operand_type(call, 0)->dims);
    shape_result(call, 0, shape_dtype(call, operand_type(call, 1)->dtype), 4, dims);
}

void shape_conv2d_filter(const struct shape_call *call)
{
    need_conv_operands(call);
    const int64_t *dims = shape_list(call, ATTRIBUTE_dims, 4, 0, NULL);
    need_conv_gradient(call, operand_type(call, 0)->dims, dims);
    shape_result(call, 0, shape_dtype(call, operand_type(call, 1)->dtype), 4, dims);
}

/* --- attention --- */

static void refuse_attention(const struct shape_call *call, int operand, const char *why)
{
    fatal_at(call->location, SHAPE_ATTENTION, shape_text(operand_type(call, 0)),
             shape_text(operand_type(call, operand)), why);
}

static void check_bias(const struct shape_call *call, int operand)
{
    const struct type *q = operand_type(call, 0), *k = operand_type(call, 1);
    const struct type *bias = operand_type(call, operand);
    const int64_t wanted[] = {q->dims[0], q->dims[2], q->dims[1], k->dims[1]};
    shape_need_float(call, operand);
    bool fits = bias->rank == 4 && bias->dims[3] == wanted[3];
    for (int i = 0; fits && i < 3; i++)
        fits = bias->dims[i] == wanted[i] || bias->dims[i] == 1;
    if (!fits)
        refuse_attention(call, operand, "the bias is [B or 1, H or 1, T or 1, S]");
}

void shape_attention(const struct shape_call *call)
{
    bool cached = call_int(call, cached), biased = call_int(call, biased);
    if (call->count != 3 + cached + biased)
        fatal_at(call->location, SHAPE_OPERANDS, call->name, 3 + cached + biased,
                 3 + cached + biased, call->count);
    const struct type *q = operand_type(call, 0), *k = operand_type(call, 1);
    for (int i = 0; i < 3; i++) {
        shape_need_float(call, i);
        if (operand_type(call, i)->rank != 4)
            refuse_attention(call, i, "q, k and v have rank 4");
    }
    shape_need_same_dims(call, 1, 2);
    if (q->dims[0] != k->dims[0] || q->dims[3] != k->dims[3])
        refuse_attention(call, 1, "batch or head size differ");
    if (k->dims[2] < 1 || q->dims[2] % k->dims[2])
        refuse_attention(call, 1, "the number of key heads does not divide that of query heads");
    if (call_int(call, window) < 0 || (call_int(call, ring) && !cached))
        refuse_attention(call, 1, "window is negative, or ring without cached");
    if (cached) {
        shape_need_dtype(call, 3, DTYPE_i32);
        if (operand_type(call, 3)->rank != 1 || operand_type(call, 3)->dims[0] != q->dims[0])
            refuse_attention(call, 3, "the positions are [B]");
    }
    if (biased)
        check_bias(call, call->count - 1);
    shape_result(call, 0, shape_dtype(call, q->dtype), q->rank, q->dims);
}

/* --- state --- */

/* Operands from `first` on are i32[B], B the extent of axis 0 of operand 0. */
static void need_rows(const struct shape_call *call, int first)
{
    for (int i = first; i < call->count; i++) {
        const struct type *type = operand_type(call, i);
        shape_need_dtype(call, i, DTYPE_i32);
        if (type->rank != 1 || type->dims[0] != operand_type(call, 0)->dims[0])
            fatal_at(call->location, SHAPE_INDEX, call->name, shape_text(operand_type(call, 0)),
                     shape_text(type));
    }
}

void shape_update(const struct shape_call *call)
{
    const struct type *cache = operand_type(call, 0), *rows = operand_type(call, 1);
    shape_need_rank(call, 0, 2);
    shape_need_same_dtype(call, 0, 1);
    bool fits = cache->rank == rows->rank;
    for (int i = 0; fits && i < cache->rank; i++)
        fits = i == 1 || cache->dims[i] == rows->dims[i];
    if (!fits)
        fatal_at(call->location, SHAPE_DIMS, call->name, shape_text(cache), shape_text(rows));
    need_rows(call, 2);
    shape_result(call, 0, cache->dtype, cache->rank, cache->dims);
}

void shape_mark(const struct shape_call *call)
{
    const struct type *seen = operand_type(call, 0), *ids = operand_type(call, 1);
    shape_need_dtype(call, 0, DTYPE_bool);
    shape_need_dtype(call, 1, DTYPE_i32);
    if (seen->rank != 2 || ids->rank != 2 || seen->dims[0] != ids->dims[0])
        fatal_at(call->location, SHAPE_INDEX, call->name, shape_text(seen), shape_text(ids));
    need_rows(call, 2);
    shape_result(call, 0, seen->dtype, seen->rank, seen->dims);
}

/* --- along an axis --- */

void shape_sort(const struct shape_call *call)
{
    const struct type *type = operand_type(call, 0);
    shape_axis(call, 0);
    shape_result(call, 0, type->dtype, type->rank, type->dims);
    shape_result(call, 1, DTYPE_i32, type->rank, type->dims);
}

void shape_cumsum(const struct shape_call *call)
{
    const struct type *type = operand_type(call, 0);
    shape_axis(call, 0);
    if (type->dtype == DTYPE_bool)
        fatal_at(call->location, SHAPE_DTYPE, call->name, "other than bool", shape_text(type));
    shape_result(call, 0, type->dtype, type->rank, type->dims);
}
