/* See rows.h. */
#include "backends/cuda/rows.h"

#include <string.h>

static const char *first_group(struct generator *g, const struct rows *rows)
{
    if (rows->split == 1)
        return "block_index()";
    return arena_printf(g->arena, "block_index() / %lld", (long long)rows->split);
}

void rows_open_groups(struct generator *g, struct rows *rows)
{
    struct cuda_generator *c = cuda_of(g);
    long long split = (long long)rows->split;
    const char *type = g->dialect->index_type;
    if (split > 1 && rows->groups > kernel_int(g, counters))
        fatal(INTERNAL, "rows that are split have too few counters", g->kernel->name);
    scope_open(g);
    if (split > 1)
        writer_line(&g->scopes[g->depth - 1].writer, "const int part = block_index() %% %lld;",
                    split);
    if (c->blocks / rows->split == rows->groups)
        writer_line(scope_writer(g), "const %s group = %s;", type, first_group(g, rows));
}

void rows_close_groups(struct generator *g, struct rows *rows)
{
    struct cuda_generator *c = cuda_of(g);
    const char *type = g->dialect->index_type;
    if (rows->shared > c->shared)
        c->shared = rows->shared;
    if (c->blocks / rows->split == rows->groups) {
        scope_close_bare(g);
        return;
    }
    if (rows->shared > 0) /* the next group writes where this one reads */
        writer_line(scope_writer(g), "block_barrier();");
    writer_line(&g->scopes[g->depth - 1].writer, "NO_UNROLL");
    scope_close(g, "for (%s group = %s; group < %lld; group += %lld)", type,
                first_group(g, rows), (long long)rows->groups,
                (long long)(c->blocks / rows->split));
}

struct nest rows_nest(struct generator *g, struct rows *rows, const char *thread, int64_t vector)
{
    bool shared = rows->split > 1 && rows->level == 0;
    struct nest nest = {.only = REDUCED + 1,
                        .thread = thread,
                        .threads = rows->each,
                        .vector = vector};
    if (shared) {
        nest.thread = arena_printf(g->arena, "part * %lld + %s", (long long)rows->each, thread);
        nest.threads *= rows->split;
    }
    return nest;
}

int64_t rows_bytes(const struct reduction *r)
{
    return strcmp(r->type, "double") == 0 ? 8 : 4;
}

int64_t rows_take_shared(struct rows *rows, const struct reduction *r, int64_t count)
{
    int64_t offset = (rows->shared + 7) / 8 * 8;
    rows->shared = offset + count * r->parts * rows_bytes(r);
    return offset;
}

const char *rows_address(struct generator *g, int64_t offset, const char *number, int64_t step)
{
    struct str out = str_create(g->arena);
    str_printf(&out, "shared_window()");
    if (offset)
        str_printf(&out, " + %lld", (long long)offset);
    if (strcmp(number, "0") != 0)
        str_printf(&out, " + %s * %lld", number, (long long)step);
    return out.text;
}

void rows_open_kept(struct generator *g, int from, int to, const char *number)
{
    int64_t inner = 1, all = 1;
    for (int v = from; v < to; v++)
        all *= g->variables[v].role == KEPT ? g->extents[v] : 1;
    for (int v = to - 1; v >= from; v--) {
        if (g->variables[v].role != KEPT)
            continue;
        const char *name = arena_printf(g->arena, "v%d", v), *text = number;
        if (inner > 1)
            text = arena_printf(g->arena, "%s / %lld", text, (long long)inner);
        if (inner * g->extents[v] < all)
            text = arena_printf(g->arena, "%s %% %lld", text, (long long)g->extents[v]);
        writer_line(scope_writer(g), "const %s %s = %s;", g->dialect->index_type, name, text);
        variable_open(g, v, name, 0, g->extents[v] - 1);
        inner *= g->extents[v];
    }
}

int rows_first_part(const struct rows *rows, const struct reduction *r)
{
    int parts = 0;
    for (int i = 0; i < rows->reductions.count; i++) {
        const struct reduction *other = &rows->reductions.items[i];
        if (other == r)
            break;
        parts += other->level == 0 ? other->parts : 0;
    }
    return parts;
}

const char *rows_handed(struct generator *g, const struct rows *rows, const struct reduction *r,
                        const char *row, const char *part, int k)
{
    return arena_printf(g->arena, "workspace + ((%s) * %lld + %s) * %d + %d", row,
                        (long long)rows->split, part, rows_first_part(rows, NULL),
                        rows_first_part(rows, r) + k);
}

