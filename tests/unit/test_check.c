/*
 * sinter check: the kernels of the examples are right for every CPU this machine can run, and
 * wrong kernels are found: each is planted by editing the emitted text.
 */
#include "compiler/check.h"
#include "ir/base/str.h"
#include "runtime/cpu_features.h"
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
#include <unistd.h>

#include <cmocka.h>

enum { SAMPLES = 4096 };

/* --- right kernels --- */

static void check_example(const char *model, const char *task, const char *dtype, const char *cpu)
{
    const char *words[] = {"build", model,     "--task", task,    "--batch",
                           "10",    "--dtype", dtype,    "--cpu", cpu};
    struct compiled c = compiled_open(words, sizeof words / sizeof *words, true);
    size_t count = 0;
    if (rt_cpu_check(c.program->cpu_features) != 0) {
        printf("SKIPPED 1 %s for %s: this machine lacks it\n", model, cpu);
        compiled_close(&c);
        return;
    }
    struct check_result *results =
        check_kernels(c.job.module, c.objects, c.object_count, 100, 7, &count);
    assert_true(count > 0);
    for (size_t i = 0; i < count; i++)
        if (!(results[i].compared > 0 && results[i].worst <= results[i].limit))
            fail_msg("%s, %s, %s, %s: kernel %s: error %g of %g, %lld compared", model, task, dtype,
                     cpu, results[i].kernel, results[i].worst, results[i].limit,
                     (long long)results[i].compared);
    compiled_close(&c);
}

static void examples(void **state)
{
    (void)state;
    static const char *const cpus[] = {"native", "x86-64-v2", "x86-64-v3", "x86-64-v4"};
    static const char *const models[] = {"docs/examples/mlp.model", "docs/examples/convnet.model"};
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 2; k++) {
            check_example(models[k], "fit", "f32", cpus[i]);
            check_example(models[k], i % 2 ? "fit" : "predict", "bf16", cpus[i]);
        }
}

static void command(void **state)
{
    (void)state;
    const struct outcome *o =
        command_line(NULL, "%s check tests/fixtures/tiny --max-length 16 --json", SINTER_COMPILER);
    assert_int_equal(o->code, EXIT_OK);
    json_t *results = json_loads(o->out, 0, NULL);
    assert_true(json_array_size(results) > 20);
    for (size_t i = 0; i < json_array_size(results); i++) {
        const json_t *result = json_array_get(results, i);
        assert_true(json_is_true(json_object_get(result, "ok")));
        assert_true(json_integer_value(json_object_get(result, "compared")) > 0);
    }
    json_decref(results);
    o = command_line(NULL, "%s check docs/examples/mlp.model --task fit", SINTER_COMPILER);
    assert_int_equal(o->code, EXIT_OK);
    assert_non_null(strstr(o->out, "distinct kernels, 0 wrong\n"));
}

/* Processes share the kernels of a GPU; how many there are changes nothing. */
static void processes(void **state)
{
    (void)state;
    static const char line[] =
        "%s check tests/fixtures/tiny --max-length 16 --target a100 --device emulated --threads %d";
    const struct outcome *o = command_line(NULL, line, SINTER_COMPILER, 1);
    assert_int_equal(o->code, EXIT_OK);
    assert_non_null(strstr(o->out, "distinct kernels for a100 under emulation, 0 wrong\n"));
    char *alone = strdup(o->out);
    o = command_line(NULL, line, SINTER_COMPILER, 3);
    assert_int_equal(o->code, EXIT_OK);
    assert_string_equal(o->out, alone);
    free(alone);
}

/* --- wrong kernels --- */

/* How kernels are made wrong: statements around the right one, which stands for %s; %d is the
 * number of its first operand that it writes. */
struct plant {
    const char *what, *body;
};

