/* Ops of constants: see simplify_steps.h. */
#include "ir/interp_internal.h"
#include "passes/simplify_steps.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { INLINE_ELEMENTS = 64, LARGEST_BYTES = 1 << 20 };

/* --- what may be folded --- */

static bool is_small(const struct type *type)
{
    return type_elements(type) <= INLINE_ELEMENTS;
}

/* Constants; and small index vectors, which cost nothing where they are. */
static bool is_known(const struct value *value)
{
    return value->node->op == OP_const || (value->node->op == OP_iota && is_small(&value->type));
}

static bool may_fold(const struct node *node, struct value *const *operands)
{
    const struct type *type = &node->results[0].type;
    uint64_t bytes = 0;
    if (node->operand_count == 0 || node->result_count != 1 ||
        (op_info(node->op)->flags & (OP_EFFECT | OP_SOURCE)))
        return false;
    if (node->op == OP_broadcast) /* repeating is cheaper than storing */
        return false;
    for (int i = 0; i < node->operand_count; i++) {
        if (!is_known(operands[i]))
            return false;
        bytes += type_bytes(&operands[i]->type);
    }
    return is_small(type) || (type_bytes(type) <= bytes && type_bytes(type) <= LARGEST_BYTES);
}

/* --- the result as a constant --- */

static bool fits(enum dtype dtype, const double *numbers, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (!isnan(numbers[i]) && dtype_round(dtype, numbers[i]) != numbers[i])
            return false;
    return true;
}

/* Attribute values holds integers that a double and an i64 both hold; no minus zero. */
static bool is_integral(const double *numbers, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (!(fabs(numbers[i]) < 0x1p53) || numbers[i] != trunc(numbers[i]) ||
            (numbers[i] == 0 && signbit(numbers[i])))
            return false;
    return true;
}

static void set_values(struct arena *arena, struct attributes *attributes, const double *numbers,
                       int64_t count)
{
    int64_t values[INLINE_ELEMENTS];
    for (int64_t i = 0; i < count; i++)
        values[i] = (int64_t)numbers[i];
    attributes_set_list(arena, attributes, ATTRIBUTE_values, values, (int)count);
}

static void set_blob(struct module *module, struct attributes *attributes, const struct type *type,
                     const double *numbers)
{
    unsigned char *bytes = calloc(type_bytes(type) + 1, 1);
    if (!bytes)
        fatal(OUT_OF_MEMORY, (size_t)type_bytes(type));
    for (int64_t i = 0; i < type_elements(type); i++)
        dtype_store(type->dtype, bytes, i, numbers[i]);
    const char *name = module_add_blob(module, bytes, type_bytes(type));
    attributes_set_text(module->arena, attributes, ATTRIBUTE_blob, name);
    free(bytes);
}

static struct value *make_constant(struct builder *b, const struct type *type,
                                   const double *numbers)
{
    struct attributes attributes = {0};
    int64_t count = type_elements(type);
    if (type->rank == 0)
        return build_constant(b, type->dtype, numbers[0]);
    if (!fits(type->dtype, numbers, count))
        return NULL;
    attributes_set_int(b->module->arena, &attributes, ATTRIBUTE_dtype, type->dtype);
    attributes_set_list(b->module->arena, &attributes, ATTRIBUTE_dims, type->dims, type->rank);
    if (is_small(type) && is_integral(numbers, count))
        set_values(b->module->arena, &attributes, numbers, count);
    else
        set_blob(b->module, &attributes, type, numbers);
    return &build_node(b, OP_const, NULL, 0, attributes, NULL)->results[0];
}

/* --- evaluation --- */

static double *evaluate_known(struct module *module, const struct value *value)
{
    int64_t count = type_elements(&value->type);
    double *numbers = calloc((size_t)count + 1, sizeof *numbers);
    if (!numbers)
        fatal(OUT_OF_MEMORY, (size_t)count * sizeof *numbers);
    interp_node(module, INTERP_EXACT, value->node, NULL, &numbers);
    return numbers;
}

struct value *fold_constants(struct builder *b, const struct node *node,
                             struct value *const *operands)
{
    double *in[64], *out;
    const struct type *type = &node->results[0].type;
    if (!may_fold(node, operands))
        return NULL;
    out = calloc((size_t)type_elements(type) + 1, sizeof *out);
    if (!out)
        fatal(OUT_OF_MEMORY, (size_t)type_elements(type) * sizeof *out);
    for (int i = 0; i < node->operand_count; i++)
        in[i] = evaluate_known(b->module, operands[i]);
    interp_node(b->module, INTERP_EXACT, node, (const double *const *)in, &out);
    struct value *folded = make_constant(b, type, out);
    for (int i = 0; i < node->operand_count; i++)
        free(in[i]);
    free(out);
    return folded;
}
