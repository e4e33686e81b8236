/*
 * The skeleton `matmul`. The left operand is read where it stands if its rows are runs of
 * memory of the computing type, else a tile's rows are copied. Panels of the right operand are
 * packed from memory as it is stored; what is neither rows nor columns of memory is packed
 * element by element.
 */
#include "backends/c/matmul.h"

/* Row-major index of the left operand at variables batch, row, step. */
static struct index left_index(struct generator *g, const struct product *p, struct index batch,
                               struct index row, struct index step)
{
    bool transa = node_int(p->anchors[0], transa);
    struct index outer = transa ? step : row, inner = transa ? row : step;
    int64_t outers = transa ? p->e.k : p->e.m, inners = transa ? p->e.m : p->e.k;
    struct index index = index_add(&g->space, index_scale(batch, outers), outer);
    return index_add(&g->space, index_scale(index, inners), inner);
}

/* As left_index, of the right operand (or of one segment of `extent` columns). */
static struct index right_index(struct generator *g, const struct product *p, int which,
                                int64_t extent, struct index batch, struct index column,
                                struct index step)
{
    bool transb = node_int(p->anchors[which], transb);
    struct index outer = transb ? column : step, inner = transb ? step : column;
    int64_t outers = transb ? extent : p->e.k, inners = transb ? p->e.k : extent;
    if (p->e.shared_b)
        batch = index_constant(0);
    struct index index = index_add(&g->space, index_scale(batch, outers), outer);
    return index_add(&g->space, index_scale(index, inners), inner);
}

/* Opens throw-away variables over the extents of a side and looks where the operand stands. */
static struct matrix find_matrix(struct generator *g, const struct product *p, int which,
                                 const struct value *value, int64_t extent, bool left)
{
    variables_reset(g);
    generator_restart(g);
    struct index batch, major, step;
    batch = variable_open(g, variable_add(g, p->e.batch, 0, false), "v0", 0, p->e.batch - 1);
    major = variable_open(g, variable_add(g, extent, 0, false), "m", 0, extent - 1);
    step = variable_open(g, variable_add(g, p->e.k, 0, false), "k", 0, p->e.k - 1);
    struct index index = left ? left_index(g, p, batch, major, step)
                              : right_index(g, p, which, extent, batch, major, step);
    return matrix_find(g, value, index, (struct matrix_axes){0, -1, 1, 2}, !left);
}

/* The parts of a concatenation along the product's columns: each its own weight. */
static void find_sides(struct generator *g, struct matmul *m, int which)
{
    struct product *p = &m->product;
    const struct value *value = p->anchors[which]->operands[1];
    bool transb = node_int(p->anchors[which], transb);
    const struct value *whole = value;
    while (whole->node->op == OP_cast && !is_loaded(g, whole))
        whole = whole->node->operands[0];
    const struct node *node = whole->node;
    int axis = whole->type.rank - (transb ? 2 : 1), parts = 1;
    bool segments = node->op == OP_concat && !is_loaded(g, whole) &&
                    node_int(node, axis) == axis && node_int(node, granule) == 0 &&
                    node->operand_count <= SEGMENTS;
    for (int i = 0; segments && i < node->operand_count; i++)
        segments = node->operands[i]->type.dims[axis] % g->target->nr == 0;
    if (segments)
        parts = node->operand_count;
    int64_t start = 0;
    for (int i = 0; i < parts; i++) {
        const struct value *part = segments ? node->operands[i] : value;
        int64_t extent = part->type.dims[axis];
        m->sides[which][i] = (struct side){part, start, extent,
                                           find_matrix(g, p, which, part, extent, false)};
        start += extent;
    }
    m->side_counts[which] = parts;
}

