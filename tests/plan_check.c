/* Every pair of values in memory, by time and by bytes: see plan_check.h. */
#include "tests/plan_check.h"

#include <stdio.h>
#include <stdlib.h>

/* Bytes [begin, end) that belong to a value during kernels [from, to]. */
struct claim {
    const struct value *value;
    uint64_t begin, end;
    int from, to;
};

struct claims {
    struct claim *items;
    size_t count;
    int *kernel_of; /* by node id */
    int kernels;
};

static bool in_arena(const struct value *value)
{
    return value->place.kind == PLACE_ARENA;
}

static void add(struct claims *c, const struct value *value, int from, int to)
{
    uint64_t begin = value->place.offset;
    c->items[c->count++] =
        (struct claim){value, begin, begin + type_bytes(&value->type), from, to};
}

static int kernel_number(const struct function *function, const struct kernel *kernel)
{
    for (size_t i = 0; i < function->kernels.count; i++)
        if (function->kernels.items[i] == kernel)
            return (int)i;
    return -1;
}

/* A value whose memory is a state's on purpose: written by an op with an effect, or the state's
 * next value. */
static bool is_state_memory(const struct function *function, const struct value *value)
{
    if (op_info(value->node->op)->flags & OP_EFFECT)
        return true;
    for (size_t i = 0; i < function->bindings.count; i++)
        if (function->bindings.items[i].state && function->bindings.items[i].value == value)
            return value->place.offset == function->bindings.items[i].state->place.offset;
    return false;
}

static int last_use(const struct claims *c, const struct function *function,
                    const struct value *value)
{
    int last = c->kernel_of[value->node->id];
    for (size_t i = 0; i < function->nodes.count; i++) {
        const struct node *node = function->nodes.items[i];
        for (int o = 0; o < node->operand_count; o++)
            if (node->operands[o] == value && c->kernel_of[node->id] > last)
                last = c->kernel_of[node->id];
    }
    for (size_t i = 0; i < function->bindings.count; i++)
        if (function->bindings.items[i].value == value)
            last = c->kernels;
    return last;
}

static void collect(struct claims *c, const struct module *module,
                    const struct function *function)
{
    c->kernels = (int)function->kernels.count;
    for (size_t i = 0; i < module->states.count; i++)
        add(c, &module->states.items[i]->results[0], -1, c->kernels);
    for (size_t i = 0; i < function->params.count; i++)
        add(c, &function->params.items[i]->results[0], -1, c->kernels);
    for (size_t i = 0; i < function->nodes.count; i++)
        c->kernel_of[function->nodes.items[i]->id] =
            kernel_number(function, function->nodes.items[i]->kernel);
    for (size_t i = 0; i < function->nodes.count; i++) {
        const struct node *node = function->nodes.items[i];
        for (int r = 0; r < op_info(node->op)->results; r++) {
            const struct value *value = &node->results[r];
            if (in_arena(value) && !is_state_memory(function, value))
                add(c, value, c->kernel_of[node->id], last_use(c, function, value));
        }
    }
}

static int conflicts(const struct claims *c, const struct module *module, char *report,
                     size_t capacity)
{
    int found = 0;
    for (size_t i = 0; i < c->count; i++) {
        const struct claim *a = &c->items[i];
        if (a->end > module->arena_bytes && a->end > a->begin && found++ == 0)
            snprintf(report, capacity, "%s lies outside the arena", a->value->name);
        for (size_t k = 0; k < i; k++) {
            const struct claim *b = &c->items[k];
            bool bytes = a->begin < b->end && b->begin < a->end;
            bool time = a->from <= b->to && b->from <= a->to;
            if (bytes && time && found++ == 0)
                snprintf(report, capacity, "%s and %s overlap", a->value->name, b->value->name);
        }
    }
    return found;
}

int plan_conflicts(const struct module *module, char *report, size_t capacity)
{
    int found = 0;
    report[0] = '\0';
    for (size_t f = 0; f < module->functions.count; f++) {
        const struct function *function = module->functions.items[f];
        size_t room = module->states.count + function->params.count + 2 * function->nodes.count;
        struct claims claims = {.items = calloc(room + 1, sizeof *claims.items),
                                .kernel_of = calloc(module->next_node + 1, sizeof(int))};
        if (!claims.items || !claims.kernel_of)
            abort();
        collect(&claims, module, function);
        found += conflicts(&claims, module, report, capacity);
        free(claims.items);
        free(claims.kernel_of);
    }
    return found;
}
