/*
 * Segments and partners of kernels with several products, and how their columns are tiled, on
 * kernels written as IR text.
 */
#include "ir/product.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const char decode[] = "ir 1\n"
                             "module t stage=fuse target=a100\n"
                             "weight %wq {tensor=q file=x} : bf16[64,32]\n"
                             "weight %wk {tensor=k file=x} : bf16[32,32]\n"
                             "weight %wv {tensor=v file=x} : bf16[32,32]\n"
                             "weight %wg {tensor=g file=x} : bf16[44,32]\n"
                             "weight %wu {tensor=u file=x} : bf16[44,32]\n"
                             "weight %wd {tensor=d file=x} : bf16[32,44]\n"
                             "state %cache : bf16[2,9,4,8]\n"
                             "func decode {role=decode chunk=1}\n"
                             "  param %x : bf16[2,1,32]\n"
                             "  param %cos : f32[2,1,1,4]\n"
                             "  param %pos : i32[2]\n"
                             "  param %count : i32[2]\n"
                             "  kernel qkv gemv {rows=2 cols=8 ATTRIBUTES}\n"
                             "    %q = matmul %x, %wq {transb dtype=f32} : f32[2,1,64]\n"
                             "    %k = matmul %x, %wk {transb dtype=f32} : f32[2,1,32]\n"
                             "    %v = matmul %x, %wv {transb dtype=f32} : f32[2,1,32]\n"
                             "    %qh = reshape %q {dims=[2,1,8,8]} : f32[2,1,8,8]\n"
                             "    %low = slice %qh {axis=3 len=4} : f32[2,1,8,4]\n"
                             "    %high = slice %qh {axis=3 at=4 len=4} : f32[2,1,8,4]\n"
                             "    %turn = broadcast %cos {dims=[2,1,8,4]} : f32[2,1,8,4]\n"
                             "    %left = mul %low, %turn : f32[2,1,8,4]\n"
                             "    %right = mul %high, %turn : f32[2,1,8,4]\n"
                             "    %rotated = concat %right, %left {axis=3} : f32[2,1,8,8]\n"
                             "    %vh = reshape %v {dims=[2,1,4,8]} : f32[2,1,4,8]\n"
                             "    %vb = cast %vh {dtype=bf16} : bf16[2,1,4,8]\n"
                             "    %values = update %cache, %vb, %pos, %count : bf16[2,9,4,8]\n"
                             "  kernel glu gemv {rows=2 cols=16}\n"
                             "    %g = matmul %x, %wg {transb dtype=f32} : f32[2,1,44]\n"
                             "    %u = matmul %x, %wu {transb dtype=f32} : f32[2,1,44]\n"
                             "    %s = sigmoid %g : f32[2,1,44]\n"
                             "    %h = mul %s, %u : f32[2,1,44]\n"
                             "    %hb = cast %h {dtype=bf16} : bf16[2,1,44]\n"
                             "  kernel mixed gemv {rows=2 cols=16}\n"
                             "    %m = matmul %x, %wk {transb dtype=f32} : f32[2,1,32]\n"
                             "    %n = matmul %x, %wq {transb dtype=f32} : f32[2,1,64]\n"
                             "    %o = matmul %x, %wv {transb dtype=f32} : f32[2,1,32]\n"
                             "    %mo = add %m, %o : f32[2,1,32]\n"
                             "  kernel chained gemv {rows=2 cols=16}\n"
                             "    %first = matmul %x, %wg {transb dtype=bf16} : bf16[2,1,44]\n"
                             "    %second = matmul %first, %wd {transb dtype=f32} : f32[2,1,32]\n"
                             "  return %rotated as rotated\n"
                             "  return %k as k\n"
                             "  store %cache = %values\n"
                             "  return %hb as hb\n"
                             "  return %n as n\n"
                             "  return %mo as mo\n"
                             "  return %second as second\n"
                             "end\n";

/* The module with these attributes on its first kernel. */
static struct module *parse(struct arena *arena, const char *attributes)
{
    const char *at = strstr(decode, "ATTRIBUTES");
    const char *text = arena_printf(arena, "%.*s%s%s", (int)(at - decode), decode, attributes,
                                    at + strlen("ATTRIBUTES"));
    return ir_parse(arena, diag_add_source("decode.ir", text, strlen(text)));
}

static bool segments(struct arena *arena, const struct module *module, int kernel,
                     struct product_layout *out)
{
    const struct function *function = module->functions.items[0];
    return product_segments(arena, function, function->kernels.items[kernel], out);
}

static const struct value *find(const struct module *module, const char *name)
{
    return map_get(&module->functions.items[0]->names, name);
}

