/* Compositions of index maps: see simplify_steps.h. */
#include "passes/simplify_steps.h"

#include <string.h>

static bool is_op(const struct value *value, enum op op)
{
    return value->node->op == op;
}

static struct value *operand_of(const struct value *value, int i)
{
    return value->node->operands[i];
}

/* --- reshape, transpose, broadcast --- */

static struct value *simplify_reshape(struct builder *b, const struct type *type, struct value *x)
{
    if (type_same_dims(type, &x->type))
        return x;
    if (is_op(x, OP_reshape))
        return build_reshape(b, operand_of(x, 0), type->rank, type->dims);
    return NULL;
}

/* True if only axes of extent 1 move: then the order of the elements stays. */
static bool keeps_order(const struct type *type, const int64_t *perm)
{
    int64_t last = -1;
    for (int i = 0; i < type->rank; i++) {
        if (type->dims[perm[i]] == 1)
            continue;
        if (perm[i] < last)
            return false;
        last = perm[i];
    }
    return true;
}

static struct value *simplify_transpose(struct builder *b, const struct node *node, struct value *x)
{
    int rank;
    int64_t composed[MAX_RANK];
    const int64_t *perm = node_list(node, perm, &rank);
    const struct type *type = &node->results[0].type;
    if (keeps_order(&x->type, perm))
        return type_same_dims(type, &x->type) ? x : build_reshape(b, x, rank, type->dims);
    if (!is_op(x, OP_transpose))
        return NULL;
    const int64_t *inner = node_list(x->node, perm, &rank);
    for (int i = 0; i < rank; i++)
        composed[i] = inner[perm[i]];
    return build_transpose(b, operand_of(x, 0), composed);
}

static struct value *simplify_broadcast(struct builder *b, const struct type *type, struct value *x)
{
    if (type_same_dims(type, &x->type))
        return x;
    if (is_op(x, OP_broadcast) || (is_op(x, OP_reshape) && operand_of(x, 0)->type.rank == 0))
        return build_broadcast(b, operand_of(x, 0), type->rank, type->dims);
    return NULL;
}

/* --- slice, concat, pad --- */

static struct value *sliced(struct builder *b, struct value *x, int64_t axis, int64_t at,
                            int64_t len, int64_t step)
{
    struct attributes attributes = {0};
    struct arena *arena = b->module->arena;
    attributes_set_int(arena, &attributes, ATTRIBUTE_axis, axis);
    attributes_set_int(arena, &attributes, ATTRIBUTE_at, at);
    attributes_set_int(arena, &attributes, ATTRIBUTE_len, len);
    attributes_set_int(arena, &attributes, ATTRIBUTE_step, step);
    return &build_node(b, OP_slice, &x, 1, attributes, NULL)->results[0];
}

/* A slice of a concat along the same axis, if it lies in one part. */
static struct value *slice_of_part(struct builder *b, const struct node *node, struct value *x)
{
    int64_t axis = node_int(node, axis), at = node_int(node, at), len = node_int(node, len);
    int64_t step = node_int(node, step), last = at + (len - 1) * step;
    if (!is_op(x, OP_concat) || node_int(x->node, axis) != axis || len < 1 ||
        node_int(x->node, granule))
        return NULL;
    for (int i = 0; i < x->node->operand_count; i++) {
        struct value *part = operand_of(x, i);
        int64_t extent = part->type.dims[axis];
        if (at >= 0 && at < extent && last < extent)
            return sliced(b, part, axis, at, len, step);
        at -= extent;
        last -= extent;
    }
    return NULL;
}

static struct value *simplify_slice(struct builder *b, const struct node *node, struct value *x)
{
    int64_t axis = node_int(node, axis), at = node_int(node, at), step = node_int(node, step);
    if (type_same_dims(&node->results[0].type, &x->type))
        return x;
    if (is_op(x, OP_slice) && node_int(x->node, axis) == axis) {
        int64_t inner = node_int(x->node, step), len = node_int(node, len);
        return sliced(b, operand_of(x, 0), axis, len ? node_int(x->node, at) + at * inner : 0, len,
                      len > 1 ? step * inner : 1);
    }
    return slice_of_part(b, node, x);
}

/* Concats of concats along one axis become one, if it has at most 64 parts. */
static struct value *simplify_concat(struct builder *b, const struct node *node,
                                     struct value *const *operands)
{
    struct value *parts[64];
    int64_t axis = node_int(node, axis);
    int count = 0;
    bool nested = false;
    if (node->operand_count == 1)
        return operands[0];
    if (node_int(node, granule))
        return NULL;
    for (int i = 0; i < node->operand_count; i++) {
        bool flat = !is_op(operands[i], OP_concat) || node_int(operands[i]->node, axis) != axis ||
                    node_int(operands[i]->node, granule);
        int inner = flat ? 1 : operands[i]->node->operand_count;
        if (count + inner > 64)
            return NULL;
        nested = nested || !flat;
        for (int k = 0; k < inner; k++)
            parts[count++] = flat ? operands[i] : operand_of(operands[i], k);
    }
    return nested ? build_concat(b, parts, count, (int)axis) : NULL;
}

/* --- cast --- */

/* True if every value of `narrow` is one of `wide`. */
static bool holds_all(enum dtype wide, enum dtype narrow)
{
    if (wide == DTYPE_f64)
        return narrow != DTYPE_i64;
    if (wide == DTYPE_f32)
        return narrow == DTYPE_tf32 || narrow == DTYPE_bf16 || narrow == DTYPE_f16 ||
               narrow == DTYPE_u8 || narrow == DTYPE_bool;
    if (wide == DTYPE_i64)
        return narrow == DTYPE_i32 || narrow == DTYPE_u8 || narrow == DTYPE_bool;
    return wide == DTYPE_i32 && (narrow == DTYPE_u8 || narrow == DTYPE_bool);
}

