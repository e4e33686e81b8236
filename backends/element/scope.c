/* Scopes and loop variables of the expression generator: see value.h. */
#include "backends/element/value.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void scope_open(struct generator *g)
{
    if (g->depth + 1 >= SCOPES)
        fatal(INTERNAL, "loops are nested too deeply", g->kernel->name);
    int level = g->scopes[g->depth].writer.level + 1;
    g->depth++;
    g->scopes[g->depth] = (struct scope){
        .writer = writer_create(g->arena, level),
        .remembered = g->memo.count,
        .named = g->named.count,
    };
}

void scope_open_conditional(struct generator *g, int depth)
{
    scope_open(g);
    g->scopes[g->depth].conditional = true;
    g->scopes[g->depth].writer.level = g->scopes[depth].writer.level + 1;
}

void scope_open_guarded(struct generator *g, int depth, const char *guard, int guard_depth)
{
    scope_open_conditional(g, depth);
    g->scopes[g->depth].guard = guard;
    g->scopes[g->depth].guard_depth = guard_depth;
}

/* Drops from the memos what was computed in the scope that closes. */
static void forget(struct generator *g, const struct scope *scope)
{
    size_t kept = scope->remembered;
    for (size_t i = kept; i < g->memo.count; i++)
        if (g->memo.items[i].element.depth < g->depth && !scope->conditional)
            g->memo.items[kept++] = g->memo.items[i];
    g->memo.count = kept;
    kept = scope->named;
    for (size_t i = kept; i < g->named.count; i++) {
        int depth = g->space.atoms.items[g->named.items[i].atom].depth;
        if (depth < g->depth && !scope->conditional)
            g->named.items[kept++] = g->named.items[i];
    }
    g->named.count = kept;
}

void scope_close_into(struct generator *g, int depth, const char *format, ...)
{
    char head[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(head, sizeof head, format, arguments);
    va_end(arguments);
    struct scope *inner = &g->scopes[g->depth];
    struct writer *outer = &g->scopes[depth].writer;
    forget(g, inner);
    g->depth--;
    writer_line(outer, "%s {", head);
    str_bytes(&outer->text, inner->writer.text.text, inner->writer.text.length);
    writer_line(outer, "}");
}

void scope_close_bare(struct generator *g)
{
    struct scope *inner = &g->scopes[g->depth];
    struct writer *outer = &g->scopes[g->depth - 1].writer;
    forget(g, inner);
    g->depth--;
    writer_line(outer, "{");
    str_bytes(&outer->text, inner->writer.text.text, inner->writer.text.length);
    writer_line(outer, "}");
}

struct writer *scope_writer(struct generator *g)
{
    return &g->scopes[g->depth].writer;
}

void variables_reset(struct generator *g)
{
    g->variable_count = 0;
}

int variable_add(struct generator *g, int64_t extent, int role, bool may_split)
{
    if (g->variable_count == VARIABLES)
        fatal(INTERNAL, "a kernel needs too many loops", g->kernel->name);
    int variable = g->variable_count++;
    g->variables[variable] = (struct variable){.extent = extent, .role = role};
    g->may_split[variable] = may_split;
    g->extents[variable] = extent;
    return variable;
}

struct index variable_open(struct generator *g, int variable, const char *name, int64_t low,
                           int64_t high)
{
    struct atom atom = {.text = arena_printf(g->arena, "%s", name),
                        .low = low,
                        .high = high,
                        .depth = g->depth,
                        .variable = variable};
    int index = index_new_atom(&g->space, atom);
    g->variables[variable].atom = index;
    return index_of_atom(index);
}

static void cut(struct variable *variable, int64_t at)
{
    int place = variable->cut_count++;
    while (place > 0 && variable->cuts[place - 1] > at) {
        variable->cuts[place] = variable->cuts[place - 1];
        place--;
    }
    variable->cuts[place] = at;
}

bool variables_apply_split(struct generator *g)
{
    struct split split = g->space.split;
    g->space.split = (struct split){0};
    if (!split.wanted)
        return false;
    struct variable *old = &g->variables[split.variable];
    if (split.inner == 0) {
        cut(old, split.cut);
        return true;
    }
    if (g->variable_count == VARIABLES)
        fatal(INTERNAL, "a kernel needs too many loops", g->kernel->name);
    int after = g->variable_count - split.variable - 1;
    memmove(old + 2, old + 1, (size_t)after * sizeof *old);
    memmove(&g->may_split[split.variable + 2], &g->may_split[split.variable + 1], (size_t)after);
    old[1] = (struct variable){.extent = split.inner, .role = old->role};
    *old = (struct variable){.extent = old->extent / split.inner, .role = old->role};
    g->may_split[split.variable + 1] = g->may_split[split.variable];
    g->variable_count++;
    for (int i = 0; i < g->variable_count; i++)
        g->extents[i] = g->variables[i].extent;
    return true;
}

static int name_index(void *context, const char *text, int depth, int64_t low, int64_t high)
{
    struct generator *g = context;
    for (size_t i = 0; i < g->named.count; i++)
        if (strcmp(g->named.items[i].text, text) == 0)
            return g->named.items[i].atom;
    for (int i = g->depth; i > depth; i--)
        if (g->scopes[i].conditional)
            depth = i;
    const char *name = arena_printf(g->arena, "i%d", ++g->indices);
    writer_line(&g->scopes[depth].writer, "const %s %s = %s;", g->dialect->index_type,
                name, text);
    int atom = index_new_atom(&g->space, (struct atom){name, low, high, depth, -1});
    struct named_index entry = {text, atom};
    array_push(g->arena, &g->named, entry);
    return atom;
}

struct index index_named_at(struct generator *g, const char *text, int depth, int64_t low,
                            int64_t high)
{
    const char *name = arena_printf(g->arena, "i%d", ++g->indices);
    writer_line(&g->scopes[depth].writer, "const %s %s = %s;", g->dialect->index_type, name, text);
    return index_of_atom(index_new_atom(&g->space, (struct atom){name, low, high, depth, -1}));
}

void generator_restart(struct generator *g)
{
    g->space.arena = g->arena;
    g->space.atoms.count = 0;
    g->space.split = (struct split){0};
    g->space.name = name_index;
    g->space.context = g;
    g->space.may_split = g->may_split;
    g->space.extents = g->extents;
    g->depth = 0;
    g->scopes[0] = (struct scope){.writer = writer_create(g->arena, 1)};
    g->memo.count = g->named.count = 0;
    g->temporaries = g->indices = 0;
    g->tables = str_create(g->arena);
    g->table_count = 0;
}
