/*
 * The op table: golden points of every elementwise row, reductions against plain sums, and what
 * the table promises about itself.
 */
#include "ir/ir.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Reads "1,2 -> 3" and moves past a following ';'. False at the end. */
static bool next_point(const char **text, double *x, int *out_count, double *out_y)
{
    char *end;
    *out_count = 0;
    while (**text == ' ' || **text == ';')
        ++*text;
    if (**text == '\0')
        return false;
    for (;;) {
        x[(*out_count)++] = strtod(*text, &end);
        assert_ptr_not_equal(end, *text);
        *text = end;
        if (**text != ',')
            break;
        ++*text;
    }
    assert_int_equal(strncmp(*text, " -> ", 4), 0);
    *out_y = strtod(*text + 4, &end);
    assert_ptr_not_equal(end, *text + 4);
    *text = end;
    return true;
}

static bool is_close(double x, double y)
{
    return fabs(x - y) <= 4e-15 * fmax(fabs(y), 1e-3);
}

static void golden_points(void **state)
{
    (void)state;
    for (int op = 0; op < OP_COUNT; op++) {
        const struct op_info *info = op_info((enum op)op);
        const char *text = info->golden;
        double x[4] = {0}, y;
        int count, points = 0;
        if (info->kind != KIND_EW || strcmp(text, "-") == 0)
            continue;
        while (next_point(&text, x, &count, &y)) {
            double found = info->reference(x[0], x[1], x[2], x[3]);
            assert_int_equal(count, info->operands_min);
            if (!is_close(found, y))
                fail_msg("%s(%g, %g) is %.17g, not %.17g", info->name, x[0], x[1], found, y);
            points++;
        }
        assert_int_equal(points, 3);
    }
    assert_false(is_close(0.70710678118654, 0.7071067811865475)); /* a wrong digit is seen */
}

/* Known answers of Philox4x32-10 from the authors' test vectors (Random123, kat_vectors). */
static void philox_is_uniform_and_known(void **state)
{
    (void)state;
    double (*draw)(double, double, double, double) = op_info(OP_philox)->reference;
    double sum = 0;
    assert_true(draw(0, 0, 0, 0) == (0x6627e8d5u >> 8) * 0x1p-24);
    for (int i = 0; i < 10000; i++) {
        double u = draw(1, 2, i, 0);
        assert_true(u >= 0 && u < 1);
        sum += u;
    }
    assert_true(fabs(sum / 10000 - 0.5) < 0.01);
    assert_true(draw(-1, 0, 0, 0) != draw(0, 0, 0, 0));
}

/* --- reductions: in one run, and in two halves that are combined --- */

static double reduce(const struct op_info *info, const double *x, int count, int half)
{
    double p[4] = {0}, q[4] = {0}, lifted[4] = {0};
    info->red_identity(p);
    info->red_identity(q);
    for (int i = 0; i < count; i++) {
        info->red_lift(lifted, x[i], i);
        info->red_combine(i < half ? p : q, lifted);
    }
    info->red_combine(p, q);
    return info->red_finish(p);
}

static double plain(enum op op, const double *x, int count)
{
    double sum = 0, product = 1, largest = x[0], least = x[0], deviation = 0, total = 0;
    int best = 0;
    for (int i = 0; i < count; i++) {
        sum += x[i];
        product *= x[i];
        best = x[i] > x[best] ? i : best;
        largest = fmax(largest, x[i]);
        least = fmin(least, x[i]);
    }
    for (int i = 0; i < count; i++) {
        deviation += (x[i] - sum / count) * (x[i] - sum / count);
        total += exp(x[i] - largest);
    }
    switch (op) {
    case OP_sum: return sum;
    case OP_prod: return product;
    case OP_maximum: return largest;
    case OP_minimum: return least;
    case OP_argmax: return best;
    case OP_variance: return deviation / count;
    case OP_logsumexp: return largest + log(total);
    default: return NAN; /* a new row needs its definition here */
    }
}

