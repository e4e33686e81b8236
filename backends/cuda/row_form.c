/* Rows of which threads share the elements: see rows.h. */
#include "backends/cuda/rows.h"
#include "ir/gpu.h"

static bool at_level(const struct rows *rows, int number)
{
    return rows->reductions.items[number].level == rows->level;
}

/* Combines with the threads of the row whose numbers differ in one bit: in the order of their
 * numbers, so that all have the same bits. */
static void combine_warp(struct generator *g, struct rows *rows, const struct reduction *r)
{
    int64_t lanes = rows->each < GPU_WARP ? rows->each : GPU_WARP;
    const char *p[4], *low[4] = {"0", "0", "0", "0"}, *high[4] = {"0", "0", "0", "0"};
    if (lanes == 1)
        return;
    rows_accumulators(g, r, NULL, p);
    scope_open(g);
    writer_line(scope_writer(g), "const int upper = thread_index() & distance;");
    for (int k = 0; k < r->parts; k++)
        high[k] = element_new(g, r->type, g->depth, "shuffle_xor_%s(%s, distance)", r->suffix,
                              p[k])
                      .text;
    for (int k = 0; k < r->parts; k++) {
        low[k] = element_new(g, r->type, g->depth, "upper ? %s : %s", high[k], p[k]).text;
        high[k] = element_new(g, r->type, g->depth, "upper ? %s : %s", p[k], high[k]).text;
    }
    reduction_combine(g, r, p, low, high);
    writer_line(&g->scopes[g->depth - 1].writer, "UNROLL");
    scope_close(g, "for (int distance = 1; distance < %lld; distance *= 2)", (long long)lanes);
}

/* "shared_window() + 64 + NUMBER * 8 + 4": accumulator k of the warp of this number. */
static const char *warp_cell(struct generator *g, const struct reduction *r, int64_t offset,
                             const char *number, int k)
{
    int64_t bytes = rows_bytes(r);
    return rows_address(g, offset + k * bytes, number, r->parts * bytes);
}

static void store_warp(struct generator *g, const struct reduction *r, int64_t offset)
{
    scope_open(g);
    for (int k = 0; k < r->parts; k++)
        writer_line(scope_writer(g), "shared_store_%s(%s, %s);", r->suffix,
                    warp_cell(g, r, offset, "warp_index()", k), r->names[k]);
    scope_close(g, "if (lane_index() == 0)");
}

static void load_warps(struct generator *g, const struct rows *rows, const struct reduction *r,
                       int64_t offset)
{
    long long warps = (long long)(rows->each / GPU_WARP);
    const char *first = rows->share == 1
                            ? "0"
                            : arena_printf(g->arena, "thread_index() / %lld * %lld",
                                           (long long)rows->each, warps);
    const char *number = rows->share == 1 ? "warp" : arena_printf(g->arena, "(%s + warp)", first);
    const char *p[4], *q[4] = {"0", "0", "0", "0"};
    rows_accumulators(g, r, NULL, p);
    for (int k = 0; k < r->parts; k++)
        writer_line(scope_writer(g), "%s = shared_load_%s(%s);", p[k], r->suffix,
                    warp_cell(g, r, offset, first, k));
    scope_open(g);
    for (int k = 0; k < r->parts; k++)
        q[k] = element_new(g, r->type, g->depth, "shared_load_%s(%s)", r->suffix,
                           warp_cell(g, r, offset, number, k))
                   .text;
    reduction_combine(g, r, p, p, q);
    writer_line(&g->scopes[g->depth - 1].writer, "UNROLL");
    scope_close(g, "for (int warp = 1; warp < %lld; warp++)", warps);
}

static void combine_threads(struct generator *g, struct rows *rows)
{
    int64_t offsets[REDUCTIONS];
    for (int i = 0; i < rows->reductions.count; i++)
        if (at_level(rows, i))
            combine_warp(g, rows, &rows->reductions.items[i]);
    if (rows->each <= GPU_WARP)
        return;
    for (int i = 0; i < rows->reductions.count; i++) {
        const struct reduction *r = &rows->reductions.items[i];
        if (!at_level(rows, i))
            continue;
        offsets[i] = rows_take_shared(rows, r, cuda_of(g)->threads / GPU_WARP);
        store_warp(g, r, offsets[i]);
    }
    writer_line(scope_writer(g), "block_barrier();");
    for (int i = 0; i < rows->reductions.count; i++)
        if (at_level(rows, i))
            load_warps(g, rows, &rows->reductions.items[i], offsets[i]);
}

/* --- the blocks that share a row --- */

static void hand_over(struct generator *g, struct rows *rows, bool ragged)
{
    scope_open(g);
    for (int i = 0; i < rows->reductions.count; i++) {
        const struct reduction *r = &rows->reductions.items[i];
        for (int k = 0; k < r->parts && r->level == 0; k++)
            writer_line(scope_writer(g), "publish_f32(%s, %s);",
                        rows_handed(g, rows, r, "row", "part", k), r->names[k]);
    }
    scope_close(g, ragged ? "if (thread == 0 && row == wanted)" : "if (thread == 0)");
    scope_open_conditional(g, g->depth); /* closed at the end of the group */
    for (int i = 0; i < rows->reductions.count; i++) {
        const struct reduction *r = &rows->reductions.items[i];
        const char *p[4];
        rows_accumulators(g, r, NULL, p);
        if (r->level == 0)
            rows_collect(g, rows, r, "row", "thread", p);
    }
    combine_threads(g, rows);
}

