/*
 * Skeletons that write by index: `update` and `mark` store into a state in place, `scatter_add`
 * sums rows by id. What stands beyond the bounds of the target is not stored. No cell belongs to
 * two threads, so there are no races and sums have one order.
 */
#include "backends/cuda/skeletons.h"

static int64_t thread_count(struct generator *g)
{
    return cuda_of(g)->blocks * cuda_of(g)->threads;
}

static void close_all(struct generator *g)
{
    cuda_of(g)->mma_count = 0;
    for (int v = 0; v < g->variable_count; v++)
        g->variables[v].atom = -1;
}

/* --- update: the elements of all new rows --- */

enum { NEW_ROW, INNER };

struct update {
    const struct node *node;
    struct index slot; /* of the row that is open */
};

static int64_t slot_width(const struct type *cache)
{
    int64_t width = 1;
    for (int k = 2; k < cache->rank; k++)
        width *= cache->dims[k];
    return width;
}

static void prepare_update(struct generator *g)
{
    const struct update *update = g->skeleton;
    const struct type *new = &update->node->operands[1]->type;
    variable_add(g, new->dims[0], NEW_ROW, false);
    variable_add(g, new->dims[1], NEW_ROW, false);
    variable_add(g, slot_width(&update->node->operands[0]->type), INNER, true);
}

/* Whether the open row is stored, and where. */
static const char *find_slot(struct generator *g)
{
    struct update *update = g->skeleton;
    const struct node *node = update->node;
    long long slots = (long long)node->operands[0]->type.dims[1];
    struct index batch = index_of_atom(g->variables[0].atom);
    struct element position = value_at(g, node->operands[2], batch);
    struct element count = value_at(g, node->operands[3], batch);
    const char *text = arena_printf(g->arena, "(rt_i64)%s + v1", position.text);
    if (node_int(node, ring))
        text = arena_printf(g->arena, "m_mod_i64(%s, %lld)", text, slots);
    int atom = g->space.name(g->space.context, text, g->depth, 0, slots - 1);
    const char *name = g->space.atoms.items[atom].text;
    update->slot = index_of_atom(atom);
    return arena_printf(g->arena, "v1 < %s && %s >= 0 && %s < %lld", count.text, name, name,
                        slots);
}

static void store_slot(struct generator *g)
{
    struct update *update = g->skeleton;
    const struct type *cache = &update->node->operands[0]->type;
    struct index batch = index_of_atom(g->variables[0].atom);
    struct index row = index_add(&g->space, index_scale(batch, cache->dims[1]), update->slot);
    struct index place = index_add(&g->space, index_scale(row, slot_width(cache)),
                                   linear_index(g, INNER));
    value_store(g, &update->node->results[0], place,
                value_at(g, update->node->operands[1], linear_index(g, -1)));
}

static void attempt_update(struct generator *g)
{
    close_all(g);
    struct nest nest = nest_of_grid(g, 0);
    nest.condition = find_slot;
    nest_emit(g, &nest, store_slot);
}

void cuda_emit_update(struct generator *g)
{
    struct update *update = arena_new(g->arena, struct update);
    update->node = kernel_anchor(g, OP_update);
    g->skeleton = update;
    emit_attempts(g, prepare_update, attempt_update);
}

/* --- mark: a block is a batch row; the flag of an id belongs to one thread --- */

static void prepare_mark(struct generator *g)
{
    const struct type *ids = &kernel_anchor(g, OP_mark)->operands[1]->type;
    variable_add(g, ids->dims[0], 0, false);
    variable_add(g, ids->dims[1], 0, false);
}

static void attempt_mark(struct generator *g)
{
    const struct node *node = kernel_anchor(g, OP_mark);
    const char *type = g->dialect->index_type;
    long long words = (long long)node->operands[0]->type.dims[1];
    close_all(g);
    scope_open(g);
    struct index batch = variable_open(g, 0, "v0", 0, g->extents[0] - 1);
    struct element count = value_at(g, node->operands[2], batch);
    scope_open(g);
    variable_open(g, 1, "v1", 0, g->extents[1] - 1);
    struct element id = value_at(g, node->operands[1], linear_index(g, -1));
    int atom = g->space.name(g->space.context, id.text, g->depth, 0, words - 1);
    const char *name = g->space.atoms.items[atom].text;
    scope_open_conditional(g, g->depth);
    struct index place = index_add(&g->space, index_scale(batch, words), index_of_atom(atom));
    value_store(g, &node->results[0], place, (struct element){"1", g->depth});
    scope_close(g, "if (%s >= 0 && %s < %lld && %s %% %lld == thread_index())", name, name, words,
                name, (long long)cuda_of(g)->threads);
    writer_line(&g->scopes[g->depth - 1].writer, "NO_UNROLL");
    scope_close(g, "for (%s v1 = 0; v1 < m_least_i64(%s, %lld); v1++)", type, count.text,
                (long long)g->extents[1]);
    writer_line(&g->scopes[g->depth - 1].writer, "NO_UNROLL");
    scope_close(g, "for (%s v0 = block_index(); v0 < %lld; v0 += %lld)", type,
                (long long)g->extents[0], (long long)cuda_of(g)->blocks);
}

void cuda_emit_mark(struct generator *g)
{
    emit_attempts(g, prepare_mark, attempt_mark);
}

