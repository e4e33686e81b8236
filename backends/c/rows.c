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

#include <string.h>

enum { KEPT, REDUCED, REDUCTIONS = 32, COLUMN_BLOCK = 64 };

struct reduction {
    const struct node *node;
    int level;
    const char *parts[4]; /* arrays of accumulators */
    const char *result;   /* row: a name; columns: an array */
    const char *type;     /* of the accumulators */
    bool done;
};

struct rows {
    struct reduction reductions[REDUCTIONS];
    int count, levels;
    struct type domain;
    bool columns;   /* the last axis is kept */
    int64_t lanes;  /* accumulators of a row reduction */
    int last_kept;  /* columns: the variable of the column */
    int64_t block;  /* columns in a block */
    const char *width; /* of this block: a number, or a name where blocks are ragged */
    int level;      /* of the pass that runs */
};

/* --- levels --- */

static int level_of(struct generator *g, struct rows *rows, const struct value *value);

static int level_of_node(struct generator *g, struct rows *rows, const struct node *node)
{
    int level = 0;
    for (int k = 0; k < node->operand_count; k++) {
        int below = level_of(g, rows, node->operands[k]);
        level = below > level ? below : level;
    }
    return level;
}

/* The number of passes that must have run before the value can be computed. */
static int level_of(struct generator *g, struct rows *rows, const struct value *value)
{
    if (is_loaded(g, value))
        return 0;
    for (int i = 0; i < rows->count; i++)
        if (rows->reductions[i].node == value->node)
            return rows->reductions[i].level + 1;
    return level_of_node(g, rows, value->node);
}

static void find_reductions(struct generator *g, struct rows *rows)
{
    struct node_list nodes = kernel_nodes(g);
    rows->count = rows->levels = 0;
    for (int i = 0; i < nodes.count; i++) {
        const struct node *node = nodes.items[i];
        if (op_info(node->op)->kind != KIND_RED)
            continue;
        if (rows->count == REDUCTIONS)
            fatal(INTERNAL, "a kernel has too many reductions", g->kernel->name);
        bool wide = !dtype_is_float(node->operands[0]->type.dtype) ||
                    node->operands[0]->type.dtype == DTYPE_f64;
        struct reduction *r = &rows->reductions[rows->count];
        *r = (struct reduction){.node = node, .type = wide ? "double" : "float"};
        r->level = level_of_node(g, rows, node);
        rows->levels = r->level + 1 > rows->levels ? r->level + 1 : rows->levels;
        rows->domain = node->operands[0]->type;
        rows->count++;
    }
    if (rows->count == 0)
        fatal(INTERNAL, "a rows kernel has no reduction", g->kernel->name);
}

static bool is_reduced(const struct rows *rows, int axis)
{
    int count;
    const int64_t *axes = node_list(rows->reductions[0].node, axes, &count);
    for (int i = 0; i < count; i++)
        if (axes[i] == axis)
            return true;
    return false;
}

/* Neighbouring axes of one role become one variable. */
static void prepare(struct generator *g)
{
    struct rows *rows = g->skeleton;
    int64_t extent = 1;
    int role = -1;
    for (int k = 0; k < rows->domain.rank; k++) {
        int this = is_reduced(rows, k) ? REDUCED : KEPT;
        if (rows->domain.dims[k] == 1)
            continue;
        if (role >= 0 && this != role) {
            variable_add(g, extent, role, true);
            extent = 1;
        }
        role = this;
        extent *= rows->domain.dims[k];
    }
    if (role >= 0)
        variable_add(g, extent, role, true);
    else
        variable_add(g, 1, REDUCED, false);
}

/* --- what reductions give --- */

static struct reduction *reduction_of(struct rows *rows, const struct value *value)
{
    for (int i = 0; i < rows->count; i++)
        if (rows->reductions[i].node == value->node)
            return &rows->reductions[i];
    return NULL;
}

