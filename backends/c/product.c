/* See product.h. */
#include "backends/c/product.h"

enum { BATCH, ROW, TILE, COLUMN };

const char *product_form(const struct product *p)
{
    return p->pairs ? "pairs" : "f32";
}

int64_t product_depth(const struct product *p, int64_t depth)
{
    return p->pairs ? (depth + 1) / 2 * 2 : depth;
}

static int64_t round_up(int64_t value, int64_t to)
{
    return (value + to - 1) / to * to;
}

void product_prepare(struct generator *g, struct product *p)
{
    p->e = product_extents(p->anchors[0]);
    int64_t rows = kernel_int(g, rows), cols = kernel_int(g, cols), kc = kernel_int(g, kc);
    p->rows = rows > 0 && rows < p->e.m ? rows : p->e.m;
    p->cols = cols > 0 && cols < p->e.n ? cols : p->e.n;
    p->kc = kc > 0 && kc < p->e.k ? kc : p->e.k;
    p->deep = p->kc < p->e.k;
    p->row_tiles = (p->e.m + p->rows - 1) / p->rows;
    p->col_tiles = (p->e.n + p->cols - 1) / p->cols;
    p->whole_cols = p->e.n % p->cols == 0;
    p->pitch = round_up(p->cols, g->target->nr);
}

/* The index of the first column of the tile in the open row of the result. */
static struct index origin_index(struct generator *g, const struct product *p)
{
    struct index batch = index_of_atom(g->variables[p->batch].atom);
    struct index row = index_of_atom(g->variables[p->row].atom);
    struct index tile = index_of_atom(g->variables[p->tile].atom);
    int64_t outers = p->batch_inside ? p->e.batch : p->e.m;
    struct index outer = p->batch_inside ? row : batch, inner = p->batch_inside ? batch : row;
    struct index index = index_add(&g->space, index_scale(outer, outers), inner);
    return index_add(&g->space, index_scale(index, p->e.n), index_scale(tile, p->cols));
}

/* The index of the result at the open variables. */
static struct index result_index(struct generator *g, const struct product *p)
{
    struct index index = origin_index(g, p);
    int64_t stride = 1;
    for (int v = g->variable_count - 1; v >= p->column; v--) {
        index = index_add(&g->space, index,
                          index_scale(index_of_atom(g->variables[v].atom), stride));
        stride *= g->variables[v].extent;
    }
    return index;
}

/* An element of a product: from the block, if it belongs to this row and tile. */
static bool provide(struct generator *g, const struct value *value, struct index index,
                    struct element *out_element)
{
    struct product *p = g->skeleton;
    int which = 0;
    while (which < p->count && value->node != p->anchors[which])
        which++;
    if (which == p->count)
        return false;
    struct index origin = origin_index(g, p);
    struct index column = index_add(&g->space, index, index_scale(origin, -1));
    int64_t low, high;
    index_range(&g->space, &column, &low, &high);
    if ((low < 0 || high >= p->cols) && !g->space.split.wanted)
        fatal(INTERNAL, "an epilogue needs products of another tile", value->name);
    const char *text = arena_printf(g->arena, "block%d[(%s) * %lld + %s]", which,
                                    p->deep || p->stream ? "v1 - first_row" : "r",
                                    (long long)p->pitch,
                                    index_text(&g->space, &column));
    /* Where the block is, also if all extents are 1 and the index is a constant. */
    *out_element = element_new(g, "float", g->depth, "%s",
                               round_text(g->arena, value->type.dtype, text));
    return true;
}

static void store_row(struct generator *g)
{
    struct product *p = g->skeleton;
    struct value_list outs = kernel_live_outs(g);
    struct index index = result_index(g, p);
    struct element *elements = arena_array(g->arena, struct element, (size_t)outs.count + 1);
    for (int i = 0; i < outs.count; i++)
        elements[i] = value_at(g, outs.items[i], index);
    for (int i = 0; i < outs.count; i++)
        value_store(g, outs.items[i], index, elements[i]);
}

/* A row's columns: whole tiles as a nest that views can split, ragged ones as one loop. */
static void emit_row(struct generator *g, struct product *p)
{
    if (p->whole_cols) {
        emit_nest(g, p->column, store_row);
        return;
    }
    scope_open(g);
    variable_open(g, p->column, "v3", 0, p->cols - 1);
    store_row(g);
    writer_line(&g->scopes[g->depth - 1].writer, VECTOR_LOOP);
    scope_close(g, "for (rt_i64 v3 = 0; v3 < width; v3++)");
}

