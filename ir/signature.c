/* See signature.h. */
#include "ir/signature.h"

#include "ir/text.h"

/* The number of a value in the order in which a map has met them, from 1. */
static size_t number_of(struct map *map, const struct value *value)
{
    void **place = map_insert(map, (const char *)&value->id, sizeof value->id);
    if (!*place)
        *place = (void *)(uintptr_t)map->count;
    return (size_t)(uintptr_t)*place;
}

static void sign_node(struct str *text, struct map *inside, struct map *outside,
                      const struct node *node)
{
    str_printf(text, "%d", (int)node->op);
    print_attributes(text, &node->attributes);
    for (int i = 0; i < node->operand_count; i++) {
        const struct value *operand = node->operands[i];
        bool local = map_find(inside, (const char *)&operand->id, sizeof operand->id) != NULL;
        str_printf(text, " %c%zu:%s", local ? 'l' : 'o',
                   number_of(local ? inside : outside, operand),
                   type_text(text->arena, &operand->type));
    }
    for (int r = 0; r < op_info(node->op)->results; r++) {
        const struct value *value = &node->results[r];
        str_printf(text, " =%zu:%s@%d", number_of(inside, value),
                   type_text(text->arena, &value->type), (int)value->place.kind);
    }
    str_printf(text, "\n");
}

struct str kernel_signature(struct arena *arena, const struct function *function,
                            const struct kernel *kernel)
{
    struct str text = str_create(arena);
    struct map inside = map_create(arena), outside = map_create(arena);
    str_printf(&text, "%d", (int)kernel->skeleton);
    print_attributes(&text, &kernel->attributes);
    for (size_t i = 0; i < function->nodes.count; i++)
        if (function->nodes.items[i]->kernel == kernel)
            sign_node(&text, &inside, &outside, function->nodes.items[i]);
    return text;
}
