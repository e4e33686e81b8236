/* Calls: functions of the description and the prelude, builtins, rows of the op table. */
#include "lower.h"

#include <inttypes.h>
#include <string.h>

enum { PARAMETERS = 32 };

struct frame frame_create(struct lowering *l, const struct description *unit)
{
    return (struct frame){.variables = map_create(l->arena), .unit = unit};
}

void frame_set(struct lowering *l, struct frame *f, const char *name, struct datum value)
{
    struct datum *copy = arena_new(l->arena, struct datum);
    *copy = value;
    map_set(&f->variables, name, copy);
}

/* --- types as written --- */

static void check_dim(struct lowering *l, struct frame *f, const struct expr *dim,
                      const struct type *type, int axis, const char *name, struct location location)
{
    struct datum known;
    if (dim->kind == EXPR_NAME && !find_name(l, f, dim->text, &known)) {
        frame_set(l, f, dim->text, datum_integer(type->dims[axis]));
        return;
    }
    int64_t wanted = evaluate_integer(l, f, dim, "a dimension");
    if (wanted != type->dims[axis])
        fatal_at(place_of(l, location), LANGUAGE_DIM, name, type_text(l->arena, type), axis,
                 (long long)wanted, dim->kind == EXPR_NAME ? ", which is " : "",
                 dim->kind == EXPR_NAME ? dim->text : "");
}

void check_pattern(struct lowering *l, struct frame *f, const struct pattern *pattern,
                   const struct datum *value, const char *name, struct location location)
{
    if (value->kind != DATUM_TENSOR)
        fatal_at(place_of(l, location), LANGUAGE_NOT_TENSOR, name, datum_kind_name(value));
    const struct type *type = &value->tensor->type;
    int rank = (int)pattern->dims.count, first = type->rank - rank;
    if (first < 0 || (first > 0 && !pattern->leading))
        fatal_at(place_of(l, location), LANGUAGE_WRONG_RANK, name, type_text(l->arena, type), rank,
                 pattern->leading ? " or more" : "");
    if (pattern->has_dtype && pattern->dtype != type->dtype)
        fatal_at(place_of(l, location), LANGUAGE_WRONG_DTYPE, name, type_text(l->arena, type),
                 dtype_name(pattern->dtype));
    for (int i = 0; i < rank; i++)
        check_dim(l, f, pattern->dims.items[i], type, first + i, name, location);
}

/* --- binding of arguments --- */

/* Argument index + 1 for each parameter, 0 where none is given. */
static void bind(struct lowering *l, const struct call *call, const char *const *names,
                 size_t count, size_t *out_slots)
{
    memset(out_slots, 0, count * sizeof *out_slots);
    for (size_t i = 0; i < call->count; i++) {
        const char *name = call->names ? call->names[i] : NULL;
        size_t at = name ? 0 : i;
        while (name && at < count && strcmp(names[at], name) != 0)
            at++;
        if (at >= count && name)
            fatal_at(place_of(l, call->places[i]), LANGUAGE_NO_PARAMETER, call->name, name);
        if (at >= count)
            fatal_at(place_of(l, call->places[i]), LANGUAGE_COUNT, call->name, (int)count,
                     call->count);
        if (out_slots[at])
            fatal_at(place_of(l, call->places[i]), LANGUAGE_ARGUMENT_TWICE, call->name, names[at]);
        out_slots[at] = i + 1;
    }
}

/* The arguments in the order of the parameters; fallbacks are evaluated in the new frame. */
static void bind_parameters(struct lowering *l, struct frame *f, const struct definition *d,
                            const struct call *call, struct call *out)
{
    const char *names[PARAMETERS];
    size_t slots[PARAMETERS], count = d->parameters.count;
    if (count > PARAMETERS)
        fatal_at(place_of(l, d->location), LANGUAGE_PARAMETERS, (int)PARAMETERS);
    for (size_t i = 0; i < count; i++)
        names[i] = d->parameters.items[i].name;
    bind(l, call, names, count, slots);
    *out = (struct call){.name = d->name, .location = call->location, .hint = call->hint};
    out->count = count;
    out->values = arena_array(l->arena, struct datum, count);
    out->places = arena_array(l->arena, struct location, count);
    for (size_t i = 0; i < count; i++) /* before patterns, which may name a later parameter */
        if (slots[i])
            frame_set(l, f, names[i], call->values[slots[i] - 1]);
    for (size_t i = 0; i < count; i++) {
        const struct parameter *p = &d->parameters.items[i];
        out->places[i] = slots[i] ? call->places[slots[i] - 1] : call->location;
        if (!slots[i] && !p->fallback)
            fatal_at(place_of(l, call->location), LANGUAGE_MISSING, d->name, p->name);
        out->values[i] = slots[i] ? call->values[slots[i] - 1] : evaluate(l, f, p->fallback, NULL);
        if (p->pattern)
            check_pattern(l, f, p->pattern, &out->values[i], p->name, out->places[i]);
        if (!slots[i])
            frame_set(l, f, p->name, out->values[i]);
    }
}

