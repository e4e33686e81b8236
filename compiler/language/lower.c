/* Entries to functions, and what the rest of the compiler asks of a description. */
#include "lower.h"

#include "compiler/embedded.h"

#include <string.h>

/* --- descriptions --- */

static const struct embedded_file *find_embedded(const char *name)
{
    for (size_t i = 0; i < embedded_model_count; i++)
        if (strcmp(embedded_models[i].name, name) == 0)
            return &embedded_models[i];
    return NULL;
}

static struct description *parse_embedded(struct arena *arena, const struct embedded_file *file,
                                          struct description *prelude)
{
    uint32_t source = 1; /* registered once in a process */
    while (diag_source(source) && diag_source(source)->text != file->text)
        source++;
    if (!diag_source(source))
        source = diag_add_source(file->name, file->text, file->length);
    return parse_description(arena, source, prelude);
}

static const char prelude_name[] = "prelude.model";

static struct description *parse_prelude(struct arena *arena)
{
    const struct embedded_file *file = find_embedded(prelude_name);
    if (!file)
        fatal(INTERNAL, "the prelude of the language is missing", prelude_name);
    return parse_embedded(arena, file, NULL);
}

struct description *description_parse(struct arena *arena, uint32_t source)
{
    struct description *prelude = parse_prelude(arena);
    struct description *unit = parse_description(arena, source, prelude);
    if (unit->entries.count == 0)
        fatal_at(unit->location, LANGUAGE_NO_ENTRY, unit->name);
    return unit;
}

const char *description_name(const struct description *description)
{
    return description->name;
}

const char *const *description_model_types(const struct description *description)
{
    return description->types;
}

struct description *description_shipped(struct arena *arena, const char *name)
{
    const struct embedded_file *file =
        strcmp(name, "prelude") == 0 ? NULL : find_embedded(arena_printf(arena, "%s.model", name));
    return file ? parse_embedded(arena, file, parse_prelude(arena)) : NULL;
}

static bool serves_type(const struct description *unit, const char *type)
{
    for (const char *const *at = unit->types; *at; at++)
        if (strcmp(*at, type) == 0)
            return true;
    return false;
}

struct description *description_find(struct arena *arena, const char *model_type)
{
    struct description *prelude = parse_prelude(arena);
    for (size_t i = 0; i < embedded_model_count; i++) {
        if (strcmp(embedded_models[i].name, prelude_name) == 0)
            continue;
        struct description *unit = parse_embedded(arena, &embedded_models[i], prelude);
        if (serves_type(unit, model_type))
            return unit;
    }
    return NULL;
}

void description_each_type(struct arena *arena, void (*visit)(void *context, const char *type),
                           void *context)
{
    struct description *prelude = parse_prelude(arena);
    for (size_t i = 0; i < embedded_model_count; i++) {
        if (strcmp(embedded_models[i].name, prelude_name) == 0)
            continue;
        struct description *unit = parse_embedded(arena, &embedded_models[i], prelude);
        for (const char *const *at = unit->types; *at; at++)
            visit(context, *at);
    }
}

/* --- lowering --- */

static const struct definition *find_entry(const struct description *unit, const char *name)
{
    for (size_t i = 0; i < unit->entries.count; i++)
        if (!name || strcmp(unit->entries.items[i]->name, name) == 0)
            return unit->entries.items[i];
    fatal_at(unit->location, LANGUAGE_NO_SUCH_ENTRY, unit->name, name ? name : "");
}

static void collect_weights(struct lowering *l, struct module *module)
{
    for (size_t i = 0; i < module->weights.count; i++) {
        struct node *node = module->weights.items[i];
        const char *tensor = node_text(node, tensor);
        if (node_int(node, ordinal) >= l->next_ordinal)
            l->next_ordinal = node_int(node, ordinal) + 1;
        if (tensor)
            map_set(&l->tensors, tensor, &node->results[0]);
    }
}

struct function *description_lower(struct module *module, struct description *unit,
                                   const char *function_name, const struct lower_options *options)
{
    struct lowering l = {.arena = module->arena,
                         .unit = unit,
                         .options = options,
                         .globals = map_create(module->arena),
                         .tensors = map_create(module->arena)};
    const struct definition *entry = find_entry(unit, options->entry);
    evaluate_config(&l);
    collect_weights(&l, module);
    struct function *function = module_add_function(module, function_name);
    function->location = entry->location;
    l.builder = (struct builder){module, function, entry->location, ""};
    struct frame f = frame_create(&l, unit);
    f.is_entry = true;
    run_block(&l, &f, entry->body);
    if (function->bindings.count == 0)
        fatal_at(entry->location, LANGUAGE_NO_OUTPUT, entry->name);
    remove_dead(module); /* transposes that matmul took in, and what nothing uses */
    return function;
}