/* The register blocks of rows m.. against all panels of the tile. */
static void emit_blocks(struct generator *g, struct product *p, const char *add)
{
    struct writer *w = scope_writer(g);
    const char *depth = arena_printf(g->arena, "%lld", (long long)product_depth(p, p->e.k));
    if (p->deep)
        depth = p->pairs ? "even" : "depth";
    const char *row = p->deep ? "(m - first_row)" : "0";
    for (int which = 0; which < p->count; which++) {
        writer_open(w, "for (rt_i64 panel = 0; panel < %lld; panel++)",
                    (long long)(p->pitch / g->target->nr));
        writer_line(w,
                    "multiply_block(%s, count, left_rows, %s, %s, panels%d + panel * %lld, %s, "
                    "block%d + %s * %lld + panel * NR, %lld, %s);",
                    product_form(p), p->left_stride, p->left_step ? p->left_step : "1", which,
                    (long long)(product_depth(p, p->kc) / (p->pairs ? 2 : 1) * g->target->nr),
                    depth, which, row, (long long)p->pitch, (long long)p->pitch, add);
        w->level--;
    }
}

/* While a block is multiplied, its share of the next panel's columns is on its way: worth it
 * where there are blocks enough to spread the requests over. */
static void emit_prefetch(struct generator *g, struct product *p)
{
    enum { BLOCKS_LEAST = 8 };
    int64_t blocks = p->rows / g->target->mr, nr = g->target->nr;
    if (!p->prefetch_right || p->pitch != nr || !p->whole_cols || blocks < BLOCKS_LEAST)
        return;
    int64_t share = (nr + blocks - 1) / blocks;
    struct writer *w = scope_writer(g);
    if (p->deep)
        writer_line(w, "const rt_i64 next_step = k0 + %lld < %lld ? k0 + %lld : 0;",
                    (long long)p->kc, (long long)p->e.k, (long long)p->kc);
    writer_line(w, "const rt_i64 next = (%s) * NR, part = next + (m - first_row) / MR * %lld;",
                p->deep ? "next_step ? v2 : v2 + 1" : "v2 + 1", (long long)share);
    scope_open(g);
    for (int which = 0; which < p->count; which++)
        p->prefetch_right(g, p, which);
    scope_close(g, "for (rt_i64 i = part; i < m_least_i64(part + %lld, next + NR); i++)",
                (long long)share);
}

static void emit_left_rows(struct generator *g, struct product *p)
{
    struct writer *w = scope_writer(g);
    writer_line(w, "const rt_i64 count = m_least_i64(last_row - m, MR);");
    if (!p->left && !p->deep) {
        writer_line(w, "const rt_i64 from_row = m, to_row = m + count;");
        p->pack_left(g, p);
        writer_line(w, "const %s *left_rows = left;", p->pairs ? "rt_u16" : "float");
    } else if (p->left)
        writer_line(w, "const %s *left_rows = %s;", p->pairs ? "rt_u16" : "float", p->left);
    else
        writer_line(w, "const %s *left_rows = left + (m - from_row) * %s;",
                    p->pairs ? "rt_u16" : "float", p->left_stride);
}

/* Fills the panels of steps k0..k0+depth-1 for all columns of the tile. */
static void emit_panels(struct generator *g, struct product *p)
{
    for (int which = 0; which < p->count; which++) {
        scope_open(g);
        struct writer *w = scope_writer(g);
        writer_line(w, "const rt_i64 n = v2 * %lld + panel * NR;", (long long)p->cols);
        writer_line(w, "const rt_i64 columns = m_least_i64(%lld - n, NR);", (long long)p->e.n);
        writer_line(w, "rt_u32 *target = panels%d + panel * %lld;", which,
                    (long long)(product_depth(p, p->kc) / (p->pairs ? 2 : 1) * g->target->nr));
        p->pack_right(g, p, which);
        scope_close(g, "for (rt_i64 panel = 0; panel < %lld; panel++)",
                    (long long)(p->pitch / g->target->nr));
    }
}

static void declare_buffers(struct generator *g, struct product *p)
{
    struct writer *w = scope_writer(g);
    int64_t depth = product_depth(p, p->kc);
    bool tall = p->deep || p->stream;
    int64_t rows = tall ? round_up(p->rows, g->target->mr) : g->target->mr;
    for (int which = 0; which < p->count; which++) {
        if (!p->stream)
            writer_line(w, "rt_u32 panels%d[%lld] __attribute__((aligned(64)));", which,
                    (long long)(p->pitch * depth / (p->pairs ? 2 : 1)));
        writer_line(w, "float block%d[%lld] __attribute__((aligned(64)));", which,
                    (long long)(rows * p->pitch));
    }
    if (!p->left && !p->stream)
        writer_line(w, "%s left[%lld] __attribute__((aligned(64)));",
                    p->pairs ? "rt_u16" : "float",
                    (long long)((p->deep ? p->rows : g->target->mr) * depth));
}

