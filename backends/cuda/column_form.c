/* Columns of which threads share the reduced elements: see rows.h. A thread has `lanes`
 * neighbouring columns and each rows->each-th element of them. */
#include "backends/cuda/rows.h"

static bool at_level(const struct rows *rows, int number)
{
    return rows->reductions.items[number].level == rows->level;
}

/* Calls `body` for the thread's columns, in a loop over lanes where there are several. */
static void each_column(struct generator *g, const struct rows *rows,
                        void (*body)(struct generator *g))
{
    if (rows->lanes > 1)
        nest_lanes(g, g->variable_count - 1, body);
    else
        body(g);
}

static const char *lane_text(struct generator *g, const struct rows *rows)
{
    return rows->lanes > 1 ? arena_printf(g->arena, "v%d", g->variable_count - 1) : "0";
}

/* A plain loop over the lanes, for what is no element: "v5" counts them. */
static void open_lanes(struct generator *g)
{
    scope_open(g);
}

static void close_lanes(struct generator *g, const struct rows *rows)
{
    if (rows->lanes == 1) {
        scope_close_bare(g);
        return;
    }
    const char *name = lane_text(g, rows);
    writer_line(&g->scopes[g->depth - 1].writer, "UNROLL");
    scope_close(g, "for (int %s = 0; %s < %lld; %s++)", name, name, (long long)rows->lanes, name);
}

static void declare(struct generator *g, struct rows *rows)
{
    for (int i = 0; i < rows->reductions.count; i++) {
        struct reduction *r = &rows->reductions.items[i];
        if (!at_level(rows, i))
            continue;
        r->result = arena_printf(g->arena, "f%d", i);
        writer_line(scope_writer(g), "%s %s[%lld];",
                    emit_compute_type(r->node->results[0].type.dtype), r->result,
                    (long long)rows->lanes);
        for (int k = 0; k < r->parts; k++) {
            r->names[k] = arena_printf(g->arena, "r%d_%d", i, k);
            writer_line(scope_writer(g), "%s %s[%lld];", r->type, r->names[k],
                        (long long)rows->lanes);
            open_lanes(g);
            writer_line(scope_writer(g), "%s[%s] = %s;", r->names[k], lane_text(g, rows),
                        reduction_identity(g, r, k));
            close_lanes(g, rows);
        }
    }
}

/* Neighbouring threads reach neighbouring words. */
static const char *column_cell(struct generator *g, const struct rows *rows,
                               const struct reduction *r, int64_t offset, const char *slice, int k)
{
    int64_t line = rows->share * rows_bytes(r);
    offset += k * rows->lanes * line;
    const char *cell = rows_address(g, offset, slice, r->parts * rows->lanes * line);
    if (rows->lanes > 1)
        cell = arena_printf(g->arena, "%s + %s * %lld", cell, lane_text(g, rows),
                            (long long)line);
    return rows->share == 1 ? cell
                            : arena_printf(g->arena, "%s + thread_index() %% %lld * %lld", cell,
                                           (long long)rows->share, (long long)rows_bytes(r));
}

static void store_slice(struct generator *g, const struct rows *rows, const struct reduction *r,
                        int64_t offset)
{
    open_lanes(g);
    for (int k = 0; k < r->parts; k++)
        writer_line(scope_writer(g), "shared_store_%s(%s, %s[%s]);", r->suffix,
                    column_cell(g, rows, r, offset, "slice", k), r->names[k],
                    lane_text(g, rows));
    close_lanes(g, rows);
}

static void load_slices(struct generator *g, const struct rows *rows, const struct reduction *r,
                        int64_t offset)
{
    const char *p[4], *q[4] = {"0", "0", "0", "0"};
    rows_accumulators(g, r, lane_text(g, rows), p);
    open_lanes(g);
    for (int k = 0; k < r->parts; k++)
        writer_line(scope_writer(g), "%s = shared_load_%s(%s);", p[k], r->suffix,
                    column_cell(g, rows, r, offset, "0", k));
    scope_open(g);
    for (int k = 0; k < r->parts; k++)
        q[k] = element_new(g, r->type, g->depth, "shared_load_%s(%s)", r->suffix,
                           column_cell(g, rows, r, offset, "other", k))
                   .text;
    reduction_combine(g, r, p, p, q);
    writer_line(&g->scopes[g->depth - 1].writer, "UNROLL_BY(4)");
    scope_close(g, "for (int other = 1; other < %lld; other++)", (long long)rows->each);
    close_lanes(g, rows);
}

static void combine_slices(struct generator *g, struct rows *rows)
{
    int64_t offsets[REDUCTIONS];
    if (rows->each == 1)
        return;
    for (int i = 0; i < rows->reductions.count; i++) {
        const struct reduction *r = &rows->reductions.items[i];
        if (!at_level(rows, i))
            continue;
        offsets[i] = rows_take_shared(rows, r, cuda_of(g)->threads * rows->lanes);
        store_slice(g, rows, r, offsets[i]);
    }
    writer_line(scope_writer(g), "block_barrier();");
    for (int i = 0; i < rows->reductions.count; i++)
        if (at_level(rows, i))
            load_slices(g, rows, &rows->reductions.items[i], offsets[i]);
}

/* --- the blocks that share a column --- */

static void publish(struct generator *g)
{
    struct rows *rows = g->skeleton;
    struct index here = linear_index(g, KEPT);
    const char *row = index_text(&g->space, &here);
    for (int i = 0; i < rows->reductions.count; i++) {
        const struct reduction *r = &rows->reductions.items[i];
        for (int k = 0; k < r->parts && r->level == 0; k++)
            writer_line(scope_writer(g), "publish_f32(%s, %s[%s]);",
                        rows_handed(g, rows, r, row, "part", k), r->names[k],
                        lane_text(g, rows));
    }
}

