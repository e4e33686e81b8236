/*
 * The skeleton `cumsum`: running sums, in f64 or in i64 for integers. A block has one of the
 * pieces of a line: it sums what stands before by itself, which costs less than waiting for the
 * others, and goes over its piece by tiles of threads * lanes elements.
 */
#include "backends/cuda/lines.h"

struct cumsum {
    struct gpu_lines lines; /* first */
    int64_t lanes;
    const char *type, *suffix; /* of sums */
    const char *element;       /* type of elements */
};

static void prepare(struct generator *g)
{
    struct cumsum *cumsum = g->skeleton;
    lines_variables(g, &cumsum->lines);
}

static struct index along(struct generator *g, const struct cumsum *cumsum)
{
    struct index unit = index_of_atom(g->variables[LINE_ALONG].atom);
    if (cumsum->lanes == 1)
        return unit;
    return index_add(&g->space, index_scale(unit, cumsum->lanes),
                     index_of_atom(g->variables[LINE_ALONG + 1].atom));
}

static struct element element_here(struct generator *g)
{
    const struct cumsum *cumsum = g->skeleton;
    return value_at(g, cumsum->lines.node->operands[0],
                    lines_index(g, &cumsum->lines, along(g, cumsum)));
}

static void each_lane(struct generator *g, void (*body)(struct generator *g))
{
    const struct cumsum *cumsum = g->skeleton;
    if (cumsum->lanes > 1)
        nest_lanes(g, LINE_ALONG + 1, body);
    else
        body(g);
}

static const char *lane_text(const struct cumsum *cumsum)
{
    return cumsum->lanes > 1 ? "v2" : "0";
}

static void add_before(struct generator *g)
{
    writer_line(scope_writer(g), "own += %s;", element_here(g).text);
}

static void read_own(struct generator *g)
{
    const struct cumsum *cumsum = g->skeleton;
    struct element e = element_here(g);
    writer_line(scope_writer(g), "at[%s] = %s;", lane_text(cumsum), e.text);
    writer_line(scope_writer(g), "own += at[%s];", lane_text(cumsum));
}

static void store_sum(struct generator *g)
{
    const struct cumsum *cumsum = g->skeleton;
    const struct value *result = &cumsum->lines.node->results[0];
    bool exclusive = node_int(cumsum->lines.node, exclusive);
    struct index index = lines_index(g, &cumsum->lines, along(g, cumsum));
    const char *add = arena_printf(g->arena, "sum += at[%s];", lane_text(cumsum));
    if (!exclusive)
        writer_line(scope_writer(g), "%s", add);
    struct element sum = element_new(g, cumsum->element, g->depth, "(%s)sum", cumsum->element);
    value_store(g, result, index, sum);
    if (exclusive)
        writer_line(scope_writer(g), "%s", add);
}

/* The sum of all units below `first`, in `carry`. */
static void emit_before(struct generator *g, const struct cumsum *cumsum, int64_t units)
{
    long long threads = (long long)cuda_of(g)->threads;
    scope_open(g);
    writer_line(scope_writer(g), "%s own = 0;", cumsum->type);
    scope_open(g);
    variable_open(g, LINE_ALONG, "v1", 0, units - 1);
    each_lane(g, add_before);
    writer_line(&g->scopes[g->depth - 1].writer, "UNROLL_BY(4)");
    scope_close(g, "for (int v1 = thread_index(); v1 < first; v1 += %lld)", threads);
    writer_line(scope_writer(g), "scan_%s(shared_window(), own, %lld, &carry);", cumsum->suffix,
                threads);
    scope_close_bare(g);
}

static void emit_tile(struct generator *g, const struct cumsum *cumsum, int64_t units)
{
    struct writer *w = scope_writer(g);
    long long threads = (long long)cuda_of(g)->threads;
    writer_line(w, "const int v1 = tile + thread_index();");
    writer_line(w, "%s at[%lld];", cumsum->element, (long long)cumsum->lanes);
    writer_line(w, "%s own = 0, all;", cumsum->type);
    variable_open(g, LINE_ALONG, "v1", 0, units - 1);
    scope_open_conditional(g, g->depth);
    each_lane(g, read_own);
    scope_close(g, "if (v1 < last)");
    writer_line(w, "%s sum = scan_%s(shared_window(), own, %lld, &all);", cumsum->type,
                cumsum->suffix, threads);
    writer_line(w, "sum += carry;");
    writer_line(w, "carry += all;");
    scope_open_conditional(g, g->depth);
    each_lane(g, store_sum);
    scope_close(g, "if (v1 < last)");
}

static void attempt(struct generator *g)
{
    struct cumsum *cumsum = g->skeleton;
    struct gpu_lines *lines = &cumsum->lines;
    int64_t wanted = nest_lane_count(g, LINE_ALONG, kernel_int(g, vector));
    bool split = g->variable_count > 3, ask = !split && wanted > 1;
    cumsum->lanes = split ? g->extents[LINE_ALONG + 1] : 1;
    int64_t units = g->extents[LINE_ALONG], piece = (units + lines->pieces - 1) / lines->pieces;
    struct writer *w = scope_writer(g);
    lines_open(g, lines);
    bool one = lines->pieces == 1;
    writer_line(w, one ? "const int first = 0, last = %lld;" : "const int first = piece * %lld;",
                (long long)piece);
    if (!one)
        writer_line(w, "const int last = first + %lld < %lld ? first + %lld : %lld;",
                    (long long)piece, (long long)units, (long long)piece, (long long)units);
    writer_line(w, "%s carry = 0;", cumsum->type);
    if (!one)
        emit_before(g, cumsum, units);
    scope_open(g);
    emit_tile(g, cumsum, units);
    writer_line(w, "NO_UNROLL");
    scope_close(g, "for (int tile = first; tile < last; tile += %lld)",
                (long long)cuda_of(g)->threads);
    if (ask)
        nest_ask_lanes(g, LINE_ALONG, wanted);
}

void cuda_emit_cumsum(struct generator *g)
{
    struct cumsum *cumsum = arena_new(g->arena, struct cumsum);
    cumsum->lines = lines_create(g);
    enum dtype dtype = cumsum->lines.node->results[0].type.dtype;
    bool real = dtype_is_float(dtype);
    cumsum->type = real ? "double" : "rt_i64";
    cumsum->suffix = real ? "f64" : "i64";
    cumsum->element = emit_compute_type(dtype);
    g->skeleton = cumsum;
    emit_attempts(g, prepare, attempt);
}
