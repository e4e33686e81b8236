/*
 * Kernels that a library computes: which are plain and how they are described, when they are
 * chosen, and that the descriptions give what the interpreter gives.
 */
#include "compiler/emulation/product.h"
#include "ir/base/str.h"
#include "ir/gpu_blas.h"
#include "ir/gpu_predict.h"
#include "passes/passes.h"
#include "tests/emulated.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* --- which are plain --- */

struct form {
    const char *name, *params, *body, *result;
    const char *expected; /* NULL: not plain */
};

/* A matrix as operand:transposed:offset:pitch:stride. */
static void put_matrix(struct str *out, const char *name, const struct gpu_matrix *matrix)
{
    if (matrix->operand >= 0)
        str_printf(out, " %s=%d:%d:%lld:%lld:%lld", name, matrix->operand, matrix->transposed,
                   (long long)matrix->offset, (long long)matrix->pitch,
                   (long long)matrix->stride);
}

static const char *described(struct arena *arena, const struct gpu_blas *p)
{
    struct str out = str_create(arena);
    str_printf(&out, "%s %s %lldx%lldx%lldx%lld", dtype_name(p->multiply), dtype_name(p->result),
               (long long)p->batch, (long long)p->m, (long long)p->n, (long long)p->k);
    put_matrix(&out, "a", &p->a);
    put_matrix(&out, "b", &p->b);
    put_matrix(&out, "c", &p->c);
    put_matrix(&out, "bias", &p->bias);
    put_matrix(&out, "d", &p->d);
    return out.text;
}

