/*
 * Attention on the tensor cores: mma m16n8k16 of bf16 or f16 elements, sums in f32. The layout of
 * a product's result is that of a left operand, so weights stay in registers.
 */
#include "backends/cuda/attention.h"

static const char *swizzle(const struct attention *a)
{
    return a->l.line == LINE_XOR8 ? "(lane & 7)" : a->l.line == LINE_XOR4 ? "(lane >> 1 & 3)" : "0";
}

/* Two chunks on for every step, from the place of a lane's chunk in its line. Few different
 * addresses: what is no swizzle is an offset. */
static const char *chunk_text(struct generator *g, const struct attention *a, const char *chunk,
                              const char *step)
{
    if (a->l.line == LINE_ODD)
        return arena_printf(g->arena, "%s + %s * 32", chunk, step);
    return arena_printf(g->arena, "(%s ^ %s %% 4 * 32) + %s / 4 * 128", chunk, step, step);
}

void attention_sums(struct generator *g, struct attention *a)
{
    struct writer *w = scope_writer(g);
    long long rows = 2 * a->l.mt, sums = a->l.mt * a->l.depth / 2;
    writer_line(w, "float sums[%lld], top[%lld], sum[%lld];", sums, rows, rows);
    writer_line(w, "UNROLL");
    writer_line(w, "for (int i = 0; i < %lld; i++)", sums);
    writer_line(w, "    sums[i] = 0;");
    writer_line(w, "UNROLL");
    writer_open(w, "for (int i = 0; i < %lld; i++) {", rows);
    writer_line(w, "top[i] = -m_infinity;");
    writer_line(w, "sum[i] = 0;");
    writer_close(w, "}");
}

void attention_tensor_queries(struct generator *g, struct attention *a)
{
    struct writer *w = scope_writer(g);
    long long mt = a->l.mt, steps = a->l.depth / 16, pitch = a->l.pitch;
    const char *by = swizzle(a), *warp = a->split ? "" : "warp * ";
    writer_line(w, "/* where this lane reads fragments: its line, and its chunk of the line */");
    writer_line(w, "const shared_t row_line = (lane & 15) * %lld;", pitch);
    writer_line(w, "const shared_t row_chunk = ((lane >> 4) ^ %s) * 16;", by);
    writer_line(w, "const shared_t key_line = ((lane & 7) + (lane >> 4) * 8) * %lld;", pitch);
    writer_line(w, "const shared_t key_chunk = ((lane >> 3 & 1) ^ %s) * 16;", by);
    writer_line(w, "rt_u32 queries[%lld];", steps * mt * 4);
    writer_line(w, "copy_async_wait(%lld);", (long long)a->l.stages - 1);
    writer_line(w, "block_barrier();");
    writer_line(w, "const shared_t rows = shared + %lld + %s%lld + row_line;",
                (long long)a->l.queries_at, warp, a->split ? 0 : mt * 16 * pitch);
    writer_line(w, "UNROLL");
    writer_line(w, "for (int i = 0; i < %lld; i++)", steps * mt);
    writer_line(w, "    ldmatrix_x4(queries + i * 4, rows + i %% %lld * %lld + %s);", mt,
                16 * pitch,
                chunk_text(g, a, "row_chunk", arena_printf(g->arena, "(i / %lld)", mt)));
}

/* scores = queries * keys', in strips of key_wide results. */
static void emit_scores(struct generator *g, struct attention *a)
{
    struct writer *w = scope_writer(g);
    long long mt = a->l.mt, wide = a->l.key_wide, elements = mt * a->l.warp_keys / 2;
    writer_line(w, "float scores[%lld];", elements);
    writer_line(w, "UNROLL");
    writer_line(w, "for (int i = 0; i < %lld; i++)", elements);
    writer_line(w, "    scores[i] = 0;");
    writer_line(w, "UNROLL");
    writer_open(w, "for (int step = 0; step < %lld; step++) {", (long long)a->l.depth / 16);
    writer_line(w, "UNROLL");
    writer_open(w, "for (int strip = 0; strip < %lld; strip++) {",
                (long long)a->l.warp_keys / 8 / wide);
    writer_line(w, "rt_u32 right[%lld];", 2 * wide);
    writer_line(w, "UNROLL");
    writer_open(w, "for (int i = 0; i < %lld; i++)", wide / 2);
    writer_line(w, "ldmatrix_x4(right + i * 4, keys + (strip * %lld + i) * %lld + key_line + %s);",
                wide / 2, (long long)a->l.pitch * 16, chunk_text(g, a, "key_chunk", "step"));
    w->level--;
    writer_line(w, "mma_tile_%s(scores + strip * %lld, queries + step * %lld, right, %lld, %lld);",
                attention_form_name(a), mt * wide * 4, mt * 4, mt, wide);
    writer_close(w, "}");
    writer_close(w, "}");
}

/* One strip of value_wide columns of weights * values, 16 keys. */
static void emit_strip(struct generator *g, struct attention *a)
{
    struct writer *w = scope_writer(g);
    long long mt = a->l.mt, wide = a->l.value_wide;
    const char *pair = arena_printf(g->arena, "(strip * %lld + i)", wide / 2);
    writer_line(w, "rt_u32 right[%lld];", 2 * wide);
    writer_line(w, "UNROLL");
    writer_open(w, "for (int i = 0; i < %lld; i++)", wide / 2);
    writer_line(w, "ldmatrix_x4_trans(right + i * 4, keys + %lld + step * %lld + row_line + %s);",
                (long long)a->l.stage_bytes / 2, (long long)a->l.pitch * 16,
                chunk_text(g, a, "row_chunk", pair));
    w->level--;
    writer_line(w, "mma_tile_%s(sums + strip * %lld, weights, right, %lld, %lld);",
                attention_form_name(a), mt * wide * 4, mt, wide);
}