static bool provide(struct generator *g, const struct value *value, struct index index,
                    struct element *out_element)
{
    struct rows *rows = g->skeleton;
    struct reduction *r = reduction_of(rows, value);
    if (!r)
        return false;
    /* With one row, or rows of one element, every index names the row that is at hand. */
    int64_t count = type_elements(&value->type);
    bool only = count == 1 || count == type_elements(&value->node->operands[0]->type);
    struct index here = linear_index(g, KEPT);
    if (!only && !index_equal(&here, &index) && !g->space.split.wanted)
        fatal(INTERNAL, "a reduction is used at another row than its own", value->name);
    if (!r->done)
        fatal(INTERNAL, "a reduction is used before it is computed", value->name);
    if (!rows->columns)
        *out_element = (struct element){r->result, 1};
    else
        *out_element = element_new(g, emit_compute_type(value->type.dtype),
                                   index_depth(&g->space, &here), "%s[l]", r->result);
    return true;
}

/* --- accumulators --- */

static const char *accumulator_suffix(const struct reduction *r)
{
    return strcmp(r->type, "double") == 0 ? "f64" : "f32";
}

/* p[l] = combine(p[l], q) for all parts, through temporaries since each part reads all. */
static void emit_combine(struct generator *g, const struct reduction *r, const char *left,
                         const char *const q[4])
{
    const struct op_info *info = op_info(r->node->op);
    const char *p[4] = {"0", "0", "0", "0"};
    for (int k = 0; k < info->parts; k++)
        p[k] = element_new(g, r->type, g->depth, "%s[%s]", r->parts[k], left).text;
    struct emit_names names = {.p = p, .q = q, .suffix = accumulator_suffix(r)};
    for (int k = 0; k < info->parts; k++)
        writer_line(scope_writer(g), "%s[%s] = %s;", r->parts[k], left,
                    emit_expression(g->arena, emit_component(g->arena, info->combine, k), &names));
}

/* The element at the open variables goes into accumulator `left`. */
static void accumulate(struct generator *g, const struct reduction *r, const char *left)
{
    const struct op_info *info = op_info(r->node->op);
    struct element element = value_at(g, r->node->operands[0], linear_index(g, -1));
    struct index flat = linear_index(g, REDUCED);
    const char *operands[4] = {element.text, "0", "0", "0"};
    const char *q[4] = {"0", "0", "0", "0"};
    struct emit_names names = {
        .operands = operands,
        .index = arena_printf(g->arena, "(%s)(%s)", r->type, index_text(&g->space, &flat)),
        .suffix = accumulator_suffix(r)};
    for (int k = 0; k < info->parts; k++) {
        const char *text = emit_component(g->arena, info->lift, k);
        const char *lifted = emit_expression(g->arena, text, &names);
        q[k] = element_new(g, r->type, g->depth, "%s", lifted).text;
    }
    emit_combine(g, r, left, q);
}

static void accumulate_level(struct generator *g)
{
    struct rows *rows = g->skeleton;
    for (int i = 0; i < rows->count; i++)
        if (rows->reductions[i].level == rows->level)
            accumulate(g, &rows->reductions[i], "l");
}

static void declare(struct generator *g, struct rows *rows, int number, int64_t width)
{
    struct reduction *r = &rows->reductions[number];
    const struct op_info *info = op_info(r->node->op);
    struct writer *w = scope_writer(g);
    for (int k = 0; k < info->parts; k++) {
        r->parts[k] = arena_printf(g->arena, "r%d_%d", number, k);
        writer_line(w, "%s %s[%lld];", r->type, r->parts[k], (long long)width);
    }
    writer_open(w, "for (rt_i64 l = 0; l < %lld; l++) {", (long long)width);
    for (int k = 0; k < info->parts; k++)
        writer_line(w, "%s[l] = %s;", r->parts[k], emit_component(g->arena, info->identity, k));
    writer_close(w, "}");
}

