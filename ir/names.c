/* See names.h. */
#include "ir/names.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

bool name_valid(const char *text, size_t length)
{
    if (length == 0 || !is_word(text[0]) || isdigit((unsigned char)text[0]))
        return false;
    for (size_t i = 1; i < length; i++)
        if (!is_word(text[i]) && !(text[i] == '.' && i + 1 < length && is_word(text[i + 1])))
            return false;
    return true;
}

static const char *make_valid(struct arena *arena, const char *wanted)
{
    size_t length = strlen(wanted);
    if (name_valid(wanted, length))
        return wanted;
    char *text = arena_printf(arena, "_%s", wanted);
    for (size_t i = 1; i <= length; i++)
        if (!is_word(text[i]))
            text[i] = '_';
    return text;
}

/* Length without a suffix that name_value gave: ".2" and so on. */
static size_t stem_length(const char *name)
{
    size_t length = strlen(name), at = length;
    while (at > 0 && isdigit((unsigned char)name[at - 1]))
        at--;
    bool suffix = at > 1 && at < length && name[at - 1] == '.' && name[at] != '0';
    return suffix && strcmp(name + at, "1") != 0 ? at - 1 : length;
}

static struct value *holder(const struct module *module, const struct function *function,
                            const char *name)
{
    struct value *value = map_get(&module->names, name);
    return value || !function ? value : map_get(&function->names, name);
}

static const char *with_suffix(const struct module *module, const char *wanted, long suffix)
{
    return arena_printf(module->arena, "%.*s.%ld", (int)stem_length(wanted), wanted, suffix);
}

/* Suffixes are mostly taken from 2 on without a gap: doubling finds a free one, halving the
 * first behind a taken one, so that n values of one name cost n log n. */
static const char *free_name(struct module *module, struct function *function, const char *wanted)
{
    long taken = 1, vacant = 2;
    if (!holder(module, function, wanted))
        return wanted;
    for (; holder(module, function, with_suffix(module, wanted, vacant)); vacant *= 2)
        taken = vacant;
    while (vacant - taken > 1) {
        long middle = taken + (vacant - taken) / 2;
        if (holder(module, function, with_suffix(module, wanted, middle)))
            taken = middle;
        else
            vacant = middle;
    }
    return with_suffix(module, wanted, vacant);
}

/* A new leaf called `name`: body values of that name are renamed, params are not. */
static bool take_from_bodies(struct module *module, const char *name)
{
    for (size_t i = 0; i < module->functions.count; i++) {
        const struct value *value = map_get(&module->functions.items[i]->names, name);
        if (value && value->node->op == OP_param)
            return false;
    }
    for (size_t i = 0; i < module->functions.count; i++) {
        struct function *function = module->functions.items[i];
        struct value *value = map_get(&function->names, name);
        if (!value)
            continue;
        value->name = free_name(module, function, name);
        map_set(&function->names, value->name, value);
        map_set(&function->names, name, NULL);
    }
    return true;
}

/* True if the holder of `name` is of the old body of a function that is being rebuilt. */
static bool is_leaving(const struct module *module, const struct function *function,
                       const char *name)
{
    const struct value *held = holder(module, function, name);
    return held && held->id < function->rebuilt_below &&
           !(op_info(held->node->op)->flags & OP_LEAF);
}

void name_result(struct module *module, struct function *function, struct value *value,
                 const char *wanted)
{
    if (wanted && is_leaving(module, function, wanted)) {
        value->name = arena_copy(module->arena, wanted, strlen(wanted));
        map_set(&function->names, value->name, value);
        return;
    }
    name_value(module, function, value, wanted ? wanted : op_info(value->node->op)->name);
}

void name_value(struct module *module, struct function *function, struct value *value,
                const char *wanted)
{
    const char *name = free_name(module, function, make_valid(module->arena, wanted));
    while (!function && !take_from_bodies(module, name)) {
        int stem = (int)stem_length(name);
        long suffix = name[stem] ? strtol(name + stem + 1, NULL, 10) + 1 : 2;
        name = arena_printf(module->arena, "%.*s.%ld", stem, name, suffix);
        name = free_name(module, NULL, name);
    }
    value->name = arena_copy(module->arena, name, strlen(name));
    map_set(function ? &function->names : &module->names, value->name, value);
}

bool name_keep(struct module *module, struct function *function, struct value *value)
{
    const struct value *held = holder(module, function, value->name);
    if (held && held != value)
        return false;
    for (size_t i = 0; !function && i < module->functions.count; i++)
        if (map_get(&module->functions.items[i]->names, value->name))
            return false;
    map_set(function ? &function->names : &module->names, value->name, value);
    return true;
}

static void enter_node(struct map *names, struct node *node)
{
    for (int i = 0; i < node->result_count; i++)
        map_set(names, node->results[i].name, &node->results[i]);
}

void names_refresh(struct module *module, struct function *function)
{
    if (!function) {
        module->names = map_create(module->arena);
        for (size_t i = 0; i < module->weights.count; i++)
            enter_node(&module->names, module->weights.items[i]);
        for (size_t i = 0; i < module->states.count; i++)
            enter_node(&module->names, module->states.items[i]);
        return;
    }
    function->names = map_create(module->arena);
    for (size_t i = 0; i < function->params.count; i++)
        enter_node(&function->names, function->params.items[i]);
    for (size_t i = 0; i < function->nodes.count; i++)
        enter_node(&function->names, function->nodes.items[i]);
}

struct node *node_create(struct module *module, enum op op, int operand_count)
{
    return node_create_results(module, op, operand_count, op_info(op)->results);
}

struct node *node_create_results(struct module *module, enum op op, int operand_count, int results)
{
    struct node *node = arena_new(module->arena, struct node);
    node->op = op;
    node->scope = "";
    node->id = module->next_node++;
    node->operand_count = operand_count;
    node->operands = arena_array(module->arena, struct value *, (size_t)operand_count);
    node->result_count = results;
    node->results = arena_array(module->arena, struct value, (size_t)results);
    for (int i = 0; i < results; i++)
        node->results[i] =
            (struct value){.node = node, .result = i, .id = module->next_value++, .name = ""};
    return node;
}