static void reductions(void **state)
{
    (void)state;
    const double x[] = {0.5, -1.25, 3, 2.75, 3, 0.125, -2};
    for (int op = 0; op < OP_COUNT; op++)
        for (int half = 0; half <= 7; half++) {
            const struct op_info *info = op_info((enum op)op);
            if (info->kind != KIND_RED)
                continue;
            double found = reduce(info, x, 7, half), wanted = plain((enum op)op, x, 7);
            if (!is_close(found, wanted))
                fail_msg("%s, first %d: %.17g, not %.17g", info->name, half, found, wanted);
        }
}

/* A mean of a million and a spread of one: E[x^2] - m^2 would lose all digits. */
static void variance_is_stable(void **state)
{
    (void)state;
    const double x[] = {1e8 + 1, 1e8 - 1, 1e8 + 1, 1e8 - 1};
    assert_true(is_close(reduce(op_info(OP_variance), x, 4, 2), 1));
    const double large[] = {1e4, 1e4 + 1};
    assert_true(is_close(reduce(op_info(OP_logsumexp), large, 2, 1), 1e4 + 1 + log1p(exp(-1))));
}

/* --- names --- */

static void names_are_found(void **state)
{
    (void)state;
    for (int i = 0; i < OP_COUNT; i++) {
        enum op op;
        const char *name = op_info((enum op)i)->name;
        assert_true(op_parse(name, strlen(name), &op) && (int)op == i);
    }
    for (int i = 1; i < SKELETON_COUNT; i++) {
        enum skeleton skeleton;
        const char *name = skeleton_name((enum skeleton)i);
        assert_true(skeleton_parse(name, strlen(name), &skeleton) && (int)skeleton == i);
    }
    for (int i = 0; i < ATTRIBUTE_COUNT; i++) {
        enum attribute_id id;
        const char *name = attribute_info((enum attribute_id)i)->name;
        assert_true(attribute_parse(name, strlen(name), &id) && (int)id == i);
    }
    enum op op;
    assert_false(op_parse("ad", 2, &op));
    assert_false(op_parse("addx", 4, &op));
    assert_int_equal(skeleton_anchor(SKELETON_gemv), OP_matmul);
    assert_int_equal(skeleton_anchor(SKELETON_loop), OP_COUNT);
}

/* --- attributes --- */

static void attributes_keep_order_and_drop_defaults(void **state)
{
    (void)state;
    struct arena *arena = arena_create();
    struct attributes a = {0}, copy;
    int count;
    attributes_set_int(arena, &a, ATTRIBUTE_axis, 2);
    attributes_set_real(arena, &a, ATTRIBUTE_value, 0.5);
    attributes_set_list(arena, &a, ATTRIBUTE_dims, (int64_t[]){4, 5}, 2);
    attributes_set_text(arena, &a, ATTRIBUTE_blob, "x");
    copy = a;
    assert_int_equal(a.count, 4);
    assert_int_equal(a.items[0].id, ATTRIBUTE_value);
    assert_int_equal(a.items[3].id, ATTRIBUTE_axis);
    attributes_set_int(arena, &a, ATTRIBUTE_axis, 0); /* the default */
    assert_int_equal(a.count, 3);
    assert_int_equal(attributes_int(&copy, ATTRIBUTE_axis), 2);
    assert_int_equal(attributes_list(&a, ATTRIBUTE_dims, &count)[1], 5);
    assert_int_equal(count, 2);
    assert_null(attributes_text(&a, ATTRIBUTE_role));
    assert_true(attributes_real(&a, ATTRIBUTE_scale) == 1);
    attributes_set_real(arena, &a, ATTRIBUTE_value, -0.0); /* not the default */
    assert_true(signbit(attributes_real(&a, ATTRIBUTE_value)));
    attributes_remove(&a, ATTRIBUTE_dims);
    assert_null(attributes_list(&a, ATTRIBUTE_dims, &count));
    attributes_set_int(arena, &a, ATTRIBUTE_dtype, DTYPE_f32);
    assert_non_null(attributes_find(&a, ATTRIBUTE_dtype));
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_points),
        cmocka_unit_test(philox_is_uniform_and_known),
        cmocka_unit_test(reductions),
        cmocka_unit_test(variance_is_stable),
        cmocka_unit_test(names_are_found),
        cmocka_unit_test(attributes_keep_order_and_drop_defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
