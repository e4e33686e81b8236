/* Whole functions on tensors of doubles: see interp.h. */
#include "ir/interp_internal.h"

#include <stdlib.h>
#include <string.h>

struct interp {
    struct module *module;
    enum interp_mode mode;
    double **tensors; /* by value id */
    uint32_t count;
};

int64_t row_major(const struct type *type, int64_t *out_strides)
{
    int64_t stride = 1;
    for (int i = type->rank - 1; i >= 0; i--) {
        out_strides[i] = stride ? stride : 1; /* never divided by: an empty tensor's are unused */
        stride *= type->dims[i];
    }
    return stride;
}

void interp_round(enum interp_mode mode, enum dtype dtype, double *numbers, int64_t count)
{
    if (dtype == DTYPE_f64 || (mode == INTERP_EXACT && dtype_is_float(dtype)))
        return;
    for (int64_t i = 0; dtype == DTYPE_f32 && i < count; i++)
        numbers[i] = (float)numbers[i];
    for (int64_t i = 0; dtype != DTYPE_f32 && i < count; i++)
        numbers[i] = dtype_round(dtype, numbers[i]);
}

static void (*const interpret_structured[OP_COUNT])(const struct interp_call *call) = {
#define OP(name, ...) [OP_##name] = interpret_##name,
#include "ir/ops.def"
};

void interp_node(const struct module *module, enum interp_mode mode, const struct node *node,
                 const double *const *in, double *const *out)
{
    const struct op_info *info = op_info(node->op);
    struct interp_call call = {module, node, in, out, mode};
    if (info->kind == KIND_EW)
        interp_ew(&call);
    else if (info->kind == KIND_RED)
        interp_red(&call);
    else
        interpret_structured[node->op](&call);
    for (int i = 0; i < node->result_count; i++) {
        const struct type *type = &node->results[i].type;
        interp_round(mode, type->dtype, out[i], type_elements(type));
    }
}

/* --- tensors --- */

struct interp *interp_create(struct module *module, enum interp_mode mode)
{
    struct interp *interp = calloc(1, sizeof *interp);
    if (!interp)
        fatal(OUT_OF_MEMORY, sizeof *interp);
    interp->module = module;
    interp->mode = mode;
    return interp;
}

void interp_destroy(struct interp *interp)
{
    for (uint32_t i = 0; interp && i < interp->count; i++)
        free(interp->tensors[i]);
    if (interp)
        free(interp->tensors);
    free(interp);
}

double *interp_tensor(struct interp *interp, const struct value *value)
{
    if (value->id >= interp->count) {
        uint32_t count = interp->module->next_value;
        double **grown = realloc(interp->tensors, count * sizeof *grown);
        if (!grown)
            fatal(OUT_OF_MEMORY, count * sizeof *grown);
        memset(grown + interp->count, 0, (count - interp->count) * sizeof *grown);
        interp->tensors = grown;
        interp->count = count;
    }
    size_t elements = (size_t)type_elements(&value->type);
    if (!interp->tensors[value->id]) {
        interp->tensors[value->id] = calloc(elements + 1, sizeof(double));
        if (!interp->tensors[value->id])
            fatal(OUT_OF_MEMORY, elements * sizeof(double));
    }
    return interp->tensors[value->id];
}

const double *interp_value(const struct interp *interp, const struct value *value)
{
    return value->id < interp->count ? interp->tensors[value->id] : NULL;
}

void interp_bind(struct interp *interp, const struct value *leaf, const double *data)
{
    double *tensor = interp_tensor(interp, leaf);
    int64_t elements = type_elements(&leaf->type);
    if (elements)
        memcpy(tensor, data, (size_t)elements * sizeof *data);
    interp_round(interp->mode, leaf->type.dtype, tensor, elements);
}

/* A state before the first step. */
static void start_state(struct interp *interp, const struct node *state)
{
    const struct value *value = &state->results[0];
    const char *name = node_text(state, source);
    const struct node *weight = name ? module_find_leaf(interp->module, name) : NULL;
    if (interp_value(interp, value))
        return;
    if (weight && interp_value(interp, &weight->results[0])) {
        interp_bind(interp, value, interp_value(interp, &weight->results[0]));
        return;
    }
    double *tensor = interp_tensor(interp, value);
    for (int64_t i = 0; i < type_elements(&value->type); i++)
        tensor[i] = node_real(state, fill);
}

/* --- functions --- */

static void evaluate(struct interp *interp, const struct node *node)
{
    const double *in[64];
    double *out[MAX_RESULTS];
    for (int i = 0; i < node->operand_count; i++) {
        in[i] = interp_value(interp, node->operands[i]);
        if (!in[i])
            fatal(INTERNAL, "a value was not bound", node->operands[i]->name);
    }
    for (int i = 0; i < node->result_count; i++)
        out[i] = interp_tensor(interp, &node->results[i]);
    interp_node(interp->module, interp->mode, node, in, out);
}

/* A copy of a next value that is itself a state: another binding may replace that state. */
static double *copy_state(const struct interp *interp, const struct value *state)
{
    size_t bytes = ((size_t)type_elements(&state->type) + 1) * sizeof(double);
    double *copy = malloc(bytes);
    if (!copy)
        fatal(OUT_OF_MEMORY, bytes);
    return memcpy(copy, interp_value(interp, state), bytes);
}

static void replace_states(struct interp *interp, const struct function *function)
{
    size_t count = function->bindings.count;
    double **copies = calloc(count + 1, sizeof *copies);
    for (size_t i = 0; copies && i < count; i++) {
        const struct binding *binding = &function->bindings.items[i];
        if (binding->state && binding->value->node->op == OP_state)
            copies[i] = copy_state(interp, binding->value);
    }
    for (size_t i = 0; copies && i < count; i++) {
        const struct binding *binding = &function->bindings.items[i];
        const double *next = copies[i] ? copies[i] : interp_value(interp, binding->value);
        if (!next)
            fatal(INTERNAL, "a value was not bound", binding->value->name);
        if (binding->state)
            interp_bind(interp, binding->state, next);
        free(copies[i]);
    }
    free(copies);
}

void interp_start_states(struct interp *interp)
{
    for (size_t i = 0; i < interp->module->states.count; i++)
        start_state(interp, interp->module->states.items[i]);
}

struct module *interp_module(const struct interp *interp)
{
    return interp->module;
}

void interp_body(struct interp *interp, const struct function *function)
{
    for (size_t i = 0; i < function->nodes.count; i++)
        evaluate(interp, function->nodes.items[i]);
}

void interp_function(struct interp *interp, const struct function *function)
{
    interp_start_states(interp);
    interp_body(interp, function);
    replace_states(interp, function);
}
