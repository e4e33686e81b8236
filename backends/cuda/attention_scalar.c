/*
 * Attention in f32 by FFMA, of any head size. A lane has the rows that it would have of an mma
 * result, and of each row's scores the keys lane & 3 and every fourth, of its sums four columns
 * of every 16: so all it reads of shared memory are 16-byte vectors on different banks. Scores
 * and sums are kept in the order of a tile of width 1.
 */
#include "backends/cuda/attention.h"

static void emit_scores(struct generator *g, struct attention *a)
{
    struct writer *w = scope_writer(g);
    long long rows = 2 * a->l.mt, elements = a->l.mt * a->l.keys / 2, pitch = a->l.pitch;
    writer_line(w, "float scores[%lld];", elements);
    writer_line(w, "UNROLL");
    writer_line(w, "for (int i = 0; i < %lld; i++)", elements);
    writer_line(w, "    scores[i] = 0;");
    writer_line(w, "NO_UNROLL");
    writer_open(w, "for (int step = 0; step < %lld; step++) {", (long long)a->l.depth / 4);
    writer_line(w, "struct f32x4 left[%lld];", rows);
    writer_line(w, "UNROLL");
    writer_line(w, "for (int row = 0; row < %lld; row++)", rows);
    writer_line(w, "    left[row] = shared_load_f32x4(rows + row * %lld + step * 16);", 8 * pitch);
    writer_line(w, "UNROLL");
    writer_open(w, "for (int j = 0; j < %lld; j++) {", (long long)a->l.keys / 4);
    writer_line(w,
                "const struct f32x4 right = shared_load_f32x4(keys + ((lane & 3) + j * 4) * %lld "
                "+ step * 16);",
                pitch);
    writer_line(w, "UNROLL");
    writer_line(w, "for (int i = 0; i < %lld; i++)", rows * 4);
    writer_line(w,
                "    tile_pair(scores, j / 2, %lld, 1, i / 4, 0)[j %% 2] += left[i / 4].at[i %% 4] "
                "* right.at[i %% 4];",
                (long long)a->l.mt);
    writer_close(w, "}");
    writer_close(w, "}");
}

/* Weights go to the lanes that share their rows through the warp's own lines. */
static void emit_weights(struct generator *g, struct attention *a)
{
    struct writer *w = scope_writer(g);
    long long quarter = a->l.keys / 4, mt = a->l.mt, pitch = a->l.weights_pitch;
    writer_line(w, "UNROLL");
    writer_open(w, "for (int i = 0; i < %lld; i++)", 2 * mt * quarter);
    writer_line(w,
                "shared_store_f32(weights + i / %lld * %lld + ((lane & 3) + i %% %lld * 4) * 4, "
                "tile_pair(scores, i %% %lld / 2, %lld, 1, i / %lld, 0)[i %% 2]);",
                quarter, 8 * pitch, quarter, quarter, mt, quarter);
    w->level--;
    writer_line(w, "warp_barrier();");
}

static void emit_values(struct generator *g, struct attention *a)
{
    struct writer *w = scope_writer(g);
    long long rows = 2 * a->l.mt, mt = a->l.mt, pitch = a->l.pitch;
    writer_line(w, "scale_tile(sums, %lld, %lld, 1, factor);", (long long)a->l.depth / 8, mt);
    writer_line(w, "NO_UNROLL");
    writer_open(w, "for (int step = 0; step < %lld; step++) {", (long long)a->l.keys / 4);
    writer_line(w, "struct f32x4 left[%lld];", rows);
    writer_line(w, "UNROLL");
    writer_line(w, "for (int row = 0; row < %lld; row++)", rows);
    writer_line(w, "    left[row] = shared_load_f32x4(weights + row * %lld + step * 16);",
                8 * (long long)a->l.weights_pitch);
    writer_line(w, "UNROLL");
    writer_open(w, "for (int j = 0; j < %lld; j++) {", (long long)a->l.depth / 4);
    writer_line(w,
                "const struct f32x4 right = shared_load_f32x4(keys + %lld + (step * 4 + j %% 4) * "
                "%lld + (j / 4 * 4 + (lane & 3)) * 16);",
                (long long)a->l.stage_bytes / 2, pitch);
    writer_line(w, "UNROLL");
    writer_line(w, "for (int i = 0; i < %lld; i++)", rows * 4);
    writer_line(w,
                "    tile_pair(sums, j / 4 * 2 + i %% 4 / 2, %lld, 1, i / 4, 0)[i %% 2] += "
                "left[i / 4].at[j %% 4] * right.at[i %% 4];",
                mt);
    writer_close(w, "}");
    writer_close(w, "}");
    writer_line(w, "warp_barrier();");
}

void attention_scalar_block(struct generator *g, struct attention *a)
{
    const char *seen = attention_seen(g, a);
    scope_open(g);
    emit_scores(g, a);
    attention_bias_scores(g, a);
    attention_mask(g, a);
    attention_softmax(g, a);
    emit_weights(g, a);
    emit_values(g, a);
    if (seen)
        scope_close(g, "if (%s)", seen);
    else
        scope_close_bare(g);
}

void attention_scalar_result(struct generator *g, struct attention *a)
{
    long long mt = a->l.mt, chunks = a->l.depth / 16;
    attention_shares(g, a);
    scope_open(g);
    struct writer *w = scope_writer(g);
    writer_line(w, "const int row = i / %lld, chunk = i %% %lld * 4 + (lane & 3);", chunks, chunks);
    writer_line(w, "const float *low = tile_pair(sums, i %% %lld * 2, %lld, 1, row, 0);", chunks,
                mt);
    writer_line(w, "const float *high = tile_pair(sums, i %% %lld * 2 + 1, %lld, 1, row, 0);",
                chunks, mt);
    scope_open_conditional(g, g->depth);
    attention_open(g, a->v_query, "query", "warp_query + (lane >> 2) + row * 8");
    writer_line(scope_writer(g), "const struct f32x4 part = {{low[0], low[1], high[0], high[1]}};");
    a->result = "part.at[u]";
    attention_store(g, a, "chunk");
    scope_close(g, "if (warp_query + (lane >> 2) + row * 8 < %lld && chunk * 4 < %lld)",
                (long long)a->l.queries, (long long)a->l.size);
    attention_close_unrolled(
        g, arena_printf(g->arena, "for (int i = 0; i < %lld; i++)", 2 * mt * chunks));
}
