/* Convolutions and their gradients on whole tensors: direct loops, NHWC. */
#include "ir/interp_internal.h"

#include <stdlib.h>
#include <string.h>

/* The three ops are one loop nest over (image, output pixel, tap); they differ in the body. */
struct conv {
    int64_t images, height, width, channels;      /* of x */
    int64_t filters, kernel_height, kernel_width; /* of w; kernel channels are `depth` */
    int64_t out_height, out_width;                /* of y */
    int64_t groups, depth, stride[2], pad[2];
    const double *x, *w, *dy;
    double *out;
};

static struct conv describe(const struct interp_call *call, const int64_t *x, const int64_t *w,
                            const int64_t *y)
{
    int count;
    const int64_t *stride = node_list(call->node, stride, &count);
    const int64_t *pad = node_list(call->node, pad, &count);
    struct conv c = {.images = x[0],
                     .height = x[1],
                     .width = x[2],
                     .channels = x[3],
                     .filters = w[0],
                     .kernel_height = w[1],
                     .kernel_width = w[2],
                     .depth = w[3],
                     .out_height = y[1],
                     .out_width = y[2],
                     .groups = node_int(call->node, groups),
                     .out = call->out[0]};
    memcpy(c.stride, stride, sizeof c.stride);
    c.pad[0] = pad[0];
    c.pad[1] = pad[2];
    int64_t size = type_elements(call_result(call));
    for (int64_t i = 0; i < size; i++)
        c.out[i] = 0;
    return c;
}

struct tap { /* element offsets of one pair of pixels and one filter tap */
    int64_t x, y, w;
};
typedef void tap_body(const struct conv *c, struct tap tap);

static void for_taps(const struct conv *c, int64_t image, int64_t row, int64_t col, tap_body *body)
{
    for (int64_t i = 0; i < c->kernel_height; i++)
        for (int64_t j = 0; j < c->kernel_width; j++) {
            int64_t y = row * c->stride[0] + i - c->pad[0];
            int64_t x = col * c->stride[1] + j - c->pad[1];
            if (y < 0 || y >= c->height || x < 0 || x >= c->width)
                continue;
            struct tap tap = {((image * c->height + y) * c->width + x) * c->channels,
                              ((image * c->out_height + row) * c->out_width + col) * c->filters,
                              (i * c->kernel_width + j) * c->depth};
            body(c, tap);
        }
}

static void for_pixels(const struct conv *c, tap_body *body)
{
    for (int64_t image = 0; image < c->images; image++)
        for (int64_t row = 0; row < c->out_height; row++)
            for (int64_t col = 0; col < c->out_width; col++)
                for_taps(c, image, row, col, body);
}

/* out += factor * in, contiguous. */
static void add_scaled(double *restrict out, const double *restrict in, double factor,
                       int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        out[i] += factor * in[i];
}

/* Offset of filter o's tap, and of the first channel that it reads. */
static int64_t filter_at(const struct conv *c, int64_t o)
{
    return o * c->kernel_height * c->kernel_width * c->depth;
}

static int64_t first_channel(const struct conv *c, int64_t o)
{
    return o / (c->filters / c->groups) * c->depth;
}

/* w is laid out [kh,kw,depth,O] here, so that the filters run along. */
static void forward_tap(const struct conv *c, struct tap tap)
{
    int64_t each = c->filters / c->groups;
    for (int64_t g = 0; g < c->groups; g++)
        for (int64_t k = 0; k < c->depth; k++)
            add_scaled(c->out + tap.y + g * each, c->w + (tap.w + k) * c->filters + g * each,
                       c->x[tap.x + g * c->depth + k], each);
}

static void input_tap(const struct conv *c, struct tap tap)
{
    for (int64_t o = 0; o < c->filters; o++)
        add_scaled(c->out + tap.x + first_channel(c, o), c->w + filter_at(c, o) + tap.w,
                   c->dy[tap.y + o], c->depth);
}

static void filter_tap(const struct conv *c, struct tap tap)
{
    for (int64_t o = 0; o < c->filters; o++)
        add_scaled(c->out + filter_at(c, o) + tap.w, c->x + tap.x + first_channel(c, o),
                   c->dy[tap.y + o], c->depth);
}

void interpret_conv2d(const struct interp_call *call)
{
    struct conv c =
        describe(call, call_type(call, 0)->dims, call_type(call, 1)->dims, call_result(call)->dims);
    int64_t size = c.kernel_height * c.kernel_width * c.depth;
    double *turned = calloc((size_t)(size * c.filters + 1), sizeof *turned);
    if (!turned)
        fatal(OUT_OF_MEMORY, (size_t)(size * c.filters) * sizeof *turned);
    for (int64_t o = 0; o < c.filters; o++)
        for (int64_t i = 0; i < size; i++)
            turned[i * c.filters + o] = call->in[1][o * size + i];
    c.x = call->in[0];
    c.w = turned;
    for_pixels(&c, forward_tap);
    free(turned);
}

void interpret_conv2d_input(const struct interp_call *call)
{
    struct conv c =
        describe(call, call_result(call)->dims, call_type(call, 0)->dims, call_type(call, 1)->dims);
    c.w = call->in[0];
    c.dy = call->in[1];
    for_pixels(&c, input_tap);
}

void interpret_conv2d_filter(const struct interp_call *call)
{
    struct conv c =
        describe(call, call_type(call, 0)->dims, call_result(call)->dims, call_type(call, 1)->dims);
    c.x = call->in[0];
    c.dy = call->in[1];
    for_pixels(&c, filter_tap);
}
