/*
 * Operators, and the rows of the op table as functions: on numbers they compute at once, on
 * tensors they append nodes. Tensors broadcast by aligning their last axes, as in NumPy; the
 * IR's nodes have equal dims, so that broadcasts are written out here.
 */
#include "lower.h"

#include <math.h>
#include <string.h>

enum { OPERANDS = 4 };

void need_function(struct lowering *l, struct location location)
{
    if (!l->builder.function)
        fatal_at(place_of(l, location), LANGUAGE_NO_TENSORS, "tensors");
    spend(l, NODE_STEPS, location);
}

struct datum emit(struct lowering *l, struct location location, enum op op,
                  struct value *const *operands, int count, struct attributes attributes,
                  const char *hint)
{
    need_function(l, location);
    l->builder.location = place_of(l, location);
    struct node *node = build_node(&l->builder, op, operands, count, attributes, hint);
    return datum_tensor(&node->results[0]);
}

/* --- numbers --- */

static struct datum number(double value, bool integers)
{
    if (integers && fabs(value) < 9e15 && value == floor(value))
        return datum_integer((int64_t)value);
    return datum_real(value);
}

/* Whole numbers stay exact; overflow is an error. */
static struct datum integer_sum(struct lowering *l, const struct expr *e, int64_t a, int64_t b)
{
    int64_t result = 0;
    bool overflow = e->sign == '+'   ? __builtin_add_overflow(a, b, &result)
                    : e->sign == '-' ? __builtin_sub_overflow(a, b, &result)
                                     : __builtin_mul_overflow(a, b, &result);
    if (overflow)
        fatal_at(place_of(l, e->location), LANGUAGE_NUMBER, "out of range");
    return datum_integer(result);
}

static struct datum divide(struct lowering *l, const struct expr *e, const struct datum *a,
                           const struct datum *b)
{
    bool integers = a->kind == DATUM_INTEGER && b->kind == DATUM_INTEGER;
    if (b->real == 0)
        fatal_at(place_of(l, e->location), LANGUAGE_ZERO, "division by zero");
    if (e->sign == '%')
        return number(a->real - b->real * floor(a->real / b->real), integers);
    if (e->sign == SIGN_FLOOR)
        return number(floor(a->real / b->real), true);
    return number(a->real / b->real, integers);
}

static struct datum arithmetic(struct lowering *l, const struct expr *e, const struct datum *a,
                               const struct datum *b)
{
    bool integers = a->kind == DATUM_INTEGER && b->kind == DATUM_INTEGER;
    switch (e->sign) {
    case '+':
        return integers ? integer_sum(l, e, a->integer, b->integer) : datum_real(a->real + b->real);
    case '-':
        return integers ? integer_sum(l, e, a->integer, b->integer) : datum_real(a->real - b->real);
    case '*':
        return integers ? integer_sum(l, e, a->integer, b->integer) : datum_real(a->real * b->real);
    case '<': return datum_bool(a->real < b->real);
    case '>': return datum_bool(a->real > b->real);
    case SIGN_AT_MOST: return datum_bool(a->real <= b->real);
    case SIGN_AT_LEAST: return datum_bool(a->real >= b->real);
    default: return divide(l, e, a, b);
    }
}

static struct datum join_lists(struct lowering *l, const struct expr *e, const struct datum *a,
                               const struct datum *b)
{
    struct datum list = {.kind = DATUM_LIST, .count = a->count + b->count};
    if (list.count > LIST_LIMIT)
        fatal_at(place_of(l, e->location), LANGUAGE_LIST, (int)LIST_LIMIT);
    spend(l, list.count, e->location);
    list.items = arena_array(l->arena, struct datum, list.count);
    for (size_t i = 0; i < list.count; i++)
        list.items[i] = i < a->count ? a->items[i] : b->items[i - a->count];
    return list;
}

/* --- broadcasting --- */

/* The dims that a and b share when their last axes are aligned; false if an axis differs. */
static bool join_dims(struct type *into, const struct type *type, int *out_axis)
{
    struct type wide = into->rank >= type->rank ? *into : *type;
    const struct type *narrow = into->rank >= type->rank ? type : into;
    int shift = wide.rank - narrow->rank;
    for (int i = 0; i < narrow->rank; i++) {
        int64_t *extent = &wide.dims[i + shift];
        *out_axis = i + shift - wide.rank;
        if (*extent != narrow->dims[i] && *extent != 1 && narrow->dims[i] != 1)
            return false;
        *extent = *extent == 1 ? narrow->dims[i] : *extent;
    }
    *into = type_make(into->dtype, wide.rank, wide.dims);
    return true;
}