static const struct form forms[] = {
    {"a product", "  param %x : f32[96,40]\n  param %w : f32[40,24]\n",
     "    %p = matmul %x, %w : f32[96,24]\n", "p",
     "f32 f32 1x96x24x40 a=0:0:0:40:0 b=1:0:0:24:0 d=2:0:0:24:0"},
    {"transposed operands", "  param %x : bf16[40,96]\n  param %w : bf16[24,40]\n",
     "    %p = matmul %x, %w {dtype=f32 transa transb} : f32[96,24]\n", "p",
     "bf16 f32 1x96x24x40 a=0:1:0:96:0 b=1:1:0:40:0 d=2:0:0:24:0"},
    {"leading axes are rows", "  param %x : f32[4,24,40]\n  param %w : f32[40,24]\n",
     "    %p = matmul %x, %w : f32[4,24,24]\n", "p",
     "f32 f32 1x96x24x40 a=0:0:0:40:0 b=1:0:0:24:0 d=2:0:0:24:0"},
    {"a batch of one right operand", "  param %x : f32[4,40,96]\n  param %w : f32[40,24]\n",
     "    %p = matmul %x, %w {transa} : f32[4,96,24]\n", "p",
     "f32 f32 4x96x24x40 a=0:1:0:96:3840 b=1:0:0:24:0 d=2:0:0:24:2304"},
    {"heads as a batch", "  param %x : f32[1,96,4,40]\n  param %w : f32[4,40,24]\n",
     "    %t = transpose %x {perm=[0,2,1,3]} : f32[1,4,96,40] @ view\n"
     "    %r = reshape %t {dims=[4,96,40]} : f32[4,96,40] @ view\n"
     "    %p = matmul %r, %w : f32[4,96,24]\n", "p",
     "f32 f32 4x96x24x40 a=0:0:0:160:40 b=1:0:0:24:960 d=2:0:0:24:2304"},
    {"heads and rows that no stride joins",
     "  param %x : f32[2,96,4,40]\n  param %w : f32[8,40,24]\n",
     "    %t = transpose %x {perm=[0,2,1,3]} : f32[2,4,96,40] @ view\n"
     "    %r = reshape %t {dims=[8,96,40]} : f32[8,96,40] @ view\n"
     "    %p = matmul %r, %w : f32[8,96,24]\n", "p", NULL},
    {"a part of the columns", "  param %x : f32[96,40]\n  param %w : f32[32,24]\n",
     "    %s = slice %x {axis=1 at=4 len=32} : f32[96,32] @ view\n"
     "    %p = matmul %s, %w : f32[96,24]\n", "p",
     "f32 f32 1x96x24x32 a=0:0:4:40:0 b=1:0:0:24:0 d=2:0:0:24:0"},
    {"every other column", "  param %x : f32[96,40]\n  param %w : f32[20,24]\n",
     "    %s = slice %x {axis=1 len=20 step=2} : f32[96,20] @ view\n"
     "    %p = matmul %s, %w : f32[96,24]\n", "p", NULL},
    {"a repeated row", "  param %x : f32[1,40]\n  param %w : f32[40,24]\n",
     "    %s = broadcast %x {dims=[96,40]} : f32[96,40] @ view\n"
     "    %p = matmul %s, %w : f32[96,24]\n", "p", NULL},
    {"f32 that becomes tf32", "  param %x : f32[96,40]\n  param %w : f32[40,24]\n",
     "    %a = cast %x {dtype=tf32} : tf32[96,40] @ reg\n"
     "    %b = cast %w {dtype=tf32} : tf32[40,24] @ reg\n"
     "    %p = matmul %a, %b {dtype=f32} : f32[96,24]\n", "p",
     "tf32 f32 1x96x24x40 a=0:0:0:40:0 b=1:0:0:24:0 d=2:0:0:24:0"},
    {"f32 that becomes bf16", "  param %x : bf16[96,40]\n  param %w : f32[40,24]\n",
     "    %b = cast %w {dtype=bf16} : bf16[40,24] @ reg\n"
     "    %p = matmul %x, %b {dtype=f32} : f32[96,24]\n", "p", NULL},
    {"a computed operand", "  param %x : f32[96,40]\n  param %w : f32[40,24]\n",
     "    %b = neg %w : f32[40,24] @ reg\n    %p = matmul %x, %b : f32[96,24]\n", "p", NULL},
    {"a residual", "  param %x : bf16[96,40]\n  param %w : bf16[40,24]\n  param %r : f32[96,24]\n",
     "    %p = matmul %x, %w {dtype=f32} : f32[96,24] @ reg\n"
     "    %q = add %r, %p : f32[96,24]\n", "q",
     "bf16 f32 1x96x24x40 a=0:0:0:40:0 b=1:0:0:24:0 c=2:0:0:24:0 d=3:0:0:24:0"},
    {"a residual of half the bits, rounded once",
     "  param %x : bf16[96,40]\n  param %w : bf16[40,24]\n  param %r : bf16[96,24]\n",
     "    %p = matmul %x, %w {dtype=f32} : f32[96,24] @ reg\n"
     "    %c = cast %r {dtype=f32} : f32[96,24] @ reg\n"
     "    %q = add %p, %c : f32[96,24] @ reg\n"
     "    %s = cast %q {dtype=bf16} : bf16[96,24]\n", "s",
     "bf16 bf16 1x96x24x40 a=0:0:0:40:0 b=1:0:0:24:0 c=2:0:0:24:0 d=3:0:0:24:0"},
    {"a residual of another type", "  param %x : bf16[96,40]\n  param %w : bf16[40,24]\n"
     "  param %r : bf16[96,24]\n",
     "    %p = matmul %x, %w {dtype=f32} : f32[96,24] @ reg\n"
     "    %c = cast %r {dtype=f32} : f32[96,24] @ reg\n    %q = add %p, %c : f32[96,24]\n", "q",
     NULL},
    {"bias and residual", "  param %x : f32[96,40]\n  param %w : f32[40,24]\n"
     "  param %r : f32[96,24]\n  param %b : f32[24]\n",
     "    %p = matmul %x, %w : f32[96,24] @ reg\n"
     "    %v = reshape %b {dims=[1,24]} : f32[1,24] @ view\n"
     "    %w2 = broadcast %v {dims=[96,24]} : f32[96,24] @ view\n"
     "    %q = add %p, %w2 : f32[96,24] @ reg\n    %s = add %q, %r : f32[96,24]\n", "s",
     "f32 f32 1x96x24x40 a=0:0:0:40:0 b=1:0:0:24:0 c=2:0:0:24:0 bias=3:0:0:0:0 d=4:0:0:24:0"},
    {"a number for each row", "  param %x : f32[96,40]\n  param %w : f32[40,24]\n"
     "  param %b : f32[96,1]\n",
     "    %p = matmul %x, %w : f32[96,24] @ reg\n"
     "    %v = broadcast %b {dims=[96,24]} : f32[96,24] @ view\n"
     "    %q = add %p, %v : f32[96,24]\n", "q", NULL},
    {"two residuals", "  param %x : f32[96,40]\n  param %w : f32[40,24]\n"
     "  param %r : f32[96,24]\n  param %s : f32[96,24]\n",
     "    %p = matmul %x, %w : f32[96,24] @ reg\n    %q = add %p, %r : f32[96,24] @ reg\n"
     "    %t = add %q, %s : f32[96,24]\n", "t", NULL},
    {"an activation", "  param %x : f32[96,40]\n  param %w : f32[40,24]\n",
     "    %p = matmul %x, %w : f32[96,24] @ reg\n    %q = relu %p : f32[96,24]\n", "q", NULL},
    {"a factor", "  param %x : f32[96,40]\n  param %w : f32[40,24]\n",
     "    %p = matmul %x, %w : f32[96,24] @ reg\n    %q = neg %p : f32[96,24]\n", "q", NULL},
    {"a rounded result", "  param %x : f32[96,40]\n  param %w : f32[40,24]\n",
     "    %p = matmul %x, %w : f32[96,24] @ reg\n"
     "    %q = cast %p {dtype=bf16} : bf16[96,24]\n", "q", NULL},
    {"a result under other axes", "  param %x : f32[96,40]\n  param %w : f32[40,24]\n",
     "    %p = matmul %x, %w : f32[96,24] @ reg\n"
     "    %q = reshape %p {dims=[96,2,12]} : f32[96,2,12]\n", "q",
     "f32 f32 1x96x24x40 a=0:0:0:40:0 b=1:0:0:24:0 d=2:0:0:24:0"},
    {"a transposed result", "  param %x : f32[96,40]\n  param %w : f32[40,24]\n",
     "    %p = matmul %x, %w : f32[96,24] @ view\n"
     "    %q = transpose %p {perm=[1,0]} : f32[24,96]\n", "q", NULL},
    /* plan may pad rows of 10 numbers: then they no longer join to rows of 20. */
    {"rows that padding would cut", "  param %y : f32[96,2,10]\n  param %w : f32[20,24]\n",
     "    %x = reshape %y {dims=[96,20]} : f32[96,20] @ view\n"
     "    %p = matmul %x, %w : f32[96,24]\n", "p", NULL},
};

