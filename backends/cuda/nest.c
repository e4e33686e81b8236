/* See nest.h. */
#include "backends/cuda/nest.h"

#include "backends/cuda/kernel.h"

/* A variable of the nest: what is left of its extent, and where it begins. */
struct digit {
    int64_t extent;
    const char *origin; /* NULL: 0 */
    bool guarded;       /* it may run beyond the variable's extent */
};

static bool takes_part(const struct generator *g, const struct nest *nest, int v)
{
    return v >= nest->from && (nest->only == 0 || g->variables[v].role == nest->only - 1);
}

static int last_variable(const struct generator *g, const struct nest *nest)
{
    int last = g->variable_count - 1;
    while (last >= 0 && !takes_part(g, nest, last))
        last--;
    return last;
}

static const struct nest_window *window_of(const struct nest *nest, int role)
{
    for (int i = 0; i < nest->window_count; i++)
        if (nest->windows[i].role == role)
            return &nest->windows[i];
    return NULL;
}

int64_t nest_lane_count(const struct generator *g, int variable, int64_t vector)
{
    int64_t lanes = vector > 1 && variable >= 0 && g->extents[variable] > 0 ? vector : 1;
    while (lanes > 1 && g->extents[variable] % lanes != 0)
        lanes /= 2;
    return lanes;
}

static int64_t lane_count(const struct generator *g, const struct nest *nest, int last)
{
    int64_t lanes = nest_lane_count(g, last, nest->vector);
    const struct nest_window *window = last < 0 ? NULL : window_of(nest, g->variables[last].role);
    while (lanes > 1 && window && window->extent % lanes != 0)
        lanes /= 2;
    return lanes;
}

/* A window's variable that was split for lanes counts groups of them. */
static struct digit digit_of(struct generator *g, const struct nest *nest, int v)
{
    const struct nest_window *window = window_of(nest, g->variables[v].role);
    struct digit digit = {.extent = g->extents[v]};
    if (!window)
        return digit;
    int last = g->variable_count - 1;
    bool split = v + 1 == last && g->variables[last].role == window->role;
    int64_t by = split ? g->extents[last] : 1;
    digit.extent = window->extent / by;
    digit.origin = by == 1 ? window->origin
                           : arena_printf(g->arena, "%s / %lld", window->origin, (long long)by);
    digit.guarded = g->extents[v] % digit.extent != 0;
    return digit;
}

/* Lines that name the digits of `unit`; the guards of windows as text. */
static const char *name_digits(struct generator *g, const struct nest *nest, int to,
                               int64_t units)
{
    struct str guard = str_create(g->arena);
    int64_t inner = 1;
    for (int v = to - 1; v >= nest->from; v--) {
        if (!takes_part(g, nest, v))
            continue;
        struct digit digit = digit_of(g, nest, v);
        const char *text = "unit";
        if (inner > 1)
            text = arena_printf(g->arena, "unit / %lld", (long long)inner);
        if (inner * digit.extent < units)
            text = arena_printf(g->arena, "%s %% %lld", text, (long long)digit.extent);
        if (digit.origin)
            text = arena_printf(g->arena, "%s + %s", digit.origin, text);
        const char *name = arena_printf(g->arena, "v%d", v);
        writer_line(scope_writer(g), "const %s %s = %s;", g->dialect->index_type, name, text);
        if (digit.guarded)
            str_printf(&guard, "%s%s < %lld", guard.length ? " && " : "", name,
                       (long long)g->extents[v]);
        inner *= digit.extent;
    }
    return guard.length ? guard.text : NULL;
}

static void open_variables(struct generator *g, const struct nest *nest, int to)
{
    for (int v = nest->from; v < to; v++)
        if (takes_part(g, nest, v))
            variable_open(g, v, arena_printf(g->arena, "v%d", v), 0, g->extents[v] - 1);
}

void nest_lanes(struct generator *g, int variable, void (*body)(struct generator *g))
{
    struct cuda_lanes *state = &cuda_of(g)->lanes;
    int64_t lanes = g->extents[variable];
    const char *name = arena_printf(g->arena, "v%d", variable);
    scope_open(g);
    struct index lane = variable_open(g, variable, name, 0, lanes - 1);
    *state = (struct cuda_lanes){lane.terms[0].atom, lanes, g->depth, str_create(g->arena)};
    body(g);
    struct writer *outer = &g->scopes[g->depth - 1].writer;
    writer_line(outer, "UNROLL");
    scope_close(g, "for (int %s = 0; %s < %lld; %s++)", name, name, (long long)lanes, name);
    str_bytes(&outer->text, state->stores.text, state->stores.length);
    state->atom = -1;
}

