/*
 * The copies of a product's operands into the stages of its pipeline: see matmul.h. Rows of a
 * tile beyond M or N, and steps beyond K, are filled with zeros.
 */
#include "backends/cuda/matmul.h"

#include <string.h>

const char *by_segment(struct generator *g, const struct gpu_product *p, const char *const *texts)
{
    int count = p->layout.count;
    bool same = true;
    for (int s = 1; s < count; s++)
        same = same && strcmp(texts[s], texts[0]) == 0;
    if (same)
        return texts[0];
    struct str out = str_create(g->arena);
    for (int s = 0; s + 1 < count; s++)
        str_printf(&out, "%stile < %lld ? %s : ", s ? "" : "(",
                   (long long)p->layout.segments[s + 1].first_tile, texts[s]);
    str_printf(&out, "%s)", texts[count - 1]);
    return out.text;
}

/* Whether a column tile's columns are two runs that stand `pair` apart. */
static bool jumps(const struct gpu_product *p, int segment)
{
    int64_t width = p->layout.segments[segment].width;
    return width > 0 && width < p->layout.pair;
}

static int64_t jump_width(const struct gpu_product *p)
{
    for (int s = 0; s < p->layout.count; s++)
        if (jumps(p, s))
            return p->layout.segments[s].width;
    return 0;
}

static bool column_tail(const struct gpu_product *p)
{
    bool tail = false;
    for (int s = 0; s < p->layout.count; s++)
        tail |= p->layout.segments[s].n % p->tile.cols != 0;
    return tail;
}

static bool step_tail(const struct gpu_product *p)
{
    return p->layout.e.k % p->tile.depth != 0;
}

static bool outer_tail(const struct gpu_product *p, const struct tile_operand *o)
{
    return o->left ? p->layout.e.m % p->tile.rows != 0 : column_tail(p);
}

bool any_operand(const struct gpu_product *p, bool async)
{
    bool any = (p->left.way == COPY_ASYNC) == async;
    for (int i = 0; i < p->tile.products; i++)
        any |= (p->right[i].way == COPY_ASYNC) == async;
    return any;
}

/* --- before the pipeline --- */

/* n0, and jump: what stands between the two runs of columns of a tile. */
static void declare_columns(struct generator *g, struct gpu_product *p)
{
    const char *origins[PRODUCTS_MOST], *jump[PRODUCTS_MOST], *limits[PRODUCTS_MOST];
    for (int s = 0; s < p->layout.count; s++) {
        const struct product_segment *segment = &p->layout.segments[s];
        const char *tile = segment->first_tile ? arena_printf(g->arena, "(tile - %lld)",
                                                              (long long)segment->first_tile)
                                               : "tile";
        long long runs = segment->width ? (long long)(p->layout.pair / segment->width) : 1;
        origins[s] = arena_printf(g->arena, "%s * %lld", tile, (long long)p->tile.cols);
        if (jumps(p, s))
            origins[s] = arena_printf(g->arena, "%s / %lld * %lld + %s %% %lld * %lld", tile, runs,
                                      (long long)p->layout.pair * 2, tile, runs,
                                      (long long)segment->width);
        jump[s] = text_of(g, jumps(p, s) ? p->layout.pair - segment->width : 0);
        limits[s] = text_of(g, jumps(p, s) ? p->tile.cols : segment->n);
        if (!jumps(p, s))
            limits[s] = arena_printf(g->arena, "%s - n0", limits[s]);
    }
    struct writer *w = scope_writer(g);
    const char *type = g->dialect->index_type;
    writer_line(w, "const %s n0 = %s;", type, by_segment(g, p, origins));
    if (jump_width(p))
        writer_line(w, "const int jump = %s;", by_segment(g, p, jump));
    if (column_tail(p))
        writer_line(w, "const %s columns = %s;", type, by_segment(g, p, limits));
}

/* The column of the tile's column `local`, from n0; `step` is the distance to the thread's next.
 * Runs are whole steps, or steps whole runs. */
