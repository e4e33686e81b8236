/*
 * The products of the skeleton `skinny`, from a stage of weights and a stage (or the staged rows)
 * of %a: fragments of mma, weights on the left; or exact f32, four steps of K at a time.
 */
#include "backends/cuda/skinny.h"

int64_t skinny_sum_count(const struct skinny_shape *s)
{
    return s->mt > 0 ? s->mt * s->nt * 4 : 4 * s->thread_tokens;
}

void skinny_emit_sums(struct generator *g)
{
    struct writer *w = scope_writer(g);
    long long count = (long long)skinny_sum_count(&skinny_of(g)->shape);
    writer_line(w, "float sums[%lld];", count);
    writer_line(w, "UNROLL");
    writer_line(w, "for (int i = 0; i < %lld; i++)", count);
    writer_line(w, "    sums[i] = 0;");
}

/* --- tensor cores --- */

static const char *swizzle_of(const struct skinny_shape *s)
{
    return s->chunks == 8 ? "128" : "64";
}

/* Two n8 tiles an instruction, or the only one. */
static void emit_token_fragments(struct generator *g)
{
    const struct skinny_shape *s = &skinny_of(g)->shape;
    struct writer *w = scope_writer(g);
    const char *row = s->nt == 1 ? "lane % 8" : "(lane % 8 + lane / 16 * 8)";
    long long pitch = (long long)(s->operands.computed ? s->staged_pitch : s->row_bytes);
    if (s->operands.computed)
        writer_line(w,
                    "const shared_t b_at = staged + (shared_t)(%s * %lld + "
                    "((kt * %lld + 2 * kk) + lane / 8 %% 2) * 16);",
                    row, pitch, (long long)s->chunks);
    else
        writer_line(w,
                    "const shared_t b_at = shared + get + (shared_t)(%lld + %s * %lld + "
                    "swizzle_%s(lane %% 8, 2 * kk + lane / 8 %% 2) * 16);",
                    (long long)s->weight_bytes, row, pitch, swizzle_of(s));
    if (s->nt == 1)
        writer_line(w, "ldmatrix_x2(b, b_at);");
    else
        writer_line(w, "right_rows(b, b_at, %lld, %lld);", (long long)s->nt, pitch);
}

static void emit_fragments(struct generator *g)
{
    const struct skinny_shape *s = &skinny_of(g)->shape;
    struct writer *w = scope_writer(g);
    long long mt = (long long)s->mt, nt = (long long)s->nt;
    writer_line(w, "UNROLL");
    writer_open(w, "for (int kk = 0; kk < %lld; kk++) {", (long long)(s->depth / s->deep));
    writer_line(w, "rt_u32 a[%lld], b[%lld];", mt * 4, nt * 2);
    writer_line(w,
                "const shared_t a_at = shared + get + (shared_t)((warp * %lld + lane %% 16) * %lld "
                "+ swizzle_%s(lane %% 16, 2 * kk + lane / 16) * 16);",
                mt * 16, (long long)s->row_bytes, swizzle_of(s));
    writer_line(w, "left_rows(a, a_at, %lld, %lld);", mt, (long long)s->row_bytes);
    if (skinny_rounds(skinny_of(g)))
        writer_line(w, "round_fragments(a, %lld);", mt * 4);
    emit_token_fragments(g);
    writer_line(w, "mma_tile_%s(sums, a, b, %lld, %lld);", dtype_name(s->operands.used), mt, nt);
    writer_close(w, "}");
}

/* --- f32 --- */

static void emit_multiply_adds(struct generator *g)
{
    const struct skinny_shape *s = &skinny_of(g)->shape;
    struct writer *w = scope_writer(g);
    long long rows = (long long)s->row_threads, tokens = (long long)s->thread_tokens;
    long long bytes = (long long)s->row_bytes;
    long long pitch = (long long)(s->operands.computed ? s->staged_pitch : bytes);
    writer_line(w, "UNROLL_BY(2)");
    writer_open(w, "for (int k = 0; k < %lld; k++) {", (long long)s->chunks);
    writer_line(w, "struct f32x4 b[%lld];", tokens);
    const char *from = s->operands.computed
                           ? arena_printf(g->arena, "staged + (shared_t)((kt * %lld + k) * 16",
                                          (long long)s->chunks)
                           : arena_printf(g->arena, "shared + get + (shared_t)(%lld + k * 16",
                                          (long long)s->weight_bytes);
    writer_line(w, "UNROLL");
    writer_line(w, "for (int j = 0; j < %lld; j++)", tokens);
    writer_line(w, "    b[j] = shared_load_f32x4(%s + (thread / %lld + j * %lld) * %lld));", from,
                rows, (long long)s->token_threads, pitch);
    writer_line(w, "UNROLL");
    writer_open(w, "for (int i = 0; i < 4; i++) {");
    writer_line(w,
                "const struct f32x4 a = shared_load_f32x4(shared + get + "
                "(shared_t)((thread %% %lld + i * %lld) * %lld + k * 16));",
                rows, rows, bytes);
    writer_line(w, "UNROLL");
    writer_line(w, "for (int j = 0; j < %lld; j++)", tokens);
    writer_line(w, "    sums[i * %lld + j] = dot_f32x4(a, b[j], sums[i * %lld + j]);", tokens,
                tokens);
    writer_close(w, "}");
    writer_close(w, "}");
}

