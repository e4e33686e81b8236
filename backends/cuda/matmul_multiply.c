/* What a warp does with a stage of its product's pipeline, and with the sums: see matmul.h. */
#include "backends/cuda/matmul.h"

static bool exact(const struct gpu_product *p)
{
    return p->tile.multiply == MULTIPLY_f32;
}

static long long warp_extent(const struct gpu_product *p, const struct tile_operand *o)
{
    return (long long)(o->left ? p->tile.warp_rows : p->tile.warp_cols);
}

/* Row and chunk, in the warp's part of a tile, that the lane reads first: texts. */
struct lane_place {
    const char *row, *chunk, *within; /* bytes within the chunk; NULL: 0 */
    long long row_chunks;             /* chunks to the warp's part, where rows run along M or N */
};

static struct lane_place mma_place(const struct gpu_product *p, const struct tile_operand *o)
{
    bool wide = p->element_bytes == 4;
    if (o->along_k && o->left)
        return (struct lane_place){"lane % 16", "lane / 16", NULL, 0};
    if (o->along_k)
        return (struct lane_place){"(lane % 8 + lane / 16 * 8)", "lane / 8 % 2", NULL, 0};
    if (wide)
        return (struct lane_place){"lane % 4", "lane / 16", "lane / 4 % 4 * 4",
                                   warp_extent(p, o) / 4};
    if (o->left)
        return (struct lane_place){"(lane % 8 + lane / 16 * 8)", "lane / 8 % 2", NULL,
                                   warp_extent(p, o) / 8};
    return (struct lane_place){"lane % 16", "lane / 16", NULL, warp_extent(p, o) / 8};
}

static void declare_mma(struct generator *g, const struct gpu_product *p,
                        const struct tile_operand *o)
{
    struct lane_place place = mma_place(p, o);
    const char *warp = o->left ? "warp_row" : "warp_column";
    const char *row = place.row, *chunk = place.chunk;
    if (o->along_k)
        row = arena_printf(g->arena, "(%s * %lld + %s)", warp, warp_extent(p, o), row);
    else
        chunk = arena_printf(g->arena, "%s * %lld + %s", warp, place.row_chunks, chunk);
    writer_line(scope_writer(g), "const shared_t %s_at = %s%s * %lld + %s(%s, %s) * 16%s%s;",
                o->name, stage_text(g, o), row, (long long)o->shape.row_bytes,
                o->shape.swizzle, place.row, chunk, place.within ? " + " : "",
                place.within ? place.within : "");
}

/* Lanes own rows lane / 8 + 4 i and columns lane % 8 + 8 j of the warp's part. */
static void declare_exact(struct generator *g, const struct gpu_product *p,
                          const struct tile_operand *o)
{
    const char *lane = o->left ? "lane / 8" : "lane % 8";
    const char *at = arena_printf(g->arena, "(%s * %lld + %s)",
                                  o->left ? "warp_row" : "warp_column", warp_extent(p, o), lane);
    if (o->along_k)
        writer_line(scope_writer(g), "const shared_t %s_at = %s%s * %lld + %s(%s, 0) * 16;",
                    o->name, stage_text(g, o), at, (long long)o->shape.row_bytes,
                    o->shape.swizzle, lane);
    else
        writer_line(scope_writer(g), "const shared_t %s_at = %s%s * 4;", o->name,
                    stage_text(g, o), at);
}

void emit_multiply_declarations(struct generator *g, struct gpu_product *p)
{
    int64_t sums = p->tile.warp_rows * p->tile.warp_cols * p->tile.products / GPU_WARP;
    void (*declare)(struct generator *, const struct gpu_product *, const struct tile_operand *) =
        exact(p) ? declare_exact : declare_mma;
    declare(g, p, &p->left);
    for (int i = 0; i < p->tile.products; i++)
        declare(g, p, &p->right[i]);
    writer_line(scope_writer(g), "float sums[%lld] = {0};", (long long)sums);
}

/* --- tensor cores --- */

static void load_fragments(struct generator *g, const struct gpu_product *p,
                           const struct tile_operand *o, const char *to, int64_t count)
{
    struct writer *w = scope_writer(g);
    const char *side = o->left ? "left" : "right";
    long long bytes = (long long)o->shape.row_bytes;
    long long deep = p->tile.multiply == MULTIPLY_tf32 ? 8 : 16;
    if (o->along_k)
        writer_line(w, "%s_rows(%s, (get + %s_at) ^ (kk * 32), %lld, %lld);", side, to, o->name,
                    (long long)count, bytes);
    else if (p->element_bytes == 2)
        writer_line(w, "%s_columns_16(%s, get + %s_at + kk * %lld, %lld);", side, to, o->name,
                    deep * bytes, (long long)count);
    else
        writer_line(w, "%s_columns_32(%s, get + %s_at + kk * %lld, %lld, %lld);", side, to,
                    o->name, deep * bytes, (long long)count, bytes);
    if (o->rounds)
        writer_line(w, "round_fragments(%s, %lld);", to, (long long)(count * (o->left ? 4 : 2)));
}