static struct value *broadcast_to(struct lowering *l, struct value *value, const struct type *type)
{
    if (value->type.rank == 0 || type_same_dims(&value->type, type))
        return value;
    if (!type_dims_valid(value->type.dtype, type->rank, type->dims))
        fatal_at(l->builder.location, LANGUAGE_TOO_LARGE, "the broadcast tensor");
    return build_broadcast(&l->builder, value, type->rank, type->dims);
}

/* A number beside a tensor becomes a constant of its element type. */
static struct value *constant_like(struct lowering *l, const struct datum *d, enum dtype dtype,
                                   struct location location)
{
    bool fits = dtype == DTYPE_bool       ? d->kind == DATUM_BOOL
                : dtype_is_integer(dtype) ? d->kind == DATUM_INTEGER && fabs(d->real) < 2147483648.0
                                          : datum_is_number(d);
    if (!fits)
        fatal_at(place_of(l, location), LANGUAGE_NO_CONSTANT, datum_show(l->arena, d),
                 dtype_name(dtype));
    return build_constant(&l->builder, dtype, d->real);
}

/* The element type that numbers beside tensors take: that of a tensor which is not the
 * condition of a select. */
static enum dtype common_dtype(const struct call *call, enum op op)
{
    for (size_t i = op == OP_select && call->count == 3; i < call->count; i++)
        if (call->values[i].kind == DATUM_TENSOR)
            return call->values[i].tensor->type.dtype;
    for (size_t i = 0; i < call->count; i++)
        if (call->values[i].kind == DATUM_BOOL && op != OP_select)
            return DTYPE_bool;
    return DTYPE_f32;
}

/* Operands of one element type, where the op's rule asks for that. */
static void check_dtype(struct lowering *l, enum op op, const struct call *call, size_t i,
                        const struct type *type, enum dtype dtype)
{
    enum ew_rule rule = op_info(op)->rule;
    bool one_type = rule == RULE_SAME || rule == RULE_EXACT || rule == RULE_TEST ||
                    (rule == RULE_SELECT && i > 0);
    if (one_type && type->dtype != dtype)
        fatal_at(place_of(l, call->places[i]), LANGUAGE_DTYPES, call->name,
                 type_text(l->arena, type), dtype_name(dtype));
}

static struct datum elementwise_tensors(struct lowering *l, enum op op, const struct call *call)
{
    struct value *operands[OPERANDS];
    struct type joined = type_scalar(DTYPE_f32);
    int axis;
    need_function(l, call->location);
    l->builder.location = place_of(l, call->location);
    enum dtype dtype = common_dtype(call, op);
    for (size_t i = 0; i < call->count; i++) {
        const struct datum *d = &call->values[i];
        if (d->kind != DATUM_TENSOR && !datum_is_scalar(d))
            argument_wrong(l, call, i, "a tensor or a number");
        operands[i] = d->kind == DATUM_TENSOR
                          ? d->tensor
                          : constant_like(l, d, op == OP_select && i == 0 ? DTYPE_bool : dtype,
                                          call->places[i]);
        const struct type *type = &operands[i]->type;
        struct type before = joined;
        check_dtype(l, op, call, i, type, dtype);
        if (!join_dims(&joined, type, &axis))
            fatal_at(place_of(l, call->places[i]), LANGUAGE_BROADCAST, type_text(l->arena, type),
                     type_text(l->arena, &before), axis);
    }
    for (size_t i = 0; i < call->count; i++)
        operands[i] = broadcast_to(l, operands[i], &joined);
    return emit(l, call->location, op, operands, (int)call->count, (struct attributes){0},
                call->hint);
}

/* --- rows of the table as functions --- */

static struct datum elementwise_numbers(struct lowering *l, enum op op, const struct call *call)
{
    const struct op_info *info = op_info(op);
    double x[OPERANDS] = {0};
    bool integers = true;
    for (size_t i = 0; i < call->count; i++) {
        bool logic = info->rule == RULE_LOGIC || (info->rule == RULE_SELECT && i == 0);
        if (logic ? call->values[i].kind != DATUM_BOOL : !datum_is_number(&call->values[i]))
            argument_wrong(l, call, i, logic ? "a truth value" : "a number");
        x[i] = call->values[i].real;
        integers &= logic || call->values[i].kind == DATUM_INTEGER;
    }
    if (info->rule == RULE_DRAW)
        fatal_at(place_of(l, call->location), LANGUAGE_NO_FUNCTION, call->name);
    double y = info->reference(x[0], x[1], x[2], x[3]);
    bool truth = info->rule == RULE_LOGIC || info->rule == RULE_TEST || info->rule == RULE_CHECK;
    return truth ? datum_bool(y != 0) : number(y, integers);
}

