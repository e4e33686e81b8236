/* Liveness to arena offsets: pass_plan. */
#include "ir/target.h"
#include "passes/lifetimes.h"
#include "passes/passes.h"
#include "passes/plan_pitch.h"

#include <stdlib.h>

static uint64_t take(uint64_t *at, const struct value *value)
{
    uint64_t offset = *at, bytes = type_storage_bytes(&value->type);
    if (__builtin_add_overflow(offset, arena_round(bytes), at))
        fatal(SIZE_OVERFLOW, value->name);
    return offset;
}

static void place_leaves(struct module *module, uint64_t *end)
{
    for (size_t i = 0; i < module->weights.count; i++)
        module->weights.items[i]->results[0].place = (struct place){PLACE_WEIGHT, 0};
    for (size_t i = 0; i < module->states.count; i++) {
        struct value *state = &module->states.items[i]->results[0];
        state->place = (struct place){PLACE_ARENA, take(end, state)};
    }
    module->state_bytes = *end;
    for (size_t f = 0; f < module->functions.count; f++)
        for (size_t i = 0; i < module->functions.items[f]->params.count; i++) {
            struct value *param = &module->functions.items[f]->params.items[i]->results[0];
            param->place = (struct place){PLACE_ARENA, take(end, param)};
        }
}

/* What lives in a state has the state's place. */
static void place_updates(struct function *function)
{
    for (size_t i = 0; i < function->nodes.count; i++) {
        struct node *node = function->nodes.items[i];
        for (int r = 0; r < op_info(node->op)->results; r++) {
            const struct value *state = state_of(function, &node->results[r]);
            if (state)
                node->results[r].place = state->place;
        }
    }
}

static int largest_first(const void *a, const void *b)
{
    const struct lifetime *x = *(struct lifetime *const *)a, *y = *(struct lifetime *const *)b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return x->first != y->first ? x->first - y->first : (int)(x->value->id) - (int)y->value->id;
}

static bool overlaps(const struct lifetime *a, const struct lifetime *b)
{
    return a->first <= b->last && b->first <= a->last;
}

static int by_offset(const void *a, const void *b)
{
    uint64_t x = (*(struct lifetime *const *)a)->value->place.offset;
    uint64_t y = (*(struct lifetime *const *)b)->value->place.offset;
    return x < y ? -1 : x > y;
}

/* The lowest offset at which `lifetime` fits beside those placed that are alive with it. */
static uint64_t lowest_gap(struct lifetime *const *alive, size_t count, uint64_t base,
                           uint64_t bytes)
{
    uint64_t at = base;
    for (size_t i = 0; i < count; i++) {
        uint64_t offset = alive[i]->value->place.offset;
        if (offset >= at && offset - at >= bytes)
            break;
        uint64_t end = offset + alive[i]->bytes;
        at = end > at ? end : at;
    }
    return at;
}

/* Greedy by size (Pisarchyk & Lee 2020): the largest value first, each at the lowest offset
 * that is free while it lives. Returns the end of the scratch. */
static uint64_t place_scratch(struct module *module, struct lifetimes *l, uint64_t base)
{
    size_t count = l->list.count;
    struct lifetime **order = arena_array(module->arena, struct lifetime *, count + 1);
    struct lifetime **alive = arena_array(module->arena, struct lifetime *, count + 1);
    uint64_t end = base;
    for (size_t i = 0; i < count; i++)
        order[i] = &l->list.items[i];
    qsort(order, count, sizeof *order, largest_first);
    for (size_t i = 0; i < count; i++) {
        size_t found = 0;
        for (size_t k = 0; k < i; k++)
            if (overlaps(order[i], order[k]))
                alive[found++] = order[k];
        qsort(alive, found, sizeof *alive, by_offset);
        uint64_t offset = lowest_gap(alive, found, base, order[i]->bytes), last;
        order[i]->value->place = (struct place){PLACE_ARENA, offset};
        if (__builtin_add_overflow(offset, order[i]->bytes, &last))
            fatal(SIZE_OVERFLOW, order[i]->value->name);
        end = last > end ? last : end;
    }
    return end;
}

/*
 * Requires: kernels in their order of execution.
 * Preserves: everything but places, and on GPUs the pitch of the rows of matrix operands.
 * Breaks: nothing. Afterwards each value has a place: states first, then the inputs of all
 *   functions, then each function's scratch and outputs, overlaid.
 */
void pass_plan(struct module *module)
{
    uint64_t base = 0;
    const struct target *target = module->target ? target_find(module->target) : NULL;
    if (target && target->gpu)
        pitch_operands(module);
    place_leaves(module, &base);
    module->arena_bytes = base;
    for (size_t f = 0; f < module->functions.count; f++) {
        struct function *function = module->functions.items[f];
        place_updates(function);
        struct lifetimes lifetimes = find_lifetimes(module, function);
        uint64_t end = place_scratch(module, &lifetimes, base);
        if (end > module->arena_bytes)
            module->arena_bytes = end;
    }
}