static void forms_are_told_apart(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        const struct form *form = &forms[i];
        struct arena *arena = arena_create();
        const char *text = arena_printf(
            arena, "ir 1\nmodule m stage=fuse target=a100\nfunc f\n%s  kernel k matmul\n%s"
            "  return %%%s as y\nend\n", form->params, form->body, form->result);
        struct module *module = ir_parse(arena, diag_add_source("f.ir", text, strlen(text)));
        const struct function *function = module->functions.items[0];
        struct gpu_blas blas;
        bool plain = gpu_blas(function, function->kernels.items[0], &blas);
        const char *got = plain ? described(arena, &blas) : "not plain";
        const char *expected = form->expected ? form->expected : "not plain";
        if (strcmp(got, expected) != 0)
            fail_msg("%s: %s, not %s", form->name, got, expected);
        arena_destroy(arena);
    }
}

/* --- when they are chosen --- */

static struct module *tiled(struct arena *arena, const char *target, int64_t rows,
                            enum tile_blas blas)
{
    const char *text = arena_printf(
        arena, "ir 1\nmodule m stage=layout\nweight %%w {tensor=w init=0.02} : bf16[4096,4096]\n"
        "func f\n  param %%x : bf16[%lld,4096]\n"
        "  %%p = matmul %%x, %%w {dtype=f32 transb} : f32[%lld,4096]\n  return %%p as p\nend\n",
        (long long)rows, (long long)rows);
    struct module *module = ir_parse(arena, diag_add_source("t.ir", text, strlen(text)));
    const struct target *row = target_find(target);
    const struct tile_rules rules = {.gpu = row->gpu, .blas = blas};
    pass_fuse(module, row);
    tile_gpu(module, &rules, 0);
    module->stage = "tile";
    ir_verify(module, "tile", false);
    pass_plan(module);
    module->stage = "plan";
    ir_verify(module, "plan", false);
    return module;
}

