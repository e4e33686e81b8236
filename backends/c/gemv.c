/*
 * The skeleton `gemv`: a product with few rows. Where the right operand's columns are rows of
 * memory, they stream through once, each multiplied with all left rows (lib/gemv.h). Other
 * layouts take the frame of `matmul`, which holds for any number of rows.
 */
#include "backends/c/matmul.h"

#include <string.h>

/* The library's form for these operands; NULL if it has none. Pairs of both in bf16, else the
 * stored type times f32. */
static const char *form_of(const struct product *p, const struct side *side)
{
    enum dtype stored = side->matrix.value->type.dtype;
    if (p->pairs)
        return stored == DTYPE_bf16 ? "pairs" : NULL;
    return dtype_name(stored);
}

static bool streams(const struct matmul *m)
{
    const struct product *p = &m->product;
    for (int which = 0; which < p->count; which++)
        for (int i = 0; i < m->side_counts[which]; i++)
            if (m->sides[which][i].matrix.kind != MATRIX_ROWS ||
                !form_of(p, &m->sides[which][i]))
                return false;
    return p->e.batch == 1 && p->count > 0;
}

/* Columns n..n+columns-1 of the tile that belong to one segment. */
static void emit_segment(struct generator *g, struct product *p, int which,
                         const struct side *side)
{
    struct writer *w = scope_writer(g);
    long long start = (long long)side->start, end = start + (long long)side->extent;
    writer_line(w, "const rt_i64 from = m_most_i64(n, %lld);", start);
    writer_line(w, "const rt_i64 to = m_least_i64(n + width, %lld);", end);
    const char *column = start ? arena_printf(g->arena, "(from - %lld)", start) : "from";
    writer_line(w, "if (from < to)");
    writer_line(w, "    gemv_%s(%lld, to - from, left, %s, %s, %lld, %lld, %lld, "
                   "block%d + from - n, %lld);",
                form_of(p, side), (long long)p->e.m, p->left_stride,
                matrix_pointer(g, &side->matrix, "0", "0", column, "0"),
                (long long)side->matrix.major, (long long)p->e.k,
                (long long)kernel_int(g, prefetch), which, (long long)p->pitch);
}

static void emit_stream(struct generator *g, struct product *p)
{
    struct matmul *m = g->skeleton;
    struct writer *w = scope_writer(g);
    writer_line(w, "const rt_i64 n = v2 * %lld;", (long long)p->cols);
    if (p->whole_cols)
        writer_line(w, "const rt_i64 width = %lld;", (long long)p->cols);
    for (int which = 0; which < p->count; which++)
        for (int i = 0; i < m->side_counts[which]; i++) {
            scope_open_conditional(g, g->depth);
            emit_segment(g, p, which, &m->sides[which][i]);
            scope_close_bare(g);
        }
}

/* The left rows, where they stand or copied once for all tiles of the call. */
static void emit_left(struct generator *g, struct product *p)
{
    const char *type = p->pairs ? "rt_u16" : "float";
    struct writer *w = scope_writer(g);
    if (p->left) {
        writer_line(w, "const %s *left = %s;", type, p->left_origin);
        return;
    }
    writer_line(w, "%s left[%lld] __attribute__((aligned(64)));", type,
                (long long)(p->e.m * product_depth(p, p->e.k)));
    writer_line(w, "const rt_i64 from_row = 0, to_row = %lld;", (long long)p->e.m);
    p->first_step = "0";
    p->steps = arena_printf(g->arena, "%lld", (long long)p->e.k);
    p->pack_left(g, p);
}

void emit_gemv(struct generator *g)
{
    struct matmul *m = matmul_create(g);
    struct product *p = &m->product;
    if (!streams(m)) {
        emit_product(g, p);
        return;
    }
    p->stream = emit_stream;
    p->stream_left = emit_left;
    p->deep = false;
    emit_product(g, p);
}
