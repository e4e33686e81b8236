/* See nest.h. */
#include "backends/cuda/nest.h"

#include "backends/cuda/kernel.h"

/* A variable of the nest: what is left of its extent, and where it begins. */
struct digit {
    int64_t extent;
    const char *origin; /* NULL: 0 */
    bool guarded;       /* it may run beyond the variable's extent */
};

static const struct nest_window *window_of(const struct nest *nest, int role)
{
    for (int i = 0; i < nest->window_count; i++)
        if (nest->windows[i].role == role)
            return &nest->windows[i];
    return NULL;
}

/* The largest number of lanes that the last variable can have. */
static int64_t lane_count(const struct generator *g, const struct nest *nest)
{
    int last = g->variable_count - 1;
    if (last < nest->from)
        return 1;
    int64_t lanes = nest->vector > 1 ? nest->vector : 1;
    const struct nest_window *window = window_of(nest, g->variables[last].role);
    while (lanes > 1 && (g->extents[last] % lanes != 0 || (window && window->extent % lanes != 0)))
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

/* Opens the variables from..to-1 as digits of `unit`, with the guards of windows. */
static bool open_digits(struct generator *g, const struct nest *nest, int to, const char *unit)
{
    struct str guard = str_create(g->arena);
    int64_t inner = 1;
    for (int v = to - 1; v >= nest->from; v--) {
        struct digit digit = digit_of(g, nest, v);
        const char *text = unit;
        if (inner > 1)
            text = arena_printf(g->arena, "%s / %lld", text, (long long)inner);
        if (v > nest->from)
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
    if (guard.length)
        scope_open_conditional(g, g->depth);
    for (int v = nest->from; v < to; v++)
        variable_open(g, v, arena_printf(g->arena, "v%d", v), 0, g->extents[v] - 1);
    if (guard.length)
        writer_line(&g->scopes[g->depth - 1].writer, "if (%s)", guard.text);
    return guard.length > 0;
}

static void emit_lanes(struct generator *g, int64_t lanes, void (*body)(struct generator *g))
{
    struct cuda_lanes *state = &cuda_of(g)->lanes;
    int last = g->variable_count - 1;
    const char *name = arena_printf(g->arena, "v%d", last);
    scope_open(g);
    struct index lane = variable_open(g, last, name, 0, lanes - 1);
    *state = (struct cuda_lanes){lane.terms[0].atom, lanes, g->depth, str_create(g->arena)};
    body(g);
    struct writer *outer = &g->scopes[g->depth - 1].writer;
    writer_line(outer, "UNROLL");
    scope_close(g, "for (int %s = 0; %s < %lld; %s++)", name, name, (long long)lanes, name);
    str_bytes(&outer->text, state->stores.text, state->stores.length);
    state->atom = -1;
}

static void emit_unit(struct generator *g, const struct nest *nest, int64_t lanes,
                      void (*body)(struct generator *g))
{
    int to = g->variable_count - (lanes > 1);
    bool guarded = open_digits(g, nest, to, "unit");
    if (lanes > 1)
        emit_lanes(g, lanes, body);
    else
        body(g);
    if (guarded)
        scope_close_bare(g);
}

/* One unit of each thread, or all of them in a row. */
static void emit_units(struct generator *g, const struct nest *nest, int64_t lanes,
                       void (*body)(struct generator *g))
{
    int64_t each = (nest->units + nest->threads - 1) / nest->threads;
    bool ragged = nest->units % nest->threads != 0, one = each == 1;
    const char *type = g->dialect->index_type;
    scope_open(g);
    if (one)
        writer_line(scope_writer(g), "const %s unit = %s;", type, nest->thread);
    else
        writer_line(scope_writer(g), "const %s unit = %s + step * %lld;", type, nest->thread,
                    (long long)nest->threads);
    if (ragged) {
        scope_open_conditional(g, g->depth);
        emit_unit(g, nest, lanes, body);
        scope_close(g, "if (unit < %lld)", (long long)nest->units);
    } else {
        emit_unit(g, nest, lanes, body);
    }
    if (one) {
        scope_close_bare(g);
        return;
    }
    writer_line(&g->scopes[g->depth - 1].writer, "UNROLL");
    scope_close(g, "for (int step = 0; step < %lld; step++)", (long long)each);
}

void nest_emit(struct generator *g, struct nest *nest, void (*body)(struct generator *g))
{
    int64_t lanes = lane_count(g, nest);
    int last = g->variable_count - 1;
    bool split = lanes > 1 && g->extents[last] > lanes;
    if (split) /* this attempt finds the other wishes to split */
        lanes = 1;
    nest->units = 1;
    for (int v = nest->from; v <= last - (lanes > 1); v++)
        nest->units *= digit_of(g, nest, v).extent;
    if (nest->unroll || nest->units <= nest->threads) {
        emit_units(g, nest, lanes, body);
    } else {
        scope_open(g);
        emit_unit(g, nest, lanes, body);
        writer_line(&g->scopes[g->depth - 1].writer, "NO_UNROLL");
        scope_close(g, "for (%s unit = %s; unit < %lld; unit += %lld)", g->dialect->index_type,
                    nest->thread, (long long)nest->units, (long long)nest->threads);
    }
    if (split && !g->space.split.wanted)
        g->space.split = (struct split){
            .wanted = true, .variable = last, .inner = lane_count(g, nest)};
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
