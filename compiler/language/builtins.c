/*
 * The functions that prelude.model declares with `= builtin`: structured ops and what asks for
 * shapes. Their parameters and defaults stand there; arguments come complete and in order.
 */
#include "lower.h"

#include <string.h>

static void set_list(struct lowering *l, struct attributes *a, enum attribute_id id,
                     const int64_t *list, int count)
{
    attributes_set_list(l->arena, a, id, list, count);
}

static void set_int(struct lowering *l, struct attributes *a, enum attribute_id id, int64_t value)
{
    attributes_set_int(l->arena, a, id, value);
}

static struct datum emit_call(struct lowering *l, const struct call *call, enum op op,
                              struct value *const *operands, int count,
                              struct attributes attributes)
{
    return emit(l, call->location, op, operands, count, attributes, call->hint);
}

/* --- questions --- */

/* extent(x, axis) */
static struct datum run_extent(struct lowering *l, const struct call *call)
{
    const struct type *type = &argument_tensor(l, call, 0)->type;
    return datum_integer(type->dims[argument_axis(l, call, 1, type)]);
}

/* dims(x) */
static struct datum run_dims(struct lowering *l, const struct call *call)
{
    const struct type *type = &argument_tensor(l, call, 0)->type;
    struct datum list = {.kind = DATUM_LIST, .count = (size_t)type->rank};
    list.items = arena_array(l->arena, struct datum, list.count);
    for (int i = 0; i < type->rank; i++)
        list.items[i] = datum_integer(type->dims[i]);
    return list;
}

/* length(list) */
static struct datum run_length(struct lowering *l, const struct call *call)
{
    if (call->values[0].kind != DATUM_LIST)
        argument_wrong(l, call, 0, "a list");
    return datum_integer((int64_t)call->values[0].count);
}

/* folded(x, axis) */
static struct datum run_folded(struct lowering *l, const struct call *call)
{
    const struct type *type = &argument_tensor(l, call, 0)->type;
    int64_t axes[MAX_RANK], product = 1;
    int count = reduced_axes(l, call, type, axes);
    for (int i = 0; i < count; i++)
        product *= type->dims[axes[i]]; /* a divisor of the number of elements */
    return datum_integer(product);
}

/* --- sources --- */

/* constant(numbers): f32, one axis. */
static struct datum run_constant(struct lowering *l, const struct call *call)
{
    const struct datum *list = &call->values[0];
    if (list->kind != DATUM_LIST || list->count == 0)
        argument_wrong(l, call, 0, "a list of numbers");
    need_function(l, call->location);
    spend(l, list->count, call->location);
    float *bytes = arena_array(l->arena, float, list->count);
    for (size_t i = 0; i < list->count; i++) {
        if (!datum_is_number(&list->items[i]))
            argument_wrong(l, call, 0, "a list of numbers");
        bytes[i] = (float)dtype_round(DTYPE_f32, list->items[i].real);
    }
    struct attributes attributes = {0};
    int64_t extent = (int64_t)list->count;
    const char *blob = module_add_blob(l->builder.module, bytes, list->count * sizeof *bytes);
    attributes_set_text(l->arena, &attributes, ATTRIBUTE_blob, blob);
    set_int(l, &attributes, ATTRIBUTE_dtype, DTYPE_f32);
    set_list(l, &attributes, ATTRIBUTE_dims, &extent, 1);
    return emit_call(l, call, OP_const, NULL, 0, attributes);
}

/* full(dims, value) */
static struct datum run_full(struct lowering *l, const struct call *call)
{
    struct attributes scalar = {0}, attributes = {0};
    int64_t dims[MAX_RANK];
    int rank = argument_dims(l, call, 0, dims);
    attributes_set_real(l->arena, &scalar, ATTRIBUTE_value, argument_real(l, call, 1));
    set_int(l, &scalar, ATTRIBUTE_dtype, DTYPE_f32);
    struct datum value = emit(l, call->location, OP_const, NULL, 0, scalar, NULL);
    set_list(l, &attributes, ATTRIBUTE_dims, dims, rank);
    return emit_call(l, call, OP_broadcast, &value.tensor, 1, attributes);
}

