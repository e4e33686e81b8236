/*
 * The skeleton `matmul` on GPUs: see matmul.h. Block number to tile: the parts of a split are
 * neighbours, `band` row tiles run together before the next column tile, so that what a wave of
 * blocks reads stays in L2. A split's parts publish their sums; the last block to finish adds
 * them in order of the parts and does the epilogue.
 */
#include "backends/cuda/matmul.h"

/* --- which tile --- */

static void declare_band(struct generator *g, const struct gpu_tile *t, const char *place)
{
    struct writer *w = scope_writer(g);
    long long band = (long long)t->band, rows = (long long)t->row_tiles;
    long long across = (long long)t->col_tiles;
    if (band == 1 || rows == 1 || across == 1) {
        writer_line(w, "const int tile_row = %s / %lld, tile = %s %% %lld;", place, across, place,
                    across);
        return;
    }
    if (band > rows)
        band = rows;
    writer_line(w, "const int band = %s / %lld * %lld;", place, band * across, band);
    if (rows % band == 0)
        writer_line(w, "const int height = %lld;", band);
    else
        writer_line(w, "const int height = band + %lld > %lld ? %lld - band : %lld;", band, rows,
                    rows, band);
    writer_line(w, "const int tile_row = band + %s %% %lld %% height;", place, band * across);
    writer_line(w, "const int tile = %s %% %lld / height;", place, band * across);
}

static void declare_tile(struct generator *g, struct gpu_product *p)
{
    const struct gpu_tile *t = &p->tile;
    struct writer *w = scope_writer(g);
    writer_line(w, "const int thread = thread_index(), lane = thread %% 32;");
    writer_line(w, "const int warp_row = thread / %d, warp_column = thread / 32 %% %d;",
                t->warps_n * GPU_WARP, t->warps_n);
    const char *place = "block_index()";
    if (t->split > 1) {
        writer_line(w, "const int part = block_index() %% %d, number = block_index() / %d;",
                    t->split, t->split);
        place = "number";
    }
    if (p->layout.e.batch > 1) {
        long long tiles = (long long)(t->row_tiles * t->col_tiles);
        writer_line(w, "const int v_batch = %s / %lld, place = %s %% %lld;", place, tiles, place,
                    tiles);
        place = "place";
    }
    declare_band(g, t, place);
    writer_line(w, "const %s m0 = tile_row * %lld;", g->dialect->index_type, (long long)t->rows);
    if (t->split > 1)
        writer_line(w, "const int k0 = part * %lld;", (long long)(t->part_steps * t->depth));
}

/* --- the pipeline --- */

/* "steps": a number, or a variable where the last part of a split has fewer. */
static const char *declare_steps(struct generator *g, const struct gpu_tile *t)
{
    int64_t last = t->steps - (t->split - 1) * t->part_steps;
    if (last == t->part_steps)
        return text_of(g, last);
    writer_line(scope_writer(g), "const int steps = part == %d ? %lld : %lld;", t->split - 1,
                (long long)last, (long long)t->part_steps);
    return "steps";
}

static void emit_commit(struct generator *g, const struct gpu_product *p)
{
    if (any_operand(p, true))
        writer_line(scope_writer(g), "copy_async_commit();");
}

/* The first stages - 1 steps of K are on their way before the first is multiplied. */
static void emit_prologue(struct generator *g, struct gpu_product *p, const char *steps)
{
    const struct gpu_tile *t = &p->tile;
    int64_t least = t->steps - (t->split - 1) * t->part_steps;
    bool guarded = least < t->stages - 1;
    scope_open(g);
    if (guarded)
        scope_open_conditional(g, g->depth);
    emit_copies(g, p);
    emit_fetches(g, p);
    emit_fetched_stores(g, p);
    if (guarded)
        scope_close(g, "if (stage < %s)", steps);
    emit_commit(g, p);
    writer_line(scope_writer(g), "put += %lld;", (long long)(t->left_bytes + t->right_bytes));
    writer_line(&g->scopes[g->depth - 1].writer, "UNROLL");
    scope_close(g, "for (int stage = 0; stage < %d; stage++)", t->stages - 1);
}

