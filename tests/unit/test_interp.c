/*
 * The interpreter: its three ways to one number (whole tensors, single elements, planned bytes)
 * against each other on random graphs, structured ops against definitions written out here, and
 * the meaning of its modes.
 */
#include "ir/build.h"
#include "ir/interp.h"
#include "tests/outputs.h"
#include "tests/random_graph.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { GRAPHS = 120, SAMPLES = 6 };

/* --- single elements against whole tensors --- */

static bool provide_leaf(void *context, const struct value *value, int64_t element,
                         double *out_number)
{
    if (!(op_info(value->node->op)->flags & OP_LEAF))
        return false;
    *out_number = interp_value(context, value)[element];
    return true;
}

static void check_elements(struct module *module, enum interp_mode mode, uint64_t seed)
{
    const struct function *function = module->functions.items[0];
    struct interp *leaves = interp_create(module, mode), *whole = interp_create(module, mode);
    random_bind(leaves, module, function, seed);
    random_bind(whole, module, function, seed);
    interp_function(whole, function);
    for (size_t i = 0; i < function->nodes.count; i++)
        for (int k = 0; k < op_info(function->nodes.items[i]->op)->results; k++) {
            const struct value *value = &function->nodes.items[i]->results[k];
            int64_t count = type_elements(&value->type);
            for (int s = 0; s < SAMPLES && count > 0; s++) {
                int64_t at = (int64_t)random_below(&seed, (uint64_t)count);
                double x = interp_element(module, mode, value, at, provide_leaf, leaves);
                double y = interp_value(whole, value)[at];
                bool same =
                    x == y || (isnan(x) && isnan(y)) || fabs(x - y) <= 1e-12 * fmax(1, fabs(y));
                if (!same)
                    fail_msg("%%%s[%lld]: %.17g, not %.17g", value->name, (long long)at, x, y);
            }
        }
    interp_destroy(leaves);
    interp_destroy(whole);
}

static void elements_equal_tensors(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < GRAPHS; seed++) {
        struct arena *arena = arena_create();
        struct random_options options = {
            .nodes = 5 + (int)(seed % 10), .structured = true, .elements = 150};
        check_elements(random_graph(arena, seed, &options), INTERP_EXACT, seed);
        arena_destroy(arena);
    }
}

/* --- one op at a time --- */

static struct arena *arena;
static struct module *module;
static struct function *function;
static struct builder b;

static int begin(void **state)
{
    (void)state;
    arena = arena_create();
    module = module_create(arena, "test");
    function = module_add_function(module, "main");
    b = (struct builder){module, function, {0}, ""};
    return 0;
}

static int end(void **state)
{
    (void)state;
    arena_destroy(arena);
    return 0;
}

static struct value *param(const char *name, enum dtype dtype, int rank, const int64_t *dims)
{
    return build_param(&b, name, type_make(dtype, rank, dims));
}

/* The numbers of a value after running the function on seed 5; free them. */
static double *run(const struct value *value, enum interp_mode mode)
{
    struct interp *interp = interp_create(module, mode);
    size_t bytes = ((size_t)type_elements(&value->type) + 1) * sizeof(double);
    double *numbers = malloc(bytes);
    random_bind(interp, module, function, 5);
    interp_function(interp, function);
    memcpy(numbers, interp_value(interp, value), bytes);
    interp_destroy(interp);
    return numbers;
}

static void assert_close(double x, double y)
{
    if (!(fabs(x - y) <= 1e-12 * fmax(1, fabs(y))))
        fail_msg("%.17g, not %.17g", x, y);
}

static void products(void **state)
{
    for (int form = 0; form < 8; form++) {
        end(state);
        begin(state);
        bool transa = form & 1, transb = form & 2, shared = form & 4;
        int64_t xd[] = {2, transa ? 4 : 3, transa ? 3 : 4},
                yd[] = {2, transb ? 5 : 4, transb ? 4 : 5};
        struct value *x = param("x", DTYPE_f32, 3, xd);
        struct value *y = param("y", DTYPE_f32, shared ? 2 : 3, yd + shared);
        double *z = run(build_matmul(&b, x, y, transa, transb), INTERP_EXACT);
        double *xs = random_numbers(x, 5), *ys = random_numbers(y, 5);
        for (int g = 0; g < 2; g++)
            for (int i = 0; i < 3; i++)
                for (int j = 0; j < 5; j++) {
                    double sum = 0;
                    for (int k = 0; k < 4; k++)
                        sum += xs[g * 12 + (transa ? k * 3 + i : i * 4 + k)] *
                               ys[(shared ? 0 : g * 20) + (transb ? j * 4 + k : k * 5 + j)];
                    assert_close(z[g * 15 + i * 5 + j], sum);
                }
        free(xs);
        free(ys);
        free(z);
    }
}