static const char *column_text(struct generator *g, const struct gpu_product *p,
                               const char *local, int64_t step)
{
    int64_t width = jump_width(p);
    if (width == 0 || width % step == 0)
        return local;
    if (step % width != 0)
        fatal(INTERNAL, "a tile of column pairs does not fit its threads", g->kernel->name);
    return arena_printf(g->arena, "%s + %s / %lld * jump", local, local, (long long)width);
}

/* What the thread's i-th column adds to its first one. */
static const char *column_step(struct generator *g, const struct gpu_product *p, const char *i,
                               int64_t step)
{
    int64_t width = jump_width(p);
    if (width == 0)
        return arena_printf(g->arena, "%s * %lld", i, (long long)step);
    if (width % step == 0)
        return arena_printf(g->arena, "(%s * %lld + %s / %lld * jump)", i, (long long)step, i,
                            (long long)(width / step));
    return arena_printf(g->arena, "%s * (%lld + %lld * jump)", i, (long long)step,
                        (long long)(step / width));
}

static const char *pointer_text(struct generator *g, const struct gpu_product *p,
                                const struct tile_operand *o)
{
    const char *texts[PRODUCTS_MOST];
    const char *batch = p->layout.e.batch > 1 ? "v_batch" : "0";
    int64_t step = o->along_k ? o->shape.row_step : o->shape.lanes * p->chunk;
    const char *digit = arena_printf(g->arena, "%s_%s", o->name, o->along_k ? "row" : "chunk");
    const char *major = o->left ? arena_printf(g->arena, "(m0 + %s)", digit)
                                : arena_printf(g->arena, "(n0 + %s)",
                                               column_text(g, p, digit, step));
    const char *along = arena_printf(g->arena, "%s_%s", o->name, o->along_k ? "chunk" : "row");
    const char *minor = p->tile.split > 1 ? arena_printf(g->arena, "(k0 + %s)", along) : along;
    for (int s = 0; s < (o->left ? 1 : p->layout.count); s++)
        texts[s] = matrix_pointer(g, &o->matrices[s], batch, "0", major, minor);
    return o->left ? texts[0] : by_segment(g, p, texts);
}

const char *stage_text(struct generator *g, const struct tile_operand *o)
{
    return o->stage_from ? arena_printf(g->arena, "%lld + ", (long long)o->stage_from) : "";
}

static void declare_operand(struct generator *g, struct gpu_product *p,
                            const struct tile_operand *o)
{
    struct writer *w = scope_writer(g);
    const struct copy_shape *s = &o->shape;
    const char *n = o->name;
    writer_line(w, "const int %s_row = thread / %lld, %s_chunk = thread %% %lld * %lld;", n,
                (long long)s->lanes, n, (long long)s->lanes, (long long)p->chunk);
    const char *lane = arena_printf(g->arena, "thread %% %lld", (long long)s->lanes);
    const char *chunk = s->swizzle ? arena_printf(g->arena, "%s(%s_row, %s)", s->swizzle, n, lane)
                                   : lane;
    writer_line(w, "const shared_t %s_to = %s%s_row * %lld + %s * 16;", n,
                stage_text(g, o), n, (long long)s->row_bytes, chunk);
    if (outer_tail(p, o))
        writer_line(w, "const %s %s_left = %s - %s_%s;", g->dialect->index_type, n,
                    o->left ? arena_printf(g->arena, "%lld - m0", (long long)p->layout.e.m)
                            : "columns",
                    n, o->along_k ? "row" : "chunk");
    if (o->way != COPY_ELEMENTS)
        writer_line(w, "const %s *%s_from = %s;", cuda_cell(o->matrices[0].value->type.dtype), n,
                    pointer_text(g, p, o));
    if (o->way != COPY_ASYNC)
        writer_line(w, "struct f32x%lld %s_next[%lld];", (long long)p->chunk, n,
                    (long long)(s->row_count * s->part_count));
}