/* sums = sums * factor + weights * values. */
static void emit_values(struct generator *g, struct attention *a)
{
    struct writer *w = scope_writer(g);
    long long mt = a->l.mt, strips = a->l.depth / 8 / a->l.value_wide;
    writer_line(w, "scale_tile(sums, %lld, %lld, %lld, factor);", strips, mt,
                (long long)a->l.value_wide);
    writer_line(w, "UNROLL");
    writer_open(w, "for (int step = 0; step < %lld; step++) {", (long long)a->l.warp_keys / 16);
    writer_line(w, "rt_u32 weights[%lld];", 4 * mt);
    writer_line(w, "pack_weights_%s(weights, scores, step, %lld, %lld);", attention_form_name(a),
                mt, (long long)a->l.key_wide);
    writer_line(w, "UNROLL");
    writer_open(w, "for (int strip = 0; strip < %lld; strip++) {", strips);
    emit_strip(g, a);
    writer_close(w, "}");
    writer_close(w, "}");
}

void attention_softmax(struct generator *g, struct attention *a)
{
    struct writer *w = scope_writer(g);
    long long wide = a->l.key_wide;
    writer_line(w, "float factor[%lld];", 2 * (long long)a->l.mt);
    writer_line(w, "softmax_tile(scores, %lld, %lld, %lld, %s, top, sum, factor);",
                (long long)a->l.warp_keys / 8 / wide, (long long)a->l.mt, wide,
                attention_scaled(a) ? "1.0f" : attention_scale(g, a));
}

void attention_tensor_block(struct generator *g, struct attention *a)
{
    const char *seen = attention_seen(g, a);
    scope_open(g);
    emit_scores(g, a);
    attention_bias_scores(g, a);
    attention_mask(g, a);
    attention_softmax(g, a);
    emit_values(g, a);
    if (seen)
        scope_close(g, "if (%s)", seen);
    else
        scope_close_bare(g);
}

/* --- results --- */

void attention_shares(struct generator *g, struct attention *a)
{
    struct writer *w = scope_writer(g);
    writer_line(w, "UNROLL");
    writer_line(w, "for (int row = 0; row < %lld; row++)", 2 * (long long)a->l.mt);
    writer_line(w, "    sum[row] = softmax_share(quad_sum(sum[row]));");
    writer_line(w, "scale_tile(sums, %lld, %lld, %lld, sum);",
                (long long)a->l.depth / 8 / a->l.value_wide, (long long)a->l.mt,
                (long long)a->l.value_wide);
}

void attention_tensor_columns(struct generator *g, struct attention *a, const char *first,
                              int64_t tiles)
{
    struct writer *w = scope_writer(g);
    long long wide = a->l.value_wide, mt = a->l.mt, count = tiles;
    writer_line(w, "UNROLL");
    writer_open(w, "for (int i = 0; i < %lld; i++) {", 2 * mt * count);
    writer_line(w, "const int tile = %s + i %% %lld, row = i / %lld;", first, count, count);
    writer_open(w, "if (tile < %lld) {", (long long)a->l.depth / 8);
    writer_line(w,
                "const float *pair = tile_pair(sums, tile / %lld, %lld, %lld, row, tile %% %lld);",
                wide, mt, wide, wide);
    writer_line(w, "const struct f32x2 two = {{pair[0], pair[1]}};");
    writer_line(w,
                "shared_store_f32x2(result + ((lane >> 2) + row * 8) * %lld + i %% %lld * 32 + "
                "(lane & 3) * 8, two);",
                (long long)a->l.result_pitch, count);
    writer_close(w, "}");
    writer_close(w, "}");
}

/* A slab of columns leaves through shared memory, so that rows are written in whole sectors. */
static void emit_slab(struct generator *g, struct attention *a)
{
    attention_tensor_columns(g, a, "slab * 4", ATTENTION_SLAB / 8);
    writer_line(scope_writer(g), "warp_barrier();");
    scope_open(g);
    writer_line(scope_writer(g), "const int row = (lane >> 3) + i * 4;");
    scope_open_conditional(g, g->depth);
    attention_open(g, a->v_query, "query", "warp_query + row");
    writer_line(scope_writer(g),
                "const struct f32x4 part = shared_load_f32x4(result + row * %lld + (lane & 7) * "
                "16);",
                (long long)a->l.result_pitch);
    a->result = "part.at[u]";
    attention_store(g, a, "slab * 8 + (lane & 7)");
    scope_close(g, "if (warp_query + row < %lld && slab * 32 + (lane & 7) * 4 < %lld)",
                (long long)a->l.queries, (long long)a->l.size);
    attention_close_unrolled(
        g, arena_printf(g->arena, "for (int i = 0; i < %lld; i++)", 4 * (long long)a->l.mt));
    writer_line(scope_writer(g), "warp_barrier();");
}

void attention_tensor_result(struct generator *g, struct attention *a)
{
    struct writer *w = scope_writer(g);
    writer_line(w, "copy_async_wait(0);");
    writer_line(w, "block_barrier();");
    attention_shares(g, a);
    writer_line(w, "const shared_t result = shared + warp * %lld;",
                16 * (long long)(a->l.mt * a->l.result_pitch));
    scope_open(g);
    emit_slab(g, a);
    attention_close_unrolled(
        g, arena_printf(g->arena, "for (int slab = 0; slab < %lld; slab++)",
                        (long long)(a->l.depth + ATTENTION_SLAB - 1) / ATTENTION_SLAB));
}
