/* See lifetimes.h. */
#include "passes/lifetimes.h"

uint64_t arena_round(uint64_t bytes)
{
    return (bytes + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
}

struct value *state_of(const struct function *function, const struct value *value)
{
    while (op_info(value->node->op)->flags & OP_EFFECT)
        value = value->node->operands[0];
    if (value->node->op == OP_state)
        return &value->node->results[0];
    for (size_t i = 0; i < function->bindings.count; i++)
        if (function->bindings.items[i].state && function->bindings.items[i].value == value)
            return function->bindings.items[i].state;
    return NULL;
}

static void number_kernels(struct lifetimes *l, const struct function *function)
{
    int kernel = -1;
    const struct kernel *current = NULL;
    for (size_t i = 0; i < function->nodes.count; i++) {
        const struct node *node = function->nodes.items[i];
        kernel += node->kernel != current;
        current = node->kernel;
        l->kernel_of[node->id] = kernel;
    }
}

static void define(struct lifetimes *l, struct module *module, const struct function *function,
                   struct node *node, int *at)
{
    for (int r = 0; r < op_info(node->op)->results; r++) {
        struct value *value = &node->results[r];
        bool inside = value->place.kind != PLACE_NONE && value->place.kind != PLACE_ARENA;
        if (inside || state_of(function, value))
            continue;
        int kernel = l->kernel_of[node->id];
        uint64_t bytes = arena_round(type_storage_bytes(&value->type));
        struct lifetime lifetime = {value, kernel, kernel, bytes};
        at[value->id] = (int)l->list.count + 1;
        array_push(module->arena, &l->list, lifetime);
    }
}

struct lifetimes find_lifetimes(struct module *module, const struct function *function)
{
    struct lifetimes l = {.kernel_of = arena_array(module->arena, int, module->next_node)};
    int *at = arena_array(module->arena, int, module->next_value); /* by value id: index + 1 */
    number_kernels(&l, function);
    for (size_t i = 0; i < function->nodes.count; i++) {
        struct node *node = function->nodes.items[i];
        for (int o = 0; o < node->operand_count; o++) {
            int known = at[node->operands[o]->id];
            if (known)
                l.list.items[known - 1].last = l.kernel_of[node->id];
        }
        define(&l, module, function, node, at);
    }
    for (size_t i = 0; i < function->bindings.count; i++) {
        int known = at[function->bindings.items[i].value->id];
        if (known)
            l.list.items[known - 1].last = (int)function->kernels.count;
    }
    return l;
}
