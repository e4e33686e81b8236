/*
 * Convolutions on GPUs under the emulation: 1x1, 3x3 with stride 1 and 2, large strides, few
 * channels, groups and padding, with ragged edges in every dimension, in every type.
 */
#include "tests/product_kernels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "ir/base/str.h"

struct conv {
    int images, height, width, channels, out, rows, columns;
    int stride[2], pad[4], groups;
    int tile_rows, tile_cols, depth, stages, split;
    const char *dtype, *stored, *filter; /* computed, image and filter in memory */
    int warps_m, warps_n;                /* 0: 2 */
};

static int out_extent(const struct conv *c, int axis)
{
    int extent = axis ? c->width : c->height, filter = axis ? c->columns : c->rows;
    return (extent + c->pad[2 * axis] + c->pad[2 * axis + 1] - filter) / c->stride[axis] + 1;
}

static void put_conv(struct arena *arena, struct str *out, int number, const struct conv *c)
{
    const char *image = arena_printf(arena, "[%d,%d,%d,%d]", c->images, c->height, c->width,
                                     c->channels);
    const char *filter = arena_printf(arena, "[%d,%d,%d,%d]", c->out, c->rows, c->columns,
                                      c->channels / c->groups);
    const char *result = arena_printf(arena, "[%d,%d,%d,%d]", c->images, out_extent(c, 0),
                                      out_extent(c, 1), c->out);
    int warps_m = c->warps_m ? c->warps_m : 2, warps_n = c->warps_n ? c->warps_n : 2;
    str_printf(out, "func f%d\n  param %%x : %s%s\n  param %%w : %s%s\n", number, c->stored, image,
               c->filter, filter);
    str_printf(out, "  param %%bias : %s[1,1,1,%d]\n", c->dtype, c->out);
    str_printf(out,
               "  kernel k conv2d {rows=%d cols=%d kc=%d threads=%d warps_m=%d warps_n=%d "
               "stages=%d split=%d band=2 vector=%d}\n",
               c->tile_rows, c->tile_cols, c->depth, warps_m * warps_n * 32, warps_m, warps_n,
               c->stages, c->split ? c->split : 1,
               c->dtype[0] == 'b' ? 8 : 4);
    const char *x = "%x", *w = "%w";
    if (strcmp(c->stored, c->dtype) != 0) {
        str_printf(out, "    %%xc = cast %%x {dtype=%s} : %s%s @ reg\n", c->dtype, c->dtype, image);
        x = "%xc";
    }
    if (strcmp(c->filter, c->dtype) != 0) {
        str_printf(out, "    %%wc = cast %%w {dtype=%s} : %s%s @ reg\n", c->dtype, c->dtype,
                   filter);
        w = "%wc";
    }
    str_printf(out, "    %%p = conv2d %s, %s {stride=[%d,%d] pad=[%d,%d,%d,%d] groups=%d} : %s%s "
                    "@ reg\n", x, w, c->stride[0], c->stride[1], c->pad[0], c->pad[1], c->pad[2],
               c->pad[3], c->groups, c->dtype, result);
    str_printf(out, "    %%q = broadcast %%bias {dims=%s} : %s%s @ reg\n", result, c->dtype,
               result);
    str_printf(out, "    %%s = add %%p, %%q : %s%s @ reg\n", c->dtype, result);
    str_printf(out, "    %%t = relu %%s : %s%s\n  return %%t as t\nend\n", c->dtype, result);
}

static void run(const struct conv *convs, int count)
{
    struct arena *arena = arena_create();
    struct str text = str_create(arena);
    str_printf(&text, "ir 1\nmodule m stage=tile target=a100\n");
    for (int i = 0; i < count; i++)
        put_conv(arena, &text, i, &convs[i]);
    struct emulated_request request = {.tiled = product_kernels_derive, .skeleton = "conv2d"};
    struct emulated_report report = emulated_text(text.text, &request);
    emulated_expect(&report);
    assert_int_equal(report.kernels, count);
    arena_destroy(arena);
}

#define SAME .stride = {1, 1}, .pad = {1, 1, 1, 1}
#define WIDE(type) .dtype = type, .stored = type, .filter = type

/* Chunks of 16 bytes within a tap. */
static void test_channels(void **state)
{
    (void)state;
    static const struct conv convs[] = {
        {2, 9, 11, 32, 40, 3, 3, SAME, 1, 64, 64, 32, 3, 0, WIDE("bf16")},
        {1, 17, 15, 64, 72, 3, 3, .stride = {2, 2}, .pad = {1, 1, 1, 1}, 1, 128, 64, 64, 3, 0,
         WIDE("bf16")},
        {3, 8, 8, 40, 64, 1, 1, .stride = {1, 1}, .pad = {0}, 1, 64, 64, 64, 3, 0, WIDE("bf16")},
        {1, 13, 9, 24, 33, 1, 1, .stride = {2, 2}, .pad = {0}, 1, 64, 64, 32, 4, 0, WIDE("bf16")},
        {2, 7, 9, 16, 24, 3, 5, .stride = {1, 2}, .pad = {1, 0, 2, 2}, 2, 64, 64, 32, 3, 0,
         WIDE("bf16")},
        {1, 10, 10, 16, 40, 3, 3, SAME, 1, 64, 64, 16, 3, 0, WIDE("f32")},
        {1, 9, 10, 20, 40, 3, 3, SAME, 1, 64, 64, 32, 3, 0, "tf32", "f32", "f32"},
        {1, 8, 8, 64, 64, 3, 3, SAME, 1, 64, 64, 64, 3, 3, WIDE("bf16")},
    };
    run(convs, sizeof convs / sizeof *convs);
}