static const struct plant plants[] = {
    {"one element a little off",
     "    %1$s(operands, begin, end);\n    float *y = operands[%2$d];\n"
     "    if (begin == 0)\n        *y += 0.05f * (*y < 0 ? 1 - *y : 1 + *y);\n"},
    {"one element is not a number",
     "    %1$s(operands, begin, end);\n    float *y = operands[%2$d];\n"
     "    *y = __builtin_nanf(\"\");\n"},
    {"the last tile is left out", "    %1$s(operands, begin, end - 1);\n"},
};

/* The number in "float *y2 = operands[2];" of the kernel at `text`; -1 if it writes no f32. */
static int written_operand(const char *text)
{
    const char *end = strstr(text, "\n}\n"), *at = strstr(text, "\n    float *y");
    int number = -1;
    if (!at || at > end || sscanf(at, "\n    float *y%*d = operands[%d]", &number) != 1)
        return -1;
    return number;
}

/* All kernels that write f32 made wrong in the same way; returns the text and how many. */
static char *wrong_text(struct arena *arena, const char *text, const struct plant *plant,
                        size_t *count)
{
    static const char head[] = "\nstatic void run_", tables[] = "static const struct rt_operand";
    struct str out = str_create(arena), wrappers = str_create(arena);
    const char *end = strstr(text, tables), *from = text;
    *count = 0;
    for (const char *at = text; (at = strstr(at, head)) && at < end; at++) {
        const char *name = at + 13, *parameters = strchr(name, '(');
        int operand = written_operand(at);
        if (operand < 0)
            continue;
        const char *right = arena_printf(arena, "right_%.*s", (int)(parameters - name), name);
        str_bytes(&out, from, (size_t)(name - from));
        str_printf(&out, "%s", right);
        from = parameters;
        str_printf(&wrappers,
                   "static void %.*s(void *const *operands, rt_i64 begin, rt_i64 end)"
                   "\n{\n",
                   (int)(parameters - name), name);
        str_printf(&wrappers, plant->body, right, operand);
        str_printf(&wrappers, "}\n");
        ++*count;
    }
    str_bytes(&out, from, (size_t)(end - from));
    str_bytes(&out, wrappers.text, wrappers.length);
    str_printf(&out, "%s", end);
    return out.text;
}

static size_t count_wrong(const struct check_result *results, size_t count)
{
    size_t wrong = 0;
    for (size_t i = 0; i < count; i++) {
        bool found = !(results[i].worst <= results[i].limit);
        wrong += found;
        if (!found)
            printf("passed: %s (%s), %lld compared\n", results[i].kernel, results[i].skeleton,
                   (long long)results[i].compared);
    }
    return wrong;
}

static void check_plant(const struct compiled *c, const char *text, const struct plant *plant)
{
    size_t planted, count;
    char *edited = wrong_text(c->arena, text, plant, &planted), *errors;
    struct object object;
    enum toolchain_status status =
        toolchain_compile(edited, strlen(edited), c->job.cpu, &object, &errors);
    if (status != TOOLCHAIN_OK)
        fail_msg("%s", errors);
    free(errors);
    struct check_result *results = check_kernels(c->job.module, &object, 1, SAMPLES, 7, &count);
    assert_true(planted > 5);
    size_t found = count_wrong(results, count);
    if (found != planted)
        fail_msg("%s: %zu kernels of %zu found, %zu are wrong", plant->what, found, count, planted);
    toolchain_free_objects(&object, 1);
}

static void wrong_kernels(void **state)
{
    (void)state;
    char path[] = "/tmp/sinter-check-test-XXXXXX";
    close(mkstemp(path));
    const char *words[] = {"build",   "docs/examples/mlp.model",
                           "--task",  "fit",
                           "--batch", "4",
                           "--set",   "hidden=5",
                           "--emit",  path};
    struct compiled c = compiled_open(words, sizeof words / sizeof *words, true);
    size_t length;
    char *text = command_read_file(path, &length);
    unlink(path);
    for (size_t i = 0; i < sizeof plants / sizeof *plants; i++)
        check_plant(&c, text, &plants[i]);
    free(text);
    compiled_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples),
        cmocka_unit_test(command), cmocka_unit_test(processes),
        cmocka_unit_test(wrong_kernels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