/* Element by element, for what is neither rows nor columns of memory. */
static void pack_elements(struct generator *g, struct product *p, int which,
                          const struct side *side)
{
    struct writer *w = scope_writer(g);
    writer_line(w, "clear_panel_%s(target, %lld);", product_form(p),
                (long long)product_depth(p, p->kc));
    scope_open(g);
    scope_open(g);
    int step = variable_add(g, p->e.k, 0, false), column = variable_add(g, side->extent, 0, false);
    writer_line(&g->scopes[g->depth - 1].writer, "const rt_i64 k = %s + i;",
                p->first_step);
    struct index k = variable_open(g, step, "k", 0, p->e.k - 1);
    g->space.atoms.items[k.terms[0].atom].depth = g->depth - 1;
    writer_line(scope_writer(g), "const rt_i64 column = n - %lld + j;", (long long)side->start);
    struct index j = variable_open(g, column, "column", 0, side->extent - 1);
    struct index batch = index_of_atom(g->variables[p->batch].atom);
    struct element e =
        value_at(g, side->value, right_index(g, p, which, side->extent, batch, j, k));
    writer_line(scope_writer(g), "set_panel_%s(target, i, j, %s);", product_form(p), e.text);
    scope_close(g, "for (rt_i64 j = 0; j < columns; j++)");
    scope_close(g, "for (rt_i64 i = 0; i < %s; i++)", p->steps);
    g->variable_count -= 2;
}

static void pack_side(struct generator *g, struct product *p, int which, const struct side *side)
{
    if (side->matrix.kind == MATRIX_OTHER) {
        pack_elements(g, p, which, side);
        return;
    }
    const char *column =
        side->start ? arena_printf(g->arena, "(n - %lld)", (long long)side->start) : "n";
    const char *batch = p->e.batch > 1 ? "v0" : "0";
    bool rows = side->matrix.kind == MATRIX_ROWS;
    writer_line(scope_writer(g), "pack_%s_%s_%s(target, %s, %lld, columns, %s);",
                rows ? "rows" : "columns", product_form(p),
                dtype_name(side->matrix.value->type.dtype),
                matrix_pointer(g, &side->matrix, batch, "0", column, p->first_step),
                (long long)(rows ? side->matrix.major : side->matrix.minor), p->steps);
}

static void pack_right(struct generator *g, struct product *p, int which)
{
    struct matmul *m = g->skeleton;
    int count = m->side_counts[which];
    if (count == 1) {
        pack_side(g, p, which, &m->sides[which][0]);
        return;
    }
    for (int i = 0; i < count; i++) {
        const struct side *side = &m->sides[which][i];
        scope_open_conditional(g, g->depth);
        pack_side(g, p, which, side);
        if (i == count - 1)
            scope_close(g, "else");
        else
            scope_close(g, "%sif (n < %lld)", i ? "else " : "",
                        (long long)(side->start + side->extent));
    }
}

/* Asks for a share of the columns that are packed next, while these are multiplied. */
static void prefetch_right(struct generator *g, struct product *p, int which)
{
    struct matmul *m = g->skeleton;
    const struct side *side = &m->sides[which][0];
    if (m->side_counts[which] != 1 || side->matrix.kind != MATRIX_ROWS)
        return;
    struct writer *w = scope_writer(g);
    writer_line(w, "prefetch_run(%s, %lld);",
                matrix_pointer(g, &side->matrix, p->e.batch > 1 ? "v0" : "0", "0", "i",
                               p->deep ? "next_step" : "0"),
                (long long)(p->kc * dtype_bits(side->matrix.value->type.dtype) / 8));
}

