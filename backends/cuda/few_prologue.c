/*
 * The prologue of a product of few rows: every block computes the rows of %a that it needs.
 * `team` warps share a row in a reduction; its lanes combine by shuffles, its warps through
 * shared memory, in an order that the shape of the row alone decides. Reductions that depend on
 * others run in later passes; the last pass gives the elements of %a to the skeleton.
 *
 * Variables: the row (KEPT), open where there are several; the steps of K (REDUCED).
 */
#include "backends/cuda/few.h"

enum { ROW, STEP }; /* first variables of each role */

bool few_provide_reduction(struct generator *g, const struct value *value, struct index index,
                           struct element *out_element)
{
    struct few *few = few_of(g);
    const struct reduction *r = reductions_of(&few->reductions, value);
    if (!r)
        return false;
    reductions_check_row(g, r, value, index);
    *out_element = (struct element){r->result, few->row_depth};
    return true;
}

/* --- accumulators --- */

static bool runs_now(const struct few *few, int number)
{
    return few->reductions.items[number].level == few->level;
}

static void accumulate_level(struct generator *g)
{
    struct few *few = few_of(g);
    for (int i = 0; i < few->reductions.count; i++) {
        const struct reduction *r = &few->reductions.items[i];
        const char *q[4];
        if (!runs_now(few, i))
            continue;
        reduction_lift(g, r, q);
        reduction_combine(g, r, r->names, r->names, q);
    }
}

static void name_parts(struct generator *g, struct reduction *r, int number)
{
    for (int k = 0; k < r->parts; k++)
        r->names[k] = arena_printf(g->arena, "r%d_%d", number, k);
}

/* The lanes of each warp combine; lane 0 has the result. */
static void emit_shuffles(struct generator *g, const struct reduction *r)
{
    const char *q[4] = {"0", "0", "0", "0"};
    scope_open(g);
    for (int k = 0; k < r->parts; k++)
        q[k] = element_new(g, r->type, g->depth, "shuffle_xor_f32(%s, distance)", r->names[k]).text;
    reduction_combine(g, r, r->names, r->names, q);
    writer_line(&g->scopes[g->depth - 1].writer, "UNROLL");
    scope_close(g, "for (int distance = 16; distance > 0; distance /= 2)");
}

/* "statistics + ...": part `part` of what warp `member` of the row's team found. */
static const char *statistic_place(struct generator *g, int number, const char *member, int part)
{
    struct few *few = few_of(g);
    int64_t size = FEW_PARTS * 4;
    struct index row = linear_index(g, KEPT);
    row = index_scale(index_offset(row, number * few->operands->m), few->team * size);
    row = index_offset(row, part * 4);
    return arena_printf(g->arena, "statistics + (shared_t)(%s + %s * %lld)",
                        index_text(&g->space, &row), member, (long long)size);
}

/* --- rows --- */

/* Opens a row of %a: one for each team of warps, or all for all threads. */
static void open_row(struct generator *g)
{
    struct few *few = few_of(g);
    scope_open(g);
    few->row_depth = g->depth;
    if (few->operands->m > 1)
        variable_open(g, ROW, "row", 0, few->operands->m - 1);
}

static void close_row(struct generator *g, bool teams)
{
    struct few *few = few_of(g);
    long long warps = (long long)(cuda_of(g)->threads / 32), team = (long long)few->team;
    for (int i = 0; i < few->reductions.count; i++)
        few->reductions.items[i].done = false;
    if (few->operands->m == 1) {
        scope_close_bare(g);
        return;
    }
    writer_line(&g->scopes[g->depth - 1].writer, "NO_UNROLL");
    if (teams)
        scope_close(g, "for (int row = warp / %lld; row < %lld; row += %lld)", team,
                    (long long)few->operands->m, warps / team);
    else
        scope_close(g, "for (int row = 0; row < %lld; row++)", (long long)few->operands->m);
}

/* Combines what the warps of the team found, in order; every thread does. */
static void emit_result(struct generator *g, struct reduction *r, int number)
{
    struct few *few = few_of(g);
    const char *q[4] = {"0", "0", "0", "0"};
    name_parts(g, r, number);
    for (int k = 0; k < r->parts; k++)
        writer_line(scope_writer(g), "%s %s = shared_load_f32(%s);", r->type, r->names[k],
                    statistic_place(g, number, "0", k));
    if (few->team > 1) {
        scope_open(g);
        for (int k = 0; k < r->parts; k++)
            q[k] = element_new(g, r->type, g->depth, "shared_load_f32(%s)",
                               statistic_place(g, number, "member", k))
                       .text;
        reduction_combine(g, r, r->names, r->names, q);
        writer_line(&g->scopes[g->depth - 1].writer, "UNROLL");
        scope_close(g, "for (int member = 1; member < %lld; member++)", (long long)few->team);
    }
    const char *type = emit_compute_type(r->node->results[0].type.dtype);
    r->result = element_new(g, type, g->depth, "%s", reduction_finish(g, r, r->names)).text;
    r->done = true;
}

