/*
 * Matrix products on GPUs under the emulation: every tile of the list that the tile pass chooses
 * from, with ragged edges, transposed and converted operands, splits of K, partners, segments
 * with joined columns, and rows stored into states. Several kernels stand in one module, so that
 * the device library is compiled once for all of them.
 */
#include "ir/gpu_matmul.h"
#include "tests/product_kernels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ir/base/str.h"

/* Rows, columns, steps (of 16-bit elements), stages, warps along rows and columns. */
struct tile {
    int rows, cols, depth, stages, warps_m, warps_n;
};

static const struct tile tiles[] = {
#define TILE_PRODUCT(...) {__VA_ARGS__},
#include "passes/tile_shapes.def"
};
enum { TILES = sizeof tiles / sizeof *tiles };

/* One of few columns, one of few rows. */
static const struct tile square = {64, 64, 64, 5, 2, 2}, deep = {64, 64, 32, 10, 2, 2},
                         tall = {128, 64, 32, 6, 2, 2}, broad = {64, 128, 32, 6, 2, 2};

/* A product as IR: dtype of the operands, of its result, and of the tensors in memory. */
struct product {
    const struct tile *tile;
    long m, n, k, batch; /* batch 0: operands of rank 2 */
    const char *dtype, *result, *left, *right;
    bool transa, transb, shared_b;
    int split, band, vector;
};

static bool is_full(void)
{
    return getenv("SINTER_FULL") != NULL;
}

/* --- texts --- */

static void put_header(struct str *out)
{
    str_printf(out, "ir 1\nmodule m stage=tile target=a100\n");
}

static void put_kernel(struct str *out, const char *name, const struct product *p,
                       const char *more)
{
    const struct tile *t = p->tile;
    bool wide = strcmp(p->dtype, "f32") == 0 || strcmp(p->dtype, "tf32") == 0;
    str_printf(out,
               "  kernel %s matmul {rows=%d cols=%d kc=%d threads=%d warps_m=%d warps_n=%d "
               "stages=%d split=%d band=%d vector=%d%s}\n",
               name, t->rows, t->cols, t->depth / (wide ? 2 : 1), t->warps_m * t->warps_n * 32,
               t->warps_m, t->warps_n, t->stages, p->split ? p->split : 1,
               p->band ? p->band : 1, p->vector ? p->vector : 1, more);
}

static const char *dims(struct arena *arena, long batch, long rows, long columns)
{
    return batch ? arena_printf(arena, "[%ld,%ld,%ld]", batch, rows, columns)
                 : arena_printf(arena, "[%ld,%ld]", rows, columns);
}

/* A cast of an operand where memory holds another type; the name to use. */
static const char *put_cast(struct arena *arena, struct str *out, const char *name,
                            const char *from, const char *to, const char *shape)
{
    if (strcmp(from, to) == 0)
        return name;
    str_printf(out, "    %s.c = cast %s {dtype=%s} : %s%s @ reg\n", name, name, to, to, shape);
    return arena_printf(arena, "%s.c", name);
}

/* Function `f<number>`: the product, plus a row of bias, plus a tensor of its size. */
static void put_product(struct arena *arena, struct str *out, int number,
                        const struct product *p)
{
    const char *a = p->transa ? dims(arena, p->batch, p->k, p->m)
                              : dims(arena, p->batch, p->m, p->k);
    long shared = p->shared_b ? 0 : p->batch;
    const char *b = p->transb ? dims(arena, shared, p->n, p->k) : dims(arena, shared, p->k, p->n);
    const char *c = dims(arena, p->batch, p->m, p->n);
    str_printf(out, "func f%d\n  param %%x : %s%s\n  param %%w : %s%s\n", number, p->left, a,
               p->right, b);
    str_printf(out, "  param %%bias : %s%s\n  param %%r : %s%s\n", p->result,
               dims(arena, p->batch ? 1 : 0, 1, p->n), p->result, c);
    put_kernel(out, "k", p, "");
    const char *x = put_cast(arena, out, "%x", p->left, p->dtype, a);
    const char *w = put_cast(arena, out, "%w", p->right, p->dtype, b);
    str_printf(out, "    %%p = matmul %s, %s {%s%sdtype=%s} : %s%s @ reg\n", x, w,
               p->transa ? "transa " : "", p->transb ? "transb " : "", p->result, p->result, c);
    str_printf(out, "    %%q = broadcast %%bias {dims=%s} : %s%s @ reg\n", c, p->result, c);
    str_printf(out, "    %%s = add %%p, %%q : %s%s @ reg\n", p->result, c);
    str_printf(out, "    %%t = add %%s, %%r : %s%s\n  return %%t as t\nend\n", p->result, c);
}

