/* Whole modules: creation, look-up, facts and blobs. See ir.h. */
#include "ir/ir.h"

#include <inttypes.h>
#include <string.h>

struct module *module_create(struct arena *arena, const char *name)
{
    struct module *module = arena_new(arena, struct module);
    module->arena = arena;
    module->name = arena_copy(arena, name, strlen(name));
    module->stage = "lower";
    module->names = map_create(arena);
    return module;
}

struct function *module_add_function(struct module *module, const char *name)
{
    struct function *function = arena_new(module->arena, struct function);
    function->name = arena_copy(module->arena, name, strlen(name));
    function->names = map_create(module->arena);
    array_push(module->arena, &module->functions, function);
    return function;
}

struct function *module_insert_function(struct module *module, const struct function *before,
                                        const char *wanted)
{
    const char *name = wanted;
    for (int i = 2; module_find_function(module, name); i++)
        name = arena_printf(module->arena, "%s.%d", wanted, i);
    struct function *function = module_add_function(module, name);
    size_t at = module->functions.count - 1;
    for (; at > 0 && module->functions.items[at] != before; at--)
        module->functions.items[at] = module->functions.items[at - 1];
    module->functions.items[at + 1] = module->functions.items[at];
    module->functions.items[at] = function;
    return function;
}

struct function *module_find_function(const struct module *module, const char *name)
{
    for (size_t i = 0; i < module->functions.count; i++)
        if (strcmp(module->functions.items[i]->name, name) == 0)
            return module->functions.items[i];
    return NULL;
}

struct node *module_find_leaf(const struct module *module, const char *name)
{
    const struct value *value = map_get(&module->names, name);
    return value ? value->node : NULL;
}

void module_add_fact(struct module *module, const char *name, const char *value)
{
    struct fact fact = {arena_copy(module->arena, name, strlen(name)),
                        arena_copy(module->arena, value, strlen(value))};
    array_push(module->arena, &module->facts, fact);
}

const char *module_add_blob(struct module *module, const void *bytes, size_t size)
{
    uint64_t hash = hash_bytes(0, bytes, size);
    for (;; hash++) { /* another content of the same hash takes the next number */
        const char *name = arena_printf(module->arena, "%016" PRIx64, hash);
        const struct blob *found = module_find_blob(module, name);
        if (found && found->size == size && memcmp(found->bytes, bytes, size) == 0)
            return found->name;
        if (found)
            continue;
        struct blob blob = {name, arena_copy(module->arena, bytes, size), size};
        array_push(module->arena, &module->blobs, blob);
        return name;
    }
}

const struct blob *module_find_blob(const struct module *module, const char *name)
{
    for (size_t i = 0; i < module->blobs.count; i++)
        if (strcmp(module->blobs.items[i].name, name) == 0)
            return &module->blobs.items[i];
    return NULL;
}

bool value_leaves_kernel(const struct function *function, const struct value *value)
{
    for (size_t i = 0; i < function->nodes.count; i++) {
        const struct node *user = function->nodes.items[i];
        for (int k = 0; user->kernel != value->node->kernel && k < user->operand_count; k++)
            if (user->operands[k] == value)
                return true;
    }
    for (size_t i = 0; i < function->bindings.count; i++)
        if (function->bindings.items[i].value == value)
            return true;
    return false;
}

bool node_leaves_kernel(const struct function *function, const struct node *node)
{
    for (int k = 0; k < node->result_count; k++)
        if (value_leaves_kernel(function, &node->results[k]))
            return true;
    return false;
}