static void emit_epilogue_rows(struct generator *g, struct product *p)
{
    scope_open(g);
    if (!p->deep && !p->stream)
        writer_line(scope_writer(g), "const rt_i64 v1 = m + r;");
    variable_open(g, p->row, "v1", 0, p->e.m - 1);
    emit_row(g, p);
    if (p->deep || p->stream)
        scope_close(g, "for (rt_i64 v1 = first_row; v1 < last_row; v1++)");
    else
        scope_close(g, "for (rt_i64 r = 0; r < count; r++)");
}

/* All of K at once: panels, then block after block with its epilogue. */
static void emit_whole(struct generator *g, struct product *p)
{
    p->first_step = "0";
    p->steps = arena_printf(g->arena, "%lld", (long long)p->e.k);
    emit_panels(g, p);
    scope_open(g);
    emit_left_rows(g, p);
    emit_prefetch(g, p);
    emit_blocks(g, p, "0");
    emit_epilogue_rows(g, p);
    scope_close(g, "for (rt_i64 m = first_row; m < last_row; m += MR)");
}

/* K in parts: the sums wait in the block, in order of k. */
static void emit_deep(struct generator *g, struct product *p)
{
    p->first_step = "k0";
    p->steps = "depth";
    scope_open(g);
    writer_line(scope_writer(g), "const rt_i64 depth = m_least_i64(%lld - k0, %lld);",
                (long long)p->e.k, (long long)p->kc);
    emit_panels(g, p);
    if (!p->left) {
        writer_line(scope_writer(g), "const rt_i64 from_row = first_row, to_row = last_row;");
        p->pack_left(g, p);
    }
    if (p->pairs)
        writer_line(scope_writer(g), "const rt_i64 even = (depth + 1) / 2 * 2;");
    scope_open(g);
    emit_left_rows(g, p);
    emit_prefetch(g, p);
    emit_blocks(g, p, "k0 > 0");
    scope_close(g, "for (rt_i64 m = first_row; m < last_row; m += MR)");
    scope_close(g, "for (rt_i64 k0 = 0; k0 < %lld; k0 += %lld)", (long long)p->e.k,
                (long long)p->kc);
    emit_epilogue_rows(g, p);
}

static void prepare(struct generator *g)
{
    struct product *p = g->skeleton;
    p->batch = variable_add(g, p->e.batch, BATCH, false);
    p->row = variable_add(g, p->e.m, ROW, false);
    p->tile = variable_add(g, p->col_tiles, TILE, false);
    p->column = variable_add(g, p->cols, COLUMN, p->whole_cols);
}

static void attempt(struct generator *g)
{
    struct product *p = g->skeleton;
    if (p->stream) {
        variable_open(g, p->batch, "0", 0, 0);
        p->stream_left(g, p);
    }
    scope_open(g);
    struct writer *w = scope_writer(g);
    writer_line(w, "const rt_i64 v0 = tile / %lld, v2 = tile %% %lld;",
                (long long)(p->row_tiles * p->col_tiles), (long long)p->col_tiles);
    writer_line(w, "const rt_i64 first_row = tile / %lld %% %lld * %lld;",
                (long long)p->col_tiles, (long long)p->row_tiles, (long long)p->rows);
    writer_line(w, "const rt_i64 last_row = m_least_i64(first_row + %lld, %lld);",
                (long long)p->rows, (long long)p->e.m);
    if (!p->whole_cols)
        writer_line(w, "const rt_i64 width = m_least_i64(%lld - v2 * %lld, %lld);",
                    (long long)p->e.n, (long long)p->cols, (long long)p->cols);
    variable_open(g, p->batch, "v0", 0, p->e.batch - 1);
    variable_open(g, p->tile, "v2", 0, p->col_tiles - 1);
    declare_buffers(g, p);
    if (p->stream) {
        p->stream(g, p);
        emit_epilogue_rows(g, p);
    } else if (p->deep)
        emit_deep(g, p);
    else
        emit_whole(g, p);
    scope_close(g, "for (rt_i64 tile = begin; tile < end; tile++)");
}

void emit_product(struct generator *g, struct product *p)
{
    g->skeleton = p;
    g->provide = provide;
    emit_attempts(g, prepare, attempt);
}