/* --- runs --- */

static void run(struct str *text, int kernels, bool brief)
{
    struct emulated_request request = {
        .tiled = product_kernels_derive, .brief = brief, .skeleton = "matmul"};
    struct emulated_report report = emulated_text(text->text, &request);
    emulated_expect(&report);
    assert_int_equal(report.kernels, kernels);
}

static void run_products(const struct product *products, int count, bool brief)
{
    struct arena *arena = arena_create();
    struct str text = str_create(arena);
    put_header(&text);
    for (int i = 0; i < count; i++)
        put_product(arena, &text, i, &products[i]);
    run(&text, count, brief);
    arena_destroy(arena);
}

/* --- tiles --- */

/* A tile and a bit in each dimension: the rest of the last tile differs from variant to variant. */
static struct product ragged(const struct tile *tile, int seed, const char *dtype)
{
    static const int rests[] = {8, 1, 40, 17, 0, 63};
    bool wide = strcmp(dtype, "f32") == 0;
    int depth = tile->depth / (wide ? 2 : 1);
    return (struct product){
        .tile = tile,
        .m = tile->rows + rests[seed % 6],
        .n = tile->cols + rests[(seed / 2 + 4) % 6] / 8 * 8,
        .k = depth * (seed % 3 + tile->stages - 1) + rests[(seed + 2) % 6] / 8 * 8,
        .dtype = dtype, .result = dtype, .left = dtype, .right = dtype,
        .transb = true, .band = seed % 4 + 1, .vector = wide ? 4 : 8};
}

static void test_tiles(void **state)
{
    (void)state;
    struct product products[TILES];
    for (int i = 0; i < TILES; i++)
        products[i] = ragged(&tiles[i], i, "bf16");
    run_products(products, TILES, false);
}

/* f16, TF32 and f32 take turns over the list; all of it in the full suite. */
static void test_other_types(void **state)
{
    (void)state;
    static const char *const dtypes[] = {"f16", "tf32", "f32"};
    struct product products[3 * TILES];
    int count = 0;
    for (int i = 0; i < 3 * TILES; i++) {
        if (!is_full() && ((i % TILES + i / TILES) % 5 != 0 && i % TILES > 2))
            continue;
        const char *dtype = dtypes[i / TILES];
        bool tf32 = strcmp(dtype, "tf32") == 0;
        struct product p = ragged(&tiles[i % TILES], i, tf32 ? "f32" : dtype);
        p.dtype = dtype;
        products[count++] = p;
    }
    run_products(products, count, !is_full());
}

/* --- operands --- */

/* Both tiles for every layout in the full suite, else one of them. */
static void test_layouts(void **state)
{
    (void)state;
    static const char *const dtypes[] = {"bf16", "f16", "tf32", "f32"};
    struct product products[4 * 4 * 2];
    int count = 0;
    for (int i = 0; i < 32; i++) {
        if (!is_full() && i % 2 != (i / 2 + i / 4 + i / 8) % 2)
            continue;
        const char *dtype = dtypes[i / 8];
        const struct tile *tile = i % 2 ? &broad : &square;
        struct product p = ragged(tile, i, i / 8 == 2 ? "f32" : dtype);
        p.dtype = dtype;
        p.transa = i >> 1 & 1;
        p.transb = i >> 2 & 1;
        p.m = p.m / 8 * 8 + (p.transa ? 8 : 3);
        p.n = p.n / 8 * 8 + 8;
        products[count++] = p;
    }
    run_products(products, count, !is_full());
}

