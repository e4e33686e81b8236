/*
 * The skeleton `split_attention`: one query position of each batch row over a cache. A block
 * takes the query heads of a key head as the rows of its products and one part of the blocks of
 * keys; parts are shares of the keys that there are, not of the slots, so that all blocks have
 * work at every length. Warps take neighbouring keys of each block and are joined at the end,
 * in order; then the last block of a key head joins the parts, in order ("Flash-Decoding", 2023).
 */
#include "backends/cuda/split_attention.h"
#include "backends/cuda/attention.h"

static void emit_place(struct generator *g, struct attention *a)
{
    struct writer *w = scope_writer(g);
    long long split = a->l.split, parts = a->l.parts, groups = a->l.groups, keys = a->l.keys;
    writer_line(w, "const int lane = lane_index(), warp = warp_index();");
    writer_line(w, "const int pair = block_index() / %lld;", split);
    attention_open(g, a->v_batch, "batch", arena_printf(g->arena, "pair / %lld", groups * parts));
    attention_open(g, a->v_group, "group",
                   arena_printf(g->arena, "pair / %lld %% %lld", parts, groups));
    writer_line(w, "const int first_head = (int)group * %lld + pair %% %lld * %lld;",
                (long long)a->l.share, parts, (long long)a->l.part_heads);
    if (a->l.share % a->l.part_heads == 0)
        writer_line(w, "const int heads = %lld;", (long long)a->l.part_heads);
    else
        writer_line(w, "const int heads = (int)m_least_i64(%lld, %lld - pair %% %lld * %lld);",
                    (long long)a->l.part_heads, (long long)a->l.share, parts,
                    (long long)a->l.part_heads);
    attention_start(g, a);
    attention_range(g, a, "0", "0");
    writer_line(w, "const int blocks = (int)m_most_i64(0, (last_key - first_key + %lld) / %lld);",
                keys - 1, keys);
    writer_line(w, "const int part = block_index() %% %lld;", split);
    writer_line(w, "const int begin = blocks * part / %lld, end = blocks * (part + 1) / %lld;",
                split, split);
    writer_line(w, "const int warp_query = 0;");
    writer_line(w, "const shared_t shared = shared_window();");
}

/* --- on the tensor cores --- */

/* Partial results of this warp, relative to the maximum of its own keys, to shared memory. */
static void emit_tensor_part(struct generator *g, struct attention *a)
{
    struct writer *w = scope_writer(g);
    writer_line(w, "copy_async_wait(0);");
    writer_line(w, "block_barrier();");
    writer_line(w, "const shared_t result = shared + warp * %lld;",
                (long long)(a->l.rows * a->l.result_pitch));
    attention_tensor_columns(g, a, "0", a->l.depth / 8);
    writer_line(w, "UNROLL");
    writer_open(w, "for (int row = 0; row < 2; row++) {");
    writer_line(w, "const struct f32x2 mark = {{top[row], quad_sum(sum[row])}};");
    writer_line(w, "if ((lane & 3) == 0)");
    writer_line(w,
                "    shared_store_f32x2(marks + (warp * %lld + row * 8 + (lane >> 2)) * 8, mark);",
                (long long)a->l.rows);
    writer_close(w, "}");
}

static void emit_tensor(struct generator *g, struct attention *a)
{
    struct line_block queries = {.which = 0,
                                 .to = attention_at(g, a->l.queries_at),
                                 .first = "first_head",
                                 .count = "heads",
                                 .lines = a->l.rows,
                                 .heads = true};
    attention_copies(g, a, &queries);
    attention_tensor_queries(g, a);
    attention_sums(g, a);
    attention_loop(g, a);
    emit_tensor_part(g, a);
}

/* --- joining --- */

/* Items of the part: its heads by four columns each, in lines of 8 threads, of which the last
 * ones of a head only go along (`own` is 0). */
static long long fours(const struct attention *a)
{
    return (a->l.size + 3) / 4;
}

static long long line_items(const struct attention *a)
{
    return (fours(a) + 7) / 8 * 8;
}

