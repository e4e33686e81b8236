/*
 * Dropout: absent from predict, and in fit a function of seed, step, site and place that the
 * interpreter, the gradient, loops and programs with any number of threads agree on.
 */
#include "compiler/language/language.h"
#include "ir/interp.h"
#include "ir/philox.h"
#include "passes/passes.h"
#include "tests/compiled.h"
#include "tests/unit/run_program.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { ROWS = 40, COLUMNS = 250, TRIPS = 5 };

static const char masks[] = "model m\n"
                            "entry main {\n"
                            "    input x : f32[40, 250]\n"
                            "    weight w : [40, 250]\n"
                            "    a = dropout(x * w, 0.25)\n"
                            "    b = dropout(x, 0.25)\n"
                            "    h = x\n"
                            "    loop i in 0..5 carry h {\n"
                            "        h = h + 0.0\n"
                            "        collect each = dropout(x, 0.5)\n"
                            "    }\n"
                            "    output a = a\n"
                            "    output b = b\n"
                            "    output each = each\n"
                            "    if training { output loss = sum(a, keep=false) }\n"
                            "}\n";

static struct arena *arena;

static struct module *lower(const char *text, bool training)
{
    struct description *description =
        description_parse(arena, diag_add_source("m.model", text, strlen(text)));
    struct lower_options options = {.batch = 1, .training = training};
    struct module *module = module_create(arena, "m");
    struct function *function = description_lower(module, description, "main", &options);
    attributes_set_text(arena, &function->attributes, ATTRIBUTE_role, training ? "fit" : "predict");
    ir_verify(module, "lower", false);
    return module;
}

static struct function *main_of(const struct module *module)
{
    return module->functions.items[module->functions.count - 1];
}

static const struct value *output(const struct function *function, const char *name)
{
    for (size_t i = 0; i < function->bindings.count; i++)
        if (strcmp(function->bindings.items[i].name, name) == 0)
            return function->bindings.items[i].value;
    fail_msg("no output '%s'", name);
    return NULL;
}

static int count_draws(const struct module *module)
{
    int draws = 0;
    for (size_t f = 0; f < module->functions.count; f++)
        for (size_t i = 0; i < module->functions.items[f]->nodes.count; i++)
            draws += module->functions.items[f]->nodes.items[i]->op == OP_philox;
    return draws;
}

static void test_two_variants(void **state)
{
    (void)state;
    struct module *predict = lower(masks, false), *fit = lower(masks, true);
    assert_int_equal(count_draws(predict), 0);
    assert_int_equal(main_of(predict)->params.count, 1);
    assert_int_equal(count_draws(fit), 3);
    assert_int_equal(main_of(fit)->params.count, 3);
}

/* A run with all inputs 1 and weights 2. */
static struct interp *run_masks(struct module *module, uint64_t seed, int step)
{
    static double ones[ROWS * COLUMNS], twos[ROWS * COLUMNS];
    const double halves[2] = {(double)(int32_t)seed, (double)(int32_t)(seed >> 32)};
    const double number = step;
    const struct function *main = main_of(module);
    struct interp *interp = interp_create(module, INTERP_EXACT);
    for (int i = 0; i < ROWS * COLUMNS; i++) {
        ones[i] = 1;
        twos[i] = 2;
    }
    interp_bind(interp, &module->weights.items[0]->results[0], twos);
    for (size_t i = 0; i < main->params.count; i++) {
        const struct value *param = &main->params.items[i]->results[0];
        bool is_seed = strcmp(param->name, "random.seed") == 0;
        bool is_step = strcmp(param->name, "random.step") == 0;
        interp_bind(interp, param, is_seed ? halves : is_step ? &number : ones);
    }
    interp_function(interp, main);
    return interp;
}

/* y is 0 where the draw is below the rate, else x / (1 - rate). */
static void check_mask(const double *y, double x, double rate, uint64_t seed, int draw,
                       uint32_t site)
{
    int dropped = 0, count = ROWS * COLUMNS;
    for (int i = 0; i < count; i++) {
        double u =
            philox_uniform((double)(int32_t)seed, (double)(int32_t)(seed >> 32), draw, i, site);
        assert_true(fabs(y[i] - (u >= rate ? x / (1 - rate) : 0)) < 1e-6);
        dropped += y[i] == 0;
    }
    assert_true(fabs(dropped - rate * count) < 4 * sqrt(count * rate * (1 - rate)));
}

/* Fraction of places where two are both zero or both not. */
static double agreement(const double *a, const double *b)
{
    int same = 0;
    for (int i = 0; i < ROWS * COLUMNS; i++)
        same += (a[i] == 0) == (b[i] == 0);
    return (double)same / (ROWS * COLUMNS);
}

