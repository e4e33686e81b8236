/*
 * The skeleton `conv2d` on GPUs: the product of matmul.h whose left operand is gathered from the
 * image as its tile is copied (implicit GEMM; NVIDIA, "CUTLASS: implicit GEMM convolution"). Rows
 * are pixels of the result, steps of K the taps (row, column, channel) of the filter, packed: few
 * channels leave no gaps. What is copied at once lies within one tap, or, where nothing is padded
 * from left and right, within one row of the filter, whose taps are neighbours in memory: chunks
 * of 16 bytes, pieces of 8 or 4, or, for odd channels of 2 bytes, elements by way of registers.
 * Images that are computed as they are read go element by element, each by its own index.
 */
#include "backends/cuda/matmul.h"

enum { MASK_TAPS = 64 };

struct conv {
    struct conv_extents c;
    const struct value *operand, *image; /* that is multiplied; and as it stands in memory */
    int64_t strides[3];    /* of images, rows and pixels: elements */
    int64_t columns, deep; /* of the filter, merged: columns, and channels of a tap */
    bool padded;
    int64_t piece; /* elements that are copied at once */
};

static const struct conv *conv_of(struct generator *g)
{
    return product_of(g)->context;
}

/* --- copies by taps --- */

/* "taps_inside_32(...)": the mask of a pixel's taps that are in the image. */
static const char *taps_text(struct generator *g)
{
    const struct conv *v = conv_of(g);
    const struct conv_extents *c = &v->c;
    if (!v->padded)
        return "1";
    return arena_printf(g->arena, "taps_inside_%d(py, px, %lld, %lld, %lld, %lld)",
                        c->rows * v->columns > 32 ? 64 : 32, (long long)c->rows,
                        (long long)v->columns, (long long)c->height, (long long)c->width);
}

/* The image's element offset at tap (0, 0) of a pixel, and which taps are inside. */
static void declare_pixel(struct generator *g)
{
    const struct conv *v = conv_of(g);
    const struct conv_extents *c = &v->c;
    const struct gpu_product *p = product_of(g);
    struct writer *w = scope_writer(g);
    writer_line(w, "const %s pixel = m0 + a_row + r * %lld;", g->dialect->index_type,
                (long long)p->left.shape.row_step);
    writer_line(w, "const int py = pixel / %lld %% %lld * %lld - %lld;", (long long)c->out_width,
                (long long)c->out_height, (long long)c->stride[0], (long long)c->top);
    writer_line(w, "const int px = pixel %% %lld * %lld - %lld;", (long long)c->out_width,
                (long long)c->stride[1], (long long)c->left);
    writer_line(w, "a_base[r] = pixel / %lld * %lld + py * %lld + px * %lld%s;",
                (long long)(c->out_width * c->out_height), (long long)v->strides[0],
                (long long)v->strides[1], (long long)v->strides[2],
                c->groups > 1 ? arena_printf(g->arena, " + v_batch * %lld",
                                             (long long)(c->channels / c->groups))
                              : "");
    writer_line(w, "a_taps[r] = pixel < %lld ? %s : 0;", (long long)p->layout.e.m, taps_text(g));
}

static void declare_pixels(struct generator *g)
{
    const struct conv *v = conv_of(g);
    const struct gpu_product *p = product_of(g);
    const struct copy_shape *s = &p->left.shape;
    long long lanes = (long long)s->lanes, count = (long long)s->row_count;
    struct writer *w = scope_writer(g);
    writer_line(w, "const int a_row = thread / %lld, a_chunk = thread %% %lld * %lld;", lanes,
                lanes, (long long)p->chunk);
    writer_line(w, "const shared_t a_to = a_row * %lld + %s(a_row, thread %% %lld) * 16;",
                (long long)s->row_bytes, s->swizzle, lanes);
    writer_line(w, "%s a_base[%lld];", g->dialect->index_type, count);
    writer_line(w, "%s a_taps[%lld];", v->c.rows * v->columns > 32 ? "rt_u64" : "rt_u32", count);
    if (p->left.way != COPY_ASYNC)
        writer_line(w, "struct f32x%lld a_next[%lld];", (long long)p->chunk, count);
    scope_open(g);
    declare_pixel(g);
    writer_line(&g->scopes[g->depth - 1].writer, "UNROLL");
    scope_close(g, "for (int r = 0; r < %lld; r++)", count);
}