/* Copies a tile's rows; odd steps of pairs end with a zero. */
static void pack_left(struct generator *g, struct product *p)
{
    bool transa = node_int(p->anchors[0], transa);
    int64_t pitch = product_depth(p, p->kc);
    scope_open(g);
    scope_open(g);
    int step = variable_add(g, p->e.k, 0, false);
    const char *store = p->pairs ? "to_bf16" : "";
    writer_line(&g->scopes[g->depth - transa].writer, "const rt_i64 k = %s + i;",
                p->first_step);
    struct index k = variable_open(g, step, "k", 0, p->e.k - 1);
    struct index row = variable_open(g, p->row, "row", 0, p->e.m - 1);
    if (transa)
        g->space.atoms.items[k.terms[0].atom].depth = g->depth - 1;
    else
        g->space.atoms.items[row.terms[0].atom].depth = g->depth - 1;
    struct index batch = index_of_atom(g->variables[p->batch].atom);
    struct element e =
        value_at(g, p->anchors[0]->operands[0], left_index(g, p, batch, row, k));
    writer_line(scope_writer(g), "left[(row - from_row) * %lld + i] = %s(%s);",
                (long long)pitch, store, e.text);
    const char *steps = arena_printf(g->arena, "for (rt_i64 i = 0; i < %s; i++)", p->steps);
    const char *rows = "for (rt_i64 row = from_row; row < to_row; row++)";
    writer_line(&g->scopes[g->depth - 1].writer, VECTOR_LOOP);
    scope_close(g, "%s", transa ? rows : steps);
    if (p->pairs && !transa) {
        writer_line(scope_writer(g), "if (%s %% 2)", p->steps);
        writer_line(scope_writer(g), "    left[(row - from_row) * %lld + %s] = 0;",
                    (long long)pitch, p->steps);
    }
    scope_close(g, "%s", transa ? steps : rows);
    if (p->pairs && transa) {
        writer_line(scope_writer(g),
                    "for (rt_i64 row = 0; %s %% 2 && row < to_row - from_row; row++)", p->steps);
        writer_line(scope_writer(g), "    left[row * %lld + %s] = 0;", (long long)pitch,
                    p->steps);
    }
    g->variable_count -= 1;
}

/* Reads the left operand where it stands if it can. */
static void find_left(struct generator *g, struct product *p)
{
    const struct value *a = p->anchors[0]->operands[0];
    struct matrix matrix = find_matrix(g, p, 0, a, p->e.m, true);
    enum dtype wanted = p->pairs ? DTYPE_bf16 : DTYPE_f32;
    bool odd = p->pairs && p->e.k % 2 != 0;
    if (matrix.kind == MATRIX_ROWS && matrix.value->type.dtype == wanted && !odd) {
        p->left = matrix_pointer(g, &matrix, p->e.batch > 1 ? "v0" : "0", "0", "m",
                                 p->deep ? "k0" : "0");
        p->left_origin = matrix_pointer(g, &matrix, "0", "0", "0", "0");
        p->left_stride = arena_printf(g->arena, "%lld", (long long)matrix.major);
    } else if (matrix.kind == MATRIX_COLUMNS && !p->pairs && !p->keep_rows &&
               matrix.value->type.dtype == DTYPE_f32) {
        p->left = matrix_pointer(g, &matrix, p->e.batch > 1 ? "v0" : "0", "0", "m",
                                 p->deep ? "k0" : "0");
        p->left_stride = "1";
        p->left_step = arena_printf(g->arena, "%lld", (long long)matrix.minor);
    } else {
        p->left = NULL;
        p->left_stride = arena_printf(g->arena, "%lld", (long long)product_depth(p, p->kc));
    }
}

struct matmul *matmul_create(struct generator *g)
{
    struct matmul *m = arena_new(g->arena, struct matmul);
    struct product *p = &m->product;
    struct node_list nodes = kernel_nodes(g);
    for (int i = 0; i < nodes.count; i++) {
        if (nodes.items[i]->op != OP_matmul)
            continue;
        if (p->count == PRODUCTS)
            fatal(INTERNAL, "a kernel has too many products", g->kernel->name);
        p->anchors[p->count++] = nodes.items[i];
    }
    if (p->count == 0)
        fatal(INTERNAL, "a kernel lacks the op of its skeleton", g->kernel->name);
    p->pairs = kernel_int(g, dots);
    product_prepare(g, p);
    p->pack_left = pack_left;
    p->pack_right = pack_right;
    p->prefetch_right = prefetch_right;
    for (int which = 0; which < p->count; which++)
        find_sides(g, m, which);
    p->keep_rows = g->kernel->skeleton == SKELETON_gemv;
    find_left(g, p);
    return m;
}

void emit_matmul(struct generator *g)
{
    emit_product(g, &matmul_create(g)->product);
}
