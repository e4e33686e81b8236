/*
 * The skeleton `rows`: reductions along axes of a domain, and what comes before and after them.
 *
 * Where the last axis is reduced, a row is computed at a time: each reduction runs in LANES
 * accumulators, element i into number i mod lanes, which a fixed tree combines; so a result
 * depends on its row alone. Where the last axis is kept, a block of columns is computed at a
 * time with an accumulator for each column, in order of the reduced elements.
 * Reductions that depend on others run in later passes over the row; the last pass stores.
 */
#include "backends/c/skeletons.h"
#include "backends/element/reductions.h"

enum { COLUMN_BLOCK = 64 };

struct rows {
    struct reductions reductions;
    bool columns;   /* the last axis is kept */
    int64_t lanes;  /* accumulators of a row reduction */
    int last_kept;  /* columns: the variable of the column */
    int64_t block;  /* columns in a block */
    const char *width; /* of this block: a number, or a name where blocks are ragged */
    int level;      /* of the pass that runs */
};

static void prepare(struct generator *g)
{
    struct rows *rows = g->skeleton;
    reductions_variables(g, &rows->reductions);
}

static bool provide(struct generator *g, const struct value *value, struct index index,
                    struct element *out_element)
{
    struct rows *rows = g->skeleton;
    struct reduction *r = reductions_of(&rows->reductions, value);
    if (!r)
        return false;
    reductions_check_row(g, r, value, index);
    struct index here = linear_index(g, KEPT);
    if (!rows->columns)
        *out_element = (struct element){r->result, 1};
    else
        *out_element = element_new(g, emit_compute_type(value->type.dtype),
                                   index_depth(&g->space, &here), "%s[l]", r->result);
    return true;
}

/* --- accumulators --- */

/* The accumulators number `left`. */
static void accumulators(struct generator *g, const struct reduction *r, const char *left,
                         const char *out_p[4])
{
    for (int k = 0; k < 4; k++)
        out_p[k] = k < r->parts ? arena_printf(g->arena, "%s[%s]", r->names[k], left) : "0";
}

/* The elements at the open variables go into accumulators `l`. */
static void accumulate_level(struct generator *g)
{
    struct rows *rows = g->skeleton;
    for (int i = 0; i < rows->reductions.count; i++) {
        const struct reduction *r = &rows->reductions.items[i];
        const char *p[4], *q[4];
        if (r->level != rows->level)
            continue;
        reduction_lift(g, r, q);
        accumulators(g, r, "l", p);
        reduction_combine(g, r, p, p, q);
    }
}

static void declare(struct generator *g, struct rows *rows, int number, int64_t width)
{
    struct reduction *r = &rows->reductions.items[number];
    struct writer *w = scope_writer(g);
    for (int k = 0; k < r->parts; k++) {
        r->names[k] = arena_printf(g->arena, "r%d_%d", number, k);
        writer_line(w, "%s %s[%lld];", r->type, r->names[k], (long long)width);
    }
    writer_open(w, "for (rt_i64 l = 0; l < %lld; l++) {", (long long)width);
    for (int k = 0; k < r->parts; k++)
        writer_line(w, "%s[l] = %s;", r->names[k], reduction_identity(g, r, k));
    writer_close(w, "}");
}

/* finish(p) at accumulator `left`, rounded to the result's type. */
static const char *finish_text(struct generator *g, const struct reduction *r, const char *left)
{
    const char *p[4];
    accumulators(g, r, left, p);
    return reduction_finish(g, r, p);
}

/* --- rows: the last axis is reduced --- */

/* One run of the innermost reduced variable: `lanes` elements from `start`, or the tail. */
static void emit_strip(struct generator *g, int variable, const char *start, int64_t lanes)
{
    int64_t extent = g->variables[variable].extent;
    const char *name = arena_printf(g->arena, "v%d", variable);
    scope_open(g);
    writer_line(scope_writer(g), "const rt_i64 %s = %s + l;", name, start);
    variable_open(g, variable, name, 0, extent - 1);
    accumulate_level(g);
    writer_line(&g->scopes[g->depth - 1].writer, VECTOR_LOOP);
    scope_close(g, "for (rt_i64 l = 0; l < %lld; l++)", (long long)lanes);
}

static void emit_strips(struct generator *g, int variable)
{
    struct rows *rows = g->skeleton;
    int64_t extent = g->variables[variable].extent, whole = extent / rows->lanes * rows->lanes;
    if (whole > 0) {
        scope_open(g);
        emit_strip(g, variable, "s", rows->lanes);
        scope_close(g, "for (rt_i64 s = 0; s < %lld; s += %lld)", (long long)whole,
                    (long long)rows->lanes);
    }
    if (whole < extent)
        emit_strip(g, variable, arena_printf(g->arena, "%lld", (long long)whole), extent - whole);
}

