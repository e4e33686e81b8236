/*
 * Planned functions, through the bytes of one arena. Only REG values and views pass from node
 * to node as numbers; everything between kernels goes through its offset, and bytes that nobody
 * will read are overwritten after each kernel.
 */
#include "ir/interp_internal.h"

#include <stdlib.h>
#include <string.h>

struct planned {
    struct interp *interp;
    struct module *module;
    const struct function *function;
    unsigned char *arena, *saved;
    size_t *last_use; /* by value id: number of the last kernel that reads it, +1; 0 = none */
    const struct kernel *kernel; /* that runs */
};

static void *zeroed(size_t count, size_t size)
{
    void *bytes = calloc(count + 1, size);
    if (!bytes)
        fatal(OUT_OF_MEMORY, count * size);
    return bytes;
}

static bool is_effect(const struct value *value)
{
    return op_info(value->node->op)->flags & OP_EFFECT;
}

/* The value whose bytes in the arena hold `value`; NULL if it is not stored itself. */
static const struct value *storage(const struct value *value)
{
    while (value->place.kind == PLACE_VIEW && is_effect(value))
        value = value->node->operands[0];
    return value->place.kind == PLACE_ARENA ? value : NULL;
}

/* --- liveness --- */

static void touch(struct planned *p, const struct value *value, size_t kernel)
{
    const struct value *stored = storage(value);
    if (stored && p->last_use[stored->id] < kernel + 1)
        p->last_use[stored->id] = kernel + 1;
    bool view = value->place.kind == PLACE_VIEW && !is_effect(value);
    for (int i = 0; view && i < value->node->operand_count; i++)
        touch(p, value->node->operands[i], kernel);
}

static void find_last_uses(struct planned *p)
{
    const struct function *function = p->function;
    for (size_t n = 0, k = 0; n < function->nodes.count; n++) {
        const struct node *node = function->nodes.items[n];
        while (function->kernels.items[k] != node->kernel)
            k++;
        for (int i = 0; i < node->operand_count; i++)
            touch(p, node->operands[i], k);
    }
    for (size_t i = 0; i < function->bindings.count; i++)
        touch(p, function->bindings.items[i].value, function->kernels.count);
}

/* --- bytes --- */

static void write_value(struct planned *p, const struct value *value, const double *numbers)
{
    const struct value *stored = storage(value);
    for (int64_t i = 0; stored && i < type_elements(&value->type); i++)
        dtype_store(value->type.dtype, p->arena + stored->place.offset,
                    type_place(&stored->type, i), numbers[i]);
}

static void compute(struct planned *p, const struct node *node);

/* The numbers of a value as the running kernel sees them. */
static const double *read_value(struct planned *p, const struct value *value)
{
    const struct value *stored = storage(value);
    double *numbers = interp_tensor(p->interp, value);
    bool inside = value->node->kernel && value->node->kernel == p->kernel;
    if (inside || value->node->op == OP_weight)
        return numbers;
    for (int64_t i = 0; stored && i < type_elements(&value->type); i++)
        numbers[i] = dtype_load(value->type.dtype, p->arena + stored->place.offset,
                                type_place(&stored->type, i));
    if (!stored)
        compute(p, value->node);
    return numbers;
}

static void compute(struct planned *p, const struct node *node)
{
    const double *in[64];
    double *out[MAX_RESULTS];
    for (int i = 0; i < node->operand_count; i++)
        in[i] = read_value(p, node->operands[i]);
    for (int i = 0; i < node->result_count; i++)
        out[i] = interp_tensor(p->interp, &node->results[i]);
    interp_node(p->module, INTERP_ROUNDED, node, in, out);
}

/* --- poison --- */

typedef void for_stored(struct planned *p, const struct value *value);

static void keep_bytes(struct planned *p, const struct value *value)
{
    memcpy(p->saved + value->place.offset, p->arena + value->place.offset,
           type_storage_bytes(&value->type));
}

/* Calls `visit` for what is in the arena after kernel k and will be read. */
static void for_live(struct planned *p, size_t k, size_t node_count, for_stored *visit)
{
    const struct function *function = p->function;
    for (size_t i = 0; i < function->params.count; i++) {
        const struct value *value = &function->params.items[i]->results[0];
        if (value->place.kind == PLACE_ARENA && p->last_use[value->id] > k + 1)
            visit(p, value);
    }
    for (size_t n = 0; n < node_count; n++)
        for (int i = 0; i < function->nodes.items[n]->result_count; i++) {
            const struct value *value = &function->nodes.items[n]->results[i];
            if (value->place.kind == PLACE_ARENA && p->last_use[value->id] > k + 1)
                visit(p, value);
        }
}

static void poison(struct planned *p, size_t k, size_t node_count)
{
    size_t states = p->module->state_bytes, size = p->module->arena_bytes - states;
    memset(p->saved + states, 0xff, size);
    for_live(p, k, node_count, keep_bytes);
    memcpy(p->arena + states, p->saved + states, size);
}

/* --- functions --- */

static void load_inputs(struct planned *p)
{
    const struct function *function = p->function;
    memset(p->arena, 0xff, p->module->arena_bytes);
    for (size_t i = 0; i < p->module->states.count; i++) {
        const struct value *value = &p->module->states.items[i]->results[0];
        write_value(p, value, interp_value(p->interp, value));
    }
    for (size_t i = 0; i < function->params.count; i++) {
        const struct value *value = &function->params.items[i]->results[0];
        if (!interp_value(p->interp, value))
            fatal(INTERNAL, "a value was not bound", value->name);
        write_value(p, value, interp_value(p->interp, value));
    }
}

static void run_kernel(struct planned *p, size_t k, size_t *at)
{
    const struct function *function = p->function;
    size_t first = *at;
    p->kernel = function->kernels.items[k];
    for (; *at < function->nodes.count && function->nodes.items[*at]->kernel == p->kernel; ++*at)
        compute(p, function->nodes.items[*at]);
    for (size_t n = first; n < *at; n++)
        for (int i = 0; i < function->nodes.items[n]->result_count; i++) {
            const struct value *value = &function->nodes.items[n]->results[i];
            write_value(p, value, interp_value(p->interp, value));
        }
    poison(p, k, *at);
}

/* Outputs first: reading a state afterwards gives its next value. */
static void read_results(struct planned *p)
{
    p->kernel = NULL;
    for (size_t i = 0; i < p->function->bindings.count; i++)
        if (!p->function->bindings.items[i].state)
            read_value(p, p->function->bindings.items[i].value);
    for (size_t i = 0; i < p->module->states.count; i++)
        read_value(p, &p->module->states.items[i]->results[0]);
}

void interp_function_planned(struct interp *interp, const struct function *function)
{
    struct module *module = interp_module(interp);
    struct planned p = {.interp = interp, .module = module, .function = function};
    size_t at = 0;
    interp_start_states(interp);
    p.arena = zeroed(module->arena_bytes, 1);
    p.saved = zeroed(module->arena_bytes, 1);
    p.last_use = zeroed(module->next_value, sizeof *p.last_use);
    find_last_uses(&p);
    load_inputs(&p);
    for (size_t k = 0; k < function->kernels.count; k++)
        run_kernel(&p, k, &at);
    read_results(&p);
    free(p.arena);
    free(p.saved);
    free(p.last_use);
}
