/*
 * The skeleton `gemv`: a product of few rows. The rows of %a wait in shared memory; each warp
 * streams its columns of weights past them, 16 bytes a lane at a time, with the next batch of
 * loads on its way while one is multiplied. The first batch starts before the prologue. Sums of
 * the lanes meet in shuffles of fixed order.
 */
#include "backends/cuda/few.h"

/* First in the skeleton's data, for few_of. */
struct gemv {
    struct few few;
    struct gemv_shape shape;
    bool whole; /* every load of a lane is inside its row */
};

#define shape_of(g) (&((struct gemv *)(g)->skeleton)->shape)

static int64_t staged_bytes(const struct gemv_shape *s)
{
    return dtype_bits(s->staged) / 8;
}

/* Rows of f32 that are read eight neighbours at a time are kept in halves (lib/gemv.cuh). */
static bool halved(const struct gemv_shape *s)
{
    return s->staged == DTYPE_f32 && s->vector == 8;
}

/* --- the rows of %a --- */

static const char *staged_place(struct generator *g, struct index row, struct index step)
{
    const struct gemv_shape *s = shape_of(g);
    int64_t bytes = staged_bytes(s);
    row = index_scale(row, s->depth * bytes);
    if (halved(s)) {
        const char *place =
            arena_printf(g->arena, "halved_place(%s)", index_text(&g->space, &step));
        if (row.count == 0)
            return arena_printf(g->arena, "shared + %s", place);
        return arena_printf(g->arena, "shared + (shared_t)(%s) + %s", index_text(&g->space, &row),
                            place);
    }
    struct index all = index_add(&g->space, row, index_scale(step, bytes));
    return arena_printf(g->arena, "shared + (shared_t)(%s)", index_text(&g->space, &all));
}

/* One chunk of 16 bytes where the thread has the whole of it, else an element. */
static void stage(struct generator *g, struct index row, struct index step, struct element element)
{
    const struct gemv_shape *s = shape_of(g);
    struct cuda_lanes *lanes = &cuda_of(g)->lanes;
    struct index rest;
    bool half = staged_bytes(s) == 2;
    if (!cuda_lanes_of(g, &step, &rest) || lanes->count * staged_bytes(s) != 16) {
        const char *text =
            half ? arena_printf(g->arena, "to_%s(%s)", dtype_name(s->staged), element.text)
                 : element.text;
        writer_line(scope_writer(g), "shared_store_%s(%s, %s);", half ? "u16" : "f32",
                    staged_place(g, row, step), text);
        return;
    }
    few_collect_lane(g, element);
    struct writer after = {.text = lanes->stores,
                           .level = g->scopes[lanes->depth - 1].writer.level};
    const char *name = arena_printf(g->arena, "s%d", g->temporaries);
    const char *place = staged_place(g, row, rest);
    if (half)
        writer_line(&after, "shared_store_16(%s, pack_%sx8(%s));", place, dtype_name(s->staged),
                    name);
    else
        writer_line(&after, "shared_store_f32x4(%s, %s);", place, name);
    lanes->stores = after.text;
}

/* Zeros from K to the padded depth. */
static void emit_padding(struct generator *g)
{
    const struct gemv_shape *s = shape_of(g);
    long long m = (long long)s->operands.m, k = (long long)s->operands.k;
    long long pad = (long long)s->depth - k;
    if (pad == 0)
        return;
    struct writer *w = scope_writer(g);
    const char *row = "shared", *step = arena_printf(g->arena, "%lld + i", k);
    if (m > 1) {
        row = arena_printf(g->arena, "shared + (shared_t)(i / %lld * %lld)", pad,
                           (long long)(s->depth * staged_bytes(s)));
        step = arena_printf(g->arena, "%lld + i %% %lld", k, pad);
    }
    writer_line(w, "NO_UNROLL");
    writer_open(w, "for (int i = thread; i < %lld; i += %lld)", m * pad,
                (long long)cuda_of(g)->threads);
    if (halved(s))
        writer_line(w, "shared_store_f32(%s + halved_place(%s), 0);", row, step);
    else
        writer_line(w, "shared_store_%s(%s + (shared_t)((%s) * %d), 0);",
                    staged_bytes(s) == 2 ? "u16" : "f32", row, step, (int)staged_bytes(s));
    w->level--;
}

/* --- the weights --- */