struct datum elementwise(struct lowering *l, enum op op, const struct call *call)
{
    const struct op_info *info = op_info(op);
    if (call->count != (size_t)info->operands_min)
        fatal_at(place_of(l, call->location), LANGUAGE_COUNT, call->name, info->operands_min,
                 call->count);
    for (size_t i = 0; i < call->count; i++) {
        if (call->names && call->names[i])
            fatal_at(place_of(l, call->places[i]), LANGUAGE_NO_PARAMETER, call->name,
                     call->names[i]);
        if (call->values[i].kind == DATUM_TENSOR)
            return elementwise_tensors(l, op, call);
    }
    return elementwise_numbers(l, op, call);
}

static struct datum drop_axes(struct lowering *l, const struct call *call, struct value *value,
                              const int64_t *axes, int count)
{
    int64_t dims[MAX_RANK];
    int rank = 0, next = 0;
    for (int i = 0; i < value->type.rank; i++) {
        if (next < count && axes[next] == i)
            next++;
        else
            dims[rank++] = value->type.dims[i];
    }
    struct attributes attributes = {0};
    attributes_set_list(l->arena, &attributes, ATTRIBUTE_dims, dims, rank);
    return emit(l, call->location, OP_reshape, &value, 1, attributes, call->hint);
}

int reduced_axes(struct lowering *l, const struct call *call, const struct type *type,
                 int64_t *out_axes)
{
    bool reduce[MAX_RANK] = {false};
    bool all = call->values[1].kind == DATUM_NONE;
    int64_t given[MAX_RANK];
    int count = all ? 0 : argument_list(l, call, 1, given, MAX_RANK);
    for (int i = 0; i < count; i++) {
        int64_t axis = given[i] < 0 ? given[i] + type->rank : given[i];
        if (axis < 0 || axis >= type->rank || reduce[axis])
            fatal_at(place_of(l, call->places[1]), LANGUAGE_AXIS, (long long)given[i],
                     type_text(l->arena, type));
        reduce[axis] = true;
    }
    count = 0;
    for (int i = 0; i < type->rank; i++)
        if (all || reduce[i])
            out_axes[count++] = i;
    return count;
}

struct datum reduction(struct lowering *l, enum op op, const struct call *call)
{
    struct value *x = argument_tensor(l, call, 0);
    int64_t axes[MAX_RANK];
    int count = reduced_axes(l, call, &x->type, axes);
    bool keep = argument_bool(l, call, 2) && call->values[1].kind != DATUM_NONE;
    struct attributes attributes = {0};
    attributes_set_list(l->arena, &attributes, ATTRIBUTE_axes, axes, count);
    struct datum result = emit(l, call->location, op, &x, 1, attributes, keep ? call->hint : NULL);
    return keep ? result : drop_axes(l, call, result.tensor, axes, count);
}

struct datum cast_datum(struct lowering *l, enum dtype dtype, const struct call *call)
{
    if (call->count != 1)
        fatal_at(place_of(l, call->location), LANGUAGE_COUNT, call->name, 1, call->count);
    const struct datum *x = &call->values[0];
    if (x->kind == DATUM_TENSOR) {
        if (x->tensor->type.dtype == dtype)
            return *x;
        struct attributes attributes = {0};
        attributes_set_int(l->arena, &attributes, ATTRIBUTE_dtype, dtype);
        return emit(l, call->location, OP_cast, &x->tensor, 1, attributes, call->hint);
    }
    if (!datum_is_scalar(x))
        argument_wrong(l, call, 0, "a tensor or a number");
    return dtype == DTYPE_bool ? datum_bool(x->real != 0)
                               : number(dtype_round(dtype, x->real), !dtype_is_float(dtype));
}

/* --- operators --- */

/* The operand of a transpose of the last two axes, else NULL. */
static struct value *untransposed(const struct value *value)
{
    int count;
    if (value->node->op != OP_transpose || value->type.rank < 2)
        return NULL;
    const int64_t *perm = node_list(value->node, perm, &count);
    for (int i = 0; i < count - 2; i++)
        if (perm[i] != i)
            return NULL;
    return perm[count - 1] == count - 2 ? value->node->operands[0] : NULL;
}

static struct datum product(struct lowering *l, const struct expr *e, struct datum a,
                            struct datum b, const char *hint)
{
    const struct datum *wrong = a.kind != DATUM_TENSOR ? &a : b.kind != DATUM_TENSOR ? &b : NULL;
    if (wrong)
        fatal_at(place_of(l, start_of(wrong == &a ? e->a : e->b)), LANGUAGE_OPERAND, "@",
                 "a tensor", datum_kind_name(wrong));
    const struct type *x = &a.tensor->type, *y = &b.tensor->type;
    if (x->rank < 2 || y->rank < 2 || x->dims[x->rank - 1] != y->dims[y->rank - 2])
        fatal_at(place_of(l, start_of(e->b)), LANGUAGE_PRODUCT, type_text(l->arena, x),
                 type_text(l->arena, y));
    struct value *left = untransposed(a.tensor), *right = untransposed(b.tensor);
    struct value *operands[] = {left ? left : a.tensor, right ? right : b.tensor};
    struct attributes attributes = {0};
    attributes_set_int(l->arena, &attributes, ATTRIBUTE_dtype, x->dtype);
    attributes_set_int(l->arena, &attributes, ATTRIBUTE_transa, left != NULL);
    attributes_set_int(l->arena, &attributes, ATTRIBUTE_transb, right != NULL);
    return emit(l, e->location, OP_matmul, operands, 2, attributes, hint);
}

