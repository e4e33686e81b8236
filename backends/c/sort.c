/*
 * Skeletons over lines along one axis: `sort` (stable, values and indices) and `cumsum`
 * (running sums in f64, or i64 for integers). A tile is a share of the lines.
 */
#include "backends/c/skeletons.h"

#include <string.h>

enum { BEFORE, ALONG, AFTER, STACK_LIMIT = 3 << 20 };

static const struct node *anchor(struct generator *g)
{
    return kernel_anchor(g, skeleton_anchor(g->kernel->skeleton));
}

/* Lines run along variable ALONG; the others number them. */
static void prepare(struct generator *g)
{
    const struct node *node = anchor(g);
    const struct type *type = &node->operands[0]->type;
    int64_t dims[3] = {1, 1, 1};
    int axis = (int)node_int(node, axis);
    for (int k = 0; k < type->rank; k++)
        dims[(k > axis) - (k < axis) + 1] *= type->dims[k];
    for (int i = 0; i < 3; i++)
        variable_add(g, dims[i], i, false);
}

static struct index at(struct generator *g, struct index along)
{
    struct index axes[3] = {index_of_atom(g->variables[BEFORE].atom), along,
                            index_of_atom(g->variables[AFTER].atom)};
    return index_put_together(&g->space, 3, g->extents, axes);
}

static void open_line(struct generator *g)
{
    struct writer *w = scope_writer(g);
    writer_line(w, "const rt_i64 v0 = line / %lld, v2 = line %% %lld;",
                (long long)g->extents[AFTER], (long long)g->extents[AFTER]);
    variable_open(g, BEFORE, "v0", 0, g->extents[BEFORE] - 1);
    variable_open(g, AFTER, "v2", 0, g->extents[AFTER] - 1);
}

static void attempt_sort(struct generator *g)
{
    const struct node *node = anchor(g);
    long long count = (long long)g->extents[ALONG];
    enum dtype dtype = node->operands[0]->type.dtype;
    if (dtype_bits(dtype) > 32 || count * 12 > STACK_LIMIT + (1 << 19))
        fatal(INTERNAL, "a sort is too long, or its elements are too wide", g->kernel->name);
    emit_share(g, g->extents[BEFORE] * g->extents[AFTER]);
    scope_open(g);
    open_line(g);
    struct writer *w = scope_writer(g);
    writer_line(w, "rt_u32 keys[%lld], order[%lld], other[%lld];", count, count, count);
    scope_open(g);
    struct index index = at(g, variable_open(g, ALONG, "v1", 0, g->extents[ALONG] - 1));
    struct element e = value_at(g, node->operands[0], index);
    writer_line(scope_writer(g), "keys[v1] = sort_key_%s%s(%s);",
                node_int(node, descending) ? "down_" : "", emit_suffix(dtype), e.text);
    scope_close(g, "for (rt_i64 v1 = 0; v1 < %lld; v1++)", count);
    writer_line(w, "sort_order(keys, order, other, %lld);", count);
    scope_open(g);
    struct index to = at(g, variable_open(g, ALONG, "i", 0, g->extents[ALONG] - 1));
    writer_line(scope_writer(g), "const rt_i64 v1 = order[i];");
    if (is_live_out(g, &node->results[0])) {
        struct index from = at(g, variable_open(g, ALONG, "v1", 0, g->extents[ALONG] - 1));
        value_store(g, &node->results[0], to, value_at(g, node->operands[0], from));
    }
    if (is_live_out(g, &node->results[1]))
        value_store(g, &node->results[1], to, (struct element){"(int)v1", g->depth});
    scope_close(g, "for (rt_i64 i = 0; i < %lld; i++)", count);
    scope_close(g, "for (rt_i64 line = first; line < last; line++)");
}

void emit_sort(struct generator *g)
{
    emit_attempts(g, prepare, attempt_sort);
}

static void attempt_cumsum(struct generator *g)
{
    const struct node *node = anchor(g);
    enum dtype dtype = node->results[0].type.dtype;
    bool exclusive = node_int(node, exclusive);
    emit_share(g, g->extents[BEFORE] * g->extents[AFTER]);
    scope_open(g);
    open_line(g);
    writer_line(scope_writer(g), "%s sum = 0;", dtype_is_float(dtype) ? "double" : "rt_i64");
    scope_open(g);
    struct index index = at(g, variable_open(g, ALONG, "v1", 0, g->extents[ALONG] - 1));
    struct element e = value_at(g, node->operands[0], index);
    const char *sum = arena_printf(g->arena, "(%s)sum", emit_compute_type(dtype));
    if (!exclusive)
        writer_line(scope_writer(g), "sum += %s;", e.text);
    value_store(g, &node->results[0], index, (struct element){sum, g->depth});
    if (exclusive)
        writer_line(scope_writer(g), "sum += %s;", e.text);
    scope_close(g, "for (rt_i64 v1 = 0; v1 < %lld; v1++)", (long long)g->extents[ALONG]);
    scope_close(g, "for (rt_i64 line = first; line < last; line++)");
}

void emit_cumsum(struct generator *g)
{
    emit_attempts(g, prepare, attempt_cumsum);
}