/* Memory of another type, rows that do not start on 16 bytes, and batches. */
static void test_conversions(void **state)
{
    (void)state;
    const struct tile *small = &square, *flat = &tall;
    struct product products[] = {
        {small, 70, 72, 96, 0, "bf16", "bf16", "bf16", "f32", 0, 1, 0, 0, 0, 8},
        {flat, 130, 72, 200, 0, "bf16", "f32", "f32", "f16", 0, 1, 0, 0, 0, 4},
        {small, 70, 72, 96, 0, "f32", "f32", "f32", "bf16", 0, 1, 0, 0, 0, 4},
        {flat, 70, 72, 104, 0, "tf32", "f32", "f16", "bf16", 0, 0, 0, 0, 0, 4},
        {small, 70, 72, 96, 0, "f16", "f16", "f32", "bf16", 1, 0, 0, 0, 0, 8},
        {small, 70, 67, 99, 0, "bf16", "bf16", "bf16", "bf16", 0, 1, 0, 0, 0, 8},
        {flat, 65, 33, 37, 0, "f32", "f32", "f32", "f16", 1, 0, 0, 0, 0, 4},
        {small, 67, 70, 90, 0, "tf32", "f32", "f32", "f32", 0, 1, 0, 0, 0, 2},
        {small, 70, 72, 96, 3, "bf16", "bf16", "bf16", "bf16", 0, 0, 0, 0, 2, 8},
        {flat, 130, 40, 64, 2, "bf16", "f32", "bf16", "bf16", 0, 1, 0, 0, 1, 4},
        {small, 70, 72, 96, 3, "f32", "f32", "f32", "f32", 1, 0, 1, 0, 1, 4},
    };
    run_products(products, sizeof products / sizeof *products, false);
}

static void test_split(void **state)
{
    (void)state;
    const struct tile *small = &square, *flat = &deep;
    struct product products[] = {
        {small, 70, 72, 64 * 7, 0, "bf16", "bf16", "bf16", "bf16", 0, 1, 0, 3, 2, 8},
        {flat, 64, 130, 32 * 8, 0, "bf16", "f32", "bf16", "bf16", 0, 1, 0, 4, 1, 4},
        {small, 70, 72, 32 * 5 + 8, 0, "f32", "f32", "f32", "f32", 0, 0, 0, 2, 1, 4},
        {small, 66, 72, 64 * 4, 2, "f16", "f16", "f16", "f16", 0, 1, 0, 2, 1, 8},
    };
    run_products(products, sizeof products / sizeof *products, false);
}

/* --- several products --- */

/* gate and up: act(x wg^T) * (x wu^T), in one kernel. */
static void test_partners(void **state)
{
    (void)state;
    struct arena *arena = arena_create();
    struct str text = str_create(arena);
    put_header(&text);
    static const struct tile pairs[] = {
        {128, 64, 32, 4, 2, 2}, {64, 64, 64, 3, 2, 2}, {128, 128, 32, 3, 4, 2}};
    for (int i = 0; i < 3; i++) {
        struct product p = {.tile = &pairs[i], .dtype = "bf16", .vector = 8, .band = 2,
                            .split = i == 1 ? 2 : 1};
        str_printf(&text, "func f%d\n  param %%x : bf16[150,160]\n", i);
        str_printf(&text, "  param %%g : bf16[136,160]\n  param %%u : bf16[136,160]\n");
        put_kernel(&text, "k", &p, "");
        str_printf(&text, "    %%a = matmul %%x, %%g {transb dtype=bf16} : bf16[150,136] @ reg\n"
                          "    %%b = matmul %%x, %%u {transb dtype=bf16} : bf16[150,136] @ reg\n"
                          "    %%s = sigmoid %%a : bf16[150,136] @ reg\n"
                          "    %%y = mul %%s, %%b : bf16[150,136]\n  return %%y as y\nend\n");
    }
    run(&text, 3, false);
    arena_destroy(arena);
}