/* --- passes --- */

static void emit_pass(struct generator *g, struct rows *rows, bool ragged)
{
    for (int i = 0; i < rows->reductions.count; i++) {
        struct reduction *r = &rows->reductions.items[i];
        for (int k = 0; k < r->parts && at_level(rows, i); k++) {
            r->names[k] = arena_printf(g->arena, "r%d_%d", i, k);
            writer_line(scope_writer(g), "%s %s = %s;", r->type, r->names[k],
                        reduction_identity(g, r, k));
        }
    }
    struct nest nest = rows_nest(g, rows, "thread", kernel_int(g, vector));
    nest.unroll = cuda_of(g)->keep.on;
    nest.ahead = ROWS_AHEAD;
    nest_emit(g, &nest, rows_accumulate);
    combine_threads(g, rows);
    if (rows->split > 1 && rows->level == 0)
        hand_over(g, rows, ragged);
    for (int i = 0; i < rows->reductions.count; i++) {
        struct reduction *r = &rows->reductions.items[i];
        const char *p[4];
        if (!at_level(rows, i))
            continue;
        rows_accumulators(g, r, NULL, p);
        r->result = element_new(g, emit_compute_type(r->node->results[0].type.dtype), g->depth,
                                "%s", reduction_finish(g, r, p))
                        .text;
        r->done = true;
    }
}

/* Names the row of this thread and opens the kept variables; whether threads may have none: they
 * take the last row with others, and store nothing. */
static bool open_row(struct generator *g, const struct rows *rows, int64_t kept)
{
    const char *type = g->dialect->index_type;
    struct writer *w = scope_writer(g);
    bool ragged = kept % rows->share != 0;
    const char *text = "group";
    if (rows->each == 1)
        text = arena_printf(g->arena, "group * %lld + thread_index()", (long long)rows->share);
    else if (rows->share > 1)
        text = arena_printf(g->arena, "group * %lld + thread_index() / %lld",
                            (long long)rows->share, (long long)rows->each);
    writer_line(w, "const %s %s = %s;", type, ragged ? "wanted" : "row", text);
    if (ragged)
        writer_line(w, "const %s row = wanted < %lld ? wanted : %lld;", type, (long long)kept,
                    (long long)kept - 1);
    rows_open_kept(g, 0, g->variable_count, "row");
    return ragged;
}

/* Whether a thread's elements fit its registers; then they are kept from pass to pass. */
static void keep_elements(struct generator *g, const struct rows *rows, int64_t reduced)
{
    struct cuda_keep *keep = &cuda_of(g)->keep;
    int last = g->variable_count - 1;
    int64_t lanes = nest_lane_count(g, last, kernel_int(g, vector));
    int64_t units = lanes > 1 && g->extents[last] == lanes ? reduced / lanes : reduced;
    int64_t elements = (reduced + rows->each - 1) / rows->each;
    *keep = (struct cuda_keep){.on = elements <= ROWS_REGISTERS && rows->split == 1,
                               .scope = g->depth,
                               .depth = g->depth + 1,
                               .step = units > rows->each ? "step" : NULL,
                               .steps = (units + rows->each - 1) / rows->each,
                               .left = (int64_t)2 * ROWS_REGISTERS};
}

static void emit_stores(struct generator *g, struct rows *rows, bool ragged)
{
    if (reductions_has_outs(g, &rows->reductions, rows->early ? OUTS_LATE : OUTS_FULL)) {
        struct nest nest = rows_nest(g, rows, "thread", kernel_int(g, vector));
        nest.unroll = cuda_of(g)->keep.on;
        cuda_of(g)->keep.left = 0; /* what only the last pass loads is not kept */
        if (ragged)
            scope_open_conditional(g, g->depth);
        nest_emit(g, &nest, rows_store_full);
        if (ragged)
            scope_close(g, "if (row == wanted)");
    }
    if (!reductions_has_outs(g, &rows->reductions, OUTS_ROW))
        return;
    scope_open_conditional(g, g->depth);
    rows_store_reduced(g);
    scope_close(g, ragged ? "if (thread == 0 && row == wanted)" : "if (thread == 0)");
}

void rows_attempt_rows(struct generator *g, struct rows *rows)
{
    int64_t kept = 1, reduced = 1, wanted = kernel_int(g, rows);
    for (int v = 0; v < g->variable_count; v++)
        *(g->variables[v].role == KEPT ? &kept : &reduced) *= g->extents[v];
    rows->share = wanted > 1 ? wanted : 1;
    rows->each = cuda_of(g)->threads / rows->share;
    rows->groups = (kept + rows->share - 1) / rows->share;
    const char *thread = "thread_index()";
    if (rows->each == 1)
        thread = "0";
    else if (rows->share > 1)
        thread = arena_printf(g->arena, "thread_index() %% %lld", (long long)rows->each);
    writer_line(scope_writer(g), "const int thread = %s;", thread);
    rows_open_groups(g, rows);
    bool ragged = open_row(g, rows, kept);
    rows->early = rows->split > 1 && !ragged;
    keep_elements(g, rows, reduced);
    for (rows->level = 0; rows->level < rows->reductions.levels; rows->level++)
        emit_pass(g, rows, ragged);
    emit_stores(g, rows, ragged);
    if (rows->split > 1)
        scope_close(g, "if (publish_last(counters + group, %lld))", (long long)rows->split);
    rows_close_groups(g, rows);
}