void skinny_emit_multiply(struct generator *g)
{
    if (skinny_of(g)->shape.mt > 0)
        emit_fragments(g);
    else
        emit_multiply_adds(g);
}

/* --- results --- */

/* "at": where the thread's first sum stands, row `row` of the tile and token `token`. What
 * follows stands at constant distances, see share_tile of ir/gpu_skinny.c. */
static void emit_first_place(struct generator *g)
{
    const struct skinny_shape *s = &skinny_of(g)->shape;
    long long cols = (long long)s->operands.layout.cols;
    const char *slot = "token", *local = "row";
    if (s->operands.partners > 1) {
        slot =
            arena_printf(g->arena, "(row / %lld * %lld + token)", cols, (long long)s->operands.m);
        local = arena_printf(g->arena, "row %% %lld", cols);
    }
    writer_line(scope_writer(g), "const shared_t at = results + (shared_t)((%s * %lld + %s) * 4);",
                slot, (long long)s->result_pitch, local);
}

/* Stores a sum that is `rows` rows and `tokens` tokens from the first. */
static void emit_store(struct generator *g, const char *sum, const char *rows, const char *tokens)
{
    const struct skinny_shape *s = &skinny_of(g)->shape;
    struct writer *w = scope_writer(g);
    long long m = (long long)s->operands.m, cols = (long long)s->operands.layout.cols;
    const char *slot = tokens, *local = rows;
    if (s->operands.partners > 1) {
        slot = arena_printf(g->arena, "(%s) / %lld * %lld + %s", rows, cols, m, tokens);
        local = arena_printf(g->arena, "(%s) %% %lld", rows, cols);
    }
    if (m < s->tokens)
        writer_line(w, "if (token + %s < %lld)", tokens, m);
    writer_line(w, "%sshared_store_f32(at + (shared_t)(((%s) * %lld + %s) * 4), %s);",
                m < s->tokens ? "    " : "", slot, (long long)s->result_pitch, local, sum);
}

static void emit_fragment_results(struct generator *g)
{
    const struct skinny_shape *s = &skinny_of(g)->shape;
    struct writer *w = scope_writer(g);
    long long nt = (long long)s->nt;
    writer_line(w, "const int row = warp * %lld + lane / 4, token = lane %% 4 * 2;",
                (long long)(s->mt * 16));
    emit_first_place(g);
    writer_line(w, "UNROLL");
    writer_open(w, "for (int i = 0; i < %lld; i++) {", (long long)(s->mt * 2));
    writer_line(w, "UNROLL");
    writer_open(w, "for (int j = 0; j < %lld; j++) {", nt * 2);
    emit_store(g,
               arena_printf(g->arena, "sums[(i / 2 * %lld + j / 2) * 4 + i %% 2 * 2 + j %% 2]", nt),
               "i * 8", "j / 2 * 8 + j % 2");
    writer_close(w, "}");
    writer_close(w, "}");
}

static void emit_exact_results(struct generator *g)
{
    const struct skinny_shape *s = &skinny_of(g)->shape;
    struct writer *w = scope_writer(g);
    long long rows = (long long)s->row_threads, tokens = (long long)s->thread_tokens;
    writer_line(w, "const int row = thread %% %lld, token = thread / %lld;", rows, rows);
    emit_first_place(g);
    writer_line(w, "UNROLL");
    writer_open(w, "for (int i = 0; i < 4; i++) {");
    writer_line(w, "UNROLL");
    writer_open(w, "for (int j = 0; j < %lld; j++) {", tokens);
    emit_store(g, arena_printf(g->arena, "sums[i * %lld + j]", tokens),
               arena_printf(g->arena, "i * %lld", rows),
               arena_printf(g->arena, "j * %lld", (long long)s->token_threads));
    writer_close(w, "}");
    writer_close(w, "}");
}

void skinny_emit_results(struct generator *g)
{
    scope_open(g);
    if (skinny_of(g)->shape.mt > 0)
        emit_fragment_results(g);
    else
        emit_exact_results(g);
    scope_close_bare(g);
}
