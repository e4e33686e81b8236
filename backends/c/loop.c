/*
 * The skeleton `loop`: one pass over the elements of the live-outs. It begins as a single loop
 * over all elements; views split it into the loops that they need. The outer ones run as one
 * number, of which each tile has its share; the inner one, or two where it is short, stay loops.
 */
#include "backends/c/skeletons.h"

/* All elements in one loop. */
static void flat(struct generator *g)
{
    int64_t extent = g->variables[0].extent;
    emit_share(g, extent);
    scope_open(g);
    variable_open(g, 0, "v0", 0, extent - 1);
    live_outs_store(g);
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
    emit_nest(g, inner, live_outs_store);
    if (inner == 1 && g->variables[1].extent < 16)
        writer_line(&g->scopes[0].writer, VECTOR_LOOP);
    scope_close(g, "for (rt_i64 block = first; block < last; block++)");
}

void emit_loop(struct generator *g)
{
    emit_attempts(g, live_outs_variable, attempt);
}