static void collect(struct generator *g)
{
    struct rows *rows = g->skeleton;
    struct index here = linear_index(g, KEPT);
    const char *row = index_text(&g->space, &here);
    for (int i = 0; i < rows->reductions.count; i++) {
        const struct reduction *r = &rows->reductions.items[i];
        const char *p[4];
        rows_accumulators(g, r, lane_text(g, rows), p);
        if (r->level == 0)
            rows_collect(g, rows, r, row, "slice", p);
    }
}

static void hand_over(struct generator *g, struct rows *rows, const char *owner)
{
    scope_open_conditional(g, g->depth);
    each_column(g, rows, publish);
    scope_close(g, "if (%s)", owner);
    scope_open_conditional(g, g->depth); /* closed at the end of the group */
    each_column(g, rows, collect);
    combine_slices(g, rows);
}

/* --- passes --- */

static void accumulate(struct generator *g)
{
    each_column(g, g->skeleton, rows_accumulate);
}

static void store_full(struct generator *g)
{
    each_column(g, g->skeleton, rows_store_full);
}

static void finish(struct generator *g, struct rows *rows)
{
    for (int i = 0; i < rows->reductions.count; i++) {
        struct reduction *r = &rows->reductions.items[i];
        const char *p[4];
        if (!at_level(rows, i))
            continue;
        rows_accumulators(g, r, lane_text(g, rows), p);
        open_lanes(g);
        writer_line(scope_writer(g), "%s[%s] = %s;", r->result, lane_text(g, rows),
                    reduction_finish(g, r, p));
        close_lanes(g, rows);
        r->done = true;
    }
}

static void emit_pass(struct generator *g, struct rows *rows, const char *owner)
{
    declare(g, rows);
    struct nest nest = rows_nest(g, rows, "slice", 1);
    nest.ahead = ROWS_AHEAD;
    nest_emit(g, &nest, accumulate);
    combine_slices(g, rows);
    if (rows->split > 1 && rows->level == 0)
        hand_over(g, rows, owner);
    finish(g, rows);
}

/* The first of the last variables that are all kept. */
static int first_column(const struct generator *g)
{
    int v = g->variable_count - 1;
    while (v > 0 && g->variables[v - 1].role == KEPT)
        v--;
    return v;
}

/* Names the columns of this thread; the condition under which they are its own. */
static const char *open_columns(struct generator *g, const struct rows *rows, int first,
                                int64_t units)
{
    const char *type = g->dialect->index_type;
    struct writer *w = scope_writer(g);
    long long across = (long long)((units + rows->share - 1) / rows->share);
    bool ragged = units % rows->share != 0;
    writer_line(w, "const %s wanted = group %% %lld * %lld + thread_index() %% %lld;", type,
                across, (long long)rows->share, (long long)rows->share);
    if (ragged)
        writer_line(w, "const %s column = wanted < %lld ? wanted : %lld;", type,
                    (long long)units, (long long)units - 1);
    int last = g->variable_count - (rows->lanes > 1);
    rows_open_kept(g, first, last, ragged ? "column" : "wanted");
    if (first > 0) {
        writer_line(w, "const %s outer = group / %lld;", type, across);
        rows_open_kept(g, 0, first, "outer");
    }
    return ragged ? "slice == 0 && column == wanted" : "slice == 0";
}

static void emit_stores(struct generator *g, struct rows *rows, const char *owner, bool ragged)
{
    if (reductions_has_outs(g, &rows->reductions, rows->early ? OUTS_LATE : OUTS_FULL)) {
        struct nest nest = rows_nest(g, rows, "slice", 1);
        if (ragged)
            scope_open_conditional(g, g->depth);
        nest_emit(g, &nest, store_full);
        if (ragged)
            scope_close(g, "if (column == wanted)");
    }
    if (!reductions_has_outs(g, &rows->reductions, OUTS_ROW))
        return;
    scope_open_conditional(g, g->depth);
    each_column(g, rows, rows_store_reduced);
    scope_close(g, "if (%s)", owner);
}

void rows_attempt_columns(struct generator *g, struct rows *rows)
{
    int last = g->variable_count - 1, first = first_column(g);
    int64_t units = 1, outer = 1, vector = kernel_int(g, vector), cols = kernel_int(g, cols);
    int64_t lanes = nest_lane_count(g, last, vector);
    bool ask = lanes > 1 && g->extents[last] > lanes;
    rows->lanes = ask ? 1 : lanes;
    for (int v = 0; v <= last; v++)
        if (g->variables[v].role == KEPT)
            *(v < first ? &outer : &units) *= g->extents[v];
    units /= rows->lanes;
    rows->share = cols > vector ? cols / vector : 1;
    rows->each = cuda_of(g)->threads / rows->share;
    rows->groups = outer * ((units + rows->share - 1) / rows->share);
    writer_line(scope_writer(g), "const int slice = thread_index() / %lld;",
                (long long)rows->share);
    rows_open_groups(g, rows);
    const char *owner = open_columns(g, rows, first, units);
    rows->early = rows->split > 1 && units % rows->share == 0;
    for (rows->level = 0; rows->level < rows->reductions.levels; rows->level++)
        emit_pass(g, rows, owner);
    emit_stores(g, rows, owner, units % rows->share != 0);
    if (rows->split > 1)
        scope_close(g, "if (publish_last(counters + group, %lld))", (long long)rows->split);
    rows_close_groups(g, rows);
    if (ask)
        nest_ask_lanes(g, last, lanes);
}
