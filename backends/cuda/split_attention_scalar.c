/*
 * One query position over a cache by FFMA: for one query head a key head, or in f32. Nothing is
 * shared, so keys and values go from memory to registers: `key_lanes` lanes have the chunks of 8
 * columns of one key, a warp reads 32 / key_lanes keys at once, and the lanes of each of those
 * have a maximum and sums of their own until the end.
 */
#include "backends/cuda/split_attention.h"

/* Eight columns of an operand at the open variables, into `to`: vectors where rows allow it. */
static void load_chunk(struct generator *g, struct attention *a, int which, const char *to)
{
    struct cuda_lanes *lanes = &cuda_of(g)->lanes;
    const int64_t *dims = a->l.node->operands[which]->type.dims;
    bool whole = a->l.size % 8 == 0;
    struct index eight = {0};
    if (whole) {
        const char *name = arena_printf(g->arena, "eight%d", which);
        writer_line(scope_writer(g), "const %s %s = chunk;", g->dialect->index_type, name);
        eight = variable_open(g, a->v_column, name, 0, a->l.size / 8 - 1);
    }
    scope_open(g);
    struct index column;
    if (whole) {
        struct index lane = variable_open(g, a->v_lane, "u", 0, 7);
        *lanes = (struct cuda_lanes){lane.terms[0].atom, 8, g->depth, str_create(g->arena)};
        column = index_add(&g->space, index_scale(eight, 8), lane);
    } else {
        scope_open_conditional(g, g->depth);
        column = attention_open(g, a->v_column, "column", "chunk * 8 + u");
    }
    struct index axes[4] = {index_of_atom(g->variables[a->v_batch].atom),
                            index_of_atom(g->variables[which ? a->v_slot : a->v_query].atom),
                            index_of_atom(g->variables[which ? a->v_group : a->v_head].atom),
                            column};
    struct element e =
        value_at(g, a->l.node->operands[which], index_put_together(&g->space, 4, dims, axes));
    writer_line(scope_writer(g), "%s.at[u] = %s;", to, e.text);
    lanes->atom = -1;
    if (!whole)
        scope_close(g, "if (chunk * 8 + u < %lld)", (long long)a->l.size);
    attention_close_unrolled(g, "for (int u = 0; u < 8; u++)");
}

static void clear(struct generator *g, const char *name, long long count)
{
    struct writer *w = scope_writer(g);
    writer_line(w, "UNROLL");
    writer_line(w, "for (int i = 0; i < %lld; i++)", count * 8);
    writer_line(w, "    %s[i / 8].at[i %% 8] = 0;", name);
}

/* The queries, in registers, and empty sums. */
static void emit_begin(struct generator *g, struct attention *a)
{
    long long heads = a->l.part_heads, chunks = a->l.lane_chunks, lanes = a->l.key_lanes;
    struct writer *w = scope_writer(g);
    writer_line(w, "struct f32x8 queries[%lld], sums[%lld];", heads * chunks, heads * chunks);
    writer_line(w, "float top[%lld], sum[%lld];", heads, heads);
    clear(g, "queries", heads * chunks);
    clear(g, "sums", heads * chunks);
    writer_line(w, "UNROLL");
    writer_open(w, "for (int i = 0; i < %lld; i++) {", heads);
    writer_line(w, "top[i] = -m_infinity;");
    writer_line(w, "sum[i] = 0;");
    writer_close(w, "}");
    scope_open(g);
    writer_line(scope_writer(g), "const int chunk = lane %% %lld + i %% %lld * %lld;", lanes,
                chunks, lanes);
    scope_open_conditional(g, g->depth);
    attention_open(g, a->v_query, "query", "0");
    attention_open(g, a->v_head, "head", arena_printf(g->arena, "first_head + i / %lld", chunks));
    load_chunk(g, a, 0, "queries[i]");
    scope_close(g, "if (i / %lld < heads && chunk * 8 < %lld)", chunks, (long long)a->l.size);
    attention_close_unrolled(
        g, arena_printf(g->arena, "for (int i = 0; i < %lld; i++)", heads * chunks));
}