/* --- scatter_add: a thread has some columns of each slices-th id, and goes over all rows --- */

enum { ROW, COLUMN };

struct scatter {
    const struct node *node;
    int64_t width, ids;
    struct index id; /* of the row of the result that is at hand */
};

static void prepare_scatter(struct generator *g)
{
    const struct scatter *scatter = g->skeleton;
    variable_add(g, type_elements(&scatter->node->operands[0]->type), ROW, false);
    variable_add(g, scatter->width, COLUMN, false);
}

static struct index scatter_place(struct generator *g)
{
    const struct scatter *scatter = g->skeleton;
    return index_add(&g->space, index_scale(scatter->id, scatter->width),
                     linear_index(g, COLUMN));
}

static void store_zero(struct generator *g)
{
    const struct scatter *scatter = g->skeleton;
    value_store(g, &scatter->node->results[0], scatter_place(g),
                (struct element){"0", g->depth});
}

static void add_row(struct generator *g)
{
    const struct scatter *scatter = g->skeleton;
    const struct value *result = &scatter->node->results[0];
    enum dtype dtype = result->type.dtype;
    struct index place = scatter_place(g), at = memory_index(g, result, place);
    struct element before, e = value_at(g, scatter->node->operands[1], linear_index(g, -1));
    if (!g->dialect->load_element(g, result, at, &before))
        before = element_new(g, emit_compute_type(dtype), g->depth, "%s",
                             g->dialect->load(g->arena, dtype, argument_name(g, result, false),
                                              index_text(&g->space, &at)));
    value_store(g, result, place,
                element_new(g, emit_compute_type(dtype), g->depth, "%s + %s", before.text,
                            e.text));
}

static void each_lane(struct generator *g, bool lanes, void (*body)(struct generator *g))
{
    if (lanes)
        nest_lanes(g, g->variable_count - 1, body);
    else
        body(g);
}

static void emit_scatter_rows(struct generator *g, struct scatter *scatter, int64_t slices,
                              bool lanes)
{
    const char *type = g->dialect->index_type;
    scope_open(g);
    scatter->id = index_of_atom(index_new_atom(
        &g->space, (struct atom){"id", 0, scatter->ids - 1, g->depth, -1}));
    each_lane(g, lanes, store_zero);
    writer_line(&g->scopes[g->depth - 1].writer, "NO_UNROLL");
    scope_close(g, "for (%s id = slice; id < %lld; id += %lld)", type, (long long)scatter->ids,
                (long long)slices);
    scope_open(g);
    struct index row = variable_open(g, 0, "v0", 0, g->extents[0] - 1);
    struct element id = value_at(g, scatter->node->operands[0], row);
    int atom = g->space.name(g->space.context, id.text, g->depth, 0, scatter->ids - 1);
    const char *name = g->space.atoms.items[atom].text;
    scatter->id = index_of_atom(atom);
    scope_open_conditional(g, g->depth);
    each_lane(g, lanes, add_row);
    scope_close(g, "if (%s >= 0 && %s < %lld && %s %% %lld == slice)", name, name,
                (long long)scatter->ids, name, (long long)slices);
    writer_line(&g->scopes[g->depth - 1].writer, "NO_UNROLL");
    scope_close(g, "for (%s v0 = 0; v0 < %lld; v0++)", type, (long long)g->extents[0]);
}

static void attempt_scatter(struct generator *g)
{
    struct scatter *scatter = g->skeleton;
    const char *type = g->dialect->index_type;
    int last = g->variable_count - 1;
    int64_t lanes = nest_lane_count(g, last, kernel_int(g, vector));
    bool ask = lanes > 1 && g->extents[last] > lanes, open = lanes > 1 && !ask;
    int64_t units = open ? scatter->width / lanes : scatter->width, threads = thread_count(g);
    int64_t slices = threads / units > 1 ? threads / units : 1;
    slices = slices < scatter->ids ? slices : scatter->ids;
    close_all(g);
    scope_open(g);
    struct writer *w = scope_writer(g);
    writer_line(w, "const %s v1 = unit %% %lld;", type, (long long)units);
    writer_line(w, "const %s slice = unit / %lld;", type, (long long)units);
    if (last > 1 || !open)
        variable_open(g, 1, "v1", 0, units - 1);
    emit_scatter_rows(g, scatter, slices, open);
    writer_line(&g->scopes[g->depth - 1].writer, "NO_UNROLL");
    scope_close(g, "for (%s unit = block_index() * %lld + thread_index(); unit < %lld; unit += "
                   "%lld)",
                type, (long long)cuda_of(g)->threads, (long long)(units * slices),
                (long long)threads);
    if (ask)
        nest_ask_lanes(g, last, lanes);
}

void cuda_emit_scatter_add(struct generator *g)
{
    struct scatter *scatter = arena_new(g->arena, struct scatter);
    const struct node *node = kernel_anchor(g, OP_scatter_add);
    const struct type *ids = &node->operands[0]->type, *rows = &node->operands[1]->type;
    *scatter = (struct scatter){.node = node, .width = 1, .ids = node->results[0].type.dims[0]};
    for (int k = ids->rank; k < rows->rank; k++)
        scatter->width *= rows->dims[k];
    g->skeleton = scatter;
    emit_attempts(g, prepare_scatter, attempt_scatter);
}
