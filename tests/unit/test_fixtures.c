/*
 * Lists of what kernels must compute: written by one program, obeyed by another. Right kernels pass
 * on the CPU and, as kernels of a GPU, on the emulated device; one wrong expectation is found, and
 * lists that are damaged or of another program are refused.
 */
#include "compiler/check_fixtures.h"
#include "runtime/bench_verify.h"
#include "runtime/exit_codes.h"
#include "tests/command.h"
#include "tests/compiled.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define OPTIONS "tests/fixtures/tiny --init random --seed 3 --batch 2 --max-length 16"

static char folder[256];

static int open_folder(void **state)
{
    (void)state;
    command_folder(folder, sizeof folder, "fixtures");
    const struct outcome *o = command_line(NULL,
                                           "%s check " OPTIONS " --samples 40 --fixtures "
                                           "%s/list",
                                           SINTER_COMPILER, folder);
    if (o->code == 0)
        o = command_line(NULL, "%s build " OPTIONS " -o %s/tiny", SINTER_COMPILER, folder);
    return o->code ? -1 : 0;
}

static int close_folder(void **state)
{
    (void)state;
    command_remove(folder);
    return 0;
}

static const struct outcome *verify(const char *list, const char *more)
{
    return command_line(NULL, "%s/tiny bench --verify %s/%s %s", folder, folder, list, more);
}

/* The list, with what `change` makes of it, under another name. */
static void plant(const char *name, void (*change)(char *text))
{
    char path[300];
    size_t length;
    snprintf(path, sizeof path, "%s/list", folder);
    char *text = command_read_file(path, &length);
    change(text);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    command_write_file(path, text, strlen(text));
    free(text);
}

static void right_kernels(void **state)
{
    (void)state;
    const struct outcome *o = verify("list", "--json");
    assert_int_equal(o->code, EXIT_OK);
    json_t *rows = json_loads(o->out, 0, NULL);
    assert_true(json_array_size(rows) > 60);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        assert_true(json_is_true(json_object_get(row, "ok")));
        assert_true(json_integer_value(json_object_get(row, "compared")) > 0);
    }
    json_decref(rows);
    o = verify("list", "");
    assert_int_equal(o->code, EXIT_OK);
    assert_non_null(strstr(o->out, " kernels on cpu, 0 wrong\n"));
}

/* --- planted --- */

static char *find(char *text, const char *word)
{
    char *at = strstr(text, word);
    assert_non_null(at);
    return at;
}

/* The exponent of the first number that is expected of a product: 2^7 times as large or more. */
static void other_exponent(char *text)
{
    char *at = find(find(text, " matmul.2\n"), "\nexpect "), *p = find(at, "p-");
    assert_true(p < strchr(at + 1, '\n'));
    p[1] = '+';
    p[2] = '9';
}

static void a_wrong_expectation_is_found(void **state)
{
    (void)state;
    plant("wrong", other_exponent);
    const struct outcome *o = verify("wrong", "");
    assert_int_equal(o->code, EXIT_NUMERIC);
    char *bad = strstr(o->out, "BAD ");
    assert_non_null(bad);
    assert_null(strstr(bad + 1, "BAD "));
    assert_non_null(strstr(bad, " matmul.2 "));
    assert_non_null(strstr(o->out, " kernels on cpu, 1 wrong\n"));
}

static void without_fill(char *text)
{
    char *at = find(find(text, " matmul.2\n"), "\nfill "), *end = strchr(at + 1, '\n');
    memmove(at, end, strlen(end) + 1);
}

static void unfilled_operands_matter(void **state)
{
    (void)state;
    plant("unfilled", without_fill);
    assert_int_equal(verify("unfilled", "")->code, EXIT_NUMERIC);
}

static void cut(char *text)
{
    find(text, "\nkernel 1 ")[1] = '\0';
}

static void fewer(char *text)
{
    char *at = find(text, "\nkernel 0 1 "), *end = find(text, "\nkernel 0 2 ");
    memmove(at, end, strlen(end) + 1);
}

static void other_target(char *text)
{
    text[strlen("program ")] = '?';
}

static void other_weights(char *text)
{
    find(text, " 3\n")[1] = '4';
}

static void other_step(char *text)
{
    find(text, "\nkernel 0 1 ")[10] = '2';
}

static void other_place(char *text)
{
    find(text, "\nspoil ")[7] = '9';
}

static void unknown_type(char *text)
{
    char *at = find(find(text, "\nfill ") + 6, " ");
    at[1] = '9';
}

static void no_record(char *text)
{
    find(text, "\nspoil ")[1] = 'S';
}

static void damaged_lists_are_refused(void **state)
{
    (void)state;
    static void (*const changes[])(char *) = {cut,        fewer,       other_target, other_weights,
                                              other_step, other_place, unknown_type, no_record};
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        plant("damaged", changes[i]);
        const struct outcome *o = verify("damaged", "");
        if (o->code != EXIT_DATA)
            fail_msg("change %zu: exit code %d: %s", i, o->code, o->err);
        assert_non_null(strstr(o->err, "does not list kernels of this program; line "));
    }
}

static void weights_must_be_random(void **state)
{
    (void)state;
    const struct outcome *o = command_line(NULL, "%s check tests/fixtures/tiny --fixtures %s/none",
                                           SINTER_COMPILER, folder);
    assert_int_equal(o->code, EXIT_USAGE);
    assert_non_null(strstr(o->err, "--init random"));
}

/* --- kernels of a GPU --- */

static void verify_emulated(const char *dtype)
{
    const char *words[] = {
        "build", "tests/fixtures/tiny", "--init", "random",  "--seed", "5",        "--batch",
        "2",     "--max-length",        "16",     "--dtype", dtype,    "--target", "a100"};
    struct compiled c = compiled_open(words, sizeof words / sizeof *words, true);
    struct fixture_options options = {.target = "a100", .samples = 20, .seed = 5};
    struct str text = check_fixtures(c.job.module, &options);
    struct rt_session session = compiled_session(&c, NULL, 1);
    char path[300];
    snprintf(path, sizeof path, "%s/emulated", folder);
    command_write_file(path, text.text, text.length);
    rt_status status = bench_verify(&session, path, false);
    if (status)
        fail_msg("%s: %s", dtype, rt_status_text());
    rt_session_close(&session);
    compiled_close(&c);
}

static void kernels_of_a_gpu(void **state)
{
    (void)state;
    verify_emulated("f32");
    verify_emulated("bf16");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_kernels),
        cmocka_unit_test(a_wrong_expectation_is_found),
        cmocka_unit_test(unfilled_operands_matter),
        cmocka_unit_test(damaged_lists_are_refused),
        cmocka_unit_test(weights_must_be_random),
        cmocka_unit_test(kernels_of_a_gpu),
    };
    return cmocka_run_group_tests(tests, open_folder, close_folder);
}