/* Loops over reduced variables from `variable` on, strips in the innermost. */
static void emit_reduced(struct generator *g, int variable)
{
    while (g->variables[variable].role != REDUCED)
        variable++;
    if (variable == g->variable_count - 1) {
        emit_strips(g, variable);
        return;
    }
    const char *name = arena_printf(g->arena, "v%d", variable);
    int64_t extent = g->variables[variable].extent;
    scope_open(g);
    variable_open(g, variable, name, 0, extent - 1);
    emit_reduced(g, variable + 1);
    scope_close(g, "for (rt_i64 %s = 0; %s < %lld; %s++)", name, name, (long long)extent, name);
}

/* Combines the lanes pairwise, halves by halves. */
static void emit_tree(struct generator *g, struct reduction *r, int64_t lanes)
{
    if (lanes > 1) {
        const char *p[4], *q[4] = {"0", "0", "0", "0"};
        scope_open(g);
        scope_open(g);
        for (int k = 0; k < r->parts; k++)
            q[k] = element_new(g, r->type, g->depth, "%s[l + h]", r->names[k]).text;
        accumulators(g, r, "l", p);
        reduction_combine(g, r, p, p, q);
        scope_close(g, "for (rt_i64 l = 0; l < h; l++)");
        scope_close(g, "for (rt_i64 h = %lld; h > 0; h /= 2)", (long long)lanes / 2);
    }
    r->result = element_new(g, emit_compute_type(r->node->results[0].type.dtype), g->depth, "%s",
                            finish_text(g, r, "0"))
                    .text;
    r->done = true;
}

static void emit_row_pass(struct generator *g, struct rows *rows)
{
    for (int i = 0; i < rows->reductions.count; i++)
        if (rows->reductions.items[i].level == rows->level)
            declare(g, rows, i, rows->lanes);
    emit_reduced(g, 0);
    for (int i = 0; i < rows->reductions.count; i++)
        if (rows->reductions.items[i].level == rows->level)
            emit_tree(g, &rows->reductions.items[i], rows->lanes);
}

/* --- storing --- */

static void store_full(struct generator *g)
{
    struct rows *rows = g->skeleton;
    reductions_store(g, &rows->reductions, OUTS_FULL);
}

static void store_reduced(struct generator *g)
{
    struct rows *rows = g->skeleton;
    reductions_store(g, &rows->reductions, OUTS_ROW);
}

/* Loops over the reduced variables around `body`; with columns, `l` runs inside of them. */
static void emit_last_pass(struct generator *g, int variable)
{
    struct rows *rows = g->skeleton;
    while (variable < g->variable_count && g->variables[variable].role != REDUCED)
        variable++;
    if (variable == g->variable_count) {
        store_full(g);
        return;
    }
    const char *name = arena_printf(g->arena, "v%d", variable);
    int64_t extent = g->variables[variable].extent;
    scope_open(g);
    variable_open(g, variable, name, 0, extent - 1);
    emit_last_pass(g, variable + 1);
    if (variable == g->variable_count - 1 && !rows->columns)
        writer_line(&g->scopes[g->depth - 1].writer,
                    VECTOR_LOOP);
    scope_close(g, "for (rt_i64 %s = 0; %s < %lld; %s++)", name, name, (long long)extent, name);
}

/* Opens the kept variables as digits of `number`, all but the last `but`. */
static void open_kept(struct generator *g, const char *number, int but)
{
    int64_t inner = 1;
    for (int v = g->variable_count - 1; v >= 0; v--) {
        if (g->variables[v].role != KEPT || v == but)
            continue;
        const char *name = arena_printf(g->arena, "v%d", v);
        writer_line(scope_writer(g), "const rt_i64 %s = %s / %lld %% %lld;", name, number,
                    (long long)inner, (long long)g->variables[v].extent);
        variable_open(g, v, name, 0, g->variables[v].extent - 1);
        inner *= g->variables[v].extent;
    }
}

static int64_t kept_extent(const struct generator *g, int but)
{
    int64_t extent = 1;
    for (int v = 0; v < g->variable_count; v++)
        if (g->variables[v].role == KEPT && v != but)
            extent *= g->variables[v].extent;
    return extent;
}

static void attempt_rows(struct generator *g)
{
    struct rows *rows = g->skeleton;
    int64_t inner = g->variables[g->variable_count - 1].extent;
    rows->lanes = 4 * (int64_t)g->target->lanes;
    while (rows->lanes > 1 && rows->lanes > inner)
        rows->lanes /= 2;
    emit_share(g, kept_extent(g, -1));
    scope_open(g);
    open_kept(g, "row", -1);
    for (rows->level = 0; rows->level < rows->reductions.levels; rows->level++)
        emit_row_pass(g, rows);
    if (reductions_has_outs(g, &rows->reductions, OUTS_ROW))
        store_reduced(g);
    if (reductions_has_outs(g, &rows->reductions, OUTS_FULL))
        emit_last_pass(g, 0);
    scope_close(g, "for (rt_i64 row = first; row < last; row++)");
}

