/* Evaluation of expressions: see lower.h. */
#include "lower.h"

#include "ir/base/str.h"

#include <inttypes.h>
#include <string.h>

struct location place_of(const struct lowering *l, struct location location)
{
    return l->site.file ? l->site : location;
}

struct location start_of(const struct expr *e)
{
    while (e->kind == EXPR_BINARY || e->kind == EXPR_CONDITION || e->kind == EXPR_INDEX)
        e = e->a;
    return e->location;
}

void spend(struct lowering *l, size_t count, struct location location)
{
    if (count > (size_t)(STEP_LIMIT - l->steps))
        fatal_at(place_of(l, location), LANGUAGE_STEPS, (int)STEP_LIMIT);
    l->steps += (int64_t)count;
}

/* --- names --- */

static bool option_name(const struct lowering *l, const char *name, struct datum *out)
{
    const struct lower_options *options = l->options;
    if (strcmp(name, "training") == 0) {
        *out = datum_bool(options->training);
        return true;
    }
    bool batch = strcmp(name, "batch") == 0, seq = strcmp(name, "seq") == 0;
    int64_t extent = batch ? options->batch : seq ? options->seq : 0;
    *out = datum_integer(extent);
    return extent > 0;
}

bool find_name(const struct lowering *l, const struct frame *f, const char *name, struct datum *out)
{
    const struct datum *found = map_get(&f->variables, name);
    if (!found && f->unit == l->unit)
        found = map_get(&l->globals, name);
    if (found)
        *out = *found;
    return found || option_name(l, name, out);
}

static struct datum evaluate_name(struct lowering *l, struct frame *f, const struct expr *e)
{
    struct datum value;
    if (find_name(l, f, e->text, &value))
        return seen_in_loop(l, value);
    if (strcmp(e->text, "batch") == 0 || strcmp(e->text, "seq") == 0)
        fatal_at(place_of(l, e->location), LANGUAGE_NO_EXTENT, e->text, e->text);
    fatal_at(place_of(l, e->location), LANGUAGE_NO_NAME, e->text);
}

/* --- text and lists --- */

static struct datum evaluate_pieces(struct lowering *l, struct frame *f, const struct expr *e)
{
    struct str out = str_create(l->arena);
    for (size_t i = 0; i < e->items.count; i++) {
        struct datum piece = evaluate(l, f, e->items.items[i].value, NULL);
        if (piece.kind != DATUM_TEXT && piece.kind != DATUM_INTEGER)
            fatal_at(place_of(l, e->location), LANGUAGE_PIECE, datum_kind_name(&piece));
        if (piece.kind == DATUM_TEXT)
            str_printf(&out, "%s", piece.text);
        else
            str_printf(&out, "%" PRId64, piece.integer);
        if (out.length > TEXT_LIMIT)
            fatal_at(place_of(l, e->location), LANGUAGE_TEXT, "it grows too long");
    }
    spend(l, out.length / 16, e->location);
    return datum_text(out.text);
}

static struct datum evaluate_list(struct lowering *l, struct frame *f, const struct expr *e)
{
    struct datum list = {.kind = DATUM_LIST, .count = e->items.count};
    list.items = arena_array(l->arena, struct datum, list.count);
    for (size_t i = 0; i < list.count; i++)
        list.items[i] = evaluate(l, f, e->items.items[i].value, NULL);
    return list;
}

static struct datum evaluate_each(struct lowering *l, struct frame *f, const struct expr *e)
{
    int64_t low = evaluate_integer(l, f, e->b, "the start of a range");
    int64_t high = evaluate_integer(l, f, e->c, "the end of a range"), count;
    struct datum list = {.kind = DATUM_LIST};
    if (__builtin_sub_overflow(high, low, &count) || count > LIST_LIMIT)
        fatal_at(place_of(l, e->location), LANGUAGE_LIST, (int)LIST_LIMIT);
    list.count = count > 0 ? (size_t)count : 0;
    spend(l, list.count, e->location);
    list.items = arena_array(l->arena, struct datum, list.count);
    const struct datum *before = map_get(&f->variables, e->text);
    for (size_t i = 0; i < list.count; i++) {
        frame_set(l, f, e->text, datum_integer(low + (int64_t)i));
        list.items[i] = evaluate(l, f, e->a, NULL);
    }
    if (list.count)
        map_set(&f->variables, e->text, (void *)before);
    return list;
}

