/*
 * Skeletons that write by index: `update` and `mark` store into a state in place, `scatter_add`
 * sums rows by id. What stands beyond the bounds of the target is not stored.
 */
#include "backends/c/dialect.h"
#include "backends/c/skeletons.h"

/* --- update: a tile is a row of the new positions --- */

static void prepare_update(struct generator *g)
{
    const struct type *cache = &kernel_anchor(g, OP_update)->operands[0]->type;
    const struct type *new = &kernel_anchor(g, OP_update)->operands[1]->type;
    int64_t rest = 1;
    for (int k = 2; k < cache->rank; k++)
        rest *= cache->dims[k];
    variable_add(g, new->dims[0], 0, false);
    variable_add(g, new->dims[1], 0, false);
    variable_add(g, rest, 1, true);
}

static void store_slot(struct generator *g)
{
    const struct node *node = kernel_anchor(g, OP_update);
    const struct type *cache = &node->operands[0]->type;
    int64_t rest = 1;
    for (int k = 2; k < cache->rank; k++)
        rest *= cache->dims[k];
    struct element e = value_at(g, node->operands[1], linear_index(g, -1));
    struct index inner = linear_index(g, 1);
    writer_line(scope_writer(g), "%s[(v0 * %lld + slot) * %lld + %s] = %s;",
                argument_name(g, &node->results[0], true), (long long)cache->dims[1],
                (long long)rest, index_text(&g->space, &inner),
                store_text(g->arena, cache->dtype, e.text));
}

static void attempt_update(struct generator *g)
{
    const struct node *node = kernel_anchor(g, OP_update);
    long long slots = (long long)node->operands[0]->type.dims[1];
    for (int v = 0; v < g->variable_count; v++)
        g->variables[v].atom = -1;
    emit_share(g, g->extents[0] * g->extents[1]);
    scope_open(g);
    emit_digits(g, 0, 2, "row");
    struct index batch = index_of_atom(g->variables[0].atom);
    struct element position = value_at(g, node->operands[2], batch);
    struct element count = value_at(g, node->operands[3], batch);
    struct writer *w = scope_writer(g);
    writer_line(w, "const rt_i64 slot = %s((rt_i64)%s + v1%s);",
                node_int(node, ring) ? "m_mod_i64" : "", position.text,
                node_int(node, ring) ? arena_printf(g->arena, ", %lld", slots) : "");
    scope_open_conditional(g, g->depth);
    emit_nest(g, 2, store_slot);
    scope_close(g, "if (v1 < %s && slot >= 0 && slot < %lld)", count.text, slots);
    scope_close(g, "for (rt_i64 row = first; row < last; row++)");
}

void emit_update(struct generator *g)
{
    emit_attempts(g, prepare_update, attempt_update);
}

/* --- mark: a tile is a batch row --- */

static void prepare_mark(struct generator *g)
{
    const struct type *ids = &kernel_anchor(g, OP_mark)->operands[1]->type;
    variable_add(g, ids->dims[0], 0, false);
    variable_add(g, ids->dims[1], 0, false);
}

static void attempt_mark(struct generator *g)
{
    const struct node *node = kernel_anchor(g, OP_mark);
    long long words = (long long)node->operands[0]->type.dims[1];
    emit_share(g, g->extents[0]);
    scope_open(g);
    struct index batch = variable_open(g, 0, "v0", 0, g->extents[0] - 1);
    struct element count = value_at(g, node->operands[2], batch);
    scope_open(g);
    variable_open(g, 1, "v1", 0, g->extents[1] - 1);
    struct element id = value_at(g, node->operands[1], linear_index(g, -1));
    writer_line(scope_writer(g), "if (%s >= 0 && %s < %lld)", id.text, id.text, words);
    writer_line(scope_writer(g), "    %s[v0 * %lld + %s] = 1;",
                argument_name(g, &node->results[0], true), words, id.text);
    scope_close(g, "for (rt_i64 v1 = 0; v1 < m_least_i64(%s, %lld); v1++)", count.text,
                (long long)g->extents[1]);
    scope_close(g, "for (rt_i64 v0 = first; v0 < last; v0++)");
}

void emit_mark(struct generator *g)
{
    emit_attempts(g, prepare_mark, attempt_mark);
}

/* --- scatter_add: a tile is a share of the columns, and sums its rows in order --- */

enum { ROW, COLUMN };

static int64_t row_width(const struct node *node)
{
    const struct type *ids = &node->operands[0]->type, *rows = &node->operands[1]->type;
    int64_t width = 1;
    for (int k = ids->rank; k < rows->rank; k++)
        width *= rows->dims[k];
    return width;
}

static void prepare_scatter(struct generator *g)
{
    const struct node *node = kernel_anchor(g, OP_scatter_add);
    variable_add(g, type_elements(&node->operands[0]->type), ROW, false);
    variable_add(g, row_width(node), COLUMN, false);
}

static void attempt_scatter(struct generator *g)
{
    const struct node *node = kernel_anchor(g, OP_scatter_add);
    const struct value *result = &node->results[0];
    long long width = (long long)row_width(node), ids = (long long)result->type.dims[0];
    const char *target = argument_name(g, result, true);
    emit_share(g, width);
    struct writer *w = scope_writer(g);
    writer_line(w, "for (rt_i64 id = 0; id < %lld; id++)", ids);
    writer_line(w, "    for (rt_i64 v1 = first; v1 < last; v1++)");
    writer_line(w, "        %s[id * %lld + v1] = 0;", target, width);
    scope_open(g);
    struct index row = variable_open(g, 0, "v0", 0, g->extents[0] - 1);
    struct element id = value_at(g, node->operands[0], row);
    scope_open_conditional(g, g->depth);
    scope_open(g);
    variable_open(g, 1, "v1", 0, g->extents[1] - 1);
    struct element e = value_at(g, node->operands[1], linear_index(g, -1));
    enum dtype dtype = result->type.dtype;
    const char *place = arena_printf(g->arena, "(rt_i64)%s * %lld + v1", id.text, width);
    const char *sum = arena_printf(g->arena, "%s + %s", load_text(g->arena, dtype, target, place),
                                   e.text);
    writer_line(scope_writer(g), "%s[%s] = %s;", target, place,
                store_text(g->arena, dtype, sum));
    writer_line(&g->scopes[g->depth - 1].writer, VECTOR_LOOP);
    scope_close(g, "for (rt_i64 v1 = first; v1 < last; v1++)");
    scope_close(g, "if (%s >= 0 && %s < %lld)", id.text, id.text, ids);
    scope_close(g, "for (rt_i64 v0 = 0; v0 < %lld; v0++)", (long long)g->extents[0]);
}

void emit_scatter_add(struct generator *g)
{
    emit_attempts(g, prepare_scatter, attempt_scatter);
}
