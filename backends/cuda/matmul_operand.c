/* Where the operands of a product stand and how threads share their copies: see matmul.h. */
#include "backends/cuda/matmul.h"

struct index left_index(struct generator *g, const struct gpu_product *p, struct index batch,
                        struct index row, struct index step)
{
    const struct product_extents *e = &p->layout.e;
    bool transa = node_int(p->layout.segments[0].anchors[0], transa);
    struct index outer = transa ? step : row, inner = transa ? row : step;
    int64_t outers = transa ? e->k : e->m, inners = transa ? e->m : e->k;
    struct index index = index_add(&g->space, index_scale(batch, outers), outer);
    return index_add(&g->space, index_scale(index, inners), inner);
}

struct index right_index(struct generator *g, const struct node *anchor, struct index batch,
                         struct index column, struct index step)
{
    struct product_extents e = product_extents(anchor);
    struct index outer = e.transb ? column : step, inner = e.transb ? step : column;
    int64_t outers = e.transb ? e.n : e.k, inners = e.transb ? e.k : e.n;
    if (e.shared_b)
        batch = index_constant(0);
    struct index index = index_add(&g->space, index_scale(batch, outers), outer);
    return index_add(&g->space, index_scale(index, inners), inner);
}

/* --- where an operand stands --- */

/* Whether every value of `from` is one of `to`. */
static bool widens(enum dtype from, enum dtype to)
{
    bool half = from == DTYPE_bf16 || from == DTYPE_f16;
    return from == to || (to == DTYPE_f32 && (half || from == DTYPE_tf32)) ||
           (to == DTYPE_tf32 && half);
}

/* The last cast rounds to the type that is multiplied; those before it may only widen. */
static bool rounds_once(const struct generator *g, const struct value *value)
{
    bool last = true;
    for (; !is_loaded(g, value); value = value->node->operands[0]) {
        if (value->node->op == OP_cast && !last &&
            !widens(value->node->operands[0]->type.dtype, value->type.dtype))
            return false;
        last = last && value->node->op != OP_cast;
        if (value->node->operand_count == 0)
            return false;
    }
    return true;
}

static struct matrix find_matrix(struct generator *g, const struct gpu_product *p,
                                 const struct node *anchor, bool left)
{
    struct product_extents e = product_extents(anchor);
    int64_t extent = left ? e.m : e.n;
    variables_reset(g);
    generator_restart(g);
    struct index batch, major, step;
    batch = variable_open(g, variable_add(g, e.batch, 0, false), "v_batch", 0, e.batch - 1);
    major = variable_open(g, variable_add(g, extent, 0, false), "m", 0, extent - 1);
    step = variable_open(g, variable_add(g, e.k, 0, false), "k", 0, e.k - 1);
    struct index index = left ? left_index(g, p, batch, major, step)
                              : right_index(g, anchor, batch, major, step);
    const struct value *value = anchor->operands[left ? 0 : 1];
    struct matrix matrix =
        matrix_find(g, value, index, (struct matrix_axes){0, -1, 1, 2}, true);
    if (matrix.kind != MATRIX_OTHER && !rounds_once(g, value))
        matrix.kind = MATRIX_OTHER;
    return matrix;
}

/* --- how it is copied --- */

static int64_t memory_bytes(const struct matrix *matrix)
{
    return dtype_bits(matrix->value->type.dtype) / 8;
}

/* Whether chunks of `elements` begin on multiples of `bytes`. */
static bool aligned(const struct matrix *matrix, int64_t bytes)
{
    int64_t size = memory_bytes(matrix);
    int64_t across = matrix->kind == MATRIX_ROWS ? matrix->major : matrix->minor;
    return matrix->offset * size % bytes == 0 && matrix->batch * size % bytes == 0 &&
           across * size % bytes == 0;
}

static bool same_bits(enum dtype stored, enum gpu_multiply multiply)
{
    switch (multiply) {
    case MULTIPLY_bf16: return stored == DTYPE_bf16;
    case MULTIPLY_f16: return stored == DTYPE_f16;
    default: return stored == DTYPE_f32 || stored == DTYPE_tf32;
    }
}

/* Elements of an asynchronous copy: as many as begin on multiples of their size; 0: too few. */
static int64_t find_piece(const struct gpu_product *p, const struct matrix *matrix)
{
    enum { LEAST = 4 }; /* bytes */
    int64_t size = memory_bytes(matrix), piece = p->chunk;
    while (piece * size >= LEAST && !aligned(matrix, piece * size))
        piece /= 2;
    return piece * size >= LEAST ? piece : 0;
}

/* `extent` is that of the axis along which neighbours in memory lie; `tile` the operand's rows
 * or columns in a tile, which make rows of 128 bytes where they are neighbours. */
