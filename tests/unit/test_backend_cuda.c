/*
 * The CUDA backend on the kernels of test_backend_c: files of tests/unit/kernels through the
 * passes for a GPU, under the emulation. With arguments, the IR
 * files to run instead, with a line about each.
 */
#include "compiler/check_emulated.h"
#include "compiler/pipeline.h"
#include "ir/base/str.h"
#include "tests/emulated.h"
#include "tests/kernel_text.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { FILE_MOST = 1 << 20 };

static struct emulated_report run_file(const char *path)
{
    static char text[FILE_MOST];
    FILE *file = fopen(path, "r");
    if (!file) {
        fprintf(stderr, "cannot open %s\n", path);
        abort();
    }
    text[fread(text, 1, FILE_MOST - 1, file)] = '\0';
    fclose(file);
    return emulated_text(text, &(struct emulated_request){.samples = 200});
}

static void check_file(void **state)
{
    struct emulated_report report = run_file(*state);
    emulated_expect(&report);
}

/* --- wrong kernels --- */

/* A row of 600 elements takes several warps, which meet in shared memory. */
static const char row_text[] = "ir 1\nmodule rows stage=clean\n\nfunc f\n"
                               "  param %x : f32[3,600]\n"
                               "  %m = maximum %x {axes=[1]} : f32[3,1]\n"
                               "  %b = broadcast %m {dims=[3,600]} : f32[3,600]\n"
                               "  %d = sub %x, %b : f32[3,600]\n"
                               "  %e = exp %d : f32[3,600]\n"
                               "  %s = sum %e {axes=[1]} : f32[3,1]\n"
                               "  return %s as s\nend\n";

/* Replaces a word of the kernels' text. */
static void replace(struct arena *arena, struct cuda_emit_result *emitted, const char *word,
                    const char *by)
{
    struct str out = str_create(arena);
    const char *at = emitted->emulated + emitted->prelude_length;
    int count = 0;
    str_bytes(&out, emitted->emulated, emitted->prelude_length);
    for (const char *next; (next = strstr(at, word)); at = next + strlen(word), count++) {
        str_bytes(&out, at, (size_t)(next - at));
        str_printf(&out, "%s", by);
    }
    str_printf(&out, "%s", at);
    assert_true(count > 0);
    emitted->emulated = out.text;
    emitted->emulated_length = out.length;
}

static struct emulated_result check_changed(struct arena *arena, const char *word, const char *by)
{
    static const struct emulated_mode modes[] = {{false, false, true}, {true, true, true}};
    const struct target *target = target_find("a100");
    struct module *module =
        ir_parse(arena, diag_add_source("rows.ir", row_text, sizeof row_text - 1));
    struct pipeline_options pipeline = {
        .target = target, .verify = true, .compute = DTYPE_f32, .task = TASK_predict};
    struct emulated_check check = {.modes = modes, .mode_count = 2, .samples = 100};
    size_t count;
    pipeline_run(module, &pipeline, NULL);
    struct cuda_emit_result emitted =
        backend_cuda_emit(module, &(struct cuda_emit_options){.target = target});
    if (word)
        replace(arena, &emitted, word, by);
    struct emulated_result *results = check_emulated(module, target, &emitted, &check, &count);
    assert_int_equal(count, 1);
    return results[0];
}

static void wrong_kernels(void **state)
{
    (void)state;
    struct arena *arena = arena_create();
    struct emulated_result right = check_changed(arena, NULL, NULL);
    assert_int_equal(right.errors, 0);
    assert_true(right.check.compared > 0 && right.check.worst <= right.check.limit);
    struct emulated_result wrong = check_changed(arena, "m_exp_f32(", "1 + m_exp_f32(");
    assert_int_equal(wrong.errors, 0);
    assert_false(wrong.check.worst <= wrong.check.limit);
    struct emulated_result far =
        check_changed(arena, "load_f32x4(x0 + ", "load_f32x4(x0 + 1800 + ");
    assert_true(far.errors > 0);
    assert_true(isnan(far.check.worst));
    assert_non_null(strstr(far.error, "out_of_bounds"));
    struct emulated_result hasty = check_changed(arena, "block_barrier();", "");
    assert_true(hasty.errors > 0);
    assert_true(strstr(hasty.error, "race") || strstr(hasty.error, "unwritten"));
    arena_destroy(arena);
}

/* What kernel_text_look says about a line of a kernel. */
static void expect_fault(const char *line, const char *fault)
{
    char said[256];
    struct arena *arena = arena_create();
    const char *text = arena_printf(arena, "__device__\n    UNROLL\n    for (;;)\n%s\n", line);
    kernel_text_look(text, strstr(text, "    UNROLL") - text, said, sizeof said);
    if (fault ? !strstr(said, fault) : said[0] != '\0')
        fail_msg("%s: '%s' said, '%s' expected", line, said, fault ? fault : "");
    arena_destroy(arena);
}

static void texts_that_break_the_rules(void **state)
{
    (void)state;
    expect_fault("    NO_UNROLL\n    for (int i = 0; i < 4; i++)", NULL);
    expect_fault("    UNROLL_BY(2)\n    for (int i = 0; i < 4; i++)", NULL);
    expect_fault("    /* for all */\n    formal = __builtin_fabsf(x);", NULL);
    expect_fault("    for (int i = 0; i < 4; i++)", "whether it is unrolled");
    expect_fault("    while (x)", "whether it is unrolled");
    expect_fault("    UNROLL for (;;)", "begin its line");
    expect_fault("    y0[1].cell = 2;", "library may use");
    expect_fault("    asm volatile(\"\");", "library may use");
    expect_fault("    __syncthreads();", "library may use");
}

static int show_files(int count, char **paths)
{
    int bad = 0;
    for (int i = 0; i < count; i++) {
        struct emulated_report report = run_file(paths[i]);
        printf("%s: %d kernels, %d runs, %d failed, %d wrong, worst %.2g of its tolerance; "
               "wavefronts of ldmatrix %llu of %llu, loads %llu of %llu, stores %llu of %llu, "
               "copies %llu of %llu\n%s",
               paths[i], report.kernels, report.runs, report.errors, report.wrong, report.worst,
               (unsigned long long)report.ldmatrix.wavefronts,
               (unsigned long long)report.ldmatrix.minimum,
               (unsigned long long)report.shared_load.wavefronts,
               (unsigned long long)report.shared_load.minimum,
               (unsigned long long)report.shared_store.wavefronts,
               (unsigned long long)report.shared_store.minimum,
               (unsigned long long)report.copy.wavefronts, (unsigned long long)report.copy.minimum,
               report.text);
        bad += report.text[0] != '\0';
    }
    return bad;
}

int main(int count, char **words)
{
    const struct CMUnitTest tests[] = {
        {"loops", check_file, NULL, NULL, "tests/unit/kernels/loops.ir"},
        {"products", check_file, NULL, NULL, "tests/unit/kernels/products.ir"},
        {"deep", check_file, NULL, NULL, "tests/unit/kernels/deep.ir"},
        {"attention", check_file, NULL, NULL, "tests/unit/kernels/attention.ir"},
        {"index", check_file, NULL, NULL, "tests/unit/kernels/index.ir"},
        cmocka_unit_test(wrong_kernels),
        cmocka_unit_test(texts_that_break_the_rules),
    };
    if (count > 1)
        return show_files(count - 1, words + 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