static void check_masks(struct module *module, uint64_t seed, int step)
{
    struct interp *interp = run_masks(module, seed, step);
    const double *a = interp_value(interp, output(main_of(module), "a"));
    const double *b = interp_value(interp, output(main_of(module), "b"));
    const double *each = interp_value(interp, output(main_of(module), "each"));
    check_mask(a, 2, 0.25, seed, step, 1);
    check_mask(b, 1, 0.25, seed, step, 2);
    for (int i = 0; i < TRIPS; i++)
        check_mask(each + i * ROWS * COLUMNS, 1, 0.5, seed, step * TRIPS + i, 3);
    assert_true(fabs(agreement(a, b) - 0.625) < 0.03); /* independent: 0.75^2 + 0.25^2 */
    assert_true(fabs(agreement(each, each + ROWS * COLUMNS) - 0.5) < 0.03);
    interp_destroy(interp);
}

static void test_masks(void **state)
{
    (void)state;
    struct module *module = lower(masks, true);
    check_masks(module, 0, 0);
    check_masks(module, 0xfedcba9876543210u, 7);
    pass_simplify(module);
    pass_unroll(module);
    check_masks(module, 3, 1);
}

/* d loss / d w is x times the factor of its place. */
static void test_gradient(void **state)
{
    (void)state;
    struct module *module = lower(masks, true);
    pass_grad(module);
    struct interp *interp = run_masks(module, 9, 2);
    check_mask(interp_value(interp, output(main_of(module), "d.w")), 1, 0.25, 9, 2, 1);
    interp_destroy(interp);
}

/* --- programs --- */

static const char net[] = "model net\n"
                          "entry main {\n"
                          "    input images : f32[batch, 784]\n"
                          "    weight w : [10, 784] init random(0.05)\n"
                          "    output logits = linear(dropout(images, 0.5), w)\n"
                          "    if training {\n"
                          "        input labels : i32[batch]\n"
                          "        output loss = mean(cross_entropy(logits, labels))\n"
                          "    }\n"
                          "}\n";

static char losses_path[] = "/tmp/sinter-dropout-XXXXXX";
static char order_path[] = "/tmp/sinter-dropout-order-XXXXXX";

/* The same samples in every step: losses differ by what is dropped alone. */
static void write_order(void)
{
    static const char header[] = "{'descr': '<i4', 'fortran_order': False, 'shape': (300,), }";
    FILE *file = fdopen(mkstemp(order_path), "w");
    fprintf(file, "\x93NUMPY%c%c%c%c%-117s\n", 1, 0, 118, 0, header);
    for (int32_t i = 0; i < 300; i++) {
        int32_t sample = i % 50;
        fwrite(&sample, sizeof sample, 1, file);
    }
    fclose(file);
}

/* The losses of some steps, as text. */
static char *losses(const struct compiled *program, const char *options)
{
    static char text[4096];
    char line[1024];
    snprintf(line, sizeof line,
             "fit tests/fixtures/digits/train-images-idx3-ubyte.gz "
             "tests/fixtures/digits/train-labels-idx1-ubyte --steps 6 --order "
             "%s --learning-rate 0 %s --losses %s",
             order_path, options, losses_path);
    struct run run = run_line(program->program, NULL, line);
    if (run.code)
        fail_msg("%s", run.err);
    FILE *file = fopen(losses_path, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    return strdup(text);
}

static void test_programs(void **state)
{
    (void)state;
    char path[] = "/tmp/sinter-dropout-model-XXXXXX";
    FILE *file = fdopen(mkstemp(path), "w");
    fputs(net, file);
    fclose(file);
    close(mkstemp(losses_path));
    write_order();
    const char *words[] = {"build", path, "--task", "fit", "--batch", "50"};
    struct compiled program = compiled_open(words, 6, false);
    char *first = losses(&program, "--seed 5 --threads 1");
    char *again = losses(&program, "--seed 5 --threads 2");
    char *other = losses(&program, "--seed 6 --threads 1");
    assert_string_equal(first, again);
    char *line = strchr(first, '\n') + 1; /* the second step drops others than the first */
    assert_true(strncmp(first, line, (size_t)(strchr(line, '\n') - line)) != 0);
    assert_string_not_equal(first, other);
    free(first);
    free(again);
    free(other);
    compiled_close(&program);
    unlink(path);
    unlink(losses_path);
    unlink(order_path);
}

/* --- refusals --- */

static const char *verdict(const char *text, bool training)
{
    jmp_buf trap;
    volatile bool failed = true;
    if (setjmp(trap) == 0) {
        diag_set_trap(&trap);
        lower(text, training);
        failed = false;
    }
    diag_set_trap(NULL);
    return failed ? diag_last_message() : "";
}

static void test_refusals(void **state)
{
    static const char rate[] =
        "model m\nentry e {\n input x : f32[2]\n output y = dropout(x, 1)\n}\n";
    static const char draw[] =
        "model m\nentry e {\n input x : f32[2]\n output y = x * uniform([2])\n}\n";
    (void)state;
    assert_non_null(strstr(verdict(rate, true), "below 1"));
    assert_non_null(strstr(verdict(draw, false), "only while training"));
    assert_string_equal(verdict(draw, true), "");
}

static int begin(void **state)
{
    (void)state;
    arena = arena_create();
    return 0;
}

static int end(void **state)
{
    (void)state;
    arena_destroy(arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_variants), cmocka_unit_test(test_masks),
        cmocka_unit_test(test_gradient),     cmocka_unit_test(test_programs),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