static enum copy_way find_way(const struct gpu_product *p, const struct matrix *matrix,
                              int64_t extent, int64_t tile)
{
    bool narrow = matrix->kind == MATRIX_COLUMNS && tile * p->element_bytes < 128;
    if (matrix->kind == MATRIX_OTHER || narrow)
        return COPY_ELEMENTS;
    if (same_bits(matrix->value->type.dtype, p->tile.multiply))
        return find_piece(p, matrix) > 0 ? COPY_ASYNC : COPY_ELEMENTS;
    int64_t bytes = p->chunk * memory_bytes(matrix);
    bool whole = extent % p->chunk == 0;
    return whole && aligned(matrix, bytes < 16 ? bytes : 16) ? COPY_CONVERT : COPY_ELEMENTS;
}

static const char *swizzle_of(const struct gpu_product *p, bool along_k, int64_t row_bytes)
{
    if (along_k)
        return row_bytes == 64 ? "swizzle_64" : "swizzle_128";
    if (p->element_bytes == 2)
        return "swizzle_128";
    return p->tile.multiply == MULTIPLY_tf32 ? "swizzle_columns" : NULL;
}

/* Rows that a thread takes are a multiple of 8 apart, so that its swizzle is one number. */
struct copy_shape copy_shape(struct generator *g, const struct gpu_product *p, int64_t extent,
                             bool along_k)
{
    int64_t threads = p->tile.threads, deep = p->tile.depth;
    struct copy_shape s = {.rows = along_k ? extent : deep};
    s.row_bytes = (along_k ? deep : extent) * p->element_bytes;
    s.chunks = s.row_bytes / TILE_CHUNK;
    s.lanes = s.chunks < threads / 8 ? s.chunks : threads / 8;
    s.row_step = threads / s.lanes;
    s.row_count = (s.rows + s.row_step - 1) / s.row_step;
    s.part_count = s.chunks / s.lanes;
    s.swizzle = swizzle_of(p, along_k, s.row_bytes);
    bool whole = s.rows % s.row_step == 0 || s.rows < s.row_step;
    if (!whole || s.chunks % s.lanes != 0)
        fatal(INTERNAL, "threads cannot share the tile of a product", g->kernel->name);
    return s;
}

static void finish(struct generator *g, struct gpu_product *p, struct tile_operand *o)
{
    const struct value *value = o->matrices[0].value;
    o->along_k = o->way == COPY_ELEMENTS || o->matrices[0].kind == MATRIX_ROWS;
    o->rounds = p->tile.multiply == MULTIPLY_tf32 && o->way != COPY_ELEMENTS &&
                value->type.dtype != DTYPE_tf32;
    o->shape = copy_shape(g, p, o->extent, o->along_k);
    o->piece = p->chunk;
    for (int i = 0; o->way == COPY_ASYNC && i < (o->left ? 1 : p->layout.count); i++) {
        int64_t piece = find_piece(p, &o->matrices[i]);
        o->piece = piece < o->piece ? piece : o->piece;
    }
}

void find_left_operand(struct generator *g, struct gpu_product *p)
{
    const struct product_extents *e = &p->layout.e;
    struct tile_operand *o = &p->left;
    *o = (struct tile_operand){.name = "a", .left = true, .extent = p->tile.rows};
    o->matrices[0] = find_matrix(g, p, p->layout.segments[0].anchors[0], true);
    bool rows = o->matrices[0].kind == MATRIX_ROWS;
    o->way = find_way(p, &o->matrices[0], rows ? e->k : e->m, o->extent);
    finish(g, p, o);
}

/* Segments of one kernel share the text of their copies, so what differs goes by elements. */
static void find_right_operand(struct generator *g, struct gpu_product *p, int product)
{
    struct tile_operand *o = &p->right[product];
    *o = (struct tile_operand){.name = arena_printf(g->arena, "b%d", product),
                               .product = product,
                               .extent = p->tile.cols};
    o->stage_from = p->tile.left_bytes + product * p->tile.right_bytes / p->tile.products;
    for (int s = 0; s < p->layout.count; s++) {
        const struct product_segment *segment = &p->layout.segments[s];
        struct matrix *matrix = &o->matrices[s], *first = &o->matrices[0];
        *matrix = find_matrix(g, p, segment->anchors[product], false);
        bool rows = matrix->kind == MATRIX_ROWS;
        enum copy_way way = find_way(p, matrix, rows ? p->layout.e.k : segment->n, o->extent);
        bool same = matrix->kind == first->kind && way != COPY_ELEMENTS &&
                    first->value->type.dtype == matrix->value->type.dtype;
        o->way = s == 0 || (same && o->way == way) ? way : COPY_ELEMENTS;
    }
    finish(g, p, o);
}

void find_right_operands(struct generator *g, struct gpu_product *p)
{
    for (int product = 0; product < p->tile.products; product++)
        find_right_operand(g, p, product);
}