/* iota(dims, axis): i32, the index along the axis. */
static struct datum run_iota(struct lowering *l, const struct call *call)
{
    struct type type = {.dtype = DTYPE_i32};
    type.rank = argument_dims(l, call, 0, type.dims);
    struct attributes attributes = {0};
    set_int(l, &attributes, ATTRIBUTE_axis, argument_axis(l, call, 1, &type));
    set_int(l, &attributes, ATTRIBUTE_dtype, DTYPE_i32);
    set_list(l, &attributes, ATTRIBUTE_dims, type.dims, type.rank);
    return emit_call(l, call, OP_iota, NULL, 0, attributes);
}

/* positions(batch, seq): i32[batch, seq], the position of each token. */
static struct datum run_positions(struct lowering *l, const struct call *call)
{
    struct attributes attributes = {0};
    int64_t dims[] = {argument_integer(l, call, 0), argument_integer(l, call, 1)};
    if (!type_dims_valid(DTYPE_i32, 2, dims))
        argument_wrong(l, call, 0, "two dimensions");
    set_list(l, &attributes, ATTRIBUTE_dims, dims, 2);
    return emit_call(l, call, OP_positions, NULL, 0, attributes);
}

/* --- index maps --- */

/* Replaces one -1 by what is left of the elements. */
static void infer_dim(struct lowering *l, const struct call *call, const struct type *type,
                      int64_t *dims, int rank)
{
    int64_t rest = type_elements(type), at = -1;
    for (int i = 0; i < rank; i++) {
        if (dims[i] == -1 && at < 0)
            at = i;
        else if (dims[i] > 0 && rest % dims[i] == 0)
            rest /= dims[i];
    }
    if (at >= 0)
        dims[at] = rest;
    if (!type_dims_valid(type->dtype, rank, dims))
        fatal_at(place_of(l, call->places[1]), LANGUAGE_TOO_LARGE,
                 datum_show(l->arena, &call->values[1]));
}

/* reshape(x, dims): one of them may be -1. */
static struct datum run_reshape(struct lowering *l, const struct call *call)
{
    struct value *x = argument_tensor(l, call, 0);
    struct type to = {.dtype = x->type.dtype};
    to.rank = argument_list(l, call, 1, to.dims, MAX_RANK);
    infer_dim(l, call, &x->type, to.dims, to.rank);
    if (type_elements(&to) != type_elements(&x->type))
        fatal_at(place_of(l, call->places[1]), LANGUAGE_RESHAPE, type_text(l->arena, &x->type),
                 datum_show(l->arena, &call->values[1]));
    if (type_same_dims(&to, &x->type))
        return call->values[0];
    struct attributes attributes = {0};
    set_list(l, &attributes, ATTRIBUTE_dims, to.dims, to.rank);
    return emit_call(l, call, OP_reshape, &x, 1, attributes);
}

/* transpose(x, perm): none swaps the last two axes. */
static struct datum run_transpose(struct lowering *l, const struct call *call)
{
    struct value *x = argument_tensor(l, call, 0);
    int rank = x->type.rank;
    int64_t perm[MAX_RANK];
    if (call->values[1].kind == DATUM_NONE) {
        if (rank < 2)
            argument_wrong(l, call, 0, "a tensor of two or more axes");
        for (int i = 0; i < rank; i++)
            perm[i] = i < rank - 2 ? i : 2 * rank - 3 - i;
    } else if (argument_list(l, call, 1, perm, MAX_RANK) != rank) {
        argument_wrong(l, call, 1, "one number for each axis");
    }
    struct attributes attributes = {0};
    set_list(l, &attributes, ATTRIBUTE_perm, perm, rank);
    return emit_call(l, call, OP_transpose, &x, 1, attributes);
}