/* Keys and values of this lane, zeros where the query does not see the key. */
static void emit_loads(struct generator *g, struct attention *a)
{
    long long chunks = a->l.lane_chunks, lanes = a->l.key_lanes, ahead = a->l.ahead;
    struct writer *w = scope_writer(g);
    writer_line(w, "struct f32x8 right[%lld], values[%lld];", ahead * chunks, ahead * chunks);
    writer_line(w, "int places[%lld], seen[%lld];", ahead, ahead);
    clear(g, "right", ahead * chunks);
    clear(g, "values", ahead * chunks);
    scope_open(g);
    w = scope_writer(g);
    writer_line(w, "const int slot = key + (step * %lld + i / %lld) * %lld + lane / %lld;", ahead,
                chunks, 32 / lanes, lanes);
    attention_ahead(g, a, "warp_query");
    writer_line(w, "const int chunk = lane %% %lld + i %% %lld * %lld;", lanes, chunks, lanes);
    writer_line(w, "places[i / %lld] = slot;", chunks);
    writer_line(w, "seen[i / %lld] = slot < last_key && %s;", chunks, attention_visible(g, a));
    scope_open_conditional(g, g->depth);
    attention_open(g, a->v_slot, "place", "slot");
    load_chunk(g, a, 1, "right[i]");
    load_chunk(g, a, 2, "values[i]");
    scope_close(g, "if (seen[i / %lld] && chunk * 8 < %lld)", chunks, (long long)a->l.size);
    attention_close_unrolled(
        g, arena_printf(g->arena, "for (int i = 0; i < %lld; i++)", ahead * chunks));
}

static const char *bias_text(struct generator *g, struct attention *a)
{
    if (!a->bias)
        return "";
    long long heads = a->l.heads - 1, slots = a->l.slots - 1;
    struct index query = attention_open(g, a->v_query, "query", "0");
    struct index head = attention_open(
        g, a->v_head, "head",
        arena_printf(g->arena, "first_head + h < %lld ? first_head + h : %lld", heads, heads));
    struct index slot =
        attention_open(g, a->v_slot, "slot",
                       arena_printf(g->arena, "places[i] < %lld ? places[i] : %lld", slots, slots));
    struct element e = attention_bias(g, a, head, query, slot);
    return arena_printf(g->arena, " + %s * 1.44269504f", e.text);
}

/* The scores of head h, in powers of two. */
static void emit_scores(struct generator *g, struct attention *a)
{
    long long chunks = a->l.lane_chunks;
    scope_open(g);
    struct writer *w = scope_writer(g);
    writer_line(w, "float score = 0;");
    writer_line(w, "UNROLL");
    writer_line(w, "for (int c = 0; c < %lld; c++)", chunks * 8);
    writer_line(
        w,
        "    score += queries[h * %lld + c / 8].at[c %% 8] * right[i * %lld + c / 8].at[c %% "
        "8];",
        chunks, chunks);
    writer_line(w, "UNROLL");
    writer_line(w, "for (int distance = 1; distance < %lld; distance *= 2)",
                (long long)a->l.key_lanes);
    writer_line(w, "    score += shuffle_xor_f32(score, distance);");
    const char *bias = bias_text(g, a);
    writer_line(w, "scores[i] = seen[i] ? score * %s%s : -m_infinity;", attention_scale(g, a),
                bias);
    writer_line(w, "largest = scores[i] > largest ? scores[i] : largest;");
    attention_close_unrolled(
        g, arena_printf(g->arena, "for (int i = 0; i < %lld; i++)", (long long)a->l.ahead));
}

static void emit_head(struct generator *g, struct attention *a)
{
    long long chunks = a->l.lane_chunks, ahead = a->l.ahead;
    scope_open(g);
    struct writer *w = scope_writer(g);
    writer_line(w, "float scores[%lld], largest = top[h], total = 0;", ahead);
    emit_scores(g, a);
    writer_line(w, "const float base = largest == -m_infinity ? 0.0f : largest;");
    writer_line(w, "const float factor = exp2_fast(top[h] - base);");
    writer_line(w, "top[h] = largest;");
    writer_line(w, "UNROLL");
    writer_line(w, "for (int c = 0; c < %lld; c++)", chunks * 8);
    writer_line(w, "    sums[h * %lld + c / 8].at[c %% 8] *= factor;", chunks);
    writer_line(w, "UNROLL");
    writer_open(w, "for (int i = 0; i < %lld; i++) {", ahead);
    writer_line(w, "const float weight = exp2_fast(scores[i] - base);");
    writer_line(w, "total += weight;");
    writer_line(w, "UNROLL");
    writer_line(w, "for (int c = 0; c < %lld; c++)", chunks * 8);
    writer_line(
        w,
        "    sums[h * %lld + c / 8].at[c %% 8] += weight * values[i * %lld + c / 8].at[c %% "
        "8];",
        chunks, chunks);
    writer_close(w, "}");
    writer_line(w, "sum[h] = sum[h] * factor + total;");
    attention_close_unrolled(
        g, arena_printf(g->arena, "for (int h = 0; h < %lld; h++)", (long long)a->l.part_heads));
}

