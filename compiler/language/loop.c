/*
 * `loop`: its body becomes a function of the module, which is run once for each iteration
 * (ir/loop.h). What the body names from outside becomes an operand of the loop: a capture.
 */
#include "lower.h"

#include "ir/loop.h"

#include <string.h>

struct capture {
    struct value *outer, *param;
    bool sliced;
};

struct collected {
    const char *name;
    struct value *value;
};

struct loop_scope {
    struct loop_scope *outer;
    struct builder before; /* where the loop stands */
    const struct frame *frame;
    uint32_t first_id; /* values of the body have this id or a higher one */
    int64_t low, trips;
    struct value *index; /* what the body calls by its name */
    ARRAY_OF(struct capture) captures;
    ARRAY_OF(struct collected) collected;
};

void refuse_in_loop(const struct lowering *l, struct location location, const char *what)
{
    if (l->loop)
        fatal_at(place_of(l, location), LANGUAGE_IN_LOOP, what);
}

bool returns_from_loop(const struct lowering *l, const struct frame *f)
{
    return l->loop && l->loop->frame == f;
}

/* --- captures --- */

static bool is_inside(const struct loop_scope *loop, const struct value *value)
{
    bool leaf = value->node->op == OP_weight || value->node->op == OP_state;
    return !leaf && value->id >= loop->first_id;
}

static struct value *add_capture(struct lowering *l, struct loop_scope *loop, struct value *outer,
                                 struct value *seen, bool sliced)
{
    struct type type = seen->type;
    if (sliced)
        type = type_make(type.dtype, type.rank - 1, type.dims + 1);
    struct builder b = l->builder;
    for (struct loop_scope *at = l->loop; at != loop; at = at->outer)
        b = at->before; /* the body of an outer loop takes the param of a value from further out */
    spend(l, NODE_STEPS, l->builder.location);
    struct value *param = build_param(&b, outer->name, type);
    array_push(l->arena, &loop->captures, ((struct capture){outer, param, sliced}));
    return param;
}

/* A value as the body of a loop sees it. */
static struct value *capture(struct lowering *l, struct loop_scope *loop, struct value *value)
{
    if (!loop || is_inside(loop, value))
        return value;
    for (size_t i = 0; i < loop->captures.count; i++)
        if (loop->captures.items[i].outer == value && !loop->captures.items[i].sliced)
            return loop->captures.items[i].param;
    return add_capture(l, loop, value, value, false);
}

struct datum seen_in_loop(struct lowering *l, struct datum value)
{
    if (!l->loop)
        return value;
    if (value.kind == DATUM_TENSOR)
        value.tensor = capture(l, l->loop, value.tensor);
    if (value.kind == DATUM_LIST) {
        struct datum *items = arena_array(l->arena, struct datum, value.count);
        for (size_t i = 0; i < value.count; i++)
            items[i] = seen_in_loop(l, value.items[i]);
        value.items = items;
    }
    return value;
}

/* --- parts --- */

/* What a capture of the innermost loop stands for; NULL if the value is none. */
static struct value *captured_value(const struct loop_scope *loop, const struct value *param)
{
    for (size_t i = 0; loop && i < loop->captures.count; i++)
        if (loop->captures.items[i].param == param && !loop->captures.items[i].sliced)
            return loop->captures.items[i].outer;
    return NULL;
}

/* Parts low .. low + trips - 1 of a value from outside, one for each iteration. */
static struct value *iterated_part(struct lowering *l, struct value *outer)
{
    struct loop_scope *loop = l->loop;
    struct value *parts = capture(l, loop->outer, outer);
    for (size_t i = 0; i < loop->captures.count; i++)
        if (loop->captures.items[i].outer == outer && loop->captures.items[i].sliced)
            return loop->captures.items[i].param;
    if (parts->type.dims[0] != loop->trips) {
        loop->before.location = l->builder.location;
        parts = build_slice(&loop->before, parts, 0, loop->low, loop->trips);
    }
    struct value *param = add_capture(l, loop, outer, parts, true);
    loop->captures.items[loop->captures.count - 1].outer = parts;
    return param;
}

