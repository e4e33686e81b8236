/* What the skeletons of the C backend share: see skeletons.h. */
#include "backends/c/skeletons.h"

static int64_t tile_count(struct generator *g)
{
    int64_t tiles = kernel_int(g, tiles);
    return tiles > 0 ? tiles : 1;
}

void emit_share(struct generator *g, int64_t count)
{
    long long tiles = tile_count(g);
    struct writer *w = scope_writer(g);
    if (count == tiles)
        writer_line(w, "const rt_i64 first = begin, last = end;");
    else
        writer_line(w, "const rt_i64 first = begin * %lld / %lld, last = end * %lld / %lld;",
                    (long long)count, tiles, (long long)count, tiles);
}

/* A loop this short is unrolled, and the one around it becomes vector code. */
static bool is_short(const struct generator *g, int variable)
{
    return g->variables[variable].extent < 16 && variable > 0;
}

static void emit_piece(struct generator *g, int variable, int64_t low, int64_t high,
                       void (*body)(struct generator *g))
{
    bool last = variable == g->variable_count - 1;
    bool vector = last ? !is_short(g, variable)
                       : variable == g->variable_count - 2 && is_short(g, variable + 1);
    const char *name = arena_printf(g->arena, "v%d", variable);
    scope_open(g);
    variable_open(g, variable, name, low, high - 1);
    emit_nest(g, variable + 1, body);
    struct writer *outer = &g->scopes[g->depth - 1].writer;
    if (vector)
        writer_line(outer, VECTOR_LOOP);
    else if (last)
        writer_line(outer, "#pragma clang loop unroll(full)");
    scope_close(g, "for (rt_i64 %s = %lld; %s < %lld; %s++)", name, (long long)low, name,
                (long long)high, name);
}

void emit_nest(struct generator *g, int from, void (*body)(struct generator *g))
{
    if (from == g->variable_count) {
        body(g);
        return;
    }
    struct variable *variable = &g->variables[from];
    variable->may_cut = true;
    int64_t low = 0;
    for (int i = 0; i <= variable->cut_count; i++) {
        int64_t high = i < variable->cut_count ? variable->cuts[i] : variable->extent;
        emit_piece(g, from, low, high, body);
        low = high;
    }
}