static void multiply_fragments(struct generator *g, struct gpu_product *p)
{
    static const char *const names[] = {"bf16", "f16", "tf32"};
    int64_t m = p->tile.warp_rows / 16, n = p->tile.warp_cols / 8;
    int64_t deep = p->tile.multiply == MULTIPLY_tf32 ? 8 : 16;
    scope_open(g);
    struct writer *w = scope_writer(g);
    writer_line(w, "rt_u32 a[%lld], b[%lld];", (long long)m * 4,
                (long long)(n * 2 * p->tile.products));
    load_fragments(g, p, &p->left, "a", m);
    for (int i = 0; i < p->tile.products; i++)
        load_fragments(g, p, &p->right[i],
                       i ? arena_printf(g->arena, "b + %lld", (long long)(i * n * 2)) : "b", n);
    writer_line(w, "mma_tile_%s(sums, a, b, %lld, %lld);", names[p->tile.multiply], (long long)m,
                (long long)(n * p->tile.products));
    writer_line(&g->scopes[g->depth - 1].writer, "UNROLL");
    scope_close(g, "for (int kk = 0; kk < %lld; kk++)", (long long)(p->tile.depth / deep));
}

/* --- exact f32 --- */

static void load_steps(struct generator *g, const struct tile_operand *o, const char *to,
                       const char *offset, int64_t count)
{
    long long bytes = (long long)o->shape.row_bytes;
    if (o->along_k)
        writer_line(scope_writer(g),
                    "left_steps(%s, ((get + %s_at) ^ (kk * 16))%s, %lld, %lld, %d);", to, o->name,
                    offset, (long long)count, bytes, bytes == 64 ? 32 : 64);
    else
        writer_line(scope_writer(g),
                    "steps_of_columns(%s, get + %s_at + kk * %lld%s, %lld, %lld, 16);", to,
                    o->name, 4 * bytes, offset, (long long)count, bytes);
}

/* At most EXACT_ROWS rows of a lane at a time: registers hold four steps of them. */
static void multiply_steps(struct generator *g, struct gpu_product *p)
{
    int64_t all = p->tile.warp_rows / 4, columns = p->tile.warp_cols / 8;
    int64_t rows = all < EXACT_ROWS ? all : EXACT_ROWS;
    long long down = p->left.along_k ? 4 * (long long)p->left.shape.row_bytes : 16;
    scope_open(g);
    scope_open(g);
    writer_line(scope_writer(g), "float a[%lld];", (long long)rows * 4);
    load_steps(g, &p->left, "a", arena_printf(g->arena, " + i * %lld", down), rows);
    for (int i = 0; i < p->tile.products; i++) {
        const struct tile_operand *o = &p->right[i];
        long long apart = o->along_k ? 8 * (long long)o->shape.row_bytes : 32;
        scope_open(g);
        writer_line(scope_writer(g), "float b[4];");
        load_steps(g, o, "b", arena_printf(g->arena, " + j * %lld", apart), 1);
        writer_line(scope_writer(g),
                    "multiply_column(sums + i * %lld + %lld + j, a, b, %lld, %lld);",
                    (long long)(columns * p->tile.products), (long long)(i * columns),
                    (long long)rows, (long long)(columns * p->tile.products));
        writer_line(&g->scopes[g->depth - 1].writer, "UNROLL");
        scope_close(g, "for (int j = 0; j < %lld; j++)", (long long)columns);
    }
    writer_line(&g->scopes[g->depth - 1].writer, "UNROLL");
    scope_close(g, "for (int i = 0; i < %lld; i += %lld)", (long long)all, (long long)rows);
    writer_line(&g->scopes[g->depth - 1].writer, "NO_UNROLL");
    scope_close(g, "for (int kk = 0; kk < %lld; kk++)", (long long)(p->tile.depth / 4));
}

void emit_multiply(struct generator *g, struct gpu_product *p)
{
    if (exact(p))
        multiply_steps(g, p);
    else
        multiply_fragments(g, p);
}

/* --- the sums in shared memory --- */

void emit_slab_stores(struct generator *g, struct gpu_product *p)
{
    const struct gpu_tile *t = &p->tile;
    int64_t columns = t->warp_cols / 8, all = columns * t->products;
    int64_t rows = t->warp_rows / (exact(p) ? 4 : 16) / t->passes, each = exact(p) ? 1 : 4;
    struct writer *w = scope_writer(g);
    const char *first =
        t->passes == 1 ? "sums"
                       : arena_printf(g->arena, "sums + i * %lld", (long long)(rows * all * each));
    for (int i = 0; i < t->products; i++)
        writer_line(w, "store_%s(slab%s, %s%s, %lld, %lld, %lld, %lld);",
                    exact(p) ? "elements" : "fragments",
                    i ? arena_printf(g->arena, " + %lld", (long long)(i * t->cols * 4)) : "", first,
                    i ? arena_printf(g->arena, " + %lld", (long long)(i * columns * each)) : "",
                    (long long)rows, (long long)columns, (long long)all,
                    (long long)t->slab_pitch * 4);
}
