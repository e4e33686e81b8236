/*
 * Shape rules: the types of results from operands and attributes. Elementwise ops and
 * reductions here, once for all rows; structured ops in shape_view.c and shape_struct.c.
 */
#include "ir/shape.h"

#include "ir/build.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *shape_text(const struct type *type)
{
    static char buffers[4][256];
    static int next;
    char *text = buffers[next++ % 4];
    int at = snprintf(text, sizeof buffers[0], "%s[", dtype_name(type->dtype));
    for (int i = 0; i < type->rank; i++)
        at += snprintf(text + at, sizeof buffers[0] - (size_t)at, "%s%" PRId64, i ? "," : "",
                       type->dims[i]);
    snprintf(text + at, sizeof buffers[0] - (size_t)at, "]");
    return text;
}

void shape_need_dtype(const struct shape_call *call, int operand, enum dtype dtype)
{
    if (operand_type(call, operand)->dtype != dtype)
        fatal_at(call->location, SHAPE_DTYPE, call->name, dtype_name(dtype),
                 shape_text(operand_type(call, operand)));
}

void shape_need_float(const struct shape_call *call, int operand)
{
    if (!dtype_is_float(operand_type(call, operand)->dtype))
        fatal_at(call->location, SHAPE_DTYPE, call->name, "f32, f64, bf16 or f16",
                 shape_text(operand_type(call, operand)));
}

void shape_need_index(const struct shape_call *call, int operand)
{
    if (!dtype_is_integer(operand_type(call, operand)->dtype))
        fatal_at(call->location, SHAPE_DTYPE, call->name, "i32, i64 or u8",
                 shape_text(operand_type(call, operand)));
}

void shape_need_same_dtype(const struct shape_call *call, int x, int y)
{
    const struct type *a = operand_type(call, x), *b = operand_type(call, y);
    if (a->dtype != b->dtype)
        fatal_at(call->location, SHAPE_DTYPES, call->name, shape_text(a), shape_text(b));
}

void shape_need_same_dims(const struct shape_call *call, int x, int y)
{
    const struct type *a = operand_type(call, x), *b = operand_type(call, y);
    if (!type_same_dims(a, b))
        fatal_at(call->location, SHAPE_DIMS, call->name, shape_text(a), shape_text(b));
}

void shape_need_rank(const struct shape_call *call, int operand, int rank)
{
    if (operand_type(call, operand)->rank < rank)
        fatal_at(call->location, SHAPE_RANK, call->name, rank,
                 shape_text(operand_type(call, operand)));
}

int shape_axis(const struct shape_call *call, int operand)
{
    int64_t axis = call_int(call, axis);
    if (axis < 0 || axis >= operand_type(call, operand)->rank)
        fatal_at(call->location, SHAPE_AXIS, call->name, (long long)axis,
                 shape_text(operand_type(call, operand)));
    return (int)axis;
}

const int64_t *shape_list(const struct shape_call *call, enum attribute_id id, int count,
                          int64_t least, int *out_count)
{
    int found;
    const int64_t *list = attributes_list(call->attributes, id, &found);
    const char *name = attribute_info(id)->name;
    if (!list)
        fatal_at(call->location, SHAPE_ATTRIBUTE, call->name, name, "a list is needed");
    if (count >= 0 && found != count)
        fatal_at(call->location, SHAPE_ATTRIBUTE, call->name, name, "wrong number of items");
    for (int i = 0; i < found; i++)
        if (list[i] < least || list[i] >= (int64_t)1 << 40)
            fatal_at(call->location, SHAPE_ATTRIBUTE, call->name, name, "an item is out of range");
    if (out_count)
        *out_count = found;
    return list;
}

enum dtype shape_dtype(const struct shape_call *call, enum dtype fallback)
{
    const struct attribute *found = attributes_find(call->attributes, ATTRIBUTE_dtype);
    if (found && (found->integer < 0 || found->integer >= DTYPE_COUNT))
        fatal_at(call->location, SHAPE_ATTRIBUTE, call->name, "dtype", "no such type");
    return found ? (enum dtype)found->integer : fallback;
}

void shape_result(const struct shape_call *call, int result, enum dtype dtype, int rank,
                  const int64_t *dims)
{
    if (!type_dims_valid(dtype, rank, dims))
        fatal_at(call->location, SHAPE_TOO_LARGE, call->name);
    call->out[result] = type_make(dtype, rank, dims);
}

