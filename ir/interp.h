/*
 * The reference evaluator: slow, simple, in double. The oracle of all numeric tests.
 */
#ifndef SINTER_INTERP_H
#define SINTER_INTERP_H

#include "ir/ir.h"

/* EXACT computes in f64 and ignores dtypes, but for integers and bool. ROUNDED rounds each value
 * to its dtype as the IR states. */
enum interp_mode { INTERP_EXACT, INTERP_ROUNDED };

/*
 * Values of leaves and of what was computed, by value id: tensor->data holds type_elements
 * doubles, row-major. bind() sets leaves (weights, states, params) and copies the numbers;
 * interp_function computes the outputs and then replaces bound states by their next values.
 * States that were not bound start as their source weight, or filled with attribute fill.
 * Running out of memory is fatal.
 */
struct interp;
struct interp *interp_create(struct module *module, enum interp_mode mode);
void interp_bind(struct interp *interp, const struct value *leaf, const double *data);
/* The logical numbers of a weight with an encoding, from the bytes of its file. Its scales are
 * bound before (ir/encoding.h). */
void interp_bind_codes(struct interp *interp, const struct node *weight,
                       const unsigned char *codes);
void interp_function(struct interp *interp, const struct function *function);
/* NULL if it was neither bound nor computed. Valid until the next call. */
const double *interp_value(const struct interp *interp, const struct value *value);
void interp_destroy(struct interp *interp);

/*
 * As interp_function, for a planned function: params and states are stored as bytes at their
 * offsets of one arena, each kernel reads its operands from there and stores its live-outs, and
 * what no later kernel reads is filled with 0xff: a wrong offset or liveness shows as a wrong
 * number. interp_value afterwards gives params, states and outputs. ROUNDED only.
 */
void interp_function_planned(struct interp *interp, const struct function *function);

/*
 * Evaluates single elements on demand: only what they need is computed. Leaves, and the values
 * that `provide` knows, come from the callback. For `check` at real sizes.
 */
typedef bool interp_provide(void *context, const struct value *value, int64_t element,
                            double *out_number);
double interp_element(struct module *module, enum interp_mode mode, const struct value *value,
                      int64_t element, interp_provide *provide, void *context);

/* The same for many elements over leaves that do not change: what several of them need is computed
 * once. */
struct interp_elements;
struct interp_elements *interp_elements_create(struct module *module, enum interp_mode mode,
                                               interp_provide *provide, void *context);
double interp_elements_at(struct interp_elements *elements, const struct value *value,
                          int64_t element);
void interp_elements_destroy(struct interp_elements *elements); /* NULL is allowed */

#endif