/* Microseconds, and what is in doubt of them. */
static double predicted(const char *target, int64_t rows, enum tile_blas blas,
                        enum gpu_provider *provider, int64_t *workspace)
{
    struct arena *arena = arena_create();
    struct module *module = tiled(arena, target, rows, blas);
    const struct function *function = module->functions.items[0];
    const struct kernel *kernel = function->kernels.items[0];
    struct gpu_prediction prediction;
    assert_true(gpu_predict(gpu_find(target), function, kernel, &prediction));
    *provider = gpu_provider(kernel);
    *workspace = attributes_int(&kernel->attributes, ATTRIBUTE_workspace);
    arena_destroy(arena);
    return prediction.us + prediction.doubt_us;
}

static void the_option_and_the_prediction_decide(void **unused)
{
    static const char *const names[] = {"a100", "a100-80", "h100", "h200"};
    static const int64_t rows[] = {128, 1000, 4096, 16384};
    enum gpu_provider provider;
    int64_t workspace;
    (void)unused;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
            double own = predicted(names[i], rows[k], TILE_BLAS_never, &provider, &workspace);
            assert_int_equal(provider, PROVIDER_none);
            double library =
                predicted(names[i], rows[k], TILE_BLAS_always, &provider, &workspace);
            assert_int_equal(provider, PROVIDER_cublaslt);
            assert_int_equal(workspace, i < 2 ? 4 << 20 : 32 << 20);
            double best = predicted(names[i], rows[k], TILE_BLAS_auto, &provider, &workspace);
            assert_int_equal(provider, library < own ? PROVIDER_cublaslt : PROVIDER_none);
            assert_true(best == (library < own ? library : own));
            if (i < 2) /* the same instructions */
                assert_int_equal(provider, PROVIDER_none);
            else if (k > 0) /* ours there are those of mma.sync */
                assert_int_equal(provider, PROVIDER_cublaslt);
        }
}

/* A large product is near the best that is known of the library: 790 TFLOP/s. */
static void large_products_reach_the_rate_of_the_library(void **unused)
{
    enum gpu_provider provider;
    int64_t workspace;
    (void)unused;
    double us = predicted("h200", 16384, TILE_BLAS_always, &provider, &workspace);
    double tflops = 2e-6 * 16384 * 4096 * 4096 / us;
    assert_true(tflops > 620 && tflops < 790);
}

/* --- that they are right --- */

static void count_products(struct module *module, void *context)
{
    int *count = context;
    for (size_t f = 0; f < module->functions.count; f++)
        for (size_t k = 0; k < module->functions.items[f]->kernels.count; k++)
            *count += gpu_provider(module->functions.items[f]->kernels.items[k]) ==
                      PROVIDER_cublaslt;
}

