/* See signature.h. */
#include "ir/signature.h"

#include "ir/text.h"

struct signer {
    struct str text;
    struct map inside, outside;
    ARRAY_OF(const struct value *) values; /* of both maps, in the order of their meeting */
    bool places; /* and pitches: as decided by plan */
};

static void sign_type(struct signer *s, const struct type *type)
{
    struct type signed_type = *type;
    signed_type.strided &= s->places;
    str_printf(&s->text, ":%s", type_text(s->text.arena, &signed_type));
}

/* Between fuse and plan the place of what leaves a kernel is still to come. */
static int sign_place(const struct signer *s, const struct value *value)
{
    bool stored = value->place.kind == PLACE_ARENA || value->place.kind == PLACE_NONE;
    return !s->places && stored ? PLACE_ARENA : (int)value->place.kind;
}

/* A value is called by its number in the order in which its map has met them, from 1; the first
 * time with what is known of it. */
static void sign_value(struct signer *s, const struct value *value, bool inside)
{
    struct map *map = inside ? &s->inside : &s->outside;
    void **number = map_insert(map, (const char *)&value->id, sizeof value->id);
    bool first = !*number;
    if (first)
        *number = (void *)(uintptr_t)map->count;
    str_printf(&s->text, " %c%zu", inside ? 'l' : 'o', (size_t)(uintptr_t)*number);
    if (!first)
        return;
    array_push(s->text.arena, &s->values, value);
    sign_type(s, &value->type);
    if (inside || s->places)
        str_printf(&s->text, "@%d", sign_place(s, value));
}

static void sign_node(struct signer *s, const struct node *node)
{
    str_printf(&s->text, "%s", op_info(node->op)->name);
    print_attributes(&s->text, &node->attributes);
    for (int i = 0; i < node->operand_count; i++) {
        const struct value *operand = node->operands[i];
        const void *met = map_find(&s->inside, (const char *)&operand->id, sizeof operand->id);
        sign_value(s, operand, met != NULL);
    }
    str_printf(&s->text, " =");
    for (int r = 0; r < node->result_count; r++)
        sign_value(s, &node->results[r], true);
    str_printf(&s->text, "\n");
}

static struct signature sign(struct arena *arena, const struct function *function,
                             const struct kernel *kernel, bool decided)
{
    struct signer s = {.text = str_create(arena),
                       .inside = map_create(arena),
                       .outside = map_create(arena),
                       .places = decided};
    str_printf(&s.text, "%s", skeleton_name(kernel->skeleton));
    if (decided)
        print_attributes(&s.text, &kernel->attributes);
    for (size_t i = 0; i < function->nodes.count; i++)
        if (function->nodes.items[i]->kernel == kernel)
            sign_node(&s, function->nodes.items[i]);
    return (struct signature){s.text, s.values.items, s.values.count};
}

struct signature kernel_signature_values(struct arena *arena, const struct function *function,
                                         const struct kernel *kernel)
{
    return sign(arena, function, kernel, true);
}

struct str kernel_signature(struct arena *arena, const struct function *function,
                            const struct kernel *kernel)
{
    return sign(arena, function, kernel, true).text;
}

uint64_t kernel_key(struct arena *arena, const struct function *function,
                    const struct kernel *kernel)
{
    struct str text = sign(arena, function, kernel, false).text;
    return hash_bytes(0, text.text, text.length);
}