static void open_items(struct generator *g, struct attention *a)
{
    long long items = line_items(a), last = fours(a) - 1;
    scope_open(g);
    struct writer *w = scope_writer(g);
    writer_line(w, "const int row = item / %lld, at = item %% %lld;", items, items);
    writer_line(w, "const int own = at < %lld, chunk = own ? at : %lld;", last + 1, last);
    writer_line(w, "struct softmax_part all = softmax_nothing();");
}

static void close_items(struct generator *g, struct attention *a)
{
    writer_line(&g->scopes[g->depth - 1].writer, "NO_UNROLL");
    scope_close(g, "for (int item = thread_index(); item < %lld; item += %lld)",
                a->l.part_heads * line_items(a), (long long)a->l.threads);
}

static void emit_final(struct generator *g, struct attention *a)
{
    scope_open_conditional(g, g->depth);
    struct writer *w = scope_writer(g);
    attention_open(g, a->v_head, "head", "first_head + row");
    attention_open(g, a->v_query, "query", "0");
    writer_line(w, "const float share = softmax_share(all.sum);");
    a->result = "(all.columns.at[u] * share)";
    attention_store(g, a, "chunk");
    scope_close(g, "if (own && row < heads)");
}

/* The warps of this block, in order; what results leaves, or is published. */
static void emit_join(struct generator *g, struct attention *a)
{
    long long rows = a->l.form == ATTENTION_F32 ? a->l.part_heads : a->l.rows;
    long long part = a->l.part_heads * (a->l.depth + 4), marks = a->l.part_heads * a->l.depth;
    writer_line(scope_writer(g), "block_barrier();");
    open_items(g, a);
    struct writer *w = scope_writer(g);
    writer_line(w, "UNROLL");
    writer_open(w, "for (int i = 0; i < %lld; i++) {", (long long)a->l.warps_n);
    writer_line(w, "const int line = i * %lld + row;", rows);
    writer_line(w,
                "all = softmax_join(all, softmax_shared(marks + line * 8, shared + line * %lld + "
                "chunk * 16));",
                (long long)a->l.result_pitch);
    writer_close(w, "}");
    if (a->l.split == 1) {
        emit_final(g, a);
    } else {
        writer_line(w, "g_f32 *to = workspace + block_index() * %lld;", part);
        writer_open(w, "if (own)");
        writer_line(w,
                    "softmax_publish(to + (row * %lld + chunk) * 4, to + %lld + row * 4, chunk == "
                    "0, all);",
                    (long long)a->l.depth / 4, marks);
        w->level--;
    }
    close_items(g, a);
}

/* The parts of this key head, in order, by the last of their blocks. */
static void emit_last(struct generator *g, struct attention *a)
{
    long long part = a->l.part_heads * (a->l.depth + 4), marks = a->l.part_heads * a->l.depth;
    cuda_of(g)->workspace = cuda_of(g)->counters = true;
    scope_open(g);
    open_items(g, a);
    struct writer *w = scope_writer(g);
    writer_line(w, "const g_f32 *from = workspace + pair * %lld;", (long long)a->l.split * part);
    writer_line(w, "UNROLL_BY(4)");
    writer_open(w, "for (int i = 0; i < %lld; i++, from += %lld)", (long long)a->l.split, part);
    writer_line(w,
                "all = softmax_join(all, softmax_collect(from + (row * %lld + chunk) * 4, from + "
                "%lld + row * 4));",
                (long long)a->l.depth / 4, marks);
    w->level--;
    emit_final(g, a);
    close_items(g, a);
    scope_close(g, "if (publish_last(counters + pair, %lld))", (long long)a->l.split);
}

void cuda_emit_split_attention(struct generator *g)
{
    struct attention *a = attention_begin(g);
    struct gpu_facts facts;
    if (gpu_split_attention_facts(g->function, g->kernel, &facts))
        cuda_of(g)->mma_count = facts.mma_count;
    long long rows = a->l.form == ATTENTION_F32 ? a->l.part_heads : a->l.rows;
    emit_place(g, a);
    writer_line(scope_writer(g), "const shared_t marks = shared + %lld;",
                a->l.warps_n * rows * (long long)a->l.result_pitch);
    if (a->l.form == ATTENTION_F32)
        split_attention_scalar(g, a);
    else
        emit_tensor(g, a);
    emit_join(g, a);
    if (a->l.split > 1)
        emit_last(g, a);
}