static struct datum evaluate_index(struct lowering *l, struct frame *f, const struct expr *e)
{
    struct datum list = evaluate(l, f, e->a, NULL);
    if (list.kind == DATUM_TENSOR) {
        struct datum at = evaluate(l, f, e->b, NULL);
        return tensor_part(l, e, list.tensor, &at);
    }
    int64_t index = evaluate_integer(l, f, e->b, "an index");
    if (list.kind != DATUM_LIST)
        fatal_at(place_of(l, e->location), LANGUAGE_NOT_LIST, datum_kind_name(&list));
    if (index < 0)
        index += (int64_t)list.count;
    if (index < 0 || index >= (int64_t)list.count)
        fatal_at(place_of(l, e->location), LANGUAGE_INDEX, (long long)index, list.count);
    return list.items[index];
}

/* --- operators --- */

/* `and` and `or` of truth values look at the second only if they must. */
static struct datum evaluate_logic(struct lowering *l, struct frame *f, const struct expr *e,
                                   const char *hint)
{
    struct datum a = evaluate(l, f, e->a, NULL);
    if (a.kind == DATUM_BOOL && a.integer == (e->sign == WORD_OR))
        return a;
    return operate(l, e, a, evaluate(l, f, e->b, NULL), hint);
}

static struct datum evaluate_binary(struct lowering *l, struct frame *f, const struct expr *e,
                                    const char *hint)
{
    if (e->sign == WORD_AND || e->sign == WORD_OR)
        return evaluate_logic(l, f, e, hint);
    struct datum a = evaluate(l, f, e->a, NULL);
    return operate(l, e, a, evaluate(l, f, e->b, NULL), hint);
}

static struct datum evaluate_kind(struct lowering *l, struct frame *f, const struct expr *e,
                                  const char *hint)
{
    switch (e->kind) {
    case EXPR_NONE: return (struct datum){.kind = DATUM_NONE};
    case EXPR_BOOL: return datum_bool(e->integer);
    case EXPR_INTEGER: return datum_integer(e->integer);
    case EXPR_REAL: return datum_real(e->real);
    case EXPR_LITERAL: return datum_text(e->text);
    case EXPR_TEXT: return evaluate_pieces(l, f, e);
    case EXPR_NAME: return evaluate_name(l, f, e);
    case EXPR_LIST: return evaluate_list(l, f, e);
    case EXPR_EACH: return evaluate_each(l, f, e);
    case EXPR_UNARY: return operate_unary(l, e, evaluate(l, f, e->a, NULL), hint);
    case EXPR_BINARY: return evaluate_binary(l, f, e, hint);
    case EXPR_CONDITION: return evaluate(l, f, evaluate_bool(l, f, e->b) ? e->a : e->c, hint);
    case EXPR_CALL: return evaluate_call(l, f, e, hint);
    case EXPR_INDEX: return evaluate_index(l, f, e);
    }
    fatal(INTERNAL, "unknown kind of expression", __func__);
}

struct datum evaluate(struct lowering *l, struct frame *f, const struct expr *e, const char *hint)
{
    spend(l, 1, e->location);
    if (l->depth >= DEPTH_LIMIT)
        fatal_at(place_of(l, e->location), LANGUAGE_DEEP, (int)DEPTH_LIMIT);
    l->depth++;
    struct datum value = evaluate_kind(l, f, e, hint);
    l->depth--;
    return value;
}

/* --- with a kind --- */

int64_t evaluate_integer(struct lowering *l, struct frame *f, const struct expr *e,
                         const char *what)
{
    struct datum value = evaluate(l, f, e, NULL);
    int64_t number;
    if (!datum_whole(&value, &number))
        fatal_at(place_of(l, start_of(e)), LANGUAGE_NOT_WHOLE, what, datum_show(l->arena, &value));
    return number;
}

bool evaluate_bool(struct lowering *l, struct frame *f, const struct expr *e)
{
    struct datum value = evaluate(l, f, e, NULL);
    if (value.kind != DATUM_BOOL)
        fatal_at(place_of(l, start_of(e)), LANGUAGE_NOT_BOOL, datum_kind_name(&value));
    return value.integer;
}

const char *evaluate_text(struct lowering *l, struct frame *f, const struct expr *e)
{
    struct datum value = evaluate(l, f, e, NULL);
    if (value.kind != DATUM_TEXT)
        fatal_at(place_of(l, start_of(e)), LANGUAGE_NOT_TEXT, datum_kind_name(&value));
    return value.text;
}
