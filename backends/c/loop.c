/*
 * The skeleton `loop`: one pass over the elements of the live-outs. It begins as a single loop
 * over all elements; views split it into the loops that they need. The outer ones run as one
 * number, of which each tile has its share; the inner one, or two where it is short, stay loops.
 */
#include "backends/c/skeletons.h"

static void prepare(struct generator *g)
{
    struct value_list outs = kernel_live_outs(g);
    variable_add(g, outs.count ? type_elements(&outs.items[0]->type) : 0, 0, true);
}

static void store_all(struct generator *g)
{
    struct value_list outs = kernel_live_outs(g);
    struct index index = linear_index(g, -1);
    struct element *elements = arena_array(g->arena, struct element, (size_t)outs.count + 1);
    for (int i = 0; i < outs.count; i++)
        elements[i] = value_at(g, outs.items[i], index);
    for (int i = 0; i < outs.count; i++)
        value_store(g, outs.items[i], index, elements[i]);
}

/* All elements in one loop. */
static void flat(struct generator *g)
{
    int64_t extent = g->variables[0].extent;
    emit_share(g, extent);
    scope_open(g);
    variable_open(g, 0, "v0", 0, extent - 1);
    store_all(g);
    writer_line(&g->scopes[0].writer, VECTOR_LOOP);
    scope_close(g, "for (rt_i64 v0 = first; v0 < last; v0++)");
}

static void attempt(struct generator *g)
{
    for (int v = 0; v < g->variable_count; v++) {
        g->variables[v].atom = -1;
        g->variables[v].may_cut = false;
    }
    if (g->variable_count == 1) {
        flat(g);
        return;
    }
    int inner = g->variable_count - 1;
    if (inner >= 2 && g->variables[inner].extent < 16)
        inner--;
    int64_t blocks = 1;
    for (int v = 0; v < inner; v++)
        blocks *= g->variables[v].extent;
    emit_share(g, blocks);
    scope_open(g);
    emit_digits(g, 0, inner, "block");
    emit_nest(g, inner, store_all);
    if (inner == 1 && g->variables[1].extent < 16)
        writer_line(&g->scopes[0].writer, VECTOR_LOOP);
    scope_close(g, "for (rt_i64 block = first; block < last; block++)");
}

void emit_loop(struct generator *g)
{
    emit_attempts(g, prepare, attempt);
}