/* finish(p) at accumulator `left`, rounded to the result's type. */
static const char *finish_text(struct generator *g, const struct reduction *r, const char *left)
{
    const struct op_info *info = op_info(r->node->op);
    const char *p[4] = {"0", "0", "0", "0"};
    for (int k = 0; k < info->parts; k++)
        p[k] = arena_printf(g->arena, "%s[%s]", r->parts[k], left);
    struct emit_names names = {.p = p, .suffix = accumulator_suffix(r)};
    enum dtype to = r->node->results[0].type.dtype;
    const char *text = emit_expression(g->arena, info->finish, &names);
    if (!dtype_is_float(to))
        return arena_printf(g->arena, "(%s)(%s)", emit_compute_type(to), text);
    return round_text(g->arena, to, text);
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
        const char *q[4] = {"0", "0", "0", "0"};
        scope_open(g);
        scope_open(g);
        for (int k = 0; k < op_info(r->node->op)->parts; k++)
            q[k] = element_new(g, r->type, g->depth, "%s[l + h]", r->parts[k]).text;
        emit_combine(g, r, "l", q);
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
    for (int i = 0; i < rows->count; i++)
        if (rows->reductions[i].level == rows->level)
            declare(g, rows, i, rows->lanes);
    emit_reduced(g, 0);
    for (int i = 0; i < rows->count; i++)
        if (rows->reductions[i].level == rows->level)
            emit_tree(g, &rows->reductions[i], rows->lanes);
}

/* --- storing --- */

static bool is_full(const struct rows *rows, const struct value *value)
{
    return type_elements(&value->type) == type_elements(&rows->domain);
}

static void store_full(struct generator *g)
{
    struct rows *rows = g->skeleton;
    struct value_list outs = kernel_live_outs(g);
    struct index index = linear_index(g, -1);
    struct element *elements = arena_array(g->arena, struct element, (size_t)outs.count + 1);
    for (int i = 0; i < outs.count; i++)
        if (is_full(rows, outs.items[i]))
            elements[i] = value_at(g, outs.items[i], index);
    for (int i = 0; i < outs.count; i++)
        if (is_full(rows, outs.items[i]))
            value_store(g, outs.items[i], index, elements[i]);
}

static void store_reduced(struct generator *g)
{
    struct rows *rows = g->skeleton;
    struct value_list outs = kernel_live_outs(g);
    struct index index = linear_index(g, KEPT);
    for (int i = 0; i < outs.count; i++)
        if (!is_full(rows, outs.items[i]))
            value_store(g, outs.items[i], index, value_at(g, outs.items[i], index));
}

static bool has_outs(struct generator *g, bool full)
{
    struct value_list outs = kernel_live_outs(g);
    for (int i = 0; i < outs.count; i++)
        if (is_full(g->skeleton, outs.items[i]) == full)
            return true;
    return false;
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
    for (rows->level = 0; rows->level < rows->levels; rows->level++)
        emit_row_pass(g, rows);
    if (has_outs(g, false))
        store_reduced(g);
    if (has_outs(g, true))
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
    for (int i = 0; i < rows->count; i++) {
        struct reduction *r = &rows->reductions[i];
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
    for (int i = 0; i < rows->count; i++) {
        struct reduction *r = &rows->reductions[i];
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
    for (rows->level = 0; rows->level < rows->levels; rows->level++)
        emit_column_pass(g, rows);
    if (has_outs(g, false))
        emit_columns(g, store_reduced);
    if (has_outs(g, true))
        emit_column_reduced(g, 0, store_full);
    scope_close(g, "for (rt_i64 block = first; block < last; block++)");
}

static void attempt(struct generator *g)
{
    struct rows *rows = g->skeleton;
    for (int v = 0; v < g->variable_count; v++)
        g->variables[v].atom = -1;
    for (int i = 0; i < rows->count; i++)
        rows->reductions[i].done = false;
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
    find_reductions(g, rows);
    emit_attempts(g, prepare, attempt);
}