/* A cast to a wider type and on (or back) is one cast from the first type. */
static struct value *simplify_cast(struct builder *b, enum dtype dtype, struct value *x)
{
    if (x->type.dtype == dtype)
        return x;
    if (is_op(x, OP_cast) && holds_all(x->type.dtype, operand_of(x, 0)->type.dtype))
        return build_cast(b, operand_of(x, 0), dtype);
    return NULL;
}

/* --- matmul --- */

/* The operand of a transpose that swaps the last two axes; NULL if it is none. */
static struct value *untransposed(const struct value *x)
{
    int rank;
    if (!is_op(x, OP_transpose))
        return NULL;
    const int64_t *perm = node_list(x->node, perm, &rank);
    for (int i = 0; i < rank - 2; i++)
        if (perm[i] != i)
            return NULL;
    return perm[rank - 1] == rank - 2 ? operand_of(x, 0) : NULL;
}

static struct value *simplify_matmul(struct builder *b, const struct node *node,
                                     struct value *const *operands)
{
    struct arena *arena = b->module->arena;
    struct value *x = untransposed(operands[0]), *y = untransposed(operands[1]);
    struct attributes attributes = node->attributes;
    if (!x && !y)
        return NULL;
    if (x)
        attributes_set_int(arena, &attributes, ATTRIBUTE_transa, !node_int(node, transa));
    if (y)
        attributes_set_int(arena, &attributes, ATTRIBUTE_transb, !node_int(node, transb));
    struct value *changed[] = {x ? x : operands[0], y ? y : operands[1]};
    return &build_node(b, OP_matmul, changed, 2, attributes, NULL)->results[0];
}

/* The only index of an axis of extent 1 is 0. */
static struct value *simplify_iota(struct builder *b, const struct node *node)
{
    const struct type *type = &node->results[0].type;
    if (type->dims[node_int(node, axis)] != 1)
        return NULL;
    return build_broadcast(b, build_constant(b, type->dtype, 0), type->rank, type->dims);
}

/* Reductions that reduce nothing. */
static struct value *simplify_reduction(const struct node *node, struct value *x)
{
    bool plain = node->op == OP_sum || node->op == OP_prod || node->op == OP_maximum ||
                 node->op == OP_minimum;
    return plain && type_same_dims(&node->results[0].type, &x->type) ? x : NULL;
}

struct value *simplify_maps(struct builder *b, const struct node *node,
                            struct value *const *operands)
{
    const struct type *type = &node->results[0].type;
    switch (node->op) {
    case OP_reshape: return simplify_reshape(b, type, operands[0]);
    case OP_transpose: return simplify_transpose(b, node, operands[0]);
    case OP_broadcast: return simplify_broadcast(b, type, operands[0]);
    case OP_slice: return simplify_slice(b, node, operands[0]);
    case OP_concat: return simplify_concat(b, node, operands);
    case OP_pad: return type_same_dims(type, &operands[0]->type) ? operands[0] : NULL;
    case OP_cast: return simplify_cast(b, type->dtype, operands[0]);
    case OP_iota: return simplify_iota(b, node);
    case OP_matmul: return simplify_matmul(b, node, operands);
    default: break;
    }
    return op_info(node->op)->kind == KIND_RED ? simplify_reduction(node, operands[0]) : NULL;
}

/* --- repeated operands --- */

/* What `x` repeats; `x` itself if it repeats nothing. */
static struct value *repeated(struct value *x)
{
    return is_op(x, OP_broadcast) ? operand_of(x, 0) : x;
}

/* Scalars need not be repeated beside an operand that has the result's dims. */
static struct value *drop_scalar_repeats(struct builder *b, const struct node *node,
                                         struct value *const *operands)
{
    struct value *changed[4];
    bool full = false, any = false;
    for (int i = 0; i < node->operand_count; i++) {
        bool scalar = operands[i]->type.rank > 0 && repeated(operands[i])->type.rank == 0;
        changed[i] = scalar ? repeated(operands[i]) : operands[i];
        any = any || scalar;
        full = full || changed[i]->type.rank > 0;
    }
    if (!any || !full)
        return NULL;
    return &build_node(b, node->op, changed, node->operand_count, node->attributes, NULL)
                ->results[0];
}

/* If all operands repeat values of the same dims (or are scalars): compute, then repeat. */
struct value *simplify_repeats(struct builder *b, const struct node *node,
                               struct value *const *operands)
{
    struct value *sources[4], *source = NULL;
    const struct type *type = &node->results[0].type;
    if (op_info(node->op)->kind != KIND_EW || type->rank == 0)
        return NULL;
    for (int i = 0; i < node->operand_count; i++) {
        sources[i] = repeated(operands[i]);
        if (sources[i]->type.rank > 0 && sources[i] == operands[i])
            return drop_scalar_repeats(b, node, operands);
        if (source && sources[i]->type.rank && source->type.rank &&
            !type_same_dims(&source->type, &sources[i]->type))
            return drop_scalar_repeats(b, node, operands);
        if (!source || source->type.rank == 0)
            source = sources[i];
    }
    if (type_elements(&source->type) >= type_elements(type))
        return NULL;
    struct value *value =
        &build_node(b, node->op, sources, node->operand_count, node->attributes, NULL)->results[0];
    return build_broadcast(b, value, type->rank, type->dims);
}