/* Where the columns of group `group` of this warp begin, at this lane's elements. */
static void emit_pointers(struct generator *g, const char *group)
{
    const struct gemv_shape *s = shape_of(g);
    struct writer *w = scope_writer(g);
    writer_line(w, "UNROLL");
    writer_open(w, "for (int c = 0; c < %lld; c++) {", (long long)s->columns);
    const char *warp = "warp";
    if (s->groups > 1)
        warp = arena_printf(g->arena, "(%s * %lld + warp)", group, (long long)s->warps);
    writer_line(w, "const int local = %s * %lld + c;", warp, (long long)s->columns);
    const char *column = few_column(g, "local");
    for (int p = 0; p < s->operands.partners; p++)
        writer_line(w, "from[%s%s] = weights%d + (%s)%s * %s + lane * %lld;",
                    p ? arena_printf(g->arena, "%lld + ", (long long)(p * s->columns)) : "", "c", p,
                    g->dialect->index_type, column, few_stride(g), (long long)s->vector);
    writer_close(w, "}");
}

static void emit_one_load(struct generator *g, const char *to, const char *from)
{
    const struct gemv *gemv = g->skeleton;
    const struct gemv_shape *s = &gemv->shape;
    struct writer *w = scope_writer(g);
    const char *stored = dtype_name(s->operands.stored);
    long long k = (long long)s->operands.k, vector = (long long)s->vector;
    bool aligned = few_aligned(&gemv->few);
    if (gemv->whole && aligned) {
        writer_line(w, "%s = load16_stream(%s);", to, from);
        return;
    }
    writer_line(w, "const int left = %lld - step * %lld - lane * %lld;", k, vector * 32, vector);
    const char *part = arena_printf(g->arena, "load16_part_%s(%s, left)", stored, from);
    if (!aligned)
        writer_line(w, "%s = %s;", to, part);
    else
        writer_line(w, "%s = left >= %lld ? load16_stream(%s) : %s;", to, vector, from,
                    k % vector ? part : "zero16()");
}

/* Starts the loads of a batch of all columns that `from` names. */
static void emit_loads(struct generator *g, const char *batch)
{
    const struct gemv_shape *s = shape_of(g);
    struct writer *w = scope_writer(g);
    const char *first = "";
    if (batch[0] != '0')
        first = arena_printf(g->arena, "%s * %lld + ", batch, (long long)s->loads);
    writer_line(w, "UNROLL");
    writer_open(w, "for (int c = 0; c < %lld; c++) {",
                (long long)(s->columns * s->operands.partners));
    writer_line(w, "UNROLL");
    writer_open(w, "for (int l = 0; l < %lld; l++) {", (long long)s->loads);
    writer_line(w, "const int step = %sl;", first);
    emit_one_load(g, "next[c][l]",
                  arena_printf(g->arena, "from[c] + step * %lld", (long long)(s->vector * 32)));
    writer_close(w, "}");
    writer_close(w, "}");
}

/* --- the sums --- */

static const char *row_text(struct generator *g, int64_t row)
{
    const struct gemv_shape *s = shape_of(g);
    int64_t offset = row * s->depth * staged_bytes(s);
    return offset ? arena_printf(g->arena, "shared + %lld", (long long)offset) : "shared";
}

static void emit_rows(struct generator *g)
{
    const struct gemv_shape *s = shape_of(g);
    struct writer *w = scope_writer(g);
    const char *type = s->vector == 8 ? "f32x8" : "f32x4";
    for (int64_t m = 0; m < s->operands.m; m++) {
        const char *load;
        const char *place =
            arena_printf(g->arena, "%s + (shared_t)((step * 32 + lane) * 16)", row_text(g, m));
        if (halved(s))
            load = arena_printf(g->arena, "shared_load_halves(%s, step, lane)", row_text(g, m));
        else if (s->vector == 8)
            load = arena_printf(g->arena, "widen_%sx8(shared_load_16(%s))", dtype_name(s->staged),
                                place);
        else
            load = arena_printf(g->arena, "shared_load_f32x4(%s)", place);
        writer_line(w, "const struct %s a%lld = %s;", type, (long long)m, load);
    }
}

/* A chunk of weights as the numbers that are multiplied. */
static const char *weights_text(struct generator *g)
{
    const struct few_operands *o = &shape_of(g)->operands;
    if (o->stored != DTYPE_f32)
        return arena_printf(g->arena, "widen_%sx8(now[c][l])", dtype_name(o->stored));
    if (o->used == DTYPE_f32)
        return "f32x4_of_words(now[c][l])";
    return arena_printf(g->arena, "round_%sx4(f32x4_of_words(now[c][l]))", dtype_name(o->used));
}