/* The forms above that are plain, each a function; and one whose operand plan gives a pitch. */
static void products_equal_the_interpreter(void **unused)
{
    struct arena *arena = arena_create();
    struct str text = str_create(arena);
    int plain = 1, products = 0;
    (void)unused;
    str_printf(&text, "ir 1\nmodule m stage=schedule target=a100\n"
                      "func pitched\n  param %%x : f32[70,37]\n  param %%y : f32[37,45]\n"
                      "  kernel n loop\n    %%n = neg %%x : f32[70,37]\n"
                      "  kernel o loop\n    %%o = neg %%y : f32[37,45]\n"
                      "  kernel p matmul\n    %%p = matmul %%n, %%o : f32[70,45]\n"
                      "  kernel q matmul\n    %%q = matmul %%p, %%p {transb} : f32[70,70] @ reg\n"
                      "    %%r = relu %%q : f32[70,70]\n  return %%r as y\nend\n");
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (forms[i].expected) {
            str_printf(&text, "func f%zu\n%s  kernel k matmul\n%s  return %%%s as y\nend\n", i,
                       forms[i].params, forms[i].body, forms[i].result);
            plain++;
        }
    struct emulated_request request = {.blas = TILE_BLAS_always, .brief = true, .samples = 4000,
                                       .tiled = count_products, .context = &products};
    struct emulated_report report = emulated_text(text.text, &request);
    emulated_expect(&report);
    assert_int_equal(products, plain);
    arena_destroy(arena);
}

/* --- random ones --- */

static uint64_t drawn;

static int draw(int bound)
{
    drawn = drawn * 6364136223846793005u + 1442695040888963407u;
    return (int)(drawn >> 33) % bound;
}

/* %NAME: a factor [batch, rows, columns] of the product, from a parameter whose axes stand in
 * another order and, with `cut`, are longer than what is used of them. */
static void put_factor(struct str *params, struct str *body, const char *name, const char *dtype,
                       const int *dims, bool cut)
{
    static const int orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {2, 0, 1},
                                   {1, 2, 0}};
    const int *order = orders[draw(5)];
    int stored[3], back[3], axis = draw(3), more = cut ? 8 * (1 + draw(2)) : 0, at = draw(more + 1);
    for (int i = 0; i < 3; i++) {
        stored[i] = dims[order[i]] + (i == axis ? more : 0);
        back[order[i]] = i;
    }
    str_printf(params, "  param %%%s0 : %s[%d,%d,%d]\n", name, dtype, stored[0], stored[1],
               stored[2]);
    stored[axis] -= more;
    str_printf(body, "    %%%s1 = slice %%%s0 {axis=%d at=%d len=%d} : %s[%d,%d,%d] @ view\n", name,
               name, axis, at, stored[axis], dtype, stored[0], stored[1], stored[2]);
    str_printf(body, "    %%%s = transpose %%%s1 {perm=[%d,%d,%d]} : %s[%d,%d,%d] @ view\n", name,
               name, back[0], back[1], back[2], dtype, dims[0], dims[1], dims[2]);
}

static void put_random(struct arena *arena, struct str *out, int number)
{
    struct str params = str_create(arena), body = str_create(arena);
    const char *dtype = draw(2) ? "bf16" : "f32", *value = "p";
    int batch = 1 + draw(3) * draw(2), m = 1 + draw(90), n = 1 + draw(40), k = 1 + draw(70);
    bool transa = draw(2), transb = draw(2), bias = draw(2), residual = draw(2);
    int left[] = {batch, transa ? k : m, transa ? m : k};
    int right[] = {batch, transb ? n : k, transb ? k : n};
    const char *type = arena_printf(arena, "f32[%d,%d,%d]", batch, m, n);
    put_factor(&params, &body, "a", dtype, left, draw(2));
    put_factor(&params, &body, "b", dtype, right, draw(2));
    str_printf(&body, "    %%p = matmul %%a, %%b {%s%sdtype=f32} : %s%s\n", transa ? "transa " : "",
               transb ? "transb " : "", type, bias || residual ? " @ reg" : "");
    if (bias) {
        str_printf(&params, "  param %%v : f32[1,1,%d]\n", n);
        str_printf(&body, "    %%w = broadcast %%v {dims=[%d,%d,%d]} : %s @ view\n"
                          "    %%q = add %%w, %%p : %s%s\n", batch, m, n, type, type,
                   residual ? " @ reg" : "");
        value = "q";
    }
    if (residual) {
        str_printf(&params, "  param %%r : %s\n", type);
        str_printf(&body, "    %%s = add %%%s, %%r : %s\n", value, type);
        value = "s";
    }
    str_printf(out, "func f%d\n%s  kernel k matmul\n%s  return %%%s as y\nend\n", number,
               params.text, body.text, value);
}

