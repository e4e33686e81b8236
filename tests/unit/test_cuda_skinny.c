/*
 * Products of 2 to 64 rows on GPUs under the emulation: tensor cores and exact f32, prologues,
 * partners, segments with joined columns, rows that go into caches, ragged N and K, split K.
 */
#include "tests/product_kernels.h"
#include "tests/unit/few_kernels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct few_case cases[] = {
    {FEW_LINEAR, FEW_PLAIN, 32, 256, 200, "bf16", "bf16", "cols=128 kc=64 stages=3 threads=128"},
    {FEW_LINEAR, FEW_PLAIN, 8, 512, 64, "bf16", "bf16",
     "cols=64 kc=64 stages=4 threads=128 split=4 vector=4"},
    {FEW_LINEAR, FEW_CAST, 2, 172, 70, "bf16", "bf16", "cols=64 kc=32 stages=2 threads=64"},
    {FEW_LINEAR, FEW_RMS, 16, 172, 64, "f32", "bf16",
     "cols=64 kc=64 stages=3 threads=128 split=2 vector=4"},
    {FEW_LINEAR, FEW_PLAIN, 64, 136, 96, "f16", "f16", "cols=32 kc=32 stages=6 threads=64"},
    {FEW_LINEAR, FEW_PLAIN, 20, 300, 40, "f32", "f32", "cols=32 kc=32 stages=3 threads=64 split=2"},
    {FEW_LINEAR, FEW_LAYER, 5, 200, 50, "f32", "f32", "cols=64 kc=32 stages=4 threads=128 split=2"},
    {FEW_LINEAR, FEW_CAST, 9, 90, 33, "f32", "tf32", "cols=32 kc=32 stages=2 threads=64"},
    {FEW_LINEAR, FEW_PLAIN, 33, 172, 100, "f32", "tf32", "cols=64 kc=32 stages=3 threads=128"},
    {FEW_LINEAR, FEW_RMS, 8, 200, 70, "bf16", "tf32",
     "cols=128 kc=16 stages=4 threads=128 split=3"},
    {FEW_GATED, FEW_PLAIN, 5, 90, 40, "f16", "tf32", "cols=32 kc=16 stages=2 threads=64 split=2"},
    {FEW_HEADS, FEW_CAST, 17, 96, 64, "int8", "tf32", "cols=32 kc=32 stages=3 threads=64"},
    {FEW_GATED, FEW_PLAIN, 32, 192, 100, "bf16", "bf16",
     "cols=64 kc=64 stages=3 threads=128 vector=4"},
    {FEW_GATED, FEW_RMS, 4, 200, 43, "bf16", "bf16", "cols=32 kc=64 stages=2 threads=128 split=2"},
    {FEW_GATED, FEW_PLAIN, 8, 77, 30, "bf16", "f32", "cols=16 kc=32 stages=2 threads=64"},
    {FEW_HEADS, FEW_PLAIN, 16, 128, 64, "bf16", "bf16", "cols=32 kc=64 stages=3 threads=64"},
    {FEW_HEADS, FEW_RMS, 3, 172, 64, "f32", "f32", "cols=32 kc=32 stages=3 threads=64 split=2"},
    {FEW_LINEAR, FEW_PLAIN, 9, 100, 40, "int8", "f32", "cols=32 kc=32 stages=2 threads=64"},
    {FEW_GATED, FEW_PLAIN, 16, 96, 40, "int8", "bf16",
     "cols=32 kc=32 stages=2 threads=128 split=2"},
    {FEW_HEADS, FEW_CAST, 5, 64, 64, "int8", "f16", "cols=32 kc=32 stages=2 threads=64"},
    {FEW_RING, FEW_RMS, 12, 96, 96, "bf16", "bf16", "cols=64 kc=32 stages=4 threads=64 vector=4"},
};
enum { CASES = sizeof cases / sizeof *cases };

static void run_cases(const struct few_case *list, int count, bool brief)
{
    struct arena *arena = arena_create();
    struct few_text text = few_text(arena, "skinny");
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

/* As they are chosen for a decoder of 7B, and in all types. */
static void test_device_code(void **state)
{
    static const struct few_case wide[] = {
        {FEW_LINEAR, FEW_PLAIN, 32, 4096, 4096, "bf16", "bf16",
         "cols=64 kc=32 stages=6 threads=128"},
        {FEW_GATED, FEW_PLAIN, 32, 4096, 14336, "bf16", "bf16",
         "cols=64 kc=64 stages=4 threads=128"},
        {FEW_LINEAR, FEW_PLAIN, 64, 4096, 4096, "f32", "tf32",
         "cols=128 kc=32 stages=4 threads=128 split=2"},
        {FEW_LINEAR, FEW_PLAIN, 16, 4096, 4096, "bf16", "tf32",
         "cols=64 kc=32 stages=4 threads=128"},
        {FEW_LINEAR, FEW_PLAIN, 32, 4096, 4096, "f32", "f32", "cols=64 kc=32 stages=4 threads=128"},
    };
    (void)state;
    struct arena *arena = arena_create();
    struct few_text text = few_text(arena, "skinny");
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++)
        few_add(&text, &wide[i]);
    const char *whole = few_whole(&text);
    kernels_lint(whole, strlen(whole), few_derive);
    arena_destroy(arena);
}

/* All kinds with all rows and types. */
static void test_all(void **state)
{
    static const char *const types[][2] = {
        {"bf16", "bf16"}, {"f16", "f16"}, {"f32", "f32"}, {"f32", "bf16"}, {"bf16", "f32"}};
    static const int rows[] = {2, 8, 16, 32, 64};
    static const char *const blocks[] = {"cols=128 kc=32 stages=2 threads=128 split=4 vector=4",
                                         "cols=64 kc=32 stages=3 threads=128",
                                         "cols=32 kc=32 stages=4 threads=64 split=2"};
    (void)state;
    if (!getenv("SINTER_FULL")) {
        printf("left out without SINTER_FULL: all variants of skinny\n");
        return;
    }
    struct few_case all[25];
    for (int kind = 0; kind < 4; kind++) {
        int count = 0;
        for (int row = 0; row < 5; row++)
            for (int type = 0; type < 5; type++) {
                int other = kind + row + type;
                bool small = rows[row] <= 16, exact = strcmp(types[type][1], "f32") == 0;
                int block = exact && rows[row] == 64 ? 2 : other % 3; /* sums of a thread */
                all[count++] = (struct few_case){kind,
                                                 small ? (enum few_prologue)(other % 4) : FEW_PLAIN,
                                                 rows[row],
                                                 other % 3 ? 172 : 330,
                                                 kind >= FEW_HEADS ? 64 : 150,
                                                 types[type][0],
                                                 types[type][1],
                                                 blocks[block]};
            }
        run_cases(all, count, false);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_device_code),
        cmocka_unit_test(test_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