/* Rotary positions: joins the columns j and j + half of every head. */
static void put_rotary(struct arena *arena, struct str *out, const char *n, long rows, int heads,
                       int size, bool kept)
{
    const char *whole = arena_printf(arena, "bf16[1,%ld,%d,%d]", rows, heads, size);
    const char *half = arena_printf(arena, "bf16[1,%ld,%d,%d]", rows, heads, size / 2);
    str_printf(out, "    %%%sr = reshape %%%s {dims=%s} : %s @ reg\n", n, n, whole + 4, whole);
    str_printf(out, "    %%%sl = slice %%%sr {axis=3 len=%d} : %s @ reg\n", n, n, size / 2, half);
    str_printf(out, "    %%%sh = slice %%%sr {axis=3 at=%d len=%d} : %s @ reg\n", n, n, size / 2,
               size / 2, half);
    str_printf(out, "    %%%sn = neg %%%sh : %s @ reg\n", n, n, half);
    str_printf(out, "    %%%st = concat %%%sn, %%%sl {axis=3} : %s @ reg\n", n, n, n, whole);
    str_printf(out, "    %%%sc = broadcast %%cos {dims=%s} : %s @ reg\n", n, whole + 4, whole);
    str_printf(out, "    %%%ss = broadcast %%sin {dims=%s} : %s @ reg\n", n, whole + 4, whole);
    str_printf(out, "    %%%sx = mul %%%sr, %%%sc : %s @ reg\n", n, n, n, whole);
    str_printf(out, "    %%%sy = mul %%%st, %%%ss : %s @ reg\n", n, n, n, whole);
    str_printf(out, "    %%%sz = add %%%sx, %%%sy : %s%s\n", n, n, n, whole, kept ? "" : " @ reg");
}

/* Queries with rotary positions, keys with them into a ring, values into a plain state. */
static void put_attention_input(struct arena *arena, struct str *out, const struct product *p,
                                int size)
{
    long m = p->m, k = p->k;
    const char *cache = arena_printf(arena, "bf16[1,%ld,2,%d]", m + 32, size);
    str_printf(out, "weight %%wq {tensor=\"wq\" file=\"x\"} : bf16[%d,%ld] @ w+0x0\n", 4 * size, k);
    str_printf(out, "weight %%wk {tensor=\"wk\" file=\"x\"} : bf16[%d,%ld] @ w+0x0\n", 2 * size, k);
    str_printf(out, "weight %%wv {tensor=\"wv\" file=\"x\"} : bf16[%d,%ld] @ w+0x0\n", 2 * size, k);
    str_printf(out, "state %%keys : %s\nstate %%values : %s\nfunc f\n", cache, cache);
    str_printf(out, "  param %%x : bf16[%ld,%ld]\n  param %%cos : bf16[1,%ld,1,%d]\n", m, k, m,
               size);
    str_printf(out, "  param %%sin : bf16[1,%ld,1,%d]\n  param %%pos : i32[1]\n", m, size);
    str_printf(out, "  param %%count : i32[1]\n");
    put_kernel(out, "k", p, arena_printf(arena, " pair=%d", size / 2));
    str_printf(out, "    %%q = matmul %%x, %%wq {transb dtype=bf16} : bf16[%ld,%d] @ reg\n", m,
               4 * size);
    put_rotary(arena, out, "q", m, 4, size, true);
    str_printf(out, "    %%k = matmul %%x, %%wk {transb dtype=bf16} : bf16[%ld,%d] @ reg\n", m,
               2 * size);
    put_rotary(arena, out, "k", m, 2, size, false);
    str_printf(out, "    %%ku = update %%keys, %%kz, %%pos, %%count {ring} : %s\n", cache);
    str_printf(out, "    %%v = matmul %%x, %%wv {transb dtype=bf16} : bf16[%ld,%d] @ reg\n", m,
               2 * size);
    str_printf(out, "    %%vr = reshape %%v {dims=[1,%ld,2,%d]} : bf16[1,%ld,2,%d] @ reg\n", m,
               size, m, size);
    str_printf(out, "    %%vu = update %%values, %%vr, %%pos, %%count : %s\n", cache);
    str_printf(out, "  return %%qz as q\n  return %%ku as keys\n  return %%vu as values\nend\n");
}