/* Chunks of weights that no load gives, an element at a time. */
static void emit_decoded_products(struct generator *g)
{
    const struct gemv_shape *s = shape_of(g);
    struct writer *w = scope_writer(g);
    long long vector = (long long)s->vector, columns = (long long)s->columns;
    const char *warp = "warp";
    if (s->groups > 1)
        warp = arena_printf(g->arena, "(group * %lld + warp)", (long long)s->warps);
    writer_line(w, "UNROLL");
    writer_open(w, "for (int c = 0; c < %lld; c++) {", columns);
    writer_line(w, "const int local = %s * %lld + c;", warp, columns);
    few_column(g, "local");
    for (int p = 0; p < s->operands.partners; p++) {
        writer_line(w, "struct f32x%lld b%d;", vector, p);
        writer_line(w, "UNROLL");
        scope_open(g);
        struct writer *inner = scope_writer(g);
        writer_line(inner, "const int k = step * %lld + lane * %lld + e;", vector * 32, vector);
        few_emit_weight(g, p);
        writer_line(inner, "b%d.at[e] = weight;", p);
        scope_close(g, "for (int e = 0; e < %lld; e++)", vector);
        for (int64_t m = 0; m < s->operands.m; m++)
            writer_line(w, "sum[c + %lld][%lld] = dot_f32x%lld(b%d, a%lld, sum[c + %lld][%lld]);",
                        p * columns, (long long)m, vector, p, (long long)m, p * columns,
                        (long long)m);
    }
    writer_close(w, "}");
}

static void emit_products(struct generator *g)
{
    const struct gemv_shape *s = shape_of(g);
    struct writer *w = scope_writer(g);
    const char *type = s->vector == 8 ? "f32x8" : "f32x4";
    writer_line(w, "UNROLL");
    writer_open(w, "for (int l = 0; l < %lld; l++) {", (long long)s->loads);
    writer_line(w, "const int step = batch * %lld + l;", (long long)s->loads);
    emit_rows(g);
    if (s->operands.decoded) {
        emit_decoded_products(g);
        writer_close(w, "}");
        return;
    }
    writer_line(w, "UNROLL");
    writer_open(w, "for (int c = 0; c < %lld; c++) {",
                (long long)(s->columns * s->operands.partners));
    writer_line(w, "const struct %s b = %s;", type, weights_text(g));
    for (int64_t m = 0; m < s->operands.m; m++)
        writer_line(w, "sum[c][%lld] = dot_%s(b, a%lld, sum[c][%lld]);", (long long)m, type,
                    (long long)m, (long long)m);
    writer_close(w, "}");
    writer_close(w, "}");
}

/* What comes after a batch: the next of these columns, or the first of the next ones. */
static void emit_next(struct generator *g)
{
    const struct gemv_shape *s = shape_of(g);
    struct writer *w = scope_writer(g);
    if (s->batches > 1) {
        writer_open(w, "if (batch + 1 < %lld) {", (long long)s->batches);
        emit_loads(g, "(batch + 1)");
        writer_close(w, s->groups > 1 ? "} else" : "}");
    }
    if (s->groups > 1) {
        writer_open(w, "if (group + 1 < %lld) {", (long long)s->groups);
        emit_pointers(g, "(group + 1)");
        emit_loads(g, "0");
        writer_close(w, "}");
    }
}

static void emit_batches(struct generator *g)
{
    const struct gemv_shape *s = shape_of(g);
    struct writer *w = scope_writer(g);
    long long columns = (long long)(s->columns * s->operands.partners), loads = (long long)s->loads;
    writer_line(w, "NO_UNROLL");
    writer_open(w, "for (int batch = 0; batch < %lld; batch++) {", (long long)s->batches);
    if (s->operands.decoded) {
        emit_products(g);
        writer_close(w, "}");
        return;
    }
    writer_line(w, "struct u32x4 now[%lld][%lld];", columns, loads);
    writer_line(w, "UNROLL");
    writer_open(w, "for (int c = 0; c < %lld; c++) {", columns);
    writer_line(w, "UNROLL");
    writer_line(w, "for (int l = 0; l < %lld; l++)", loads);
    writer_line(w, "    now[c][l] = next[c][l];");
    writer_close(w, "}");
    emit_next(g);
    emit_products(g);
    writer_close(w, "}");
}

