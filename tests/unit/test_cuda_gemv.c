/*
 * Products of 1 to 4 rows on GPUs under the emulation: prologues, partners, segments with joined
 * columns, rows that go into caches, ragged N and K, all types, several shapes of a block.
 */
#include "tests/unit/few_kernels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct few_case cases[] = {
    {FEW_LINEAR, FEW_PLAIN, 1, 512, 40, "bf16", "bf16", "cols=8 threads=64"},
    {FEW_LINEAR, FEW_RMS, 1, 172, 70, "bf16", "bf16", "cols=16 threads=256"},
    {FEW_LINEAR, FEW_CAST, 2, 172, 33, "f32", "bf16", "cols=16 threads=64 nr=3 stages=2"},
    {FEW_LINEAR, FEW_PLAIN, 3, 300, 24, "f32", "f32", "cols=8 threads=128 nr=1"},
    {FEW_LINEAR, FEW_LAYER, 4, 256, 24, "f16", "f16", "cols=24 threads=128 nr=2"},
    {FEW_LINEAR, FEW_RMS, 4, 264, 20, "bf16", "f32", "cols=4 threads=32"},
    {FEW_LINEAR, FEW_CAST, 1, 100, 9, "f32", "tf32", "cols=16 threads=32 nr=2 stages=1"},
    {FEW_LINEAR, FEW_LAYER, 1, 77, 19, "f32", "f32", "cols=8 threads=96"},
    {FEW_GATED, FEW_RMS, 1, 512, 48, "bf16", "bf16", "cols=16 threads=128"},
    {FEW_GATED, FEW_PLAIN, 2, 520, 43, "bf16", "bf16", "cols=8 threads=64 nr=2 stages=1"},
    {FEW_GATED, FEW_RMS, 3, 128, 20, "f32", "f32", "cols=20 threads=64"},
    {FEW_HEADS, FEW_RMS, 1, 256, 64, "bf16", "bf16", "cols=8 threads=64 pair=8"},
    {FEW_HEADS, FEW_RMS, 2, 64, 64, "f32", "bf16", "cols=16 threads=128"},
    {FEW_HEADS, FEW_PLAIN, 4, 96, 64, "f32", "f32", "cols=32 threads=64"},
    {FEW_RING, FEW_RMS, 1, 264, 64, "bf16", "bf16", "cols=4 threads=64 pair=8 nr=2"},
    {FEW_LINEAR, FEW_RMS, 1, 172, 30, "int8", "f32", "cols=16 threads=64"},
    {FEW_GATED, FEW_PLAIN, 2, 264, 20, "int8", "bf16", "cols=8 threads=64"},
    {FEW_HEADS, FEW_RMS, 1, 64, 64, "int8", "bf16", "cols=8 threads=64 pair=8"},
    {FEW_RING, FEW_CAST, 4, 172, 96, "bf16", "bf16", "cols=64 threads=256"},
};
enum { CASES = sizeof cases / sizeof *cases };

static void run_cases(const struct few_case *list, int count, bool brief)
{
    struct arena *arena = arena_create();
    struct few_text text = few_text(arena, "gemv");
    for (int i = 0; i < count; i++)
        few_add(&text, &list[i]);
    few_run(&text, brief);
    arena_destroy(arena);
}

static void test_cases(void **state)
{
    (void)state;
    run_cases(cases, CASES, false);
}

/* All kinds with all rows and types; a part of them for each seed of the pairs. */
static void test_all(void **state)
{
    static const char *const types[][2] = {
        {"bf16", "bf16"}, {"f16", "f16"}, {"f32", "f32"}, {"f32", "bf16"}, {"bf16", "f32"}};
    static const char *const blocks[] = {"cols=16 threads=64", "cols=16 threads=256 nr=1 stages=3",
                                         "cols=32 threads=128 nr=4"};
    (void)state;
    if (!getenv("SINTER_FULL")) {
        printf("left out without SINTER_FULL: all variants of gemv\n");
        return;
    }
    struct few_case all[64];
    int count = 0;
    for (int kind = 0; kind < 4; kind++)
        for (int rows = 1; rows <= 4; rows++)
            for (int type = 0; type < 5; type++) {
                int other = kind + rows + type;
                all[count++] = (struct few_case){kind,
                                                 (enum few_prologue)(1 + other % 3),
                                                 rows,
                                                 other % 2 ? 172 : 320,
                                                 kind >= FEW_HEADS ? 64 : 50,
                                                 types[type][0],
                                                 types[type][1],
                                                 blocks[other % 3]};
                if (count == 20) {
                    run_cases(all, count, false);
                    count = 0;
                }
            }
}

/* Products of one operand that are unlike, by partners or stored types, are kernels of their own;
 * the passes choose the shapes of all. */
static void test_unlike(void **state)
{
    static const char text[] =
        "ir 1\nmodule m stage=clean\n"
        "weight %q {tensor=q file=x} : bf16[64,128]\nweight %g {tensor=g file=x} : bf16[96,128]\n"
        "weight %u {tensor=u file=x} : bf16[96,128]\nweight %l {tensor=l file=x} : f32[16,128]\n"
        "func f\n  param %x : bf16[1,1,128]\n"
        "  %qx = matmul %x, %q {transb dtype=f32} : f32[1,1,64]\n"
        "  %gx = matmul %x, %g {transb dtype=f32} : f32[1,1,96]\n"
        "  %ux = matmul %x, %u {transb dtype=f32} : f32[1,1,96]\n"
        "  %s = sigmoid %gx : f32[1,1,96]\n  %h = mul %s, %ux : f32[1,1,96]\n"
        "  %lb = cast %l {dtype=bf16} : bf16[16,128]\n"
        "  %lx = matmul %x, %lb {transb dtype=f32} : f32[1,1,16]\n"
        "  return %qx as q\n  return %h as h\n  return %lx as l\nend\n";
    (void)state;
    struct emulated_report report =
        emulated_text(text, &(struct emulated_request){.skeleton = "gemv"});
    emulated_expect(&report);
    assert_int_equal(report.kernels, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_unlike),
        cmocka_unit_test(test_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
