/*
 * The convolution skeletons: matrix products whose operands are gathered from images as a tile
 * needs them (implicit im2col; Chellapilla et al., "High performance convolutional neural
 * networks for document processing", 2006). Extents and the meaning of m, n, k: ir/product.h.
 * All are computed in f32.
 */
#include "backends/c/product.h"

struct conv {
    struct product product;
    struct conv_extents c;
};

/* An atom for an integer that emitted code has named. */
static struct index named(struct generator *g, const char *text, int64_t extent)
{
    struct atom atom = {text, 0, extent > 0 ? extent - 1 : 0, g->depth, -1};
    return index_of_atom(index_new_atom(&g->space, atom));
}

static struct element element4(struct generator *g, const struct value *value,
                               const char *const names[4])
{
    struct index axes[4];
    for (int i = 0; i < 4; i++)
        axes[i] = named(g, names[i], value->type.dims[i]);
    return value_at(g, value, index_put_together(&g->space, 4, value->type.dims, axes));
}

static long long channels_in(const struct conv *conv)
{
    return conv->c.channels / conv->c.groups;
}

static long long channels_out(const struct conv *conv)
{
    return conv->c.out_channels / conv->c.groups;
}

/* `pixel` into image, row and column of a plane. */
static void open_pixel(struct generator *g, const char *pixel, int64_t height, int64_t width)
{
    struct writer *w = scope_writer(g);
    writer_line(w, "const rt_i64 image = %s / %lld;", pixel, (long long)(height * width));
    writer_line(w, "const rt_i64 py = %s / %lld %% %lld, px = %s %% %lld;", pixel,
                (long long)width, (long long)height, pixel, (long long)width);
}

/* Which pixel of the other plane a tap of the filter meets at (py, px): yy and xx. From a
 * result's pixel to the input's, or back, where the strides must divide. */
static const char *open_tap(struct generator *g, const struct conv *conv, bool back)
{
    const struct conv_extents *c = &conv->c;
    struct writer *w = scope_writer(g);
    long long sy = (long long)c->stride[0], sx = (long long)c->stride[1];
    if (!back) {
        writer_line(w, "const rt_i64 yy = py * %lld + ky - %lld, xx = px * %lld + kx - %lld;", sy,
                    (long long)c->top, sx, (long long)c->left);
        return arena_printf(g->arena, "yy >= 0 && yy < %lld && xx >= 0 && xx < %lld",
                            (long long)c->height, (long long)c->width);
    }
    writer_line(w, "const rt_i64 dy = py + %lld - ky, dx = px + %lld - kx;", (long long)c->top,
                (long long)c->left);
    writer_line(w, "const rt_i64 yy = dy / %lld, xx = dx / %lld;", sy, sx);
    return arena_printf(g->arena,
                        "dy >= 0 && dx >= 0 && yy * %lld == dy && xx * %lld == dx && "
                        "yy < %lld && xx < %lld",
                        sy, sx, (long long)c->out_height, (long long)c->out_width);
}

/* Rows of taps: left[(row - from_row) * pitch + (ky, kx, channel)]. */
static void pack_taps(struct generator *g, struct product *p, bool back)
{
    struct conv *conv = g->skeleton;
    const struct conv_extents *c = &conv->c;
    const struct value *image = p->anchors[0]->operands[back ? 1 : 0];
    long long channels = back ? channels_out(conv) : channels_in(conv);
    scope_open(g);
    open_pixel(g, "row", back ? c->height : c->out_height, back ? c->width : c->out_width);
    scope_open(g);
    scope_open(g);
    writer_line(scope_writer(g),
                "float *to = left + (row - from_row) * %lld + (ky * %lld + kx) * %lld;",
                (long long)p->kc, (long long)c->columns, channels);
    const char *inside = open_tap(g, conv, back);
    scope_open_conditional(g, g->depth);
    scope_open(g);
    writer_line(scope_writer(g), "const rt_i64 channel = v0 * %lld + i;", channels);
    const char *const names[4] = {"image", "yy", "xx", "channel"};
    writer_line(scope_writer(g), "to[i] = %s;", element4(g, image, names).text);
    writer_line(&g->scopes[g->depth - 1].writer, VECTOR_LOOP);
    scope_close(g, "for (rt_i64 i = 0; i < %lld; i++)", channels);
    scope_close(g, "if (%s)", inside);
    writer_line(scope_writer(g), "else");
    writer_line(scope_writer(g), "    for (rt_i64 i = 0; i < %lld; i++)", channels);
    writer_line(scope_writer(g), "        to[i] = 0;");
    scope_close(g, "for (rt_i64 kx = 0; kx < %lld; kx++)", (long long)c->columns);
    scope_close(g, "for (rt_i64 ky = 0; ky < %lld; ky++)", (long long)c->rows);
    scope_close(g, "for (rt_i64 row = from_row; row < to_row; row++)");
}

