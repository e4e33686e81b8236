/*
 * Weights, states, inputs and outputs. A weight is known by the name of its tensor in the
 * checkpoint: whoever names the same tensor again gets the same weight, which is how a tied
 * head is written and how the functions of a module share their weights.
 */
#include "lower.h"

#include <inttypes.h>
#include <string.h>

/* Whether each part between dots is short and the whole may be a name of the IR. */
static bool plain_name(const char *text)
{
    size_t part = 0;
    if (strlen(text) > 160 || (*text >= '0' && *text <= '9'))
        return false;
    for (; *text; text++) {
        bool word = (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') ||
                    (*text >= '0' && *text <= '9') || *text == '_';
        if (!word && (*text != '.' || part == 0))
            return false;
        part = word ? part + 1 : 0;
        if (part > NAME_LIMIT)
            return false;
    }
    return part > 0;
}

/* The name of the tensor: as given, or the scope and the name of the statement. */
static const char *tensor_name(struct lowering *l, struct frame *f, const struct statement *s)
{
    const char *scope = l->builder.scope;
    const char *name =
        s->tensor ? evaluate_text(l, f, s->tensor)
                  : arena_printf(l->arena, "%s%s%s", scope, *scope ? "." : "", s->names[0]);
    if (*name == '\0' || strlen(name) > TEXT_LIMIT)
        fatal_at(place_of(l, s->location), LANGUAGE_TENSOR_NAME, s->names[0]);
    return name;
}

static struct type written_type(struct lowering *l, struct frame *f, const struct pattern *p,
                                enum dtype otherwise)
{
    struct type type = {.dtype = p->has_dtype ? p->dtype : otherwise};
    if (p->leading)
        fatal_at(place_of(l, p->location), LANGUAGE_LEADING, "..");
    type.rank = (int)p->dims.count;
    for (int i = 0; i < type.rank; i++) {
        const struct expr *dim = p->dims.items[i];
        type.dims[i] = evaluate_integer(l, f, dim, "a dimension");
        if (type.dims[i] < 1 || type.dims[i] >= (int64_t)1 << 40)
            fatal_at(place_of(l, start_of(dim)), LANGUAGE_EXTENT, (long long)type.dims[i]);
    }
    if (!type_dims_valid(type.dtype, type.rank, type.dims))
        fatal_at(place_of(l, p->location), LANGUAGE_TOO_LARGE, "the tensor");
    return type;
}

static struct attributes leaf_attributes(struct lowering *l, struct frame *f,
                                         const struct statement *s, const char *tensor)
{
    struct attributes attributes = {0};
    attributes_set_text(l->arena, &attributes, ATTRIBUTE_tensor, tensor);
    if (!s->value)
        return attributes;
    struct datum initial = evaluate(l, f, s->value, NULL);
    if (!datum_is_number(&initial) || (s->random && !(initial.real >= 0 && initial.real < 1e30)))
        fatal_at(place_of(l, start_of(s->value)), LANGUAGE_INIT, datum_show(l->arena, &initial));
    attributes_set_real(l->arena, &attributes, s->random ? ATTRIBUTE_init : ATTRIBUTE_fill,
                        initial.real);
    return attributes;
}

static struct value *make_weight(struct lowering *l, struct frame *f, const struct statement *s,
                                 const char *tensor, struct type type)
{
    struct attributes attributes = leaf_attributes(l, f, s, tensor);
    int64_t ordinal = l->next_ordinal++;
    const char *name = plain_name(tensor) ? tensor : arena_printf(l->arena, "w%" PRId64, ordinal);
    attributes_set_int(l->arena, &attributes, ATTRIBUTE_ordinal, ordinal);
    struct value *weight = build_weight(&l->builder, name, type, attributes);
    map_set(&l->tensors, tensor, weight);
    return weight;
}

/* The weight of a tensor, made at its first mention. */
static struct value *get_weight(struct lowering *l, struct frame *f, const struct statement *s,
                                const char *tensor, struct type type)
{
    struct value *weight = map_get(&l->tensors, tensor);
    if (!weight)
        return make_weight(l, f, s, tensor, type);
    if (!type_equal(&weight->type, &type))
        fatal_at(place_of(l, s->pattern->location), LANGUAGE_TENSOR_TWICE, tensor,
                 type_text(l->arena, &weight->type));
    return weight;
}

static void begin_leaf(struct lowering *l, const struct statement *s)
{
    need_function(l, s->location);
    l->builder.location = place_of(l, s->location);
    if (s->pattern->has_dtype && s->pattern->dtype != DTYPE_f32 && s->kind == STATEMENT_WEIGHT)
        fatal_at(place_of(l, s->pattern->location), LANGUAGE_WEIGHT_DTYPE, s->names[0]);
}

void run_weight(struct lowering *l, struct frame *f, const struct statement *s)
{
    begin_leaf(l, s);
    const char *tensor = tensor_name(l, f, s);
    struct type type = written_type(l, f, s->pattern, DTYPE_f32);
    l->builder.location = place_of(l, s->location);
    frame_set(l, f, s->names[0], datum_tensor(get_weight(l, f, s, tensor, type)));
}

/* --- states --- */

static struct value *find_state(const struct module *module, const char *tensor)
{
    for (size_t i = 0; i < module->states.count; i++) {
        struct node *node = module->states.items[i];
        const char *name = node_text(node, tensor);
        if (name && strcmp(name, tensor) == 0)
            return &node->results[0];
    }
    return NULL;
}

static struct value *make_state(struct lowering *l, struct frame *f, const struct statement *s,
                                const char *tensor, struct type type)
{
    struct attributes attributes = leaf_attributes(l, f, s, tensor);
    size_t ordinal = l->builder.module->states.count;
    const char *name = plain_name(tensor) ? arena_printf(l->arena, "%s.state", tensor)
                                          : arena_printf(l->arena, "s%zu", ordinal);
    if (s->tensor) {
        struct value *weight = get_weight(l, f, s, tensor, type);
        attributes_set_text(l->arena, &attributes, ATTRIBUTE_source, weight->name);
    }
    return build_state(&l->builder, name, type, attributes);
}

/* Without training, a state that a checkpoint holds is as good as a weight. */
void run_state(struct lowering *l, struct frame *f, const struct statement *s)
{
    begin_leaf(l, s);
    const char *tensor = tensor_name(l, f, s);
    struct type type = written_type(l, f, s->pattern, DTYPE_f32);
    l->builder.location = place_of(l, s->location);
    struct value *state = find_state(l->builder.module, tensor);
    if (state && !type_equal(&state->type, &type))
        fatal_at(place_of(l, s->pattern->location), LANGUAGE_TENSOR_TWICE, tensor,
                 type_text(l->arena, &state->type));
    if (!state && s->tensor && !l->options->training)
        state = get_weight(l, f, s, tensor, type);
    if (!state)
        state = make_state(l, f, s, tensor, type);
    frame_set(l, f, s->names[0], datum_tensor(state));
}

/* update name = value: the state's next value. Does nothing unless training. */
void run_update(struct lowering *l, struct frame *f, const struct statement *s)
{
    refuse_in_loop(l, s->location, "update");
    const struct datum *state = map_get(&f->variables, s->names[0]);
    bool known = state && state->kind == DATUM_TENSOR &&
                 (state->tensor->node->op == OP_state || state->tensor->node->op == OP_weight);
    if (!known)
        fatal_at(place_of(l, s->name_location), LANGUAGE_NO_STATE, s->names[0]);
    if (!l->options->training)
        return;
    struct datum next = evaluate(l, f, s->value, NULL);
    struct location place = place_of(l, start_of(s->value));
    if (state->tensor->node->op != OP_state)
        fatal_at(place_of(l, s->name_location), LANGUAGE_NO_STATE, s->names[0]);
    if (next.kind != DATUM_TENSOR || !type_equal(&next.tensor->type, &state->tensor->type))
        fatal_at(place, LANGUAGE_UPDATE, datum_show(l->arena, &next), s->names[0],
                 type_text(l->arena, &state->tensor->type));
    for (size_t i = 0; i < l->builder.function->bindings.count; i++)
        if (l->builder.function->bindings.items[i].state == state->tensor)
            fatal_at(place_of(l, s->name_location), LANGUAGE_UPDATE_TWICE, s->names[0]);
    l->builder.location = place_of(l, s->location);
    build_store(&l->builder, state->tensor, next.tensor);
}

/* --- inputs and outputs --- */

void run_input(struct lowering *l, struct frame *f, const struct statement *s)
{
    need_function(l, s->location);
    const struct function *function = l->builder.function;
    refuse_in_loop(l, s->location, "input");
    if (!f->is_entry)
        fatal_at(place_of(l, s->location), LANGUAGE_ONLY_ENTRY, "input");
    if (map_get(&f->variables, s->names[0]))
        fatal_at(place_of(l, s->name_location), LANGUAGE_TWICE, s->names[0]);
    struct type type = written_type(l, f, s->pattern, s->pattern->dtype);
    const char *name =
        safe_name(s->names[0], arena_printf(l->arena, "input%zu", function->params.count));
    l->builder.location = place_of(l, s->location);
    frame_set(l, f, s->names[0], datum_tensor(build_param(&l->builder, name, type)));
}

void run_output(struct lowering *l, struct frame *f, const struct statement *s)
{
    need_function(l, s->location);
    const struct function *function = l->builder.function;
    refuse_in_loop(l, s->location, "output");
    if (!f->is_entry)
        fatal_at(place_of(l, s->location), LANGUAGE_ONLY_ENTRY, "output");
    const char *name =
        safe_name(s->names[0], arena_printf(l->arena, "output%zu", function->bindings.count));
    for (size_t i = 0; i < function->bindings.count; i++)
        if (!function->bindings.items[i].state &&
            strcmp(function->bindings.items[i].name, name) == 0)
            fatal_at(place_of(l, s->name_location), LANGUAGE_TWICE, s->names[0]);
    struct datum value = evaluate(l, f, s->value, name);
    if (value.kind != DATUM_TENSOR)
        fatal_at(place_of(l, start_of(s->value)), LANGUAGE_NOT_TENSOR, s->names[0],
                 datum_kind_name(&value));
    l->builder.location = place_of(l, s->location);
    build_output(&l->builder, name, value.tensor);
    frame_set(l, f, s->names[0], value);
}
