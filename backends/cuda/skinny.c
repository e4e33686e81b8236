/*
 * The skeleton `skinny`: a product of 2 to 64 rows. The weights are the rows of the tile, the
 * rows of %a (tokens) its columns, so that few of them waste little of the tensor cores. A ring
 * of stages in shared memory is filled by asynchronous copies, one barrier a stage; the stages
 * are on their way before the prologue computes %a. Parts of K may belong to different blocks:
 * the last one to finish adds the sums in order of the parts.
 */
#include "backends/cuda/skinny.h"

static int64_t stage_bytes(const struct skinny_shape *s)
{
    return s->weight_bytes + s->token_bytes;
}

/* --- what is staged at once --- */

static int64_t element_bytes(const struct skinny_shape *s)
{
    return 16 / s->chunk;
}

/* "staged + ...": of row and step of the block's part of K. */
static const char *staged_place(struct generator *g, struct index row, struct index step)
{
    const struct skinny_shape *s = &skinny_of(g)->shape;
    struct index all = index_add(&g->space, index_scale(row, s->staged_pitch),
                                 index_scale(step, element_bytes(s)));
    const char *first = s->split > 1 ? arena_printf(g->arena, " - first * %lld",
                                                    (long long)(s->depth * element_bytes(s)))
                                     : "";
    return arena_printf(g->arena, "staged + (shared_t)(%s%s)", index_text(&g->space, &all), first);
}