/*
 * One barrier a step: behind it the stage to be read has arrived for all threads, and all have
 * read the stage that is filled next, which is the one of the step before. What goes through
 * registers is fetched ahead of the products and stored behind them.
 */
static void emit_steps(struct generator *g, struct gpu_product *p, const char *steps)
{
    const struct gpu_tile *t = &p->tile;
    long long stage = (long long)(t->left_bytes + t->right_bytes), ring = stage * t->stages;
    bool fetched = any_operand(p, false);
    scope_open(g);
    struct writer *w = scope_writer(g);
    if (any_operand(p, true))
        writer_line(w, "copy_async_wait(%d);", t->stages - 2);
    writer_line(w, "block_barrier();");
    scope_open_conditional(g, g->depth);
    emit_copies(g, p);
    emit_fetches(g, p);
    scope_close(g, "if (step + %d < %s)", t->stages - 1, steps);
    emit_commit(g, p);
    emit_multiply(g, p);
    if (fetched) {
        scope_open_conditional(g, g->depth);
        emit_fetched_stores(g, p);
        scope_close(g, "if (step + %d < %s)", t->stages - 1, steps);
    }
    writer_line(w, "get = get == window + %lld ? window : get + %lld;", ring - stage, stage);
    writer_line(w, "put = put == window + %lld ? window : put + %lld;", ring - stage, stage);
    writer_line(&g->scopes[g->depth - 1].writer, "NO_UNROLL");
    scope_close(g, "for (int step = 0; step < %s; step++)", steps);
}

/* --- split --- */

static void emit_split(struct generator *g, struct gpu_product *p)
{
    const struct gpu_tile *t = &p->tile;
    struct writer *w = scope_writer(g);
    long long size = (long long)(t->rows * t->cols * t->products);
    long long sums = size / t->threads, some = 32; /* that are collected at a time */
    while (sums % some != 0)
        some /= 2;
    cuda_of(g)->workspace = cuda_of(g)->counters = true;
    writer_line(w, "publish_sums(workspace + (rt_i64)block_index() * %lld + thread * 4, sums, "
                   "%lld, %d);", size, sums, t->threads);
    writer_line(w, "if (!publish_last(counters + number, %d))", t->split);
    writer_line(w, "    return;");
    writer_line(w, "collect_sums(sums, workspace + (rt_i64)number * %lld + thread * 4, %lld, "
                   "%lld, %d, %d, %lld);", size * t->split, sums, some, t->threads, t->split,
                size);
}

/* --- all of it --- */

void product_tile_or_die(struct generator *g, struct gpu_product *p)
{
    if (!product_segments(g->arena, g->function, g->kernel, &p->layout) ||
        !gpu_matmul_tile(&p->layout, g->kernel, &p->tile))
        fatal(INTERNAL, "the attributes of a product are no tile", g->kernel->name);
    p->element_bytes = gpu_multiply_bytes(p->tile.multiply);
    p->chunk = TILE_CHUNK / p->element_bytes;
}

void emit_gpu_product(struct generator *g, struct gpu_product *p)
{
    struct cuda_generator *c = cuda_of(g);
    struct gpu_facts facts;
    g->skeleton = p;
    settle_epilogues(g, p);
    generator_restart(g);
    if (gpu_matmul_facts(g->function, g->kernel, &facts))
        c->mma_count = facts.mma_count;
    c->threads = p->tile.threads;
    c->blocks = p->tile.blocks;
    c->shared = p->tile.shared_bytes;
    declare_tile(g, p);
    emit_copy_declarations(g, p);
    emit_multiply_declarations(g, p);
    const char *steps = declare_steps(g, &p->tile);
    writer_line(scope_writer(g), "const shared_t window = shared_window();");
    writer_line(scope_writer(g), "shared_t get = window, put = window;");
    emit_prologue(g, p, steps);
    emit_steps(g, p, steps);
    if (p->tile.split > 1)
        emit_split(g, p);
    emit_epilogues(g, p);
}

void cuda_emit_matmul(struct generator *g)
{
    struct gpu_product *p = arena_new(g->arena, struct gpu_product);
    product_tile_or_die(g, p);
    find_left_operand(g, p);
    find_right_operands(g, p);
    emit_gpu_product(g, p);
}