struct datum tensor_part(struct lowering *l, const struct expr *e, struct value *x,
                         const struct datum *index)
{
    const struct loop_scope *loop = l->loop;
    need_function(l, e->location);
    l->builder.location = place_of(l, e->location);
    if (x->type.rank < 1 || index->kind != DATUM_TENSOR || index->tensor->type.rank != 0 ||
        index->tensor->type.dtype != DTYPE_i32)
        fatal_at(place_of(l, e->location), LANGUAGE_PART, datum_show(l->arena, index),
                 type_text(l->arena, &x->type));
    struct value *outer = captured_value(loop, x);
    if (outer && index->tensor == loop->index && loop->low >= 0 &&
        loop->low + loop->trips <= x->type.dims[0] && loop->trips > 0)
        return datum_tensor(iterated_part(l, outer));
    const int64_t one = 1;
    struct value *ids = build_reshape(&l->builder, index->tensor, 1, &one);
    struct value *row = build_gather(&l->builder, x, ids, 0);
    return datum_tensor(build_reshape(&l->builder, row, x->type.rank - 1, x->type.dims + 1));
}

struct value *loop_number(struct lowering *l)
{
    struct value *number = NULL;
    for (struct loop_scope *loop = l->loop; loop; loop = loop->outer) {
        struct value *index = loop == l->loop ? loop->index : capture(l, l->loop, loop->index);
        struct value *scale = NULL;
        for (const struct loop_scope *inner = l->loop; inner != loop; inner = inner->outer) {
            struct value *trips = build_constant(&l->builder, DTYPE_i32, (double)inner->trips);
            scale = scale ? build_binary(&l->builder, OP_mul, scale, trips) : trips;
        }
        if (scale)
            index = build_binary(&l->builder, OP_mul, index, scale);
        number = number ? build_binary(&l->builder, OP_add, number, index) : index;
    }
    return number;
}

int64_t loop_count(const struct lowering *l)
{
    int64_t count = 1;
    for (const struct loop_scope *loop = l->loop; loop; loop = loop->outer)
        if (__builtin_mul_overflow(count, loop->trips, &count) || count > INT32_MAX)
            fatal_at(l->builder.location, LANGUAGE_NUMBER, "out of range");
    return count;
}

struct function *entry_function(const struct lowering *l)
{
    struct function *function = l->builder.function;
    for (const struct loop_scope *loop = l->loop; loop; loop = loop->outer)
        function = loop->before.function;
    return function;
}

/* --- the statement --- */

static struct map copy_map(struct lowering *l, const struct map *map)
{
    struct map copy = map_create(l->arena);
    for (size_t i = 0; i < map->count; i++)
        *map_insert(&copy, map->entries[i].key, map->entries[i].length) = map->entries[i].value;
    return copy;
}

/* A carried variable, before the loop or after an iteration. */
static struct value *carried_value(struct lowering *l, const struct frame *f,
                                   const struct statement *s, int k, const struct type *type)
{
    const struct datum *value = map_get(&f->variables, s->names[k]);
    bool fits = value && value->kind == DATUM_TENSOR;
    if (!fits || (type && !type_equal(type, &value->tensor->type)))
        fatal_at(place_of(l, s->location), LANGUAGE_CARRY, s->names[k],
                 value ? datum_show(l->arena, value) : "nothing",
                 type ? type_text(l->arena, type) : "a tensor");
    return seen_in_loop(l, *value).tensor;
}

static void begin_body(struct lowering *l, struct frame *f, const struct statement *s,
                       struct value *const *carried)
{
    struct builder *b = &l->builder;
    struct loop_scope *loop = l->loop;
    struct module *module = b->module;
    const char *scope = safe_name(s->scope, "loop"), *outer = b->scope;
    b->function = loop_body(module, b->function, scope);
    b->function->location = b->location;
    b->scope = arena_printf(l->arena, "%s%s%s", outer, *outer ? "." : "", scope);
    if (strlen(b->scope) > 200)
        fatal_at(place_of(l, s->location), LANGUAGE_DEEP, 200);
    loop->index = build_param(b, safe_name(s->names[0], "i"), type_scalar(DTYPE_i32));
    for (int k = 1; k < s->name_count; k++) {
        struct value *param = build_param(b, safe_name(s->names[k], "carried"), carried[k]->type);
        frame_set(l, f, s->names[k], datum_tensor(param));
    }
    if (loop->low)
        loop->index =
            build_binary(b, OP_add, loop->index, build_constant(b, DTYPE_i32, (double)loop->low));
    frame_set(l, f, s->names[0], datum_tensor(loop->index));
}

static bool is_used(const struct function *body, const struct value *param)
{
    for (size_t i = 0; i < body->bindings.count; i++)
        if (body->bindings.items[i].value == param)
            return true;
    for (size_t i = 0; i < body->nodes.count; i++)
        for (int k = 0; k < body->nodes.items[i]->operand_count; k++)
            if (body->nodes.items[i]->operands[k] == param)
                return true;
    return false;
}

/* The params in the order of the operands, those that nobody reads left out; the captured operands
 * behind the carried ones. */
