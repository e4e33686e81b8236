/* What the skeletons share: see skeletons.h. */
#include "backends/c/skeletons.h"

#include <string.h>

struct node_list kernel_nodes(struct generator *g)
{
    ARRAY_OF(struct node *) nodes = {0};
    for (size_t i = 0; i < g->function->nodes.count; i++)
        if (g->function->nodes.items[i]->kernel == g->kernel)
            array_push(g->arena, &nodes, g->function->nodes.items[i]);
    return (struct node_list){nodes.items, (int)nodes.count};
}

struct node *kernel_anchor(struct generator *g, enum op op)
{
    struct node_list nodes = kernel_nodes(g);
    for (int i = 0; i < nodes.count; i++)
        if (nodes.items[i]->op == op)
            return nodes.items[i];
    fatal(INTERNAL, "a kernel lacks the op of its skeleton", g->kernel->name);
}

struct value_list kernel_live_outs(struct generator *g)
{
    ARRAY_OF(const struct value *) values = {0};
    struct node_list nodes = kernel_nodes(g);
    for (int i = 0; i < nodes.count; i++)
        for (int k = 0; k < op_info(nodes.items[i]->op)->results; k++)
            if (is_live_out(g, &nodes.items[i]->results[k]))
                array_push(g->arena, &values, &nodes.items[i]->results[k]);
    return (struct value_list){values.items, (int)values.count};
}

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

void emit_digits(struct generator *g, int from, int to, const char *number)
{
    int64_t inner = 1;
    for (int v = to - 1; v >= from; v--) {
        int64_t extent = g->variables[v].extent;
        const char *name = arena_printf(g->arena, "v%d", v);
        const char *divided = inner == 1 ? number
                                         : arena_printf(g->arena, "%s / %lld", number,
                                                        (long long)inner);
        const char *text = v == from ? divided
                                     : arena_printf(g->arena, "%s %% %lld", divided,
                                                    (long long)extent);
        writer_line(scope_writer(g), "const rt_i64 %s = %s;", name, text);
        variable_open(g, v, name, 0, extent - 1);
        inner *= extent;
    }
}

void emit_attempts(struct generator *g, void (*prepare)(struct generator *g),
                   void (*attempt)(struct generator *g))
{
    enum { ATTEMPTS = 40 };
    variables_reset(g);
    prepare(g);
    for (int i = 0;; i++) {
        generator_restart(g);
        for (int v = 0; i >= ATTEMPTS && v < g->variable_count; v++)
            g->may_split[v] = false;
        attempt(g);
        if (!variables_apply_split(g))
            return;
    }
}

struct index linear_index(struct generator *g, int role)
{
    struct index sum = index_constant(0);
    int64_t stride = 1;
    for (int v = g->variable_count - 1; v >= 0; v--) {
        if (role >= 0 && g->variables[v].role != role)
            continue;
        if (g->variables[v].atom >= 0)
            sum = index_add(&g->space, sum,
                            index_scale(index_of_atom(g->variables[v].atom), stride));
        stride *= g->variables[v].extent;
    }
    return sum;
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