/* Convolution as its definition reads, one output at a time. */
static void convolution(void **state)
{
    (void)state;
    struct attributes at = {0};
    int64_t xd[] = {2, 5, 6, 4}, wd[] = {6, 3, 2, 2};
    struct value *operands[] = {param("x", DTYPE_f32, 4, xd), param("w", DTYPE_f32, 4, wd)};
    attributes_set_list(arena, &at, ATTRIBUTE_stride, (int64_t[]){2, 1}, 2);
    attributes_set_list(arena, &at, ATTRIBUTE_pad, (int64_t[]){1, 0, 0, 1}, 4);
    attributes_set_int(arena, &at, ATTRIBUTE_groups, 2);
    struct value *y = &build_node(&b, OP_conv2d, operands, 2, at, NULL)->results[0];
    double *found = run(y, INTERP_EXACT), *x = random_numbers(operands[0], 5);
    double *w = random_numbers(operands[1], 5);
    int64_t height = y->type.dims[1], width = y->type.dims[2];
    assert_int_equal(height, 2);
    assert_int_equal(width, 6);
    for (int64_t i = 0; i < type_elements(&y->type); i++) {
        int64_t o = i % 6, col = i / 6 % width, row = i / 6 / width % height,
                n = i / 6 / width / height;
        double sum = 0;
        for (int64_t r = 0; r < 3; r++)
            for (int64_t c = 0; c < 2; c++)
                for (int64_t k = 0; k < 2; k++) {
                    int64_t up = row * 2 + r - 1, left = col + c;
                    if (up >= 0 && up < 5 && left < 6)
                        sum += x[((n * 5 + up) * 6 + left) * 4 + o / 3 * 2 + k] *
                               w[((o * 3 + r) * 2 + c) * 2 + k];
                }
        assert_close(found[i], sum);
    }
    free(found);
    free(x);
    free(w);
}

/* <conv(x, w), dy> is linear in x and w: it equals <x, input(w, dy)> and <w, filter(x, dy)>. */
static void convolution_gradients_are_adjoint(void **state)
{
    (void)state;
    struct attributes at = {0};
    int64_t xd[] = {2, 5, 6, 4}, wd[] = {6, 3, 2, 2};
    struct value *x = param("x", DTYPE_f32, 4, xd), *w = param("w", DTYPE_f32, 4, wd);
    attributes_set_list(arena, &at, ATTRIBUTE_stride, (int64_t[]){2, 3}, 2);
    attributes_set_list(arena, &at, ATTRIBUTE_pad, (int64_t[]){1, 2, 0, 1}, 4);
    attributes_set_int(arena, &at, ATTRIBUTE_groups, 2);
    struct value *y = &build_node(&b, OP_conv2d, (struct value *[]){x, w}, 2, at, NULL)->results[0];
    struct value *dy = param("dy", DTYPE_f32, 4, y->type.dims);
    struct attributes input = at, filter = at;
    attributes_set_list(arena, &input, ATTRIBUTE_dims, xd, 4);
    attributes_set_list(arena, &filter, ATTRIBUTE_dims, wd, 4);
    struct value *dx =
        &build_node(&b, OP_conv2d_input, (struct value *[]){w, dy}, 2, input, NULL)->results[0];
    struct value *dw =
        &build_node(&b, OP_conv2d_filter, (struct value *[]){x, dy}, 2, filter, NULL)->results[0];
    const struct value *pairs[][2] = {{y, dy}, {x, dx}, {w, dw}};
    double dots[3] = {0};
    for (int p = 0; p < 3; p++) {
        double *left = run(pairs[p][0], INTERP_EXACT), *right = run(pairs[p][1], INTERP_EXACT);
        for (int64_t i = 0; i < type_elements(&pairs[p][0]->type); i++)
            dots[p] += left[i] * right[i];
        free(left);
        free(right);
    }
    assert_close(dots[1], dots[0]);
    assert_close(dots[2], dots[0]);
}

/* --- caches --- */