static const struct {
    int sign;
    const char *text;
    enum op op;
} operators[] = {
    {'+', "+", OP_add},        {'-', "-", OP_sub},           {'*', "*", OP_mul},
    {'/', "/", OP_div},        {'%', "%", OP_mod},           {'<', "<", OP_lt},
    {'>', ">", OP_gt},         {SIGN_AT_MOST, "<=", OP_le},  {SIGN_AT_LEAST, ">=", OP_ge},
    {SIGN_EQUAL, "==", OP_eq}, {SIGN_UNEQUAL, "!=", OP_ne},  {WORD_AND, "and", OP_and},
    {WORD_OR, "or", OP_or},    {SIGN_FLOOR, "//", OP_COUNT}, {'@', "@", OP_COUNT},
};

static size_t operator_row(int sign)
{
    size_t i = 0;
    while (operators[i].sign != sign)
        i++;
    return i;
}

static struct datum operate_tensors(struct lowering *l, const struct expr *e, struct datum a,
                                    struct datum b, const char *hint)
{
    size_t row = operator_row(e->sign);
    struct datum values[] = {a, b};
    struct location places[] = {start_of(e->a), start_of(e->b)};
    struct call call = {operators[row].text, e->location, hint, values, places, NULL, 2};
    if (operators[row].op == OP_COUNT)
        fatal_at(place_of(l, e->location), LANGUAGE_OPERAND, operators[row].text, "numbers",
                 "a tensor");
    return elementwise(l, operators[row].op, &call);
}

static struct datum operate_plain(struct lowering *l, const struct expr *e, struct datum a,
                                  struct datum b)
{
    const char *text = operators[operator_row(e->sign)].text;
    if (e->sign == SIGN_EQUAL || e->sign == SIGN_UNEQUAL)
        return datum_bool(datum_equal(l, &a, &b, e->location) == (e->sign == SIGN_EQUAL));
    if (e->sign == '+' && a.kind == DATUM_LIST && b.kind == DATUM_LIST)
        return join_lists(l, e, &a, &b);
    bool logic = e->sign == WORD_AND || e->sign == WORD_OR;
    for (int i = 0; i < 2; i++) {
        const struct datum *d = i ? &b : &a;
        if (logic ? d->kind != DATUM_BOOL : !datum_is_number(d))
            fatal_at(place_of(l, start_of(i ? e->b : e->a)), LANGUAGE_OPERAND, text,
                     logic ? "truth values" : "numbers", datum_kind_name(d));
    }
    if (logic) /* the first did not decide: the second does */
        return b;
    return arithmetic(l, e, &a, &b);
}

struct datum operate(struct lowering *l, const struct expr *e, struct datum a, struct datum b,
                     const char *hint)
{
    if (e->sign == '@')
        return product(l, e, a, b, hint);
    bool equality = e->sign == SIGN_EQUAL || e->sign == SIGN_UNEQUAL;
    bool absent = a.kind == DATUM_NONE || b.kind == DATUM_NONE; /* `bias == none` */
    if ((a.kind == DATUM_TENSOR || b.kind == DATUM_TENSOR) && !(equality && absent))
        return operate_tensors(l, e, a, b, hint);
    return operate_plain(l, e, a, b);
}

struct datum operate_unary(struct lowering *l, const struct expr *e, struct datum a,
                           const char *hint)
{
    bool negative = e->sign == '-';
    struct location place = start_of(e->a);
    struct call call = {negative ? "-" : "not", e->location, hint, &a, &place, NULL, 1};
    if (a.kind == DATUM_TENSOR)
        return elementwise(l, negative ? OP_neg : OP_not, &call);
    if (negative ? !datum_is_number(&a) : a.kind != DATUM_BOOL)
        fatal_at(place_of(l, place), LANGUAGE_OPERAND, call.name,
                 negative ? "a number" : "a truth value", datum_kind_name(&a));
    if (!negative)
        return datum_bool(!a.integer);
    if (a.kind == DATUM_INTEGER && a.integer == INT64_MIN)
        fatal_at(place_of(l, e->location), LANGUAGE_NUMBER, "out of range");
    return a.kind == DATUM_INTEGER ? datum_integer(-a.integer) : datum_real(-a.real);
}
