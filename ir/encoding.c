/* Packed weights: their table, the op that decodes them, and their rules. See encoding.h. */
#include "ir/encoding.h"

#include "ir/interp_demand.h"
#include "ir/shape.h"

#include <string.h>

static const struct encoding encodings[] = {
#define ENCODING(name, bits, flip, zero, meaning) {#name, bits, flip, zero, meaning},
#include "ir/encodings.def"
};
enum { ENCODINGS = sizeof encodings / sizeof *encodings };

const struct encoding *encoding_row(int index)
{
    return index < ENCODINGS ? &encodings[index] : NULL;
}

const struct encoding *encoding_find(const char *name)
{
    for (int i = 0; name && i < ENCODINGS; i++)
        if (strcmp(encodings[i].name, name) == 0)
            return &encodings[i];
    return NULL;
}

struct type encoded_type(const struct encoding *encoding, const struct type *type)
{
    struct type bytes = type_make(DTYPE_u8, type->rank, type->dims);
    bytes.dims[type->rank - 1] = type->dims[type->rank - 1] * encoding->bits / 8;
    return bytes;
}

int encoding_code(const struct encoding *encoding, unsigned byte, int64_t i)
{
    int each = 8 / encoding->bits;
    return (int)(byte >> (i % each * encoding->bits) & ((1u << encoding->bits) - 1));
}

double encoding_number(const struct encoding *encoding, int code, double scale)
{
    return ((code ^ encoding->flip) - encoding->zero) * scale;
}

const char *encoding_rule(const struct module *module, const struct node *weight)
{
    const struct type *type = &weight->results[0].type;
    const char *name = node_text(weight, encoding), *scales = node_text(weight, scales);
    const struct encoding *encoding = encoding_find(name);
    int64_t group = node_int(weight, group);
    const struct node *leaf = scales ? module_find_leaf(module, scales) : NULL;
    if (!name)
        return group || scales ? "a weight with a group or scales has an encoding" : NULL;
    if (!encoding)
        return "an encoding is one of the table";
    if (!dtype_is_float(type->dtype) || attributes_find(&weight->attributes, ATTRIBUTE_stored))
        return "an encoded weight is logically a float, and has no stored type beside";
    if (type->rank < 1 || group < 1 || type->dims[type->rank - 1] % group != 0 ||
        type->dims[type->rank - 1] * encoding->bits % 8 != 0)
        return "groups of an encoding divide the last axis, whose rows are whole bytes";
    struct type expected = type_make(DTYPE_f32, type->rank, type->dims);
    expected.dims[type->rank - 1] /= group;
    if (!leaf || leaf->op != OP_weight || node_text(leaf, encoding) ||
        !dtype_is_float(leaf->results[0].type.dtype) ||
        !type_same_dims(&leaf->results[0].type, &expected))
        return "scales are a weight of floats, one for each group";
    return NULL;
}

/* --- the op decode: %codes u8[.., K * bits / 8], %scales[.., K / group] to f32[.., K] --- */

void shape_decode(const struct shape_call *call)
{
    const struct type *codes = operand_type(call, 0), *scales = operand_type(call, 1);
    const char *name = attributes_text(call->attributes, ATTRIBUTE_encoding);
    const struct encoding *encoding = encoding_find(name);
    int64_t group = call_int(call, group), dims[MAX_RANK];
    if (!encoding || group < 1)
        fatal_at(call->location, SHAPE_ATTRIBUTE, call->name, "encoding",
                 "a row of encodings.def, and a group of at least 1");
    shape_need_dtype(call, 0, DTYPE_u8);
    shape_need_float(call, 1);
    shape_need_rank(call, 0, 1);
    int last = codes->rank - 1;
    bool fits = scales->rank == codes->rank;
    for (int i = 0; fits && i < last; i++)
        fits = scales->dims[i] == codes->dims[i];
    memcpy(dims, codes->dims, sizeof dims);
    dims[last] = codes->dims[last] * (8 / encoding->bits);
    if (!fits || dims[last] % group != 0 || scales->dims[last] != dims[last] / group)
        fatal_at(call->location, SHAPE_INDEX, call->name, shape_text(codes), shape_text(scales));
    shape_result(call, 0, DTYPE_f32, codes->rank, dims);
}

/* The byte that holds element `flat`: rows are whole bytes. */
static int64_t byte_of(const struct encoding *encoding, int64_t flat)
{
    return flat / (8 / encoding->bits);
}

void interpret_decode(const struct interp_call *call)
{
    const struct encoding *encoding = encoding_find(node_text(call->node, encoding));
    int64_t group = node_int(call->node, group);
    for (int64_t i = 0; i < type_elements(call_result(call)); i++) {
        unsigned byte = (unsigned)call->in[0][byte_of(encoding, i)];
        call->out[0][i] =
            encoding_number(encoding, encoding_code(encoding, byte, i), call->in[1][i / group]);
    }
}

double element_decode(struct demand *d, const struct node *node, int result, int64_t flat)
{
    const struct encoding *encoding = encoding_find(node_text(node, encoding));
    double byte = demand_operand(d, node, 0, byte_of(encoding, flat));
    (void)result;
    return encoding_number(encoding, encoding_code(encoding, (unsigned)byte, flat),
                           demand_operand(d, node, 1, flat / node_int(node, group)));
}

/* --- weights in the interpreter --- */

void interp_bind_codes(struct interp *interp, const struct node *weight, const unsigned char *codes)
{
    const struct value *value = &weight->results[0];
    const struct encoding *encoding = encoding_find(node_text(weight, encoding));
    const struct node *leaf = module_find_leaf(interp_module(interp), node_text(weight, scales));
    const double *scales = leaf ? interp_value(interp, &leaf->results[0]) : NULL;
    if (!encoding || !scales)
        fatal(INTERNAL, "the scales of an encoded weight were not bound", value->name);
    double *numbers = interp_tensor(interp, value);
    for (int64_t i = 0; i < type_elements(&value->type); i++)
        numbers[i] =
            encoding_number(encoding, encoding_code(encoding, codes[byte_of(encoding, i)], i),
                            scales[i / node_int(weight, group)]);
}