/* broadcast(x, dims) */
static struct datum run_broadcast(struct lowering *l, const struct call *call)
{
    struct value *x = argument_tensor(l, call, 0);
    int64_t dims[MAX_RANK];
    int rank = argument_dims(l, call, 1, dims);
    need_function(l, call->location);
    l->builder.location = place_of(l, call->location);
    if (x->type.rank > rank)
        argument_wrong(l, call, 1, "at least as many dimensions as the tensor has");
    return datum_tensor(build_broadcast(&l->builder, x, rank, dims));
}

static struct datum slice(struct lowering *l, const struct call *call, struct value *x, int axis,
                          int64_t at, int64_t len, int64_t step)
{
    struct attributes attributes = {0};
    set_int(l, &attributes, ATTRIBUTE_axis, axis);
    set_int(l, &attributes, ATTRIBUTE_at, at);
    set_int(l, &attributes, ATTRIBUTE_len, len);
    set_int(l, &attributes, ATTRIBUTE_step, step);
    return emit_call(l, call, OP_slice, &x, 1, attributes);
}

/* slice(x, axis, at, len, step) */
static struct datum run_slice(struct lowering *l, const struct call *call)
{
    struct value *x = argument_tensor(l, call, 0);
    int axis = argument_axis(l, call, 1, &x->type);
    return slice(l, call, x, axis, argument_integer(l, call, 2), argument_integer(l, call, 3),
                 argument_integer(l, call, 4));
}

/* split(x, parts, axis): a number of equal parts, or the extent of each. */
static struct datum run_split(struct lowering *l, const struct call *call)
{
    enum { PARTS = 64 };
    struct value *x = argument_tensor(l, call, 0);
    int axis = argument_axis(l, call, 2, &x->type);
    int64_t extent = x->type.dims[axis], parts[PARTS], at = 0, sum = 0;
    bool listed = call->values[1].kind == DATUM_LIST;
    int count = argument_list(l, call, 1, parts, PARTS);
    if (!listed) {
        if (parts[0] < 1 || parts[0] > PARTS || extent % parts[0])
            argument_wrong(l, call, 1, "a divisor of the axis, at most 64");
        count = (int)parts[0];
        for (int i = count; i-- > 0;)
            parts[i] = extent / count;
    }
    for (int i = 0; i < count && sum >= 0; i++)
        sum = parts[i] < 0 || parts[i] > extent ? -1 : sum + parts[i];
    if (sum != extent)
        argument_wrong(l, call, 1, "extents that add up to the axis");
    struct datum list = {.kind = DATUM_LIST, .count = (size_t)count};
    list.items = arena_array(l->arena, struct datum, list.count);
    for (int i = 0; i < count; at += parts[i++])
        list.items[i] = slice(l, call, x, axis, at, parts[i], 1);
    return list;
}

/* concat(parts, axis) */
static struct datum run_concat(struct lowering *l, const struct call *call)
{
    enum { PARTS = 64 };
    const struct datum *list = &call->values[0];
    struct value *parts[PARTS];
    if (list->kind != DATUM_LIST || list->count < 1 || list->count > PARTS)
        argument_wrong(l, call, 0, "a list of 1 to 64 tensors");
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].kind != DATUM_TENSOR)
            argument_wrong(l, call, 0, "a list of tensors");
        parts[i] = list->items[i].tensor;
    }
    struct attributes attributes = {0};
    set_int(l, &attributes, ATTRIBUTE_axis, argument_axis(l, call, 1, &parts[0]->type));
    return emit_call(l, call, OP_concat, parts, (int)list->count, attributes);
}

/* pad(x, low, high, value) */
static struct datum run_pad(struct lowering *l, const struct call *call)
{
    struct value *x = argument_tensor(l, call, 0);
    int64_t low[MAX_RANK], high[MAX_RANK];
    if (argument_dims(l, call, 1, low) != x->type.rank ||
        argument_dims(l, call, 2, high) != x->type.rank)
        argument_wrong(l, call, 1, "one number for each axis");
    struct attributes attributes = {0};
    set_list(l, &attributes, ATTRIBUTE_low, low, x->type.rank);
    set_list(l, &attributes, ATTRIBUTE_high, high, x->type.rank);
    attributes_set_real(l->arena, &attributes, ATTRIBUTE_value, argument_real(l, call, 3));
    return emit_call(l, call, OP_pad, &x, 1, attributes);
}