/* --- columns: the last axis is kept --- */

/* A loop over the columns of the block, around `body`. */
static void emit_columns(struct generator *g, void (*body)(struct generator *g))
{
    struct rows *rows = g->skeleton;
    int column = rows->last_kept;
    const char *name = arena_printf(g->arena, "v%d", column);
    scope_open(g);
    writer_line(scope_writer(g), "const rt_i64 %s = column + l;", name);
    variable_open(g, column, name, 0, g->variables[column].extent - 1);
    body(g);
    writer_line(&g->scopes[g->depth - 1].writer, VECTOR_LOOP);
    scope_close(g, "for (rt_i64 l = 0; l < %s; l++)", rows->width);
}

static void finish_level(struct generator *g)
{
    struct rows *rows = g->skeleton;
    for (int i = 0; i < rows->reductions.count; i++) {
        struct reduction *r = &rows->reductions.items[i];
        if (r->level != rows->level)
            continue;
        writer_line(scope_writer(g), "%s[l] = %s;", r->result, finish_text(g, r, "l"));
        r->done = true;
    }
}

static void emit_column_reduced(struct generator *g, int variable,
                                void (*body)(struct generator *g))
{
    while (variable < g->variable_count && g->variables[variable].role != REDUCED)
        variable++;
    if (variable == g->variable_count) {
        emit_columns(g, body);
        return;
    }
    const char *name = arena_printf(g->arena, "v%d", variable);
    int64_t extent = g->variables[variable].extent;
    scope_open(g);
    variable_open(g, variable, name, 0, extent - 1);
    emit_column_reduced(g, variable + 1, body);
    scope_close(g, "for (rt_i64 %s = 0; %s < %lld; %s++)", name, name, (long long)extent, name);
}

static void emit_column_pass(struct generator *g, struct rows *rows)
{
    for (int i = 0; i < rows->reductions.count; i++) {
        struct reduction *r = &rows->reductions.items[i];
        if (r->level != rows->level)
            continue;
        declare(g, rows, i, rows->block);
        r->result = arena_printf(g->arena, "f%d", i);
        writer_line(scope_writer(g), "%s %s[%lld];",
                    emit_compute_type(r->node->results[0].type.dtype), r->result,
                    (long long)rows->block);
    }
    emit_column_reduced(g, 0, accumulate_level);
    emit_columns(g, finish_level);
}

static void attempt_columns(struct generator *g)
{
    struct rows *rows = g->skeleton;
    int column = rows->last_kept = g->variable_count - 1;
    int64_t extent = g->variables[column].extent;
    rows->block = extent < COLUMN_BLOCK ? extent : COLUMN_BLOCK;
    bool ragged = extent % rows->block != 0;
    rows->width = ragged ? "width" : arena_printf(g->arena, "%lld", (long long)rows->block);
    int64_t per_row = (extent + rows->block - 1) / rows->block;
    emit_share(g, kept_extent(g, column) * per_row);
    scope_open(g);
    struct writer *w = scope_writer(g);
    writer_line(w, "const rt_i64 column = block %% %lld * %lld;", (long long)per_row,
                (long long)rows->block);
    if (ragged)
        writer_line(w, "const rt_i64 width = m_least_i64(%lld - column, %lld);",
                    (long long)extent, (long long)rows->block);
    writer_line(w, "const rt_i64 outer = block / %lld;", (long long)per_row);
    open_kept(g, "outer", column);
    g->variables[column].atom = -1;
    for (rows->level = 0; rows->level < rows->reductions.levels; rows->level++)
        emit_column_pass(g, rows);
    if (reductions_has_outs(g, &rows->reductions, OUTS_ROW))
        emit_columns(g, store_reduced);
    if (reductions_has_outs(g, &rows->reductions, OUTS_FULL))
        emit_column_reduced(g, 0, store_full);
    scope_close(g, "for (rt_i64 block = first; block < last; block++)");
}

static void attempt(struct generator *g)
{
    struct rows *rows = g->skeleton;
    for (int v = 0; v < g->variable_count; v++)
        g->variables[v].atom = -1;
    for (int i = 0; i < rows->reductions.count; i++)
        rows->reductions.items[i].done = false;
    rows->columns = g->variables[g->variable_count - 1].role == KEPT;
    if (rows->columns)
        attempt_columns(g);
    else
        attempt_rows(g);
}

void emit_rows(struct generator *g)
{
    struct rows *rows = arena_new(g->arena, struct rows);
    g->skeleton = rows;
    g->provide = provide;
    reductions_find(g, &rows->reductions);
    emit_attempts(g, prepare, attempt);
}
