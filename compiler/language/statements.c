/* Statements other than those about leaves: see lower.h. */
#include "lower.h"

#include <inttypes.h>
#include <string.h>

const char *safe_name(const char *name, const char *otherwise)
{
    return strlen(name) <= NAME_LIMIT ? name : otherwise;
}

void run_require(struct lowering *l, struct frame *f, const struct statement *s)
{
    if (!evaluate_bool(l, f, s->value))
        fatal_at(place_of(l, s->location), LANGUAGE_REQUIRE, evaluate_text(l, f, s->tensor));
}

static void assign(struct lowering *l, struct frame *f, const struct statement *s, const char *name,
                   struct datum value)
{
    if (f->unit == l->unit && map_get(&l->globals, name))
        fatal_at(place_of(l, s->location), LANGUAGE_ASSIGN, name);
    frame_set(l, f, name, value);
}

static void run_assign(struct lowering *l, struct frame *f, const struct statement *s)
{
    const char *hint = s->name_count == 1 ? safe_name(s->names[0], NULL) : NULL;
    struct datum value = evaluate(l, f, s->value, hint);
    if (s->pattern)
        check_pattern(l, f, s->pattern, &value, s->names[0], start_of(s->value));
    if (s->name_count == 1) {
        assign(l, f, s, s->names[0], value);
        return;
    }
    if (value.kind != DATUM_LIST || value.count != (size_t)s->name_count)
        fatal_at(place_of(l, start_of(s->value)), LANGUAGE_UNPACK, s->name_count,
                 datum_show(l->arena, &value));
    for (int i = 0; i < s->name_count; i++)
        assign(l, f, s, s->names[i], value.items[i]);
}

static void run_repeat(struct lowering *l, struct frame *f, const struct statement *s)
{
    int64_t low = evaluate_integer(l, f, s->low, "the start of a range");
    int64_t high = evaluate_integer(l, f, s->high, "the end of a range");
    const char *outer = l->builder.scope, *name = safe_name(s->scope, "repeat");
    for (int64_t i = low; i < high && !f->returned; i++) {
        spend(l, 1, s->location);
        l->builder.scope =
            arena_printf(l->arena, "%s%s%s.%" PRId64, outer, *outer ? "." : "", name, i);
        if (strlen(l->builder.scope) > 200)
            fatal_at(place_of(l, s->location), LANGUAGE_DEEP, 200);
        assign(l, f, s, s->names[0], datum_integer(i));
        run_block(l, f, s->body);
    }
    l->builder.scope = outer;
}

static void run_if(struct lowering *l, struct frame *f, const struct statement *s)
{
    if (evaluate_bool(l, f, s->value))
        run_block(l, f, s->body);
    else if (s->otherwise)
        run_block(l, f, s->otherwise);
}

static void run_return(struct lowering *l, struct frame *f, const struct statement *s)
{
    if (returns_from_loop(l, f))
        refuse_in_loop(l, s->location, "return");
    f->result = evaluate(l, f, s->value, f->hint);
    f->returned = true;
}

static void run_statement(struct lowering *l, struct frame *f, const struct statement *s)
{
    switch (s->kind) {
    case STATEMENT_ASSIGN: run_assign(l, f, s); break;
    case STATEMENT_REPEAT: run_repeat(l, f, s); break;
    case STATEMENT_LOOP: run_loop(l, f, s); break;
    case STATEMENT_COLLECT: run_collect(l, f, s); break;
    case STATEMENT_IF: run_if(l, f, s); break;
    case STATEMENT_RETURN: run_return(l, f, s); break;
    case STATEMENT_WEIGHT: run_weight(l, f, s); break;
    case STATEMENT_STATE: run_state(l, f, s); break;
    case STATEMENT_UPDATE: run_update(l, f, s); break;
    case STATEMENT_INPUT: run_input(l, f, s); break;
    case STATEMENT_OUTPUT: run_output(l, f, s); break;
    case STATEMENT_REQUIRE: run_require(l, f, s); break;
    }
}

void run_block(struct lowering *l, struct frame *f, const struct block *block)
{
    for (size_t i = 0; i < block->statements.count && !f->returned; i++) {
        spend(l, 1, block->statements.items[i]->location);
        run_statement(l, f, block->statements.items[i]);
    }
}
