/* Reading and writing of tensors in emitted code: see value.h. */
#include "backends/element/value.h"

#include <string.h>

const char *round_text(struct arena *arena, enum dtype dtype, const char *text)
{
    switch (dtype) {
    case DTYPE_bf16: return arena_printf(arena, "round_bf16(%s)", text);
    case DTYPE_f16: return arena_printf(arena, "round_f16(%s)", text);
    case DTYPE_tf32: return arena_printf(arena, "round_tf32(%s)", text);
    case DTYPE_u8: return arena_printf(arena, "(rt_u8)(%s)", text);
    default: return text;
    }
}

static bool in_memory(const struct value *value)
{
    return value->place.kind == PLACE_ARENA || value->place.kind == PLACE_WEIGHT;
}

/* A constant blob stands in the kernel that reads it, but nothing computes it. */
bool is_loaded(const struct generator *g, const struct value *value)
{
    return value->place.kind == PLACE_CONSTANT ||
           (in_memory(value) && value->node->kernel != g->kernel);
}

bool is_live_out(const struct generator *g, const struct value *value)
{
    return in_memory(value) && value->node->kernel == g->kernel;
}

const char *argument_name(struct generator *g, const struct value *value, bool write)
{
    size_t i = 0;
    while (i < g->arguments.count && g->arguments.items[i].value != value)
        i++;
    if (i == g->arguments.count) {
        struct argument argument = {.value = value};
        array_push(g->arena, &g->arguments, argument);
    }
    struct argument *argument = &g->arguments.items[i];
    argument->written |= write;
    argument->read |= !write;
    return arena_printf(g->arena, "%c%zu", write ? 'y' : 'x', i);
}

struct index memory_index(struct generator *g, const struct value *value, struct index index)
{
    const struct type *type = &value->type;
    if (!type->strided)
        return index;
    struct index axes[MAX_RANK], place = index_constant(type->offset);
    index_take_apart(&g->space, index, type->rank, type->dims, axes);
    for (int k = 0; k < type->rank; k++)
        place = index_add(&g->space, place, index_scale(axes[k], type->strides[k]));
    return place;
}

void value_store(struct generator *g, const struct value *value, struct index index,
                 struct element element)
{
    index = memory_index(g, value, index);
    if (g->dialect->store_element && g->dialect->store_element(g, value, index, element))
        return;
    const char *pointer = argument_name(g, value, true);
    writer_line(scope_writer(g), "%s",
                g->dialect->store(g->arena, value->type.dtype, pointer,
                                  index_text(&g->space, &index), element.text));
}

bool value_memory(struct generator *g, const struct value *value, struct index index,
                  bool through_casts, struct memory *out_memory)
{
    while (!is_loaded(g, value)) {
        const struct node *node = value->node;
        bool view = op_info(node->op)->flags & OP_VIEW;
        if (!view && !(through_casts && node->op == OP_cast))
            return false;
        if (view)
            index = view_index(g, node, index);
        value = node->operands[0];
    }
    *out_memory = (struct memory){value, memory_index(g, value, index)};
    return true;
}