static int order_params(struct lowering *l, struct function *body, int carried,
                        struct value **operands, int *out_sliced)
{
    struct loop_scope *loop = l->loop;
    int count = carried;
    body->params.count = (size_t)carried + 1;
    *out_sliced = 0;
    for (int sliced = 1; sliced >= 0; sliced--)
        for (size_t i = 0; i < loop->captures.count; i++) {
            const struct capture *c = &loop->captures.items[i];
            if (c->sliced != (sliced == 1) || !is_used(body, c->param))
                continue;
            if (count == 64)
                fatal_at(loop->before.location, LANGUAGE_LOOP_SIZE);
            array_push(l->arena, &body->params, c->param->node);
            operands[count++] = capture(l, loop->outer, c->outer);
            *out_sliced += sliced;
        }
    return count;
}

/* Ends the body: its outputs, and the loop node where the statement stands. */
static struct node *end_body(struct lowering *l, const struct frame *f, const struct statement *s,
                             struct value *const *carried)
{
    struct loop_scope *loop = l->loop;
    struct function *body = l->builder.function;
    struct value *operands[64];
    struct loop like = {.body = body, .trips = loop->trips, .carried = s->name_count - 1};
    for (int k = 1; k < s->name_count; k++) {
        build_output(&l->builder, arena_printf(l->arena, "next%d", k - 1),
                     carried_value(l, f, s, k, &carried[k]->type));
        operands[k - 1] = carried[k];
    }
    for (size_t i = 0; i < loop->collected.count; i++)
        build_output(&l->builder, arena_printf(l->arena, "part%zu", i),
                     loop->collected.items[i].value);
    if (body->bindings.count == 0 || body->bindings.count > MAX_RESULTS)
        fatal_at(loop->before.location, LANGUAGE_LOOP_SIZE);
    int count = order_params(l, body, like.carried, operands, &like.sliced);
    l->builder = loop->before;
    l->builder.location = place_of(l, s->location);
    l->loop = loop->outer;
    return build_loop(&l->builder, &like, operands, count,
                      like.carried ? safe_name(s->names[1], NULL) : NULL);
}

void run_loop(struct lowering *l, struct frame *f, const struct statement *s)
{
    int64_t low = evaluate_integer(l, f, s->low, "the start of a range");
    int64_t high = evaluate_integer(l, f, s->high, "the end of a range");
    struct value *carried[NAMES];
    if (low < INT32_MIN || high > INT32_MAX)
        fatal_at(place_of(l, s->location), LANGUAGE_NUMBER, "out of range");
    need_function(l, s->location);
    l->builder.location = place_of(l, s->location);
    for (int k = 1; k < s->name_count; k++)
        carried[k] = carried_value(l, f, s, k, NULL);
    struct loop_scope loop = {.outer = l->loop,
                              .before = l->builder,
                              .frame = f,
                              .low = low,
                              .trips = high > low ? high - low : 0,
                              .first_id = l->builder.module->next_value};
    struct map variables = f->variables;
    f->variables = copy_map(l, &variables);
    l->loop = &loop;
    begin_body(l, f, s, carried);
    run_block(l, f, s->body);
    struct node *node = end_body(l, f, s, carried);
    f->variables = variables;
    for (int k = 1; k < s->name_count; k++)
        frame_set(l, f, s->names[k], datum_tensor(&node->results[k - 1]));
    for (size_t i = 0; i < loop.collected.count; i++)
        frame_set(l, f, loop.collected.items[i].name,
                  datum_tensor(&node->results[(size_t)s->name_count - 1 + i]));
}

/* collect name = value: one part of an axis 0 that is there after the loop. */
void run_collect(struct lowering *l, struct frame *f, const struct statement *s)
{
    if (!returns_from_loop(l, f))
        fatal_at(place_of(l, s->location), LANGUAGE_COLLECT);
    struct datum value = evaluate(l, f, s->value, safe_name(s->names[0], NULL));
    if (value.kind != DATUM_TENSOR || value.tensor->type.rank == MAX_RANK)
        fatal_at(place_of(l, start_of(s->value)), LANGUAGE_NOT_TENSOR, s->names[0],
                 datum_kind_name(&value));
    for (size_t i = 0; i < l->loop->collected.count; i++)
        if (strcmp(l->loop->collected.items[i].name, s->names[0]) == 0)
            fatal_at(place_of(l, s->name_location), LANGUAGE_TWICE, s->names[0]);
    array_push(l->arena, &l->loop->collected, ((struct collected){s->names[0], value.tensor}));
}