/* Results of earlier passes, for the row that is open. */
static void emit_results(struct generator *g)
{
    struct few *few = few_of(g);
    for (int i = 0; i < few->reductions.count; i++)
        if (few->reductions.items[i].level < few->level)
            emit_result(g, &few->reductions.items[i], i);
}

/* A nest over the steps of the open row. A thread's units run in a row where they are few, so
 * that their loads are in flight together. */
static void emit_steps(struct generator *g, const char *thread, int64_t threads, bool window,
                       void (*body)(struct generator *g))
{
    enum { UNROLLED = 8 };
    struct few *few = few_of(g);
    struct nest nest = {.from = STEP, .thread = thread, .threads = threads, .vector = few->vector};
    int64_t steps = window ? few->window.extent : few->operands->k;
    if (window) {
        nest.window_count = 1;
        nest.windows[0] = few->window;
    }
    nest.unroll = steps / (steps % few->vector == 0 ? few->vector : 1) <= UNROLLED * threads;
    nest_emit(g, &nest, body);
}

/* Lane 0 of each warp writes what its warp found. */
static void emit_statistics(struct generator *g, const char *member)
{
    struct few *few = few_of(g);
    scope_open_conditional(g, g->depth);
    for (int i = 0; i < few->reductions.count; i++)
        for (int k = 0; runs_now(few, i) && k < few->reductions.items[i].parts; k++)
            writer_line(scope_writer(g), "shared_store_f32(%s, %s);",
                        statistic_place(g, i, member, k), few->reductions.items[i].names[k]);
    scope_close(g, "if (lane == 0)");
}

static void emit_pass(struct generator *g)
{
    struct few *few = few_of(g);
    long long team = (long long)few->team;
    bool all = team * 32 == cuda_of(g)->threads;
    open_row(g);
    emit_results(g);
    for (int i = 0; i < few->reductions.count; i++) {
        struct reduction *r = &few->reductions.items[i];
        if (!runs_now(few, i))
            continue;
        name_parts(g, r, i);
        for (int k = 0; k < r->parts; k++)
            writer_line(scope_writer(g), "%s %s = %s;", r->type, r->names[k],
                        reduction_identity(g, r, k));
    }
    emit_steps(g, all ? "thread" : arena_printf(g->arena, "thread %% %lld", team * 32), team * 32,
               false, accumulate_level);
    for (int i = 0; i < few->reductions.count; i++)
        if (runs_now(few, i))
            emit_shuffles(g, &few->reductions.items[i]);
    emit_statistics(g, all ? "warp" : arena_printf(g->arena, "warp %% %lld", team));
    close_row(g, true);
    writer_line(scope_writer(g), "block_barrier();");
}

static void emit_passes(struct generator *g)
{
    struct few *few = few_of(g);
    for (few->level = 0; few->level < few->reductions.levels; few->level++)
        emit_pass(g);
}

/* --- the elements of %a --- */

void few_collect_lane(struct generator *g, struct element element)
{
    const struct cuda_lanes *lanes = &cuda_of(g)->lanes;
    int number = ++g->temporaries;
    writer_line(&g->scopes[lanes->depth - 1].writer, "struct f32x%lld s%d;",
                (long long)lanes->count, number);
    writer_line(scope_writer(g), "s%d.at[%s] = %s;", number, g->space.atoms.items[lanes->atom].text,
                element.text);
}

static void stage_element(struct generator *g)
{
    struct few *few = few_of(g);
    const struct value *a = few->operands->layout.segments[0].anchors[0]->operands[0];
    struct element element = value_at(g, a, linear_index(g, -1));
    few->stage(g, linear_index(g, KEPT), linear_index(g, REDUCED), element);
}

static void emit_stage_pass(struct generator *g)
{
    open_row(g);
    emit_results(g);
    emit_steps(g, "thread", cuda_of(g)->threads, few_of(g)->window.extent > 0, stage_element);
    close_row(g, false);
}

static void prepare(struct generator *g)
{
    variable_add(g, few_of(g)->operands->m, KEPT, false);
    variable_add(g, few_of(g)->operands->k, REDUCED, few_of(g)->window.extent == 0);
}

static void attempt(struct generator *g)
{
    for (int v = 0; v < g->variable_count; v++)
        g->variables[v].atom = -1;
    emit_passes(g);
    emit_stage_pass(g);
}

void few_settle_prologue(struct generator *g)
{
    if (few_of(g)->operands->reductions > 0)
        reductions_find(g, &few_of(g)->reductions);
    few_settle(g, &few_of(g)->prologue, prepare, attempt);
}

void few_emit_reductions(struct generator *g)
{
    few_restore(g, &few_of(g)->prologue);
    emit_passes(g);
}

void few_emit_staging(struct generator *g)
{
    few_restore(g, &few_of(g)->prologue);
    few_of(g)->level = few_of(g)->reductions.levels;
    emit_stage_pass(g);
}