static void test_segments(void **state)
{
    (void)state;
    struct arena *arena = arena_create();
    struct module *module = parse(arena, "");
    struct product_layout layout;
    assert_true(segments(arena, module, 0, &layout));
    assert_int_equal(layout.count, 3);
    assert_int_equal(layout.e.m, 2);
    assert_int_equal(layout.e.k, 32);
    assert_int_equal(layout.tiles, 16);
    const int64_t n[] = {64, 32, 32}, first[] = {0, 8, 12}, distance[] = {4, 0, 0};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(layout.segments[i].count, 1);
        assert_int_equal(layout.segments[i].n, n[i]);
        assert_int_equal(layout.segments[i].first_tile, first[i]);
        assert_int_equal(layout.segments[i].distance, distance[i]);
    }
    assert_int_equal(product_segment_at(&layout, 7), 0);
    assert_int_equal(product_segment_at(&layout, 8), 1);
    assert_int_equal(product_segment_at(&layout, 15), 2);
    assert_int_equal(product_segment_of(&layout, find(module, "rotated")), 0);
    assert_int_equal(product_segment_of(&layout, find(module, "values")), 2);
    assert_int_equal(product_segment_of(&layout, find(module, "turn")), -1);
    assert_int_equal(product_segment_of(&layout, find(module, "hb")), -1);
    arena_destroy(arena);
}

static void test_partners(void **state)
{
    (void)state;
    struct arena *arena = arena_create();
    struct module *module = parse(arena, "");
    struct product_layout layout;
    assert_true(segments(arena, module, 1, &layout));
    assert_int_equal(layout.count, 1);
    assert_int_equal(layout.segments[0].count, 2);
    assert_int_equal(layout.tiles, 3); /* the last one is ragged */
    assert_true(segments(arena, module, 2, &layout));
    assert_int_equal(layout.count, 2);
    assert_int_equal(layout.segments[0].count, 2);
    assert_ptr_equal(&layout.segments[0].anchors[1]->results[0], find(module, "o"));
    assert_int_equal(layout.segments[1].first_tile, 2);
    assert_int_equal(layout.tiles, 6);
    assert_false(segments(arena, module, 3, &layout));
    arena_destroy(arena);
}

/* Every column stands in one tile, and with it the column that it is joined with. */
static void check_columns(const struct product_layout *layout,
                          const struct product_segment *segment)
{
    int tile_of[64];
    memset(tile_of, -1, sizeof tile_of);
    for (int64_t tile = 0; tile < segment->tiles; tile++)
        for (int64_t local = 0; local < layout->cols; local++) {
            int64_t column = product_column(layout, segment, tile, local);
            if (column >= segment->n)
                continue;
            assert_int_equal(tile_of[column], -1);
            tile_of[column] = (int)tile;
        }
    for (int64_t column = 0; column < segment->n; column++) {
        assert_true(tile_of[column] >= 0);
        if (segment->distance > 0 && column / segment->distance % 2 == 0)
            assert_int_equal(tile_of[column], tile_of[column + segment->distance]);
    }
}

static void test_pairs(void **state)
{
    (void)state;
    struct arena *arena = arena_create();
    struct module *module = parse(arena, "pair=4");
    struct product_layout layout;
    const struct product_segment *q = &layout.segments[0];
    assert_true(segments(arena, module, 0, &layout));
    const struct {
        int64_t cols, pair, width;
    } right[] = {{2, 4, 1},  {4, 4, 2},  {8, 4, 4},   {8, 0, 4}, {16, 0, 4},
                 {24, 4, 4}, {64, 4, 4}, {128, 4, 4}, {65, 0, 0}};
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        assert_true(product_tile(&layout, right[i].cols, right[i].pair));
        assert_int_equal(q->width, right[i].width);
        for (int s = 0; s < layout.count; s++)
            check_columns(&layout, &layout.segments[s]);
    }
    assert_true(product_tile(&layout, 4, 4));
    const int64_t expected[] = {8, 9, 12, 13, 10, 11, 14, 15}; /* tiles 2 and 3: head 1 */
    for (int i = 0; i < 8; i++)
        assert_int_equal(product_column(&layout, q, 2 + i / 4, i % 4), expected[i]);
    const struct {
        int64_t cols, pair;
    } wrong[] = {{4, 0}, {2, 2}, {6, 4}, {5, 4}, {0, 4}, {12, 4}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(product_tile(&layout, wrong[i].cols, wrong[i].pair));
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_segments),
        cmocka_unit_test(test_partners),
        cmocka_unit_test(test_pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