void nest_ask_lanes(struct generator *g, int variable, int64_t lanes)
{
    if (!g->space.split.wanted)
        g->space.split = (struct split){.wanted = true, .variable = variable, .inner = lanes};
}

struct inside {
    const struct nest *nest;
    int last;
    bool lanes; /* the last variable is that of the lanes */
    void (*body)(struct generator *g);
};

static void emit_body(struct generator *g, const struct inside *inside)
{
    const char *condition = inside->nest->condition ? inside->nest->condition(g) : NULL;
    if (condition)
        scope_open_conditional(g, g->depth);
    if (inside->lanes)
        nest_lanes(g, inside->last, inside->body);
    else
        inside->body(g);
    if (condition)
        scope_close(g, "if (%s)", condition);
}

static void emit_unit(struct generator *g, const struct inside *inside)
{
    int to = inside->lanes ? inside->last : inside->last + 1;
    const char *guard = name_digits(g, inside->nest, to, inside->nest->units);
    if (guard)
        scope_open_conditional(g, g->depth);
    open_variables(g, inside->nest, to);
    emit_body(g, inside);
    if (guard)
        scope_close(g, "if (%s)", guard);
}

/* One unit of each thread, or all of them in a row. */
static void emit_units(struct generator *g, const struct inside *inside)
{
    const struct nest *nest = inside->nest;
    int64_t each = (nest->units + nest->threads - 1) / nest->threads;
    bool ragged = nest->units % nest->threads != 0, one = each == 1;
    const char *type = g->dialect->index_type;
    scope_open(g);
    if (one)
        writer_line(scope_writer(g), "const %s unit = %s;", type, nest->thread);
    else
        writer_line(scope_writer(g), "const %s unit = %s + step * %lld;", type, nest->thread,
                    (long long)nest->threads);
    if (ragged)
        scope_open_conditional(g, g->depth);
    emit_unit(g, inside);
    if (ragged)
        scope_close(g, "if (unit < %lld)", (long long)nest->units);
    if (one) {
        scope_close_bare(g);
        return;
    }
    writer_line(&g->scopes[g->depth - 1].writer, "UNROLL");
    scope_close(g, "for (int step = 0; step < %lld; step++)", (long long)each);
}

static void emit_strided(struct generator *g, const struct inside *inside)
{
    const struct nest *nest = inside->nest;
    scope_open(g);
    emit_unit(g, inside);
    struct writer *w = &g->scopes[g->depth - 1].writer;
    if (nest->ahead > 1 && nest->units >= nest->ahead * nest->threads)
        writer_line(w, "UNROLL_BY(%d)", nest->ahead);
    else
        writer_line(w, "NO_UNROLL");
    scope_close(g, "for (%s unit = %s; unit < %lld; unit += %lld)", g->dialect->index_type,
                nest->thread, (long long)nest->units, (long long)nest->threads);
}

void nest_emit(struct generator *g, struct nest *nest, void (*body)(struct generator *g))
{
    struct inside inside = {.nest = nest, .last = last_variable(g, nest), .body = body};
    int64_t lanes = lane_count(g, nest, inside.last);
    bool ask = lanes > 1 && g->extents[inside.last] > lanes;
    inside.lanes = lanes > 1 && !ask; /* this attempt finds the other wishes to split */
    nest->units = 1;
    for (int v = nest->from; v <= inside.last - inside.lanes; v++)
        if (takes_part(g, nest, v))
            nest->units *= digit_of(g, nest, v).extent;
    if (nest->units == 0) /* a reduction of nothing */
        return;
    if (nest->unroll || nest->units <= nest->threads)
        emit_units(g, &inside);
    else
        emit_strided(g, &inside);
    if (ask)
        nest_ask_lanes(g, inside.last, lanes);
}

struct nest nest_of_block(struct generator *g, int from)
{
    return (struct nest){.from = from,
                         .thread = "thread_index()",
                         .threads = cuda_of(g)->threads,
                         .vector = kernel_int(g, vector)};
}

struct nest nest_of_grid(struct generator *g, int from)
{
    struct nest nest = nest_of_block(g, from);
    nest.thread = arena_printf(g->arena, "block_index() * %lld + thread_index()",
                               (long long)cuda_of(g)->threads);
    nest.threads *= cuda_of(g)->blocks;
    return nest;
}
