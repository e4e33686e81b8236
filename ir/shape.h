/* Shared by the shape rules shape_*.c: one call of infer_types, and its checks. */
#ifndef SINTER_SHAPE_H
#define SINTER_SHAPE_H

#include "ir/ir.h"

struct shape_call {
    enum op op;
    const char *name; /* of the op */
    struct value *const *operands;
    int count;
    const struct attributes *attributes;
    struct location location;
    struct type *out;
};

/* Type of operand i. */
#define operand_type(call, i) (&(call)->operands[i]->type)
#define call_int(call, name) attributes_int((call)->attributes, ATTRIBUTE_##name)
#define call_list(call, name, out_count) \
    attributes_list((call)->attributes, ATTRIBUTE_##name, (out_count))

/* The text of a type in one of four static buffers: for messages only. */
const char *shape_text(const struct type *type);

/* Fatal unless an operand has this dtype; unless two have one dtype, the same dims. */
void shape_need_dtype(const struct shape_call *call, int operand, enum dtype dtype);
void shape_need_float(const struct shape_call *call, int operand);
void shape_need_index(const struct shape_call *call, int operand); /* i32 or i64 */
void shape_need_same_dtype(const struct shape_call *call, int x, int y);
void shape_need_same_dims(const struct shape_call *call, int x, int y);
void shape_need_rank(const struct shape_call *call, int operand, int rank);

/* An axis attribute, checked against the operand's rank. */
int shape_axis(const struct shape_call *call, int operand);

/* A list attribute of `count` items >= least (count -1: any); fatal otherwise. */
const int64_t *shape_list(const struct shape_call *call, enum attribute_id id, int count,
                          int64_t least, int *out_count);

/* Attribute dtype, or `fallback` where it is absent. */
enum dtype shape_dtype(const struct shape_call *call, enum dtype fallback);

/* Sets a contiguous result; refuses dims that are out of range. */
void shape_result(const struct shape_call *call, int result, enum dtype dtype, int rank,
                  const int64_t *dims);

/* shape_NAME of every OP row; leaves have types of their own and are refused. */
#define OP(name, ...) void shape_##name(const struct shape_call *call);
#include "ir/ops.def"

#endif