/* Heads that a tile holds whole, several of them, and heads of which it holds two halves. */
static void test_segments(void **state)
{
    (void)state;
    static const struct tile shapes[] = {
        {64, 64, 32, 4, 2, 2}, {64, 128, 32, 4, 2, 2}, {64, 64, 64, 3, 2, 2},
        {64, 64, 32, 3, 2, 2}};
    static const int sizes[] = {64, 32, 128, 8};
    for (int i = 0; i < 4; i++) {
        struct arena *arena = arena_create();
        struct str text = str_create(arena);
        struct product p = {.tile = &shapes[i], .m = 70, .k = 104, .dtype = "bf16", .band = 2,
                            .vector = 8, .split = i == 2 ? 2 : 1};
        put_header(&text);
        put_attention_input(arena, &text, &p, sizes[i]);
        run(&text, 1, false);
        arena_destroy(arena);
    }
}

/* Attributes that are no tile are refused. */
static void test_facts(void **state)
{
    (void)state;
    struct arena *arena = arena_create();
    struct str text = str_create(arena);
    static const struct tile even = {128, 128, 32, 3, 2, 2};
    struct product p = ragged(&even, 1, "bf16");
    put_header(&text);
    put_product(arena, &text, 0, &p);
    struct module *module = ir_parse(arena, diag_add_source("facts.ir", text.text, text.length));
    struct function *f = module->functions.items[0];
    struct kernel *kernel = f->kernels.items[0];
    struct gpu_facts facts;
    assert_true(gpu_matmul_facts(f, kernel, &facts));
    assert_int_equal(facts.shared_bytes, 3 * (128 + 128) * 64);
    assert_int_equal(facts.mma_count, 2 * 4 * 8);
    assert_in_range(facts.registers, 128, 255);
    static const struct {
        enum attribute_id id;
        int value;
    } wrong[] = {{ATTRIBUTE_rows, 96}, {ATTRIBUTE_kc, 48}, {ATTRIBUTE_stages, 1},
                 {ATTRIBUTE_warps_m, 16}, {ATTRIBUTE_warps_n, 3}, {ATTRIBUTE_split, 1000},
                 {ATTRIBUTE_band, 0}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int64_t right = attributes_int(&kernel->attributes, wrong[i].id);
        attributes_set_int(arena, &kernel->attributes, wrong[i].id, wrong[i].value);
        assert_false(gpu_matmul_facts(f, kernel, &facts));
        attributes_set_int(arena, &kernel->attributes, wrong[i].id, right);
    }
    assert_true(gpu_matmul_facts(f, kernel, &facts));
    arena_destroy(arena);
}

/* --- device code --- */

/* Large products, so that nothing is simplified away; every third tile, all in the full suite. */
static void test_device_code(void **state)
{
    (void)state;
    struct arena *arena = arena_create();
    struct str text = str_create(arena);
    int count = 0;
    put_header(&text);
    for (int i = 0; i < TILES; i++) {
        struct product p = {.tile = &tiles[i], .m = 2048, .n = 4096, .k = 4096, .dtype = "bf16",
                            .result = "bf16", .left = "bf16", .right = "bf16", .transb = true,
                            .band = 8, .vector = 8, .split = i % 4 == 3 ? 2 : 1};
        if (is_full() || i % 3 == 0)
            put_product(arena, &text, count++, &p);
    }
    for (int i = 0; i < 3 * TILES; i++) {
        static const char *const dtypes[] = {"f16", "tf32", "f32"};
        const char *dtype = dtypes[i % 3], *wide = i % 3 ? "f32" : "f16";
        struct product p = {.tile = &tiles[i / 3], .m = 2048, .n = 4096, .k = 4096,
                            .dtype = dtype, .result = wide, .left = wide, .right = wide,
                            .transa = i & 1, .transb = i & 2, .band = 4, .vector = 4};
        if (is_full() || i % 11 == 0)
            put_product(arena, &text, count++, &p);
    }
    product_kernels_lint(text.text, text.length);
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_facts),       cmocka_unit_test(test_tiles),
        cmocka_unit_test(test_other_types), cmocka_unit_test(test_layouts),
        cmocka_unit_test(test_conversions), cmocka_unit_test(test_split),
        cmocka_unit_test(test_partners),    cmocka_unit_test(test_segments),
        cmocka_unit_test(test_device_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