/* Lane 0 writes the sums of the warp's columns to the block of results. */
static void emit_sums(struct generator *g)
{
    const struct gemv_shape *s = shape_of(g);
    struct writer *w = scope_writer(g);
    long long columns = (long long)s->columns, cols = (long long)s->operands.layout.cols;
    long long m = (long long)s->operands.m;
    writer_line(w, "UNROLL");
    writer_open(w, "for (int c = 0; c < %lld; c++) {", columns * (long long)s->operands.partners);
    const char *warp = s->groups > 1
                           ? arena_printf(g->arena, "(group * %lld + warp)", (long long)s->warps)
                           : "warp";
    writer_line(w, "const int local = %s * %lld + c %% %lld;", warp, columns, columns);
    writer_line(w, "UNROLL");
    writer_open(w, "for (int m = 0; m < %lld; m++) {", m);
    writer_line(w, "const float total = warp_sum_f32(sum[c][m]);");
    bool beyond = s->groups * s->warps * columns > cols;
    writer_line(w, "if (lane == 0%s)",
                beyond ? arena_printf(g->arena, " && local < %lld", cols) : "");
    writer_line(w,
                "    shared_store_f32(results + "
                "(shared_t)(((c / %lld * %lld + m) * %lld + local) * 4), total);",
                columns, m, cols);
    writer_close(w, "}");
    writer_close(w, "}");
}

static void emit_groups(struct generator *g)
{
    const struct gemv_shape *s = shape_of(g);
    struct writer *w = scope_writer(g);
    long long columns = (long long)(s->columns * s->operands.partners);
    if (s->groups > 1) {
        writer_line(w, "NO_UNROLL");
        writer_open(w, "for (int group = 0; group < %lld; group++) {", (long long)s->groups);
    }
    writer_line(w, "float sum[%lld][%lld];", columns, (long long)s->operands.m);
    writer_line(w, "UNROLL");
    writer_open(w, "for (int c = 0; c < %lld; c++) {", columns);
    writer_line(w, "UNROLL");
    writer_line(w, "for (int m = 0; m < %lld; m++)", (long long)s->operands.m);
    writer_line(w, "    sum[c][m] = 0;");
    writer_close(w, "}");
    emit_batches(g);
    emit_sums(g);
    if (s->groups > 1)
        writer_close(w, "}");
}

/* The loads of the first batch start before the prologue. */
static void emit_first_loads(struct generator *g)
{
    const struct gemv_shape *s = shape_of(g);
    struct writer *w = scope_writer(g);
    long long columns = (long long)(s->columns * s->operands.partners);
    few_declare_weights(g);
    writer_line(w, "const %s *from[%lld];", cuda_cell(s->operands.stored), columns);
    writer_line(w, "struct u32x4 next[%lld][%lld];", columns, (long long)s->loads);
    emit_pointers(g, "0");
    emit_loads(g, "0");
}

static void emit_body(struct generator *g)
{
    const struct gemv_shape *s = shape_of(g);
    struct writer *w = scope_writer(g);
    writer_line(w, "const shared_t shared = shared_window();");
    if (s->operands.reductions)
        writer_line(w, "const shared_t statistics = shared + %lld;", (long long)s->statistics_at);
    writer_line(w, "const shared_t results = shared + %lld;", (long long)s->results_at);
    writer_line(w, "const int block = block_index();");
    few_declare(g);
    if (!s->operands.decoded)
        emit_first_loads(g);
    few_emit_reductions(g);
    few_emit_staging(g);
    emit_padding(g);
    writer_line(w, "block_barrier();");
    emit_groups(g);
    writer_line(w, "block_barrier();");
    few_emit_epilogues(g);
}

void cuda_emit_gemv(struct generator *g)
{
    struct gemv *gemv = arena_new(g->arena, struct gemv);
    struct gemv_shape *s = &gemv->shape;
    if (!gemv_shape(g->arena, g->function, g->kernel, s))
        fatal(INTERNAL, "a kernel gemv is not what its skeleton allows", g->kernel->name);
    gemv->few = (struct few){.operands = &s->operands,
                             .team = s->team,
                             .vector = s->staged == DTYPE_f32 ? 4 : 8,
                             .stage = stage,
                             .pitch = s->operands.layout.cols,
                             .wanted = 1};
    gemv->whole = s->operands.k == s->depth;
    g->skeleton = gemv;
    cuda_of(g)->mma_count = 0;
    cuda_of(g)->blocks = s->operands.layout.tiles;
    cuda_of(g)->shared = s->shared_bytes;
    few_prepare(g, &gemv->few);
    emit_body(g);
}