/* Patches, whose rows of taps are neighbours in memory; pixels of 8, 4 and 6 bytes; masks of more
 * than 32 taps; and images that go by elements. */
static void test_few_channels(void **state)
{
    (void)state;
    static const struct conv convs[] = {
        {2, 32, 48, 3, 72, 16, 16, .stride = {16, 16}, .pad = {0}, 1, 64, 64, 64, 3, 0,
         WIDE("bf16")},
        {1, 19, 17, 4, 32, 3, 3, SAME, 1, 64, 64, 32, 3, 0, WIDE("bf16")},
        {1, 23, 21, 3, 64, 7, 7, .stride = {2, 2}, .pad = {3, 3, 3, 3}, 1, 128, 64, 32, 3, 0,
         WIDE("bf16")},
        {2, 12, 12, 1, 16, 5, 5, .stride = {1, 1}, .pad = {0}, 1, 64, 64, 16, 3, 0, WIDE("f32")},
        {1, 9, 9, 6, 10, 3, 3, SAME, 2, 64, 64, 32, 3, 0, "bf16", "f32", "f32"},
        {1, 20, 20, 8, 16, 9, 9, .stride = {1, 1}, .pad = {4, 4, 4, 4}, 1, 64, 64, 32, 3, 0,
         "bf16", "bf16", "f32"},
        {1, 16, 16, 3, 40, 3, 3, SAME, 1, 64, 64, 32, 3, 0, WIDE("bf16")},
        {1, 18, 14, 2, 40, 3, 3, .stride = {2, 2}, .pad = {0, 1, 0, 1}, 1, 64, 64, 32, 3, 0,
         WIDE("bf16")},
        {2, 8, 8, 20, 40, 3, 3, SAME, 1, 64, 64, 64, 3, 2, WIDE("bf16")},
        {1, 15, 17, 4, 24, 7, 7, .stride = {2, 1}, .pad = {3, 3, 3, 3}, 1, 64, 64, 64, 4, 0,
         WIDE("bf16")},
        {1, 9, 10, 3, 40, 3, 3, SAME, 1, 64, 64, 32, 3, 0, "tf32", "f32", "f32"},
        {1, 12, 11, 12, 42, 3, 3, SAME, 3, 64, 64, 32, 3, 0, WIDE("bf16")},
    };
    run(convs, sizeof convs / sizeof *convs);
}

/* Every tile with 256 rows or columns, and a small one. */
static void test_device_code(void **state)
{
    (void)state;
    static const int tiles[][4] = {
        {256, 128, 32, 3}, {128, 256, 64, 3}, {256, 64, 64, 3}, {128, 128, 64, 3}, {64, 64, 64, 5}};
    struct arena *arena = arena_create();
    struct str text = str_create(arena);
    str_printf(&text, "ir 1\nmodule m stage=tile target=a100\n");
    for (int i = 0; i < 5; i++) {
        struct conv c = {2, 65, 63, 320, 320, 3, 3, SAME, 1, tiles[i][0], tiles[i][1], tiles[i][2],
                         tiles[i][3], 0, WIDE("bf16")};
        c.warps_m = tiles[i][0] == 256 ? 4 : 2;
        c.warps_n = tiles[i][1] == 256 ? 4 : tiles[i][1] == 64 && c.warps_m == 4 ? 1 : 2;
        put_conv(arena, &text, i, &c);
    }
    /* A patch embedding, a first convolution of latents, and one of pixels. */
    static const struct conv few[] = {
        {1, 1024, 1024, 3, 768, 16, 16, .stride = {16, 16}, .pad = {0}, 1, 128, 128, 64, 3, 0,
         WIDE("bf16")},
        {2, 64, 64, 4, 320, 3, 3, SAME, 1, 128, 64, 64, 3, 0, WIDE("bf16")},
        {1, 224, 224, 3, 64, 7, 7, .stride = {2, 2}, .pad = {3, 3, 3, 3}, 1, 128, 64, 32, 6, 0,
         WIDE("bf16")},
        {1, 512, 512, 3, 128, 3, 3, SAME, 1, 128, 128, 32, 3, 0, "tf32", "f32", "f32"},
    };
    for (int i = 0; i < 4; i++)
        put_conv(arena, &text, 5 + i, &few[i]);
    product_kernels_lint(text.text, text.length);
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_channels),
        cmocka_unit_test(test_few_channels),
        cmocka_unit_test(test_device_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