/* The image's elements for one piece of row r. */
static void copy_piece(struct generator *g)
{
    const struct conv *v = conv_of(g);
    const struct gpu_product *p = product_of(g);
    const struct copy_shape *s = &p->left.shape;
    struct writer *w = scope_writer(g);
    const char *name = argument_name(g, v->image, false);
    bool whole = v->piece == p->chunk;
    long long size = (long long)(v->piece * p->element_bytes);
    writer_line(w, "const int inside = %sa_taps[r]%s;",
                p->layout.e.k % p->tile.depth ? "within && " : "",
                v->padded ? " >> tap & 1" : " != 0");
    if (p->left.way == COPY_ASYNC)
        writer_line(w, "copy_async%lld(put + a_to + %sr * %lld, %s + a_base[r] + shift, "
                       "inside ? %lld : 0);",
                    size, whole ? "" : arena_printf(g->arena, "q * %lld + ", size),
                    (long long)(s->row_step * s->row_bytes), name, size);
    else
        writer_line(w, "a_next[r].at[q] = inside ? load_%s(%s + a_base[r] + shift) : 0;",
                    cuda_memory_name(v->image->type.dtype), name);
}

/* A thread's pieces of one step of K: piece q is at the same tap in all of its rows. */
static void copy_pixels(struct generator *g)
{
    const struct conv *v = conv_of(g);
    struct gpu_product *p = product_of(g);
    bool whole = v->piece == p->chunk;
    scope_open(g);
    struct writer *w = scope_writer(g);
    const char *piece = whole ? "" : v->piece == 1
                                         ? " + q"
                                         : arena_printf(g->arena, " + q * %lld",
                                                        (long long)v->piece);
    writer_line(w, "const int k = fill + a_chunk%s, tap = k / %lld;", piece, (long long)v->deep);
    writer_line(w, "const %s shift = tap / %lld * %lld + tap %% %lld * %lld + k %% %lld;",
                g->dialect->index_type, (long long)v->columns, (long long)v->strides[1],
                (long long)v->columns, (long long)v->strides[2], (long long)v->deep);
    if (p->layout.e.k % p->tile.depth != 0)
        writer_line(w, "const int within = k < %lld;", (long long)p->layout.e.k);
    scope_open(g);
    copy_piece(g);
    writer_line(&g->scopes[g->depth - 1].writer, "UNROLL");
    scope_close(g, "for (int r = 0; r < %lld; r++)", (long long)p->left.shape.row_count);
    if (whole) {
        scope_close_bare(g);
        return;
    }
    writer_line(&g->scopes[g->depth - 1].writer, "UNROLL");
    scope_close(g, "for (int q = 0; q < %lld; q++)", (long long)(p->chunk / v->piece));
}

/* --- elements --- */

static struct index named(struct generator *g, const char *text, int64_t extent)
{
    struct atom atom = {text, 0, extent > 0 ? extent - 1 : 0, g->depth, -1};
    return index_of_atom(index_new_atom(&g->space, atom));
}

/* Element k of pixel `outer`: "x = ...;" where it is inside of the image. */
static void pixel_element(struct generator *g)
{
    const struct conv *v = conv_of(g);
    const struct conv_extents *c = &v->c;
    long long deep = (long long)(c->channels / c->groups), columns = (long long)c->columns;
    struct writer *w = scope_writer(g);
    writer_line(w, "const int yy = outer / %lld %% %lld * %lld - %lld + k / %lld;",
                (long long)c->out_width, (long long)c->out_height, (long long)c->stride[0],
                (long long)c->top, columns * deep);
    writer_line(w, "const int xx = outer %% %lld * %lld - %lld + k / %lld %% %lld;",
                (long long)c->out_width, (long long)c->stride[1], (long long)c->left, deep,
                columns);
    scope_open_conditional(g, g->depth);
    w = scope_writer(g);
    writer_line(w, "const int image = outer / %lld;", (long long)(c->out_width * c->out_height));
    writer_line(w, "const int channel = k %% %lld%s;", deep,
                c->groups > 1 ? arena_printf(g->arena, " + v_batch * %lld", deep) : "");
    const int64_t dims[4] = {c->images, c->height, c->width, c->channels};
    struct index axes[4] = {named(g, "image", dims[0]), named(g, "yy", dims[1]),
                            named(g, "xx", dims[2]), named(g, "channel", dims[3])};
    struct element e = value_at(g, v->operand, index_put_together(&g->space, 4, dims, axes));
    writer_line(scope_writer(g), "x = %s;", e.text);
    scope_close(g, "if (yy >= 0 && yy < %lld && xx >= 0 && xx < %lld)", (long long)c->height,
                (long long)c->width);
}

