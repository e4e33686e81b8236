/* See parts.h. */
#include "backends/element/parts.h"

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

void live_outs_variable(struct generator *g)
{
    struct value_list outs = kernel_live_outs(g);
    variable_add(g, outs.count ? type_elements(&outs.items[0]->type) : 0, 0, true);
}

void live_outs_store(struct generator *g)
{
    struct value_list outs = kernel_live_outs(g);
    struct index index = linear_index(g, -1);
    struct element *elements = arena_array(g->arena, struct element, (size_t)outs.count + 1);
    for (int i = 0; i < outs.count; i++)
        elements[i] = value_at(g, outs.items[i], index);
    for (int i = 0; i < outs.count; i++)
        value_store(g, outs.items[i], index, elements[i]);
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
        writer_line(scope_writer(g), "const %s %s = %s;", g->dialect->index_type, name,
                    text);
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