/* Those that are not plain run as kernels of ours, once and for comparison. */
static void random_products_equal_the_interpreter(void **unused)
{
    enum { PRODUCTS = 48 };
    struct arena *arena = arena_create();
    struct str text = str_create(arena);
    int products = 0;
    (void)unused;
    drawn = 7;
    str_printf(&text, "ir 1\nmodule m stage=schedule target=a100\n");
    for (int i = 0; i < PRODUCTS; i++)
        put_random(arena, &text, i);
    struct emulated_request request = {.blas = TILE_BLAS_always, .brief = true, .samples = 600,
                                       .tiled = count_products, .context = &products};
    struct emulated_report report = emulated_text(text.text, &request);
    emulated_expect(&report);
    printf("%d of %d random products by a library\n", products, PRODUCTS);
    assert_true(products > PRODUCTS / 2 && products < PRODUCTS);
    arena_destroy(arena);
}

/* --- what the emulation finds wrong --- */

static float numbers[4][64];
static char room[256];

static enum emulation_error run(const struct rt_product *product, int read_only)
{
    void *operands[] = {numbers[0], numbers[1], numbers[2], numbers[3], room};
    struct emulation_region regions[5];
    struct emulation_report report;
    for (int i = 0; i < 5; i++)
        regions[i] = (struct emulation_region){operands[i], sizeof numbers[0], i != read_only,
                                               false, 4};
    struct emulation_launch launch = {.kernel = "p", .operands = operands, .regions = regions,
                                      .region_count = 5};
    emulation_product(product, &launch, &report);
    assert_true((report.error == EMULATION_none) == (report.text[0] == '\0'));
    return report.error;
}

static void wrong_descriptions_are_found(void **unused)
{
    const struct rt_product right = {
        .multiply = RT_F32, .result = RT_F32, .batch = 1, .m = 8, .n = 8, .k = 8,
        .a = {0, 0, 0, 8, 0}, .b = {1, 0, 0, 8, 0}, .c = {2, 0, 0, 8, 0}, .d = {3, 0, 0, 8, 0},
        .bias = {.operand = RT_NO_OPERAND}, .workspace = sizeof room};
    struct rt_product wrong = right;
    (void)unused;
    assert_int_equal(run(&right, -1), EMULATION_none);
    wrong.a.pitch = 9;
    assert_int_equal(run(&wrong, -1), EMULATION_out_of_bounds);
    wrong = right;
    wrong.b.offset = 1;
    assert_int_equal(run(&wrong, -1), EMULATION_out_of_bounds);
    wrong = right;
    wrong.batch = 2;
    wrong.a.stride = 1;
    assert_int_equal(run(&wrong, -1), EMULATION_out_of_bounds);
    wrong = right;
    wrong.d.operand = 0;
    assert_int_equal(run(&wrong, -1), EMULATION_block_race);
    wrong = right;
    wrong.c.operand = 3;
    assert_int_equal(run(&wrong, -1), EMULATION_none); /* in place */
    wrong.n = 4;
    wrong.c.offset = 4;
    assert_int_equal(run(&wrong, -1), EMULATION_block_race);
    assert_int_equal(run(&right, 3), EMULATION_read_only);
    wrong = right;
    wrong.workspace = sizeof room + 1;
    assert_int_equal(run(&wrong, -1), EMULATION_out_of_bounds);
    wrong = right;
    wrong.b.operand = 7;
    assert_int_equal(run(&wrong, -1), EMULATION_bad_launch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms_are_told_apart),
        cmocka_unit_test(the_option_and_the_prediction_decide),
        cmocka_unit_test(large_products_reach_the_rate_of_the_library),
        cmocka_unit_test(products_equal_the_interpreter),
        cmocka_unit_test(random_products_equal_the_interpreter),
        cmocka_unit_test(wrong_descriptions_are_found),
    };
    return cmocka_run_group_tests_name("gpu_blas", tests, NULL, NULL);
}