void emit_copy_declarations(struct generator *g, struct gpu_product *p)
{
    declare_columns(g, p);
    if (p->left.gathered)
        p->source->declare(g);
    else
        declare_operand(g, p, &p->left);
    for (int i = 0; i < p->tile.products; i++)
        declare_operand(g, p, &p->right[i]);
    writer_line(scope_writer(g), "%s fill = %s;", g->dialect->index_type,
                p->tile.split > 1 ? "k0" : "0");
}

/* --- the copies of a stage --- */

/* Texts of one copy of the thread: its row is `r`, its part of a row `q`. */
struct copy_place {
    const char *shared, *from, *inside;
    const char *number; /* of the copy */
};

/* A condition that the copy is within the operand, or bytes of its piece `i` that are. */
static const char *inside_text(struct generator *g, const struct gpu_product *p,
                               const struct tile_operand *o, bool bytes)
{
    const struct copy_shape *s = &o->shape;
    const char *n = o->name, *outer = NULL, *inner = NULL;
    long long size = (long long)p->element_bytes, chunk = (long long)p->chunk;
    long long piece = (long long)o->piece;
    const char *row = arena_printf(g->arena, "r * %lld", (long long)s->row_step);
    if (o->along_k && outer_tail(p, o))
        outer = arena_printf(g->arena, "%s < %s_left", row, n);
    if (!o->along_k && step_tail(p))
        outer = arena_printf(g->arena, "fill + %s_row + %s < %lld", n, row,
                             (long long)p->layout.e.k);
    if (o->along_k && step_tail(p))
        inner = arena_printf(g->arena, "%lld - fill - %s_chunk", (long long)p->layout.e.k, n);
    if (!o->along_k && outer_tail(p, o))
        inner = s->part_count == 1 ? arena_printf(g->arena, "%s_left", n)
                                   : arena_printf(g->arena, "%s_left - q * %lld", n,
                                                  (long long)(s->lanes * chunk));
    if (bytes) {
        const char *part = arena_printf(g->arena, "%lld", piece * size);
        if (inner)
            part = arena_printf(g->arena, "inside_bytes(%s%s, %lld, %lld)", inner,
                                piece == chunk ? "" : arena_printf(g->arena, " - i * %lld", piece),
                                piece, size);
        return outer ? arena_printf(g->arena, "%s ? %s : 0", outer, part) : part;
    }
    if (outer && inner)
        return arena_printf(g->arena, "%s && %s > 0", outer, inner);
    return outer ? outer : inner ? arena_printf(g->arena, "%s > 0", inner) : NULL;
}

static struct copy_place place_of(struct generator *g, const struct gpu_product *p,
                                  const struct tile_operand *o)
{
    const struct copy_shape *s = &o->shape;
    const struct matrix *m = &o->matrices[0];
    struct str shared = str_create(g->arena), from = str_create(g->arena);
    str_printf(&shared, "put + %s_to", o->name);
    str_printf(&from, "%s_from", o->name);
    if (s->row_count > 1)
        str_printf(&shared, " + r * %lld", (long long)(s->row_step * s->row_bytes));
    if (s->part_count > 1)
        str_printf(&shared, " + q * %lld", (long long)(s->lanes * TILE_CHUNK));
    const char *column = o->along_k ? "r" : "q";
    int64_t count = o->along_k ? s->row_count : s->part_count;
    int64_t step = o->along_k ? s->row_step : s->lanes * p->chunk;
    const char *outer = o->left ? arena_printf(g->arena, "%s * %lld", column, (long long)step)
                                : column_step(g, p, column, step);
    if (count > 1)
        str_printf(&from, " + %s * %lld", outer, (long long)(o->along_k ? m->major : 1));
    if (!o->along_k && s->row_count > 1)
        str_printf(&from, " + r * %lld", (long long)(s->row_step * m->minor));
    const char *number = s->part_count > 1 ? arena_printf(g->arena, "r * %lld + q",
                                                          (long long)s->part_count)
                                           : "r";
    return (struct copy_place){shared.text, from.text, NULL, number};
}

