/* Shared by interp*.c: one evaluation of one node on whole tensors of doubles. */
#ifndef SINTER_INTERP_INTERNAL_H
#define SINTER_INTERP_INTERNAL_H

#include "ir/interp.h"

struct interp_call {
    const struct module *module;
    const struct node *node;
    const double *const *in; /* by operand; row-major, type_elements of it */
    double *const *out;      /* by result */
    enum interp_mode mode;
};

#define call_type(call, i) (&(call)->node->operands[i]->type)
#define call_result(call) (&(call)->node->results[0].type)

/* Evaluates any node that is not a leaf and rounds its results as the mode says. */
void interp_node(const struct module *module, enum interp_mode mode, const struct node *node,
                 const double *const *in, double *const *out);

/* Rounds `count` numbers to a dtype: in EXACT only to integers and bool. */
void interp_round(enum interp_mode mode, enum dtype dtype, double *numbers, int64_t count);

/* Row loops of EW and RED rows (interp_rows.c). Steps are 0 for operands of rank 0, else 1. */
void interp_ew(const struct interp_call *call);
void interp_red(const struct interp_call *call);

/* interpret_NAME of every OP row; leaves are refused. */
#define OP(name, ...) void interpret_##name(const struct interp_call *call);
#include "ir/ops.def"

/* The tensor of a value, made if it is not there; states that were not bound, at their start. */
double *interp_tensor(struct interp *interp, const struct value *value);
void interp_start_states(struct interp *interp);
struct module *interp_module(const struct interp *interp);
/* The nodes of a function whose params are bound, and nothing else. */
void interp_body(struct interp *interp, const struct function *function);

/* Items of a row in the order of the op sort: stable by index, NaN last. */
struct sort_item {
    double number;
    int64_t index;
};
void sort_items(struct sort_item *items, int64_t count, bool descending);
/* What would stand at `wanted` after that; changes the order (quickselect, Hoare 1961). */
struct sort_item select_item(struct sort_item *items, int64_t count, int64_t wanted,
                             bool descending);

/* Row-major strides of a type's dims; the number of elements. */
int64_t row_major(const struct type *type, int64_t *out_strides);

/* The position of key slot j when the last query stands at `last` (attention). */
int64_t slot_position(bool ring, int64_t slots, int64_t slot, int64_t last);
/* Whether a query sees a key, by {causal window}. */
bool key_visible(const struct node *attention, int64_t query, int64_t key);

/* A row index for a table of `extent` rows: ids outside are clamped. extent > 0. */
int64_t clamp_index(double id, int64_t extent);

/* A constant's element (const with value, values or blob). */
double constant_element(const struct module *module, const struct node *node, int64_t element);

#endif