static struct datum run_definition(struct lowering *l, const struct definition *d,
                                   const struct call *call)
{
    struct frame f = frame_create(l, d->unit);
    struct location site = l->site;
    struct call bound;
    if (l->calls >= CALL_LIMIT)
        fatal_at(place_of(l, call->location), LANGUAGE_CALLS, (int)CALL_LIMIT, d->name);
    l->calls++;
    f.hint = call->hint;
    bind_parameters(l, &f, d, call, &bound);
    if (!d->builtin && !d->unit->prelude)
        l->site = place_of(l, call->location);
    if (d->builtin)
        f.result = d->builtin->run(l, &bound);
    else if (d->result)
        f.result = evaluate(l, &f, d->result, call->hint);
    else
        run_block(l, &f, d->body);
    l->site = site;
    l->calls--;
    return f.result;
}

/* --- rows of the op table --- */

static struct datum call_reduction(struct lowering *l, enum op op, const struct call *call)
{
    static const char *const names[] = {"x", "axis", "keep"};
    size_t slots[3];
    struct datum values[] = {{0}, {.kind = DATUM_NONE}, datum_bool(true)};
    struct location places[] = {call->location, call->location, call->location};
    struct call bound = {call->name, call->location, call->hint, values, places, NULL, 3};
    bind(l, call, names, 3, slots);
    if (!slots[0])
        fatal_at(place_of(l, call->location), LANGUAGE_MISSING, call->name, "x");
    for (int i = 0; i < 3; i++)
        if (slots[i]) {
            values[i] = call->values[slots[i] - 1];
            places[i] = call->places[slots[i] - 1];
        }
    return reduction(l, op, &bound);
}

/* The function of a unit, else the prelude's; NULL if neither has it. */
static const struct definition *find_function(const struct description *unit, const char *name)
{
    const struct definition *d = map_get(&unit->functions, name);
    return d || !unit->prelude ? d : map_get(&unit->prelude->functions, name);
}

struct datum call_by_name(struct lowering *l, const struct description *unit, const char *name,
                          struct call *call)
{
    const struct definition *d = find_function(unit, name);
    enum op op;
    enum dtype dtype;
    call->name = name;
    if (d)
        return run_definition(l, d, call);
    if (op_parse(name, strlen(name), &op)) {
        const struct op_info *info = op_info(op);
        if (info->kind == KIND_EW && info->rule != RULE_CAST)
            return elementwise(l, op, call);
        if (info->kind == KIND_RED)
            return call_reduction(l, op, call);
    }
    if (dtype_parse(name, strlen(name), &dtype))
        return cast_datum(l, dtype, call);
    fatal_at(place_of(l, call->location), LANGUAGE_NO_FUNCTION, name);
}

/* apply(NAME, arguments...): the function that a configuration value names. */
static struct datum apply(struct lowering *l, struct frame *f, struct call *call)
{
    if (call->count == 0 || call->values[0].kind != DATUM_TEXT)
        fatal_at(place_of(l, call->location), LANGUAGE_APPLY, call->name);
    const char *name = call->values[0].text;
    call->values++;
    call->places++;
    call->names++;
    call->count--;
    return call_by_name(l, f->unit, name, call);
}

struct datum evaluate_call(struct lowering *l, struct frame *f, const struct expr *e,
                           const char *hint)
{
    struct call call = {.name = e->text, .location = e->location, .hint = hint};
    call.count = e->items.count;
    call.values = arena_array(l->arena, struct datum, call.count);
    call.places = arena_array(l->arena, struct location, call.count);
    call.names = arena_array(l->arena, const char *, call.count);
    for (size_t i = 0; i < call.count; i++) {
        const struct item *item = &e->items.items[i];
        call.values[i] = evaluate(l, f, item->value, NULL);
        call.places[i] = start_of(item->value);
        call.names[i] = item->name;
        if (i > 0 && call.names[i - 1] && !item->name)
            fatal_at(place_of(l, call.places[i]), LANGUAGE_ORDER, e->text);
    }
    if (strcmp(e->text, "apply") == 0)
        return apply(l, f, &call);
    return call_by_name(l, f->unit, e->text, &call);
}