static void stage(struct generator *g, struct index row, struct index step, struct element element)
{
    const struct skinny_shape *s = &skinny_of(g)->shape;
    struct cuda_lanes *lanes = &cuda_of(g)->lanes;
    const char *used = dtype_name(s->operands.used);
    struct index rest;
    bool half = element_bytes(s) == 2;
    if (!cuda_lanes_of(g, &step, &rest) || lanes->count != s->chunk) {
        const char *text =
            half ? arena_printf(g->arena, "to_%s(%s)", used, element.text) : element.text;
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
        writer_line(&after, "shared_store_16(%s, pack_%sx8(%s));", place, used, name);
    else
        writer_line(&after, "shared_store_f32x4(%s, %s);", place, name);
    lanes->stores = after.text;
}

/* Zeros behind K, and rows of zeros behind the last. */
static void emit_padding(struct generator *g)
{
    const struct skinny_shape *s = &skinny_of(g)->shape;
    struct writer *w = scope_writer(g);
    long long part = (long long)(s->part_steps * s->depth), m = (long long)s->operands.m;
    long long threads = (long long)cuda_of(g)->threads;
    if (part * s->split != s->operands.k) {
        const char *first =
            s->split > 1 ? arena_printf(g->arena, " - first * %lld", (long long)s->depth) : "";
        writer_line(w, "NO_UNROLL");
        writer_line(w, "for (int i = thread; i < %lld; i += %lld)", m * part, threads);
        writer_line(w, "    if (i %% %lld >= %lld%s)", part, (long long)s->operands.k, first);
        writer_line(
            w,
            "        shared_store_%s(staged + (shared_t)(i / %lld * %lld + i %% %lld * %lld), 0);",
            element_bytes(s) == 2 ? "u16" : "f32", part, (long long)s->staged_pitch, part,
            (long long)element_bytes(s));
    }
    if (m == s->tokens)
        return;
    long long words = (long long)(s->staged_pitch / 4);
    writer_line(w, "NO_UNROLL");
    writer_line(w, "for (int i = thread; i < %lld; i += %lld)", (s->tokens - m) * words, threads);
    writer_line(w, "    shared_store_u32(staged + (shared_t)(%lld + i * 4), 0);",
                m * (long long)s->staged_pitch);
}

/* --- the kernel --- */

static void emit_names(struct generator *g)
{
    const struct skinny_shape *s = &skinny_of(g)->shape;
    struct writer *w = scope_writer(g);
    writer_line(w, "const shared_t shared = shared_window(), results = shared;");
    if (s->operands.computed)
        writer_line(w, "const shared_t staged = shared + %lld;", (long long)s->staged_at);
    if (s->operands.reductions)
        writer_line(w, "const shared_t statistics = shared + %lld;", (long long)s->statistics_at);
    if (s->split == 1) {
        writer_line(w, "const int block = block_index();");
        return;
    }
    long long split = (long long)s->split, part_steps = (long long)s->part_steps;
    long long left = (long long)(s->steps - (s->split - 1) * s->part_steps);
    writer_line(w, "const int block = block_index() / %lld, part = block_index() %% %lld;", split,
                split);
    writer_line(w, "const int first = part * %lld;", part_steps);
    if (left != part_steps)
        writer_line(w, "const int count = part + 1 < %lld ? %lld : %lld;", split, part_steps, left);
}

/* The steps of the block's part: a number, or the name of one. */
static const char *step_count(struct generator *g)
{
    const struct skinny_shape *s = &skinny_of(g)->shape;
    bool even = s->split * s->part_steps == s->steps || s->split == 1;
    return even ? number_text(g, s->part_steps) : "count";
}

static void emit_first_stages(struct generator *g)
{
    const struct skinny_shape *s = &skinny_of(g)->shape;
    struct writer *w = scope_writer(g);
    long long stages = (long long)s->stages;
    writer_line(w, "UNROLL");
    writer_open(w, "for (int stage = 0; stage < %lld; stage++) {", stages - 1);
    writer_open(w, "if (stage < %s) {", step_count(g));
    writer_line(w, "const shared_t put = (shared_t)(stage * %lld);", (long long)stage_bytes(s));
    skinny_emit_copies(g, "stage");
    writer_close(w, "}");
    writer_line(w, "copy_async_commit();");
    writer_close(w, "}");
}

static void emit_advance(struct generator *g, const char *name)
{
    const struct skinny_shape *s = &skinny_of(g)->shape;
    writer_line(scope_writer(g), "%s = %s == %lld ? 0 : %s + %lld;", name, name,
                (long long)((s->stages - 1) * stage_bytes(s)), name, (long long)stage_bytes(s));
}

static void emit_stages(struct generator *g)
{
    const struct skinny_shape *s = &skinny_of(g)->shape;
    struct writer *w = scope_writer(g);
    long long ahead = (long long)s->stages - 1;
    writer_line(w, "shared_t get = 0, put = %lld;", ahead * (long long)stage_bytes(s));
    writer_line(w, "NO_UNROLL");
    writer_open(w, "for (int kt = 0; kt < %s; kt++) {", step_count(g));
    writer_line(w, "copy_async_wait(%lld);", ahead - 1);
    writer_line(w, "block_barrier();");
    writer_open(w, "if (kt + %lld < %s) {", ahead, step_count(g));
    skinny_emit_copies(g, arena_printf(g->arena, "kt + %lld", ahead));
    writer_close(w, "}");
    writer_line(w, "copy_async_commit();");
    skinny_emit_multiply(g);
    emit_advance(g, "get");
    emit_advance(g, "put");
    writer_close(w, "}");
    writer_line(w, "copy_async_wait(0);");
    writer_line(w, "block_barrier();");
}

/* Each block of a split hands over its sums; the last one goes on with all of them. */
static void emit_handover(struct generator *g)
{
    const struct skinny_shape *s = &skinny_of(g)->shape;
    struct writer *w = scope_writer(g);
    long long threads = (long long)cuda_of(g)->threads, count = (long long)skinny_sum_count(s);
    long long split = (long long)s->split;
    if (split == 1)
        return;
    cuda_of(g)->workspace = cuda_of(g)->counters = true;
    writer_line(w, "g_f32 *parts = workspace + (rt_i64)block * %lld + thread * 4;",
                split * threads * count);
    writer_line(w, "publish_sums(parts + part * %lld, sums, %lld, %lld);", threads * count, count,
                threads);
    writer_line(w, "if (!publish_last(counters + block, %lld))", split);
    writer_line(w, "    return;");
    long long some = 32; /* that are collected at a time */
    while (count % some != 0)
        some /= 2;
    writer_line(w, "collect_sums(sums, parts, %lld, %lld, %lld, %lld, %lld);", count, some, threads,
                split, threads * count);
}

static void emit_body(struct generator *g)
{
    const struct skinny_shape *s = &skinny_of(g)->shape;
    emit_names(g);
    few_declare(g);
    if (!s->operands.decoded)
        few_declare_weights(g);
    skinny_emit_pointers(g);
    emit_first_stages(g);
    if (s->operands.computed) {
        few_emit_reductions(g);
        few_emit_staging(g);
        emit_padding(g);
    }
    skinny_emit_sums(g);
    emit_stages(g);
    emit_handover(g);
    skinny_emit_results(g);
    writer_line(scope_writer(g), "block_barrier();");
    few_emit_epilogues(g);
}

void cuda_emit_skinny(struct generator *g)
{
    struct skinny *skinny = arena_new(g->arena, struct skinny);
    struct skinny_shape *s = &skinny->shape;
    if (!skinny_shape(g->arena, g->function, g->kernel, s))
        fatal(INTERNAL, "a kernel skinny is not what its skeleton allows", g->kernel->name);
    skinny->few = (struct few){.operands = &s->operands,
                               .team = s->team,
                               .vector = s->chunk,
                               .stage = s->operands.computed ? stage : NULL,
                               .pitch = s->result_pitch,
                               .wanted = kernel_int(g, vector)};
    if (s->split > 1)
        skinny->few.window = (struct nest_window){
            REDUCED, arena_printf(g->arena, "first * %lld", (long long)s->depth),
            s->part_steps * s->depth};
    g->skeleton = skinny;
    cuda_of(g)->mma_count = (int)skinny_mma_count(s);
    cuda_of(g)->blocks = s->operands.layout.tiles * s->split;
    cuda_of(g)->shared = s->shared_bytes;
    skinny_find_tokens(g);
    few_prepare(g, &skinny->few);
    emit_body(g);
}