/* Opens loops over a thread's copies; `statements` prints what stands in them. */
static void emit_each(struct generator *g, struct gpu_product *p, struct tile_operand *o,
                      void (*statements)(struct generator *, struct gpu_product *,
                                         struct tile_operand *))
{
    const struct copy_shape *s = &o->shape;
    bool guarded = s->rows < s->row_step;
    if (guarded)
        scope_open_conditional(g, g->depth);
    scope_open(g);
    if (s->part_count > 1) {
        scope_open(g);
        statements(g, p, o);
        writer_line(&g->scopes[g->depth - 1].writer, "UNROLL");
        scope_close(g, "for (int q = 0; q < %lld; q++)", (long long)s->part_count);
    } else {
        statements(g, p, o);
    }
    writer_line(&g->scopes[g->depth - 1].writer, "UNROLL");
    scope_close(g, "for (int r = 0; r < %lld; r++)", (long long)s->row_count);
    if (guarded)
        scope_close(g, "if (%s_row < %lld)", o->name, (long long)s->rows);
}

/* A chunk, or its pieces. */
static void copy_statement(struct generator *g, struct gpu_product *p, struct tile_operand *o)
{
    struct copy_place place = place_of(g, p, o);
    long long size = (long long)(o->piece * p->element_bytes);
    const char *inside = inside_text(g, p, o, true);
    struct writer *w = scope_writer(g);
    if (o->piece == p->chunk) {
        writer_line(w, "copy_async%lld(%s, %s, %s);", size, place.shared, place.from, inside);
        return;
    }
    writer_line(w, "UNROLL");
    writer_line(w, "for (int i = 0; i < %lld; i++)", (long long)(p->chunk / o->piece));
    writer_line(w, "    copy_async%lld(%s + i * %lld, %s + i * %lld, %s);", size, place.shared,
                size, place.from, (long long)o->piece, inside);
}

static void convert_statement(struct generator *g, struct gpu_product *p, struct tile_operand *o)
{
    struct copy_place place = place_of(g, p, o);
    const char *inside = inside_text(g, p, o, false);
    const char *load = arena_printf(g->arena, "load_%sx%lld(%s)",
                                    cuda_memory_name(o->matrices[0].value->type.dtype),
                                    (long long)p->chunk, place.from);
    if (inside)
        load = arena_printf(g->arena, "%s ? %s : zeros_f32x%lld()", inside, load,
                            (long long)p->chunk);
    writer_line(scope_writer(g), "%s_next[%s] = %s;", o->name, place.number, load);
}

/* An atom for an integer that emitted code has named. */
static struct index named(struct generator *g, const char *text, int64_t extent)
{
    struct atom atom = {text, 0, extent > 0 ? extent - 1 : 0, g->depth, -1};
    return index_of_atom(index_new_atom(&g->space, atom));
}

static void element_statement(struct generator *g, struct gpu_product *p,
                              const struct tile_operand *o, int segment)
{
    const struct node *anchor = p->layout.segments[segment].anchors[o->product];
    struct product_extents e = product_extents(anchor);
    struct index batch = e.batch > 1 ? named(g, "v_batch", e.batch) : index_constant(0);
    struct index outer = named(g, "outer", o->left ? e.m : e.n), step = named(g, "k", e.k);
    struct index index = o->left ? left_index(g, p, batch, outer, step)
                                 : right_index(g, anchor, batch, outer, step);
    struct element element = value_at(g, anchor->operands[o->left ? 0 : 1], index);
    writer_line(scope_writer(g), "x = %s;", element.text);
}

/* One element, inside of the operand; the segments take turns. */
static void element_of_segments(struct generator *g, struct gpu_product *p,
                                const struct tile_operand *o)
{
    int count = o->left ? 1 : p->layout.count;
    if (o->left && p->source) {
        p->source->element(g);
        return;
    }
    if (count == 1) {
        element_statement(g, p, o, 0);
        return;
    }
    for (int s = 0; s < count; s++) {
        scope_open_conditional(g, g->depth);
        element_statement(g, p, o, s);
        if (s + 1 < count)
            scope_close(g, "%sif (tile < %lld)", s ? "else " : "",
                        (long long)p->layout.segments[s + 1].first_tile);
        else
            scope_close(g, "else");
    }
}