static const struct left_source pixels = {declare_pixels, copy_pixels, pixel_element};

/* --- which way --- */

static bool is_padded(const struct conv_extents *c, bool across)
{
    int64_t low = across ? c->left : c->top;
    int64_t last = across ? (c->out_width - 1) * c->stride[1] + c->columns
                          : (c->out_height - 1) * c->stride[0] + c->rows;
    return low > 0 || last > (across ? c->width : c->height);
}

/* The image in memory: f32 is rounded to TF32 after it was copied. */
static void find_image(struct generator *g, const struct value *operand, struct conv *v)
{
    const struct node *node = operand->node;
    bool rounded = !is_loaded(g, operand) && node->op == OP_cast &&
                   operand->type.dtype == DTYPE_tf32 &&
                   node->operands[0]->type.dtype == DTYPE_f32 && is_loaded(g, node->operands[0]);
    v->operand = operand;
    v->image = rounded ? node->operands[0] : operand;
}

static void find_strides(struct conv *v)
{
    const struct type *type = &v->image->type;
    v->strides[2] = type->strided ? type->strides[2] : type->dims[3];
    v->strides[1] = type->strided ? type->strides[1] : type->dims[2] * type->dims[3];
    v->strides[0] = type->strided ? type->strides[0]
                                  : type->dims[1] * type->dims[2] * type->dims[3];
}

/* Merges the columns of the filter into its channels where they are neighbours in memory. */
static void merge_columns(struct conv *v)
{
    const struct conv_extents *c = &v->c;
    v->columns = c->columns;
    v->deep = c->channels / c->groups;
    v->padded = is_padded(c, false) || is_padded(c, true);
    if (c->groups == 1 && !is_padded(c, true) && v->strides[2] == c->channels) {
        v->deep *= v->columns;
        v->columns = 1;
    }
}

/* The largest power of two, up to a chunk, that divides all steps in memory. */
static int64_t find_piece(const struct gpu_product *p, const struct conv *v)
{
    const struct conv_extents *c = &v->c;
    int64_t steps = v->deep | v->strides[0] | v->strides[1] | v->strides[2] * c->stride[1] |
                    c->left * v->strides[2];
    if (v->columns > 1)
        steps |= v->strides[2];
    if (c->groups > 1)
        steps |= c->channels / c->groups;
    int64_t piece = steps & -steps;
    return piece < p->chunk ? piece : p->chunk;
}

/* Whether the image stands in memory, and a mask holds the taps of a pixel. */
static bool has_taps(struct generator *g, const struct conv *v)
{
    const struct type *type = &v->image->type;
    bool plain = is_loaded(g, v->image) &&
                 (!type->strided || (type->strides[3] == 1 && type->offset == 0));
    return plain && (!v->padded || v->c.rows * v->columns <= MASK_TAPS);
}

/* Asynchronous copies have 4 bytes at least. */
static void find_way(struct generator *g, struct gpu_product *p, struct conv *v)
{
    struct tile_operand *o = &p->left;
    v->piece = find_piece(p, v);
    *o = (struct tile_operand){.name = "a", .left = true, .extent = p->tile.rows, .along_k = true};
    o->gathered = has_taps(g, v);
    bool async = o->gathered && v->piece * p->element_bytes >= 4;
    o->way = async ? COPY_ASYNC : COPY_ELEMENTS;
    if (o->gathered && !async)
        v->piece = 1;
    o->rounds = async && v->image != v->operand;
    o->shape = copy_shape(g, p, o->extent, true);
}

void cuda_emit_conv2d(struct generator *g)
{
    struct gpu_product *p = arena_new(g->arena, struct gpu_product);
    struct conv *v = arena_new(g->arena, struct conv);
    product_tile_or_die(g, p);
    const struct node *anchor = p->layout.segments[0].anchors[0];
    v->c = conv_extents(anchor);
    find_image(g, anchor->operands[0], v);
    find_strides(v);
    merge_columns(v);
    p->batch_inside = true;
    p->source = &pixels;
    p->context = v;
    find_way(g, p, v);
    find_right_operands(g, p);
    emit_gpu_product(g, p);
}