static struct value *numbers_i32(const char *name, int count, const int64_t *values)
{
    struct attributes at = {0};
    int64_t dims = count;
    attributes_set_list(arena, &at, ATTRIBUTE_values, values, count);
    attributes_set_list(arena, &at, ATTRIBUTE_dims, &dims, 1);
    attributes_set_int(arena, &at, ATTRIBUTE_dtype, DTYPE_i32);
    return &build_node(&b, OP_const, NULL, 0, at, name)->results[0];
}

/*
 * Storing the keys and values of 7 positions in chunks into a ring of window + chunk - 1 slots, and
 * attending from there, gives what attention with that window gives over all positions at once.
 */
static void a_ring_holds_a_window(void **state)
{
    (void)state;
    enum { WINDOW = 3, CHUNK = 2, POSITIONS = 8, SLOTS = WINDOW + CHUNK - 1 };
    int64_t qd[] = {1, POSITIONS, 4, 3}, kd[] = {1, POSITIONS, 2, 3}, cache[] = {1, SLOTS, 2, 3};
    struct attributes whole = {0}, ring = {0}, cached = {0};
    struct value *q = param("q", DTYPE_f32, 4, qd), *k = param("k", DTYPE_f32, 4, kd);
    struct value *v = param("v", DTYPE_f32, 4, kd);
    attributes_set_int(arena, &whole, ATTRIBUTE_causal, 1);
    attributes_set_int(arena, &whole, ATTRIBUTE_window, WINDOW);
    attributes_set_real(arena, &whole, ATTRIBUTE_scale, 0.6);
    cached = whole;
    attributes_set_int(arena, &cached, ATTRIBUTE_cached, 1);
    attributes_set_int(arena, &cached, ATTRIBUTE_ring, 1);
    attributes_set_int(arena, &ring, ATTRIBUTE_ring, 1);
    struct value *all =
        &build_node(&b, OP_attention, (struct value *[]){q, k, v}, 3, whole, NULL)->results[0];
    struct value *keys = build_state(&b, "keys", type_make(DTYPE_f32, 4, cache), ring);
    struct value *values = build_state(&b, "values", type_make(DTYPE_f32, 4, cache), ring);
    keys->node->attributes.count = values->node->attributes.count = 0;
    struct value *steps[POSITIONS / CHUNK];
    for (int64_t i = 0; i < POSITIONS / CHUNK; i++) {
        struct value *pos = numbers_i32("pos", 1, (int64_t[]){i * CHUNK});
        struct value *count = numbers_i32("count", 1, (int64_t[]){CHUNK});
        struct value *stored[] = {keys, build_slice(&b, k, 1, i * CHUNK, CHUNK), pos, count};
        keys = &build_node(&b, OP_update, stored, 4, ring, NULL)->results[0];
        stored[0] = values;
        stored[1] = build_slice(&b, v, 1, i * CHUNK, CHUNK);
        values = &build_node(&b, OP_update, stored, 4, ring, NULL)->results[0];
        struct value *operands[] = {build_slice(&b, q, 1, i * CHUNK, CHUNK), keys, values, pos};
        steps[i] = &build_node(&b, OP_attention, operands, 4, cached, NULL)->results[0];
    }
    double *expected = run(all, INTERP_EXACT);
    double *found = run(build_concat(&b, steps, POSITIONS / CHUNK, 1), INTERP_EXACT);
    for (int64_t i = 0; i < type_elements(&all->type); i++)
        assert_close(found[i], expected[i]);
    free(expected);
    free(found);
}

static void updates_copy_and_states_follow(void **state)
{
    (void)state;
    struct attributes fill = {0};
    attributes_set_real(arena, &fill, ATTRIBUTE_fill, -1);
    struct value *cache =
        build_state(&b, "cache", type_make(DTYPE_f32, 2, (int64_t[]){2, 3}), fill);
    struct value *rows = param("rows", DTYPE_f32, 2, (int64_t[]){2, 2});
    struct value *operands[] = {cache, rows, numbers_i32("pos", 2, (int64_t[]){1, 2}),
                                numbers_i32("count", 2, (int64_t[]){2, 2})};
    struct attributes none = {0};
    struct value *next = &build_node(&b, OP_update, operands, 4, none, NULL)->results[0];
    struct value *before = build_reshape(&b, cache, 1, (int64_t[]){6});
    build_store(&b, cache, next);
    struct interp *interp = interp_create(module, INTERP_EXACT);
    const double numbers[] = {10, 11, 20, 21};
    interp_bind(interp, rows, numbers);
    interp_function(interp, function);
    const double old[] = {-1, -1, -1, -1, -1, -1}, stored[] = {-1, 10, 11, -1, -1, 20};
    assert_memory_equal(interp_value(interp, before), old, sizeof old);
    assert_memory_equal(interp_value(interp, cache), stored, sizeof stored); /* 21 fell outside */
    interp_function(interp, function);
    assert_memory_equal(interp_value(interp, before), stored, sizeof stored);
    interp_destroy(interp);
}

