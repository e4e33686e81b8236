/* The skeleton `sort`: stable, values and indices. Pairs of key and place are sorted by
 * lib/sort.cuh; the block that has them all writes the results. */
#include "backends/cuda/lines.h"

static void prepare(struct generator *g)
{
    lines_variables(g, g->skeleton);
}

/* Keys of this block's run into shared memory; what is beyond the line stands last. */
static void emit_keys(struct generator *g, const struct gpu_lines *lines, long long keys)
{
    const struct node *node = lines->node;
    long long count = (long long)lines->count;
    scope_open(g);
    struct writer *w = scope_writer(g);
    writer_line(w, lines->pieces > 1 ? "const int v1 = piece * %lld + i;" : "const int v1 = i;",
                keys);
    writer_line(w, "struct sort_pair pair;");
    writer_line(w, "pair.key = 0xffffffffu;");
    writer_line(w, "pair.place = (rt_u32)v1;");
    scope_open_conditional(g, g->depth);
    struct index along = variable_open(g, LINE_ALONG, "v1", 0, lines->count - 1);
    struct element e = value_at(g, node->operands[0], lines_index(g, lines, along));
    writer_line(scope_writer(g), "pair.key = sort_key_%s%s(%s);",
                node_int(node, descending) ? "down_" : "",
                emit_suffix(node->operands[0]->type.dtype), e.text);
    scope_close(g, "if (v1 < %lld)", count);
    writer_line(scope_writer(g), "sort_put(shared_window(), %lld, i, pair);", keys);
    writer_line(&g->scopes[g->depth - 1].writer, "UNROLL_BY(4)");
    scope_close(g, "for (int i = thread_index(); i < %lld; i += %lld)", keys,
                (long long)cuda_of(g)->threads);
}

/* Element i of the results is that of place v1. */
static void emit_results(struct generator *g, const struct gpu_lines *lines, const char *place)
{
    const struct node *node = lines->node;
    scope_open(g);
    struct index to = lines_index(g, lines,
                                  variable_open(g, LINE_ALONG, "i", 0, lines->count - 1));
    writer_line(scope_writer(g), "const int v1 = (int)%s;", place);
    if (is_live_out(g, &node->results[0])) {
        struct index along = variable_open(g, LINE_ALONG, "v1", 0, lines->count - 1);
        value_store(g, &node->results[0], to,
                    value_at(g, node->operands[0], lines_index(g, lines, along)));
    }
    if (is_live_out(g, &node->results[1]))
        value_store(g, &node->results[1], to, (struct element){"v1", g->depth});
    writer_line(&g->scopes[g->depth - 1].writer, "UNROLL_BY(4)");
    scope_close(g, "for (int i = thread_index(); i < %lld; i += %lld)", (long long)lines->count,
                (long long)cuda_of(g)->threads);
}

static void attempt(struct generator *g)
{
    const struct gpu_lines *lines = g->skeleton;
    long long keys = (long long)kernel_int(g, keys), pieces = (long long)lines->pieces;
    long long threads = (long long)cuda_of(g)->threads, count = (long long)lines->count;
    lines_open(g, lines);
    emit_keys(g, lines, keys);
    struct writer *w = scope_writer(g);
    writer_line(w, "sort_run(shared_window(), %lld, %lld);", keys, threads);
    if (pieces == 1) {
        emit_results(g, lines,
                     arena_printf(g->arena, "sort_get(shared_window(), %lld, i).place", keys));
        return;
    }
    writer_line(w, "g_f32 *pairs = workspace + (rt_i64)line * %lld;", (long long)lines->words);
    writer_line(w, "const int sorted = sort_join(shared_window(), pairs, counters + line * %lld, "
                   "piece, %lld,",
                2 * pieces, pieces);
    writer_line(w, "                             %lld, %lld, %lld);", keys, count, threads);
    scope_open_conditional(g, g->depth);
    emit_results(g, lines,
                 arena_printf(g->arena, "bits_of_f32(collect_f32(pairs + sorted + %lld + i))",
                              pieces * keys));
    scope_close(g, "if (sorted >= 0)");
}

void cuda_emit_sort(struct generator *g)
{
    struct gpu_lines *lines = arena_new(g->arena, struct gpu_lines);
    *lines = lines_create(g);
    if (dtype_bits(lines->node->operands[0]->type.dtype) > 32)
        fatal(INTERNAL, "the elements of a sort are too wide", g->kernel->name);
    cuda_of(g)->workspace = cuda_of(g)->counters = lines->pieces > 1;
    g->skeleton = lines;
    emit_attempts(g, prepare, attempt);
}