static void elements_statement(struct generator *g, struct gpu_product *p,
                               struct tile_operand *o)
{
    const struct copy_shape *s = &o->shape;
    const char *type = g->dialect->index_type;
    const char *row = arena_printf(g->arena, "(%s_row + r * %lld)", o->name,
                                   (long long)s->row_step);
    int64_t width = jump_width(p);
    const char *column = width && !o->left ? arena_printf(g->arena, "%s + %s / %lld * jump", row,
                                                          row, (long long)width)
                                           : row;
    struct str inside = str_create(g->arena);
    str_printf(&inside, "k < %lld", (long long)p->layout.e.k);
    if (outer_tail(p, o))
        str_printf(&inside, " && r * %lld < %s_left", (long long)s->row_step, o->name);
    scope_open(g);
    struct writer *w = scope_writer(g);
    writer_line(w, "const %s outer = %s + %s, k = fill + %s_chunk + i;", type,
                o->left ? "m0" : "n0", column, o->name);
    writer_line(w, "float x = 0;");
    scope_open_conditional(g, g->depth);
    element_of_segments(g, p, o);
    scope_close(g, "if (%s)", inside.text);
    writer_line(scope_writer(g), "%s_next[r].at[i] = x;", o->name);
    writer_line(&g->scopes[g->depth - 1].writer, "UNROLL");
    scope_close(g, "for (int i = 0; i < %lld; i++)", (long long)p->chunk);
}

static void store_statement(struct generator *g, struct gpu_product *p, struct tile_operand *o)
{
    static const char *const packs[] = {[MULTIPLY_bf16] = "pack_bf16x8",
                                        [MULTIPLY_f16] = "pack_f16x8",
                                        [MULTIPLY_tf32] = "words_of_f32x4",
                                        [MULTIPLY_f32] = "words_of_f32x4"};
    struct copy_place place = place_of(g, p, o);
    writer_line(scope_writer(g), "shared_store_16(%s, %s(%s_next[%s]));", place.shared,
                packs[p->tile.multiply], o->name, place.number);
}

/* --- all operands --- */

static void advance(struct generator *g, const struct gpu_product *p, const struct tile_operand *o)
{
    int64_t step = o->along_k ? 1 : o->matrices[0].minor;
    writer_line(scope_writer(g), "%s_from += %lld;", o->name, (long long)(p->tile.depth * step));
}

static void copy_operand(struct generator *g, struct gpu_product *p, struct tile_operand *o)
{
    if (o->way != COPY_ASYNC)
        return;
    emit_each(g, p, o, copy_statement);
    advance(g, p, o);
}

static void fetch_operand(struct generator *g, struct gpu_product *p, struct tile_operand *o)
{
    if (o->way == COPY_ASYNC)
        return;
    emit_each(g, p, o, o->way == COPY_CONVERT ? convert_statement : elements_statement);
    if (o->way == COPY_CONVERT)
        advance(g, p, o);
}

void emit_copies(struct generator *g, struct gpu_product *p)
{
    if (p->left.gathered && p->left.way == COPY_ASYNC)
        p->source->copy(g);
    else
        copy_operand(g, p, &p->left);
    for (int i = 0; i < p->tile.products; i++)
        copy_operand(g, p, &p->right[i]);
}

void emit_fetches(struct generator *g, struct gpu_product *p)
{
    if (p->left.gathered && p->left.way != COPY_ASYNC)
        p->source->copy(g);
    else
        fetch_operand(g, p, &p->left);
    for (int i = 0; i < p->tile.products; i++)
        fetch_operand(g, p, &p->right[i]);
    writer_line(scope_writer(g), "fill += %lld;", (long long)p->tile.depth);
}

void emit_fetched_stores(struct generator *g, struct gpu_product *p)
{
    if (p->left.way != COPY_ASYNC)
        emit_each(g, p, &p->left, store_statement);
    for (int i = 0; i < p->tile.products; i++)
        if (p->right[i].way != COPY_ASYNC)
            emit_each(g, p, &p->right[i], store_statement);
}
