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

/* The head and the four columns of an item, for the loop over all items of the part. */
static void emit_item(struct generator *g, struct attention *a)
{
    struct writer *w = scope_writer(g);
    long long lines = (a->l.depth / 4 + 7) / 8 * 8;
    writer_line(w, "const int row = item / %lld, chunk = item %% %lld;", lines, lines);
}

static void close_items(struct generator *g, struct attention *a)
{
    long long lines = (a->l.depth / 4 + 7) / 8 * 8;
    writer_line(&g->scopes[g->depth - 1].writer, "NO_UNROLL");
    scope_close(g, "for (int item = thread_index(); item < %lld; item += %lld)",
                (long long)a->l.part_heads * lines, (long long)a->l.threads);
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
    scope_close(g, "if (row < heads && chunk * 4 < %lld)", (long long)a->l.size);
}

/* The warps of this block, in order; what results leaves, or is published. */
static void emit_join(struct generator *g, struct attention *a)
{
    long long rows = a->l.form == ATTENTION_F32 ? a->l.part_heads : a->l.rows;
    long long part = a->l.part_heads * (a->l.depth + 4);
    writer_line(scope_writer(g), "block_barrier();");
    scope_open(g);
    emit_item(g, a);
    struct writer *w = scope_writer(g);
    writer_open(w, "if (chunk < %lld) {", (long long)a->l.depth / 4);
    writer_line(w, "struct softmax_part all = softmax_nothing();");
    writer_line(w, "UNROLL");
    writer_open(w, "for (int i = 0; i < %lld; i++)", (long long)a->l.warps_n);
    writer_line(
        w,
        "all = softmax_join(all, softmax_shared(marks + (i * %lld + row) * 8, shared + (i * "
        "%lld + row) * %lld + chunk * 16));",
        rows, rows, (long long)a->l.result_pitch);
    w->level--;
    if (a->l.split == 1) {
        emit_final(g, a);
    } else {
        writer_line(w, "g_f32 *to = workspace + block_index() * %lld;", part);
        writer_line(w,
                    "softmax_publish(to + (row * %lld + chunk) * 4, to + %lld + row * 4, chunk == "
                    "0, all);",
                    (long long)a->l.depth / 4, (long long)(a->l.part_heads * a->l.depth));
    }
    writer_close(w, "}");
    close_items(g, a);
}

/* The parts of this key head, in order, by the last of their blocks. */
static void emit_last(struct generator *g, struct attention *a)
{
    long long split = a->l.split, part = a->l.part_heads * (a->l.depth + 4);
    cuda_of(g)->workspace = cuda_of(g)->counters = true;
    scope_open(g);
    scope_open(g);
    emit_item(g, a);
    struct writer *w = scope_writer(g);
    writer_open(w, "if (chunk < %lld) {", (long long)a->l.depth / 4);
    writer_line(w, "const g_f32 *from = workspace + pair * %lld;", split * part);
    writer_line(w, "struct softmax_part all = softmax_nothing();");
    writer_line(w, "UNROLL_BY(4)");
    writer_open(w, "for (int i = 0; i < %lld; i++)", split);
    writer_line(
        w,
        "all = softmax_join(all, softmax_collect(from + i * %lld + (row * %lld + chunk) * 4, "
        "from + i * %lld + %lld + row * 4));",
        part, (long long)a->l.depth / 4, part, (long long)(a->l.part_heads * a->l.depth));
    w->level--;
    emit_final(g, a);
    writer_close(w, "}");
    close_items(g, a);
    scope_close(g, "if (publish_last(counters + pair, %lld))", split);
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