/* gather(table, ids, batch) */
static struct datum run_gather(struct lowering *l, const struct call *call)
{
    struct value *operands[] = {argument_tensor(l, call, 0), argument_tensor(l, call, 1)};
    struct attributes attributes = {0};
    set_int(l, &attributes, ATTRIBUTE_batch, argument_integer(l, call, 2));
    return emit_call(l, call, OP_gather, operands, 2, attributes);
}

/* --- structured ops --- */

/* attention(q, k, v, causal, window, scale, bias) */
static struct datum run_attention(struct lowering *l, const struct call *call)
{
    struct value *operands[4];
    struct attributes attributes = {0};
    int count = 3;
    for (size_t i = 0; i < 3; i++)
        operands[i] = argument_tensor(l, call, i);
    set_int(l, &attributes, ATTRIBUTE_causal, argument_bool(l, call, 3));
    set_int(l, &attributes, ATTRIBUTE_window, argument_integer(l, call, 4));
    attributes_set_real(l->arena, &attributes, ATTRIBUTE_scale, argument_real(l, call, 5));
    if (call->values[6].kind != DATUM_NONE) {
        operands[count++] = argument_tensor(l, call, 6);
        set_int(l, &attributes, ATTRIBUTE_biased, 1);
    }
    return emit_call(l, call, OP_attention, operands, count, attributes);
}

/* conv2d(x, w, stride, pad, groups): one stride or two; one pad, two or four. */
static struct datum run_conv2d(struct lowering *l, const struct call *call)
{
    struct value *operands[] = {argument_tensor(l, call, 0), argument_tensor(l, call, 1)};
    int64_t stride[2], pad[4];
    int strides = argument_list(l, call, 2, stride, 2), pads = argument_list(l, call, 3, pad, 4);
    if (strides < 1)
        argument_wrong(l, call, 2, "one number or two");
    if (pads != 1 && pads != 2 && pads != 4)
        argument_wrong(l, call, 3, "one number, two or four");
    if (strides == 1)
        stride[1] = stride[0];
    if (pads == 1)
        pad[1] = pad[0];
    if (pads < 4) {
        pad[2] = pad[3] = pad[1];
        pad[1] = pad[0];
    }
    struct attributes attributes = {0};
    set_list(l, &attributes, ATTRIBUTE_stride, stride, 2);
    set_list(l, &attributes, ATTRIBUTE_pad, pad, 4);
    set_int(l, &attributes, ATTRIBUTE_groups, argument_integer(l, call, 4));
    return emit_call(l, call, OP_conv2d, operands, 2, attributes);
}

/* cumsum(x, axis, exclusive) */
static struct datum run_cumsum(struct lowering *l, const struct call *call)
{
    struct value *x = argument_tensor(l, call, 0);
    struct attributes attributes = {0};
    set_int(l, &attributes, ATTRIBUTE_axis, argument_axis(l, call, 1, &x->type));
    set_int(l, &attributes, ATTRIBUTE_exclusive, argument_bool(l, call, 2));
    return emit_call(l, call, OP_cumsum, &x, 1, attributes);
}

static const struct builtin builtins[] = {
    {"extent", run_extent},   {"dims", run_dims},           {"length", run_length},
    {"folded", run_folded},   {"constant", run_constant},   {"full", run_full},
    {"iota", run_iota},       {"positions", run_positions}, {"reshape", run_reshape},
    {"uniform", run_uniform}, {"transpose", run_transpose}, {"broadcast", run_broadcast},
    {"slice", run_slice},     {"split", run_split},         {"concat", run_concat},
    {"pad", run_pad},         {"gather", run_gather},       {"attention", run_attention},
    {"conv2d", run_conv2d},   {"cumsum", run_cumsum},
};

const struct builtin *builtin_find(const char *name)
{
    for (size_t i = 0; i < sizeof builtins / sizeof *builtins; i++)
        if (strcmp(builtins[i].name, name) == 0)
            return &builtins[i];
    return NULL;
}
