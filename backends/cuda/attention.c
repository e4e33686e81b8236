/*
 * The skeleton `attention`: flash attention (Dao, "FlashAttention-2", 2023). Each warp owns 16
 * rows of queries, or a multiple, for the whole loop over keys, so warps exchange nothing; keys
 * and values come through a ring of stages by asynchronous copies. Blocks of keys count from
 * slot 0 and a block that a query does not see changes none of its bits, so its sums do not
 * depend on how many queries run together.
 */
#include "backends/cuda/attention.h"

/* Of the tile: what stands behind the last query of the function is never read. */
static const char *last_query(struct generator *g, struct attention *a)
{
    long long rows = a->l.rows, queries = a->l.queries;
    if (queries % rows == 0)
        return arena_printf(g->arena, "first_query + %lld", rows - 1);
    return arena_printf(g->arena, "(first_query + %lld < %lld ? first_query + %lld : %lld)",
                        rows - 1, queries - 1, rows - 1, queries - 1);
}

/* Blocks of causal tiles with the most keys run first. */
static void emit_place(struct generator *g, struct attention *a)
{
    struct writer *w = scope_writer(g);
    long long heads = a->l.heads, pairs = a->l.batch * heads, tiles = a->l.row_tiles;
    writer_line(w, "const int lane = lane_index(), warp = warp_index();");
    if (a->causal && tiles > 1) {
        writer_line(w, "const int pair = block_index() %% %lld;", pairs);
        writer_line(w, "const int first_query = (%lld - block_index() / %lld) * %lld;", tiles - 1,
                    pairs, (long long)a->l.rows);
    } else {
        writer_line(w, "const int pair = block_index() / %lld;", tiles);
        writer_line(w, "const int first_query = block_index() %% %lld * %lld;", tiles,
                    (long long)a->l.rows);
    }
    attention_open(g, a->v_batch, "batch", arena_printf(g->arena, "pair / %lld", heads));
    attention_open(g, a->v_head, "head", arena_printf(g->arena, "pair %% %lld", heads));
    attention_open(g, a->v_group, "group",
                   arena_printf(g->arena, "head / %lld", (long long)a->l.share));
    attention_start(g, a);
    attention_range(g, a, "first_query", last_query(g, a));
    writer_line(w, "const int begin = 0, end = (last_key - first_key + %lld) / %lld;",
                (long long)a->l.keys - 1, (long long)a->l.keys);
    writer_line(w, "const int warp_query = first_query + warp * %lld;", (long long)a->l.mt * 16);
    writer_line(w, "const shared_t shared = shared_window();");
}

/* Lines of the queries and of the weights of this lane's first row. */
static void emit_scalar_places(struct generator *g, struct attention *a)
{
    long long mt = a->l.mt;
    struct writer *w = scope_writer(g);
    writer_line(w, "const int first_row = warp * %lld + (lane >> 2);", mt * 16);
    writer_line(w, "const shared_t rows = shared + %lld + first_row * %lld;",
                (long long)a->l.queries_at, (long long)a->l.pitch);
    writer_line(w, "const shared_t weights = shared + %lld + first_row * %lld;",
                (long long)a->l.weights_at, (long long)a->l.weights_pitch);
}

void cuda_emit_attention(struct generator *g)
{
    struct attention *a = attention_begin(g);
    struct gpu_facts facts;
    if (gpu_attention_facts(g->function, g->kernel, &facts))
        cuda_of(g)->mma_count = facts.mma_count;
    emit_place(g, a);
    struct line_block queries = {
        .which = 0,
        .to = attention_at(g, a->l.queries_at),
        .first = "first_query",
        .count = arena_printf(g->arena, "%lld - first_query", (long long)a->l.queries),
        .lines = a->l.rows};
    attention_copies(g, a, &queries);
    if (a->l.form == ATTENTION_F32)
        emit_scalar_places(g, a);
    else
        attention_tensor_queries(g, a);
    attention_sums(g, a);
    attention_loop(g, a);
    if (a->l.form == ATTENTION_F32)
        attention_scalar_result(g, a);
    else
        attention_tensor_result(g, a);
}