static void emit_keys(struct generator *g, struct attention *a)
{
    long long steps = a->l.warp_keys * a->l.key_lanes / 32 / a->l.ahead;
    scope_open(g);
    writer_line(scope_writer(g), "const int key = first_key + block * %lld + warp * %lld;",
                (long long)a->l.keys, (long long)a->l.warp_keys);
    scope_open(g);
    emit_loads(g, a);
    emit_head(g, a);
    writer_line(&g->scopes[g->depth - 1].writer, "NO_UNROLL");
    scope_close(g, "for (int step = 0; step < %lld; step++)", steps);
    writer_line(&g->scopes[g->depth - 1].writer, "NO_UNROLL");
    scope_close(g, "for (int block = begin; block < end; block++)");
}

/* Joins the lanes that have the same columns of different keys. */
static void emit_lanes(struct generator *g, struct attention *a)
{
    struct writer *w = scope_writer(g);
    long long chunks = a->l.lane_chunks;
    if (a->l.key_lanes == 32)
        return;
    writer_line(w, "UNROLL");
    writer_open(w, "for (int h = 0; h < %lld; h++) {", (long long)a->l.part_heads);
    writer_line(w, "UNROLL");
    writer_open(w, "for (int distance = %lld; distance < 32; distance *= 2) {",
                (long long)a->l.key_lanes);
    writer_line(w, "const float other = shuffle_xor_f32(top[h], distance);");
    writer_line(w, "const float largest = other > top[h] ? other : top[h];");
    writer_line(w, "const float base = largest == -m_infinity ? 0.0f : largest;");
    writer_line(w, "const float own = exp2_fast(top[h] - base), factor = exp2_fast(other - base);");
    writer_line(w, "top[h] = largest;");
    writer_line(w, "sum[h] = sum[h] * own + shuffle_xor_f32(sum[h], distance) * factor;");
    writer_line(w, "UNROLL");
    writer_open(w, "for (int c = 0; c < %lld; c++) {", chunks * 8);
    writer_line(w, "float *column = &sums[h * %lld + c / 8].at[c %% 8];", chunks);
    writer_line(w, "*column = *column * own + shuffle_xor_f32(*column, distance) * factor;");
    writer_close(w, "}");
    writer_close(w, "}");
    writer_close(w, "}");
}

/* Halves of a chunk in turns, so that 8 lanes write to different banks. */
static void emit_part(struct generator *g, struct attention *a)
{
    struct writer *w = scope_writer(g);
    long long heads = a->l.part_heads, chunks = a->l.lane_chunks, lanes = a->l.key_lanes;
    writer_line(w, "UNROLL");
    writer_open(w, "for (int i = 0; i < %lld; i++) {", heads * chunks * 2);
    writer_line(w, "const int h = i / %lld, second = (lane >> 2 & 1) ^ (i & 1);", chunks * 2);
    writer_line(w, "const int chunk = lane %% %lld + i / 2 %% %lld * %lld;", lanes, chunks, lanes);
    writer_line(w, "struct f32x4 half;");
    writer_line(w, "UNROLL");
    writer_line(w, "for (int u = 0; u < 4; u++)");
    writer_line(w, "    half.at[u] = second ? sums[i / 2].at[u + 4] : sums[i / 2].at[u];");
    writer_open(w, "if (lane < %lld && chunk * 8 < %lld)", lanes, (long long)a->l.depth);
    writer_line(w,
                "shared_store_f32x4(shared + (warp * %lld + h) * %lld + chunk * 32 + second * 16, "
                "half);",
                heads, (long long)a->l.result_pitch);
    w->level--;
    writer_close(w, "}");
    writer_line(w, "UNROLL");
    writer_open(w, "for (int h = 0; h < %lld; h++) {", heads);
    writer_line(w, "const struct f32x2 mark = {{top[h], sum[h]}};");
    writer_line(w, "if (lane == 0)");
    writer_line(w, "    shared_store_f32x2(marks + (warp * %lld + h) * 8, mark);", heads);
    writer_close(w, "}");
}

void split_attention_scalar(struct generator *g, struct attention *a)
{
    emit_begin(g, a);
    emit_keys(g, a);
    emit_lanes(g, a);
    emit_part(g, a);
}