static void pack_left_forward(struct generator *g, struct product *p)
{
    pack_taps(g, p, false);
}

static void pack_left_input(struct generator *g, struct product *p)
{
    pack_taps(g, p, true);
}

/* The filter: columns n are output channels, steps its elements. */
static void pack_right_forward(struct generator *g, struct product *p, int which)
{
    struct conv *conv = g->skeleton;
    const struct value *filter = p->anchors[which]->operands[1];
    long long out = channels_out(conv), k = (long long)p->e.k;
    if (is_loaded(g, filter) && filter->type.dtype == DTYPE_f32) {
        writer_line(scope_writer(g),
                    "pack_rows_f32_f32(target, %s + (v0 * %lld + n) * %lld, %lld, columns, %lld);",
                    argument_name(g, filter, false), out, k, k, k);
        return;
    }
    writer_line(scope_writer(g), "clear_panel_f32(target, %lld);", k);
    scope_open(g);
    scope_open(g);
    struct index channel = named(g, "(v0 * CHANNELS + n + j)", conv->c.out_channels);
    g->space.atoms.items[channel.terms[0].atom].text =
        arena_printf(g->arena, "(v0 * %lld + n + j)", out);
    struct index index = index_add(&g->space, index_scale(channel, k), named(g, "i", k));
    writer_line(scope_writer(g), "set_panel_f32(target, i, j, %s);",
                value_at(g, filter, index).text);
    scope_close(g, "for (rt_i64 j = 0; j < columns; j++)");
    scope_close(g, "for (rt_i64 i = 0; i < %lld; i++)", k);
}

/* The filter turned: columns n are input channels, steps (row, column, output channel). */
static void pack_right_input(struct generator *g, struct product *p, int which)
{
    struct conv *conv = g->skeleton;
    const struct conv_extents *c = &conv->c;
    const struct value *filter = p->anchors[which]->operands[0];
    long long out = channels_out(conv), taps = (long long)(c->rows * c->columns);
    writer_line(scope_writer(g), "clear_panel_f32(target, %lld);", (long long)p->e.k);
    scope_open(g);
    scope_open(g);
    writer_line(scope_writer(g), "const rt_i64 channel = v0 * %lld + o;", out);
    scope_open(g);
    writer_line(scope_writer(g), "const rt_i64 in = n + j;");
    int64_t dims[3] = {c->out_channels, taps, channels_in(conv)};
    struct index axes[3] = {named(g, "channel", dims[0]), named(g, "tap", dims[1]),
                            named(g, "in", dims[2])};
    struct index index = index_put_together(&g->space, 3, dims, axes);
    writer_line(scope_writer(g), "set_panel_f32(target, tap * %lld + o, j, %s);", out,
                value_at(g, filter, index).text);
    writer_line(&g->scopes[g->depth - 1].writer, VECTOR_LOOP);
    scope_close(g, "for (rt_i64 j = 0; j < columns; j++)");
    scope_close(g, "for (rt_i64 o = 0; o < %lld; o++)", out);
    scope_close(g, "for (rt_i64 tap = 0; tap < %lld; tap++)", taps);
}

/* Rows are output channels, steps pixels of %dy. */
static void pack_left_filter(struct generator *g, struct product *p)
{
    struct conv *conv = g->skeleton;
    const struct value *dy = p->anchors[0]->operands[1];
    scope_open(g);
    writer_line(scope_writer(g), "const rt_i64 pixel = %s + i;", p->first_step);
    scope_open(g);
    writer_line(scope_writer(g), "const rt_i64 channel = v0 * %lld + row;",
                (long long)channels_out(conv));
    struct index index =
        index_add(&g->space, index_scale(named(g, "pixel", p->e.k), conv->c.out_channels),
                  named(g, "channel", conv->c.out_channels));
    writer_line(scope_writer(g), "left[(row - from_row) * %lld + i] = %s;", (long long)p->kc,
                value_at(g, dy, index).text);
    scope_close(g, "for (rt_i64 row = from_row; row < to_row; row++)");
    scope_close(g, "for (rt_i64 i = 0; i < %s; i++)", p->steps);
}