void rows_collect(struct generator *g, const struct rows *rows, const struct reduction *r,
                  const char *row, const char *thread, const char *const p[4])
{
    const char *q[4] = {"0", "0", "0", "0"};
    for (int k = 0; k < r->parts; k++)
        writer_line(scope_writer(g), "%s = %s;", p[k], reduction_identity(g, r, k));
    scope_open(g);
    for (int k = 0; k < r->parts; k++)
        q[k] = element_new(g, r->type, g->depth, "collect_f32(%s)",
                           rows_handed(g, rows, r, row, "other", k))
                   .text;
    reduction_combine(g, r, p, p, q);
    writer_line(&g->scopes[g->depth - 1].writer, "NO_UNROLL");
    scope_close(g, "for (int other = %s; other < %lld; other += %lld)", thread,
                (long long)rows->split, (long long)rows->each);
}

void rows_accumulators(struct generator *g, const struct reduction *r, const char *lane,
                       const char *out_p[4])
{
    for (int k = 0; k < 4; k++) {
        out_p[k] = "0";
        if (k < r->parts)
            out_p[k] = lane ? arena_printf(g->arena, "%s[%s]", r->names[k], lane) : r->names[k];
    }
}

/* The lane that is open, as text; NULL if there is one accumulator for all. */
static const char *column_lane(struct generator *g, const struct rows *rows)
{
    if (!rows->columns)
        return NULL;
    int lane = cuda_of(g)->lanes.atom;
    return lane < 0 ? "0" : g->space.atoms.items[lane].text;
}

void rows_accumulate(struct generator *g)
{
    struct rows *rows = g->skeleton;
    struct cuda_keep *keep = &cuda_of(g)->keep;
    keep->depth = cuda_of(g)->lanes.atom < 0 ? g->depth : cuda_of(g)->lanes.depth - 1;
    for (int i = 0; i < rows->reductions.count; i++) {
        const struct reduction *r = &rows->reductions.items[i];
        const char *p[4], *q[4];
        if (r->level != rows->level)
            continue;
        reduction_lift(g, r, q);
        rows_accumulators(g, r, column_lane(g, rows), p);
        reduction_combine(g, r, p, p, q);
    }
    if (rows->early && rows->level == 0)
        reductions_store(g, &rows->reductions, OUTS_EARLY);
}

void rows_store_full(struct generator *g)
{
    struct rows *rows = g->skeleton;
    struct cuda_keep *keep = &cuda_of(g)->keep;
    keep->depth = cuda_of(g)->lanes.atom < 0 ? g->depth : cuda_of(g)->lanes.depth - 1;
    reductions_store(g, &rows->reductions, rows->early ? OUTS_LATE : OUTS_FULL);
}

void rows_store_reduced(struct generator *g)
{
    struct rows *rows = g->skeleton;
    cuda_of(g)->keep.on = false;
    reductions_store(g, &rows->reductions, OUTS_ROW);
}

/* --- the skeleton --- */

static bool provide(struct generator *g, const struct value *value, struct index index,
                    struct element *out_element)
{
    struct rows *rows = g->skeleton;
    struct reduction *r = reductions_of(&rows->reductions, value);
    if (!r)
        return false;
    reductions_check_row(g, r, value, index);
    const char *lane = column_lane(g, rows);
    int depth = lane && cuda_of(g)->lanes.atom >= 0 ? cuda_of(g)->lanes.depth : 1;
    *out_element = (struct element){
        lane ? arena_printf(g->arena, "%s[%s]", r->result, lane) : r->result, depth};
    return true;
}

static void prepare(struct generator *g)
{
    struct rows *rows = g->skeleton;
    reductions_variables(g, &rows->reductions);
}

static void attempt(struct generator *g)
{
    struct rows *rows = g->skeleton;
    for (int v = 0; v < g->variable_count; v++)
        g->variables[v].atom = -1;
    for (int i = 0; i < rows->reductions.count; i++)
        rows->reductions.items[i].done = false;
    rows->shared = 0;
    cuda_of(g)->keep = (struct cuda_keep){0};
    if (rows->columns)
        rows_attempt_columns(g, rows);
    else
        rows_attempt_rows(g, rows);
}

void cuda_emit_rows(struct generator *g)
{
    struct rows *rows = arena_new(g->arena, struct rows);
    struct rows_domain domain;
    g->skeleton = rows;
    g->provide = provide;
    cuda_of(g)->mma_count = 0;
    reductions_find(g, &rows->reductions);
    rows_domain(g->function, g->kernel, &domain);
    rows->columns = domain.columns;
    rows->split = kernel_int(g, split) > 1 && !domain.wide ? kernel_int(g, split) : 1;
    cuda_of(g)->workspace = cuda_of(g)->counters = rows->split > 1;
    emit_attempts(g, prepare, attempt);
}
