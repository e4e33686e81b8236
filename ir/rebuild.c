/* Rewriting functions and dropping what is dead: see build.h. */
#include "ir/build.h"

#include "ir/loop.h"
#include "ir/names.h"

#include <string.h>

static void map_to_itself(struct rebuild *r, struct node *const *leaves, size_t count)
{
    for (size_t i = 0; i < count; i++)
        rebuild_set(r, &leaves[i]->results[0], &leaves[i]->results[0]);
}

struct rebuild rebuild_begin(struct module *module, struct function *function)
{
    if (function->kernels.count)
        fatal(INTERNAL, "rebuilding a function that has kernels", function->name);
    struct rebuild r = {
        .builder = {.module = module, .function = function, .scope = ""},
        .old = function->nodes.items,
        .old_count = function->nodes.count,
        .mapped = arena_array(module->arena, struct value *, module->next_value),
        .mapped_count = module->next_value,
    };
    function->rebuilt_below = module->next_value;
    function->nodes.items = NULL;
    function->nodes.count = function->nodes.capacity = 0;
    map_to_itself(&r, module->weights.items, module->weights.count);
    map_to_itself(&r, module->states.items, module->states.count);
    map_to_itself(&r, function->params.items, function->params.count);
    return r;
}

struct value *rebuild_get(const struct rebuild *r, const struct value *old)
{
    struct value *found = old->id < r->mapped_count ? r->mapped[old->id] : NULL;
    bool new_leaf = old->id >= r->mapped_count && (op_info(old->node->op)->flags & OP_LEAF);
    return new_leaf ? &old->node->results[0] : found;
}

void rebuild_set(struct rebuild *r, const struct value *old, struct value *replacement)
{
    if (old->id < r->mapped_count)
        r->mapped[old->id] = replacement;
}

struct node *rebuild_copy(struct rebuild *r, const struct node *old)
{
    struct arena *arena = r->builder.module->arena;
    struct node *node =
        node_create_results(r->builder.module, old->op, old->operand_count, old->result_count);
    for (int i = 0; i < old->operand_count; i++) {
        node->operands[i] = rebuild_get(r, old->operands[i]);
        if (!node->operands[i])
            fatal(INTERNAL, "an operand was not mapped", old->operands[i]->name);
    }
    struct type types[MAX_RESULTS];
    infer_types(old->op, node->operands, node->operand_count, &old->attributes, old->location,
                types);
    node->attributes = attributes_copy(arena, &old->attributes);
    node->location = old->location;
    node->scope = old->scope;
    for (int i = 0; i < old->result_count; i++) {
        const struct type *was = &old->results[i].type;
        bool same = was->dtype == types[i].dtype && type_same_dims(was, &types[i]);
        node->results[i].type = same ? *was : types[i]; /* keeps strides */
        name_result(r->builder.module, r->builder.function, &node->results[i],
                    old->results[i].name);
        rebuild_set(r, &old->results[i], &node->results[i]);
    }
    array_push(arena, &r->builder.function->nodes, node);
    return node;
}

void rebuild_at(struct rebuild *r, const struct node *old)
{
    r->builder.location = old->location;
    r->builder.scope = old->scope;
}

void rebuild_end(struct rebuild *r)
{
    struct function *function = r->builder.function;
    for (size_t i = 0; i < function->bindings.count; i++) {
        struct binding *binding = &function->bindings.items[i];
        struct value *value = rebuild_get(r, binding->value);
        if (value)
            binding->value = value;
        else if (binding->value->id < r->mapped_count)
            fatal(INTERNAL, "a result was not mapped", binding->name);
    }
    function->rebuilt_below = 0;
    names_refresh(r->builder.module, function);
}

/* --- dead nodes --- */

static void mark_bindings(const struct function *function, bool *used)
{
    for (size_t i = 0; i < function->bindings.count; i++) {
        used[function->bindings.items[i].value->id] = true;
        if (function->bindings.items[i].state)
            used[function->bindings.items[i].state->id] = true;
    }
}

static bool node_used(const struct node *node, const bool *used)
{
    for (int i = 0; i < node->result_count; i++)
        if (used[node->results[i].id])
            return true;
    return false;
}

static void drop_dead_nodes(struct function *function, bool *used)
{
    mark_bindings(function, used);
    for (size_t i = function->nodes.count; i-- > 0;) {
        const struct node *node = function->nodes.items[i];
        for (int k = 0; node_used(node, used) && k < node->operand_count; k++)
            used[node->operands[k]->id] = true;
    }
    size_t kept = 0;
    for (size_t i = 0; i < function->nodes.count; i++)
        if (node_used(function->nodes.items[i], used))
            function->nodes.items[kept++] = function->nodes.items[i];
    function->nodes.count = kept;
}

/* A weight that a state starts from is used too, and the scales of one that is used. */
static void mark_sources(const struct module *module, bool *used)
{
    for (size_t i = 0; i < module->states.count; i++) {
        const char *source = node_text(module->states.items[i], source);
        const struct node *weight = source ? module_find_leaf(module, source) : NULL;
        if (weight)
            used[weight->results[0].id] = true;
    }
    for (size_t i = 0; i < module->weights.count; i++) {
        const struct node *weight = module->weights.items[i];
        const char *scales = node_text(weight, scales);
        const struct node *leaf = scales ? module_find_leaf(module, scales) : NULL;
        if (leaf && used[weight->results[0].id])
            used[leaf->results[0].id] = true;
    }
}

/* Whether a function holds a loop with this body. */
static bool calls_body(const struct function *function, const struct function *body)
{
    for (size_t i = 0; i < function->nodes.count; i++)
        if (function->nodes.items[i]->op == OP_loop &&
            loop_of(function->nodes.items[i]).body == body)
            return true;
    return false;
}

/* Bodies of loops that are gone. They stand before their users. */
static void drop_dead_bodies(struct module *module)
{
    for (size_t i = module->functions.count; i-- > 0;) {
        const struct function *body = module->functions.items[i];
        bool used = !is_loop_body(body);
        for (size_t k = i + 1; !used && k < module->functions.count; k++)
            used = calls_body(module->functions.items[k], body);
        if (used)
            continue;
        module->functions.count--;
        for (size_t k = i; k < module->functions.count; k++)
            module->functions.items[k] = module->functions.items[k + 1];
    }
}

void remove_dead(struct module *module)
{
    bool *used = arena_array(module->arena, bool, module->next_value);
    for (size_t i = 0; i < module->functions.count; i++) {
        drop_dead_nodes(module->functions.items[i], used);
        names_refresh(module, module->functions.items[i]);
    }
    drop_dead_bodies(module);
    mark_sources(module, used);
    size_t kept = 0;
    for (size_t i = 0; i < module->weights.count; i++)
        if (used[module->weights.items[i]->results[0].id])
            module->weights.items[kept++] = module->weights.items[i];
    module->weights.count = kept;
    names_refresh(module, NULL);
}