/* A run of columns of the panel with one tap, over the pixels of a line of %dy. */
static void pack_filter_line(struct generator *g, struct product *p, const struct value *x)
{
    struct conv *conv = g->skeleton;
    const struct conv_extents *c = &conv->c;
    struct writer *w = scope_writer(g);
    writer_line(w, "const rt_i64 pixel = %s + i;", p->first_step);
    open_pixel(g, "pixel", c->out_height, c->out_width);
    writer_line(w, "const rt_i64 line = m_least_i64(%lld - px, %s - i);",
                (long long)c->out_width, p->steps);
    writer_line(w, "const rt_i64 yy = py * %lld + ky - %lld, at = i;", (long long)c->stride[0],
                (long long)c->top);
    writer_line(w, "i += line;");
    writer_line(w, "if (yy < 0 || yy >= %lld)", (long long)c->height);
    writer_line(w, "    continue;");
    scope_open(g);
    writer_line(scope_writer(g), "const rt_i64 xx = (px + q) * %lld + kx - %lld;",
                (long long)c->stride[1], (long long)c->left);
    scope_open_conditional(g, g->depth);
    scope_open(g);
    writer_line(scope_writer(g), "const rt_i64 channel = v0 * %lld + first_channel + s;",
                channels_in(conv));
    const char *const names[4] = {"image", "yy", "xx", "channel"};
    writer_line(scope_writer(g), "set_panel_f32(target, at + q, j + s, %s);",
                element4(g, x, names).text);
    scope_close(g, "for (rt_i64 s = 0; s < run; s++)");
    scope_close(g, "if (xx >= 0 && xx < %lld)", (long long)c->width);
    scope_close(g, "for (rt_i64 q = 0; q < line; q++)");
}

/* Columns are elements of the filter, steps pixels of %dy: the pixels of %x that they meet. */
static void pack_right_filter(struct generator *g, struct product *p, int which)
{
    struct conv *conv = g->skeleton;
    const struct conv_extents *c = &conv->c;
    long long in = channels_in(conv);
    writer_line(scope_writer(g), "clear_panel_f32(target, %s);", p->steps);
    scope_open(g);
    struct writer *w = scope_writer(g);
    writer_line(w, "const rt_i64 ky = (n + j) / %lld, kx = (n + j) / %lld %% %lld;",
                in * (long long)c->columns, in, (long long)c->columns);
    writer_line(w, "const rt_i64 first_channel = (n + j) %% %lld;", in);
    writer_line(w, "const rt_i64 run = m_least_i64(%lld - first_channel, columns - j);", in);
    scope_open(g);
    pack_filter_line(g, p, p->anchors[which]->operands[0]);
    scope_close(g, "for (rt_i64 i = 0; i < %s;)", p->steps);
    writer_line(scope_writer(g), "j += run;");
    scope_close(g, "for (rt_i64 j = 0; j < columns;)");
}

/* The gradient's pixels are steps; their channels, the rows, are neighbours in memory. */
static void find_left(struct generator *g, struct conv *conv)
{
    struct product *p = &conv->product;
    const struct value *dy = p->anchors[0]->operands[1];
    if (!is_loaded(g, dy) || dy->type.dtype != DTYPE_f32)
        return;
    p->left = arena_printf(g->arena, "%s + %s * %lld + v0 * %lld + m", argument_name(g, dy, false),
                           p->deep ? "k0" : "0", (long long)conv->c.out_channels,
                           channels_out(conv));
    p->left_stride = "1";
    p->left_step = arena_printf(g->arena, "%lld", (long long)conv->c.out_channels);
}

/* `filter`: of the gradient of a filter, whose groups are outside its rows. */
static void emit_conv(struct generator *g, enum op op, bool filter,
                      void (*pack_left)(struct generator *, struct product *),
                      void (*pack_right)(struct generator *, struct product *, int))
{
    struct conv *conv = arena_new(g->arena, struct conv);
    struct product *p = &conv->product;
    p->anchors[p->count++] = kernel_anchor(g, op);
    conv->c = conv_extents(p->anchors[0]);
    product_prepare(g, p);
    p->pack_left = pack_left;
    p->pack_right = pack_right;
    p->left_stride = arena_printf(g->arena, "%lld", (long long)p->kc);
    if (filter)
        find_left(g, conv);
    p->batch_inside = !filter;
    emit_product(g, p);
}

void emit_conv2d(struct generator *g)
{
    emit_conv(g, OP_conv2d, false, pack_left_forward, pack_right_forward);
}

void emit_conv2d_input(struct generator *g)
{
    emit_conv(g, OP_conv2d_input, false, pack_left_input, pack_right_input);
}

void emit_conv2d_filter(struct generator *g)
{
    emit_conv(g, OP_conv2d_filter, true, pack_left_filter, pack_right_filter);
}