/* --- elementwise --- */

static void check_ew_dtypes(const struct shape_call *call, enum ew_rule rule)
{
    switch (rule) {
    case RULE_SAME:
    case RULE_EXACT:
        if (operand_type(call, 0)->dtype == DTYPE_bool)
            fatal_at(call->location, SHAPE_DTYPE, call->name, "other than bool",
                     shape_text(operand_type(call, 0)));
        /* fallthrough */
    case RULE_TEST:
        if (call->count > 1)
            shape_need_same_dtype(call, 0, 1);
        break;
    case RULE_LOGIC:
        for (int i = 0; i < call->count; i++)
            shape_need_dtype(call, i, DTYPE_bool);
        break;
    case RULE_SELECT:
        shape_need_dtype(call, 0, DTYPE_bool);
        shape_need_same_dtype(call, 1, 2);
        break;
    case RULE_DRAW:
        for (int i = 0; i < call->count; i++)
            shape_need_dtype(call, i, DTYPE_i32);
        break;
    case RULE_CHECK: shape_need_float(call, 0); break;
    case RULE_CAST: break;
    }
}

static enum dtype ew_dtype(const struct shape_call *call, enum ew_rule rule)
{
    switch (rule) {
    case RULE_TEST:
    case RULE_LOGIC:
    case RULE_CHECK: return DTYPE_bool;
    case RULE_CAST:
        if (!attributes_find(call->attributes, ATTRIBUTE_dtype))
            fatal_at(call->location, SHAPE_ATTRIBUTE, call->name, "dtype", "it says to what");
        return shape_dtype(call, DTYPE_f32);
    case RULE_DRAW: return DTYPE_f32;
    case RULE_SELECT: return operand_type(call, 1)->dtype;
    case RULE_SAME:
    case RULE_EXACT: break;
    }
    return operand_type(call, 0)->dtype;
}

/* Operands have the result's dims or rank 0. */
static void shape_ew(const struct shape_call *call, const struct op_info *info)
{
    int widest = 0;
    for (int i = 1; i < call->count; i++)
        if (operand_type(call, i)->rank > operand_type(call, widest)->rank)
            widest = i;
    for (int i = 0; i < call->count; i++)
        if (operand_type(call, i)->rank > 0)
            shape_need_same_dims(call, widest, i);
    check_ew_dtypes(call, info->rule);
    const struct type *type = operand_type(call, widest);
    shape_result(call, 0, ew_dtype(call, info->rule), type->rank, type->dims);
}

/* --- reductions --- */

static void shape_red(const struct shape_call *call, const struct op_info *info)
{
    const struct type *type = operand_type(call, 0);
    int64_t dims[MAX_RANK];
    int count;
    const int64_t *axes = shape_list(call, ATTRIBUTE_axes, -1, 0, &count);
    if (type->dtype == DTYPE_bool)
        fatal_at(call->location, SHAPE_DTYPE, call->name, "other than bool", shape_text(type));
    for (int i = 0; i < type->rank; i++)
        dims[i] = type->dims[i];
    for (int i = 0; i < count; i++) {
        if (axes[i] >= type->rank || (i && axes[i] <= axes[i - 1]))
            fatal_at(call->location, SHAPE_AXIS, call->name, (long long)axes[i], shape_text(type));
        dims[axes[i]] = 1;
    }
    shape_result(call, 0, info->index_result ? DTYPE_i32 : type->dtype, type->rank, dims);
}

/* --- all --- */

static void (*const shape_structured[OP_COUNT])(const struct shape_call *call) = {
#define OP(name, ...) [OP_##name] = shape_##name,
#include "ir/ops.def"
};

void infer_types(enum op op, struct value *const *operands, int count,
                 const struct attributes *attributes, struct location location,
                 struct type *out_types)
{
    const struct op_info *info = op_info(op);
    struct shape_call call = {op, info->name, operands, count, attributes, location, out_types};
    if (count < info->operands_min || count > info->operands_max)
        fatal_at(location, SHAPE_OPERANDS, info->name, info->operands_min, info->operands_max,
                 count);
    if (info->kind == KIND_EW)
        shape_ew(&call, info);
    else if (info->kind == KIND_RED)
        shape_red(&call, info);
    else
        shape_structured[op](&call);
}
