/*
 * The skeleton `conv2d` on GPUs: the product of matmul.h whose left operand is gathered from the
 * image as its tile is copied (implicit GEMM; NVIDIA, "CUTLASS: implicit GEMM convolution"). Rows
 * are pixels of the result, steps of K the taps (row, column, channel) of the filter. A chunk of
 * 16 bytes lies within one tap, or, where nothing is padded from left and right, within one row
 * of the filter, whose taps are neighbours in memory; other images go element by element.
 */
#include "backends/cuda/matmul.h"

enum { MASK_TAPS = 32 };

struct conv {
    struct conv_extents c;
    const struct value *operand, *image; /* that is multiplied; and as it stands in memory */
    int64_t strides[3];    /* of images, rows and pixels: elements */
    int64_t columns, deep; /* of the filter, merged: columns, and channels of a tap */
    bool padded;
};

static const struct conv *conv_of(struct generator *g)
{
    return product_of(g)->context;
}

/* --- copies of chunks --- */

/* The image's element offset at tap (0, 0) of the thread's pixels, and which taps are inside. */
static void declare_pixels(struct generator *g)
{
    const struct conv *v = conv_of(g);
    const struct conv_extents *c = &v->c;
    const struct gpu_product *p = product_of(g);
    const struct copy_shape *s = &p->left.shape;
    const char *type = g->dialect->index_type;
    struct writer *w = scope_writer(g);
    writer_line(w, "const int a_row = thread / %lld, a_chunk = thread %% %lld * %lld;",
                (long long)s->lanes, (long long)s->lanes, (long long)p->chunk);
    writer_line(w, "const shared_t a_to = a_row * %lld + %s(a_row, thread %% %lld) * 16;",
                (long long)s->row_bytes, s->swizzle, (long long)s->lanes);
    writer_line(w, "%s a_base[%lld];", type, (long long)s->row_count);
    writer_line(w, "rt_u32 a_taps[%lld];", (long long)s->row_count);
    scope_open(g);
    w = scope_writer(g);
    writer_line(w, "const %s pixel = m0 + a_row + r * %lld;", type, (long long)s->row_step);
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
    const char *taps = v->padded ? arena_printf(g->arena,
                                                "taps_inside(py, px, %lld, %lld, %lld, %lld)",
                                                (long long)c->rows, (long long)v->columns,
                                                (long long)c->height, (long long)c->width)
                                 : "~0u";
    writer_line(w, "a_taps[r] = pixel < %lld ? %s : 0;", (long long)p->layout.e.m, taps);
    writer_line(&g->scopes[g->depth - 1].writer, "UNROLL");
    scope_close(g, "for (int r = 0; r < %lld; r++)", (long long)s->row_count);
}

/* All chunks of a thread are at the same step of K, so at the same tap. */
static void copy_pixels(struct generator *g)
{
    const struct conv *v = conv_of(g);
    struct gpu_product *p = product_of(g);
    const struct copy_shape *s = &p->left.shape;
    const char *type = g->dialect->index_type;
    bool tail = p->layout.e.k % p->tile.depth != 0;
    const char *within = tail ? arena_printf(g->arena, "k < %lld && ", (long long)p->layout.e.k)
                              : "";
    scope_open(g);
    struct writer *w = scope_writer(g);
    writer_line(w, "const int k = fill + a_chunk, tap = k / %lld;", (long long)v->deep);
    writer_line(w, "const %s shift = tap / %lld * %lld + tap %% %lld * %lld + k %% %lld;", type,
                (long long)v->columns, (long long)v->strides[1], (long long)v->columns,
                (long long)v->strides[2], (long long)v->deep);
    scope_open(g);
    writer_line(scope_writer(g), "const int inside = %sa_taps[r]%s;", within,
                v->padded ? " >> tap & 1" : " != 0");
    writer_line(scope_writer(g),
                "copy_async16(put + a_to + r * %lld, %s + a_base[r] + shift, inside ? 16 : 0);",
                (long long)(s->row_step * s->row_bytes), argument_name(g, v->image, false));
    writer_line(&g->scopes[g->depth - 1].writer, "UNROLL");
    scope_close(g, "for (int r = 0; r < %lld; r++)", (long long)s->row_count);
    scope_close_bare(g);
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

static bool has_chunks(struct generator *g, const struct gpu_product *p, const struct conv *v)
{
    const struct conv_extents *c = &v->c;
    const struct type *type = &v->image->type;
    bool steps = v->deep % p->chunk == 0 && v->strides[0] % p->chunk == 0 &&
                 v->strides[1] % p->chunk == 0 && v->strides[2] * c->stride[1] % p->chunk == 0 &&
                 (v->columns == 1 || v->strides[2] % p->chunk == 0) &&
                 c->channels / c->groups * (c->groups > 1) % p->chunk == 0;
    bool plain = is_loaded(g, v->image) &&
                 (!type->strided || (type->strides[3] == 1 && type->offset == 0));
    return steps && plain && (!v->padded || c->rows * v->columns <= MASK_TAPS);
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
    p->left = (struct tile_operand){.name = "a",
                                    .left = true,
                                    .extent = p->tile.rows,
                                    .along_k = true,
                                    .way = has_chunks(g, p, v) ? COPY_ASYNC : COPY_ELEMENTS};
    p->left.rounds = p->left.way == COPY_ASYNC && v->image != v->operand;
    p->left.shape = copy_shape(g, p, p->left.extent, true);
    find_right_operands(g, p);
    emit_gpu_product(g, p);
}