static void sorts_are_stable(void **state)
{
    (void)state;
    struct attributes at = {0};
    struct value *x = param("x", DTYPE_f32, 2, (int64_t[]){5, 2});
    struct node *up = build_node(&b, OP_sort, &x, 1, at, NULL);
    attributes_set_int(arena, &at, ATTRIBUTE_descending, 1);
    struct node *down = build_node(&b, OP_sort, &x, 1, at, NULL);
    struct interp *interp = interp_create(module, INTERP_EXACT);
    const double numbers[] = {2, NAN, 1, 1, 2, 3, 1, 0, 3, 1};
    interp_bind(interp, x, numbers);
    interp_function(interp, function);
    const double order_up[] = {1, 3, 3, 1, 0, 4, 2, 2, 4, 0};
    const double order_down[] = {4, 2, 0, 1, 2, 4, 1, 3, 3, 0};
    assert_memory_equal(interp_value(interp, &up->results[1]), order_up, sizeof order_up);
    assert_memory_equal(interp_value(interp, &down->results[1]), order_down, sizeof order_down);
    assert_true(isnan(interp_value(interp, &down->results[0])[9]));
    interp_destroy(interp);
}

/* --- modes --- */

static void modes_round_as_they_say(void **state)
{
    (void)state;
    struct value *x = param("x", DTYPE_bf16, 0, NULL), *third;
    third = build_binary(&b, OP_div, x, build_constant(&b, DTYPE_bf16, 3));
    struct value *whole = build_cast(&b, build_binary(&b, OP_mul, third, x), DTYPE_i32);
    double number = 7.1; /* not a bf16 */
    struct interp *exact = interp_create(module, INTERP_EXACT);
    struct interp *rounded = interp_create(module, INTERP_ROUNDED);
    interp_bind(exact, x, &number);
    interp_bind(rounded, x, &number);
    interp_function(exact, function);
    interp_function(rounded, function);
    double bf16 = dtype_round(DTYPE_bf16, 7.1);
    assert_true(*interp_value(exact, third) == 7.1 / 3);
    assert_true(*interp_value(rounded, x) == bf16);
    assert_true(*interp_value(rounded, third) == dtype_round(DTYPE_bf16, bf16 / 3));
    assert_true(*interp_value(exact, whole) == 16); /* integers are integers in both */
    interp_destroy(exact);
    interp_destroy(rounded);
}

static void empty_tensors(void **state)
{
    (void)state;
    struct value *x = param("x", DTYPE_f32, 2, (int64_t[]){0, 3});
    struct value *w = param("w", DTYPE_f32, 2, (int64_t[]){0, 2});
    struct value *sum = build_reduce(&b, OP_sum, x, (int64_t[]){0}, 1);
    struct value *most = build_reduce(&b, OP_maximum, x, (int64_t[]){0, 1}, 2);
    struct value *product = build_matmul(&b, x, w, true, false); /* no terms in the sums */
    double *sums = run(sum, INTERP_EXACT), *largest = run(most, INTERP_EXACT);
    double *products_of_none = run(product, INTERP_EXACT);
    assert_true(products_of_none[0] == 0 && products_of_none[5] == 0);
    free(products_of_none);
    assert_true(sums[0] == 0 && sums[2] == 0);
    assert_true(largest[0] == -INFINITY);
    free(sums);
    free(largest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_equal_tensors),
        cmocka_unit_test_setup_teardown(products, begin, end),
        cmocka_unit_test_setup_teardown(convolution, begin, end),
        cmocka_unit_test_setup_teardown(convolution_gradients_are_adjoint, begin, end),
        cmocka_unit_test_setup_teardown(a_ring_holds_a_window, begin, end),
        cmocka_unit_test_setup_teardown(updates_copy_and_states_follow, begin, end),
        cmocka_unit_test_setup_teardown(sorts_are_stable, begin, end),
        cmocka_unit_test_setup_teardown(modes_round_as_they_say, begin, end),
        cmocka_unit_test_setup_teardown(empty_tensors, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
