/*
 * Gradients against central differences in f64: every row of the op table, structured ops in all
 * their forms, random graphs; then the optimizer's steps against the same arithmetic in plain C.
 */
#include "ir/build.h"
#include "passes/passes.h"
#include "tests/random_graph.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SEED = 77, DIRECTIONS = 3, GRAPHS = 200 };

static struct arena *arena;
static struct module *module;
static struct function *function;
static struct builder b;

static int begin(void **state)
{
    (void)state;
    arena = arena_create();
    module = module_create(arena, "test");
    function = module_add_function(module, "fit");
    attributes_set_text(arena, &function->attributes, ATTRIBUTE_role, "fit");
    b = (struct builder){module, function, {0}, ""};
    return 0;
}

static int end(void **state)
{
    (void)state;
    arena_destroy(arena);
    return 0;
}

/* --- checking --- */

static const double *output(const struct interp *interp, const char *name)
{
    for (size_t i = 0; i < function->bindings.count; i++)
        if (strcmp(function->bindings.items[i].name, name) == 0)
            return interp_value(interp, function->bindings.items[i].value);
    return NULL;
}

/* The loss after moving one weight along a direction. */
static double loss_at(const struct value *weight, const double *start, const double *direction,
                      double distance, uint64_t seed)
{
    int64_t count = type_elements(&weight->type);
    double *moved = calloc((size_t)count + 1, sizeof *moved);
    struct interp *interp = interp_create(module, INTERP_EXACT);
    random_bind(interp, module, function, seed);
    for (int64_t i = 0; i < count; i++)
        moved[i] = start[i] + distance * direction[i];
    interp_bind(interp, weight, moved);
    interp_function(interp, function);
    double loss = output(interp, "loss")[0];
    interp_destroy(interp);
    free(moved);
    return loss;
}

/* The larger relative error of a weight's gradient along some directions. */
static double weight_error(const struct value *weight)
{
    uint64_t seed = SEED;
    int64_t count = type_elements(&weight->type);
    double *start = random_numbers(weight, seed), worst = 0;
    double *direction = calloc((size_t)count + 1, sizeof *direction);
    struct interp *interp = interp_create(module, INTERP_EXACT);
    random_bind(interp, module, function, seed);
    interp_function(interp, function);
    char name[256];
    snprintf(name, sizeof name, "d.%s", weight->name);
    const double *gradient = output(interp, name);
    for (int k = 0; gradient && k < DIRECTIONS; k++) {
        double exact = 0, size = 1e-3, h = 1e-5;
        for (int64_t i = 0; i < count; i++) {
            direction[i] = random_unit(&seed) - 0.5;
            exact += gradient[i] * direction[i];
            size += fabs(gradient[i] * direction[i]);
        }
        double up = loss_at(weight, start, direction, h, SEED);
        double down = loss_at(weight, start, direction, -h, SEED);
        worst = fmax(worst, fabs((up - down) / (2 * h) - exact) / size);
        if (!isfinite(exact))
            worst = INFINITY;
    }
    interp_destroy(interp);
    free(direction);
    free(start);
    return worst;
}

/* The worst error over all weights. */
static double gradient_error(void)
{
    double worst = 0;
    for (size_t i = 0; i < module->weights.count; i++) {
        double error = weight_error(&module->weights.items[i]->results[0]);
        worst = error > worst || isnan(error) ? error : worst;
    }
    return worst;
}

static struct value *weight(const char *name, int rank, const int64_t *dims)
{
    return build_weight(&b, name, type_make(DTYPE_f32, rank, dims), (struct attributes){0});
}

/* loss = sum over y of y times a fixed pattern, so that no two elements count alike. */
static void lose(struct value *y)
{
    int64_t axes[] = {0, 1, 2, 3, 4, 5, 6, 7}, count = type_elements(&y->type);
    struct value *flat = build_reshape(&b, y, 1, &count);
    struct value *ramp = build_cast(&b, build_iota(&b, DTYPE_i32, 1, &count, 0), DTYPE_f32);
    ramp = build_unary(&b, OP_cos, ramp);
    flat = build_reduce(&b, OP_sum, build_binary(&b, OP_mul, flat, ramp), axes, 1);
    build_output(&b, "loss", build_reshape(&b, flat, 0, NULL));
}

static double check(struct value *y)
{
    lose(y);
    ir_verify(module, "test", false);
    pass_grad(module);
    ir_verify(module, "grad", false);
    return gradient_error();
}

/* --- elementwise rows and reductions --- */

/* Operands of an EW row: weights that were brought into the op's domain, some of them scalars. */
static struct value *ew_operand(enum op op, int i, bool scalar)
{
    static const char *const names[] = {"a", "b", "c"};
    int64_t dims[] = {3, 4};
    struct value *x = weight(names[i], scalar ? 0 : 2, dims);
    bool positive = op == OP_log || op == OP_sqrt || op == OP_rsqrt || op == OP_recip ||
                    op == OP_pow || op == OP_div || op == OP_mod;
    if (positive)
        x = build_binary(&b, OP_add, build_unary(&b, OP_tanh, x),
                         build_constant(&b, DTYPE_f32, op == OP_mod && i ? 4 : 1.5));
    return x;
}

static double ew_error(enum op op, int scalar)
{
    const struct op_info *info = op_info(op);
    struct value *operands[3];
    struct attributes attributes = {0};
    for (int i = 0; i < info->operands_max; i++)
        operands[i] = ew_operand(op, i, i == scalar);
    if (info->rule == RULE_SELECT)
        operands[0] = build_binary(&b, OP_gt, operands[0], build_constant(&b, DTYPE_f32, 0));
    if (info->rule == RULE_CAST)
        attributes_set_int(arena, &attributes, ATTRIBUTE_dtype, DTYPE_f64);
    struct value *y =
        &build_node(&b, op, operands, info->operands_max, attributes, NULL)->results[0];
    return check(build_cast(&b, y, DTYPE_f32));
}

static bool has_gradient(const struct op_info *info)
{
    return strcmp(info->gradient[0], "-") != 0 || strcmp(info->gradient[1], "-") != 0;
}

static void elementwise_rows(void **state)
{
    int checked = 0;
    for (int op = 0; op < OP_COUNT; op++) {
        const struct op_info *info = op_info((enum op)op);
        if (info->kind != KIND_EW || !has_gradient(info))
            continue;
        for (int scalar = -1; scalar < info->operands_max; scalar++) {
            end(state);
            begin(state);
            double error = ew_error((enum op)op, scalar);
            if (!(error < 1e-6))
                fail_msg("%s, scalar operand %d: error %g", info->name, scalar, error);
            checked++;
        }
    }
    assert_in_range(checked, 55, 200);
}

static void reduction_rows(void **state)
{
    static const int64_t axes[][2] = {{0, 0}, {1, 0}, {2, 0}, {0, 2}, {1, 2}};
    for (int op = 0; op < OP_COUNT; op++) {
        const struct op_info *info = op_info((enum op)op);
        for (int i = 0; info->kind == KIND_RED && i < 5; i++) {
            if (strcmp(info->gradient[0], "-") == 0)
                continue;
            end(state);
            begin(state);
            struct value *x = weight("x", 3, (int64_t[]){3, 2, 5});
            double error = check(build_reduce(&b, (enum op)op, x, axes[i], axes[i][1] ? 2 : 1));
            if (!(error < 1e-6))
                fail_msg("%s over axes %d: error %g", info->name, i, error);
        }
    }
}

/* --- structured ops --- */

static void index_maps(void **state)
{
    (void)state;
    struct attributes at = {0}, low = {0};
    struct value *x = weight("x", 3, (int64_t[]){4, 3, 5}), *s = weight("s", 0, NULL);
    struct value *y = build_transpose(&b, x, (int64_t[]){2, 0, 1});
    y = build_reshape(&b, y, 2, (int64_t[]){10, 6});
    attributes_set_int(arena, &at, ATTRIBUTE_at, 1);
    attributes_set_int(arena, &at, ATTRIBUTE_len, 3);
    attributes_set_int(arena, &at, ATTRIBUTE_step, 3);
    y = &build_node(&b, OP_slice, &y, 1, at, NULL)->results[0]; /* [3, 6] */
    struct value *z = build_slice(&b, y, 1, 2, 3);
    y = build_concat(&b, (struct value *[]){y, z, y}, 3, 1); /* [3, 15] */
    attributes_set_list(arena, &low, ATTRIBUTE_low, (int64_t[]){1, 0}, 2);
    attributes_set_list(arena, &low, ATTRIBUTE_high, (int64_t[]){0, 2}, 2);
    y = &build_node(&b, OP_pad, &y, 1, low, NULL)->results[0]; /* [4, 17] */
    y = build_reshape(&b, y, 3, (int64_t[]){4, 1, 17});
    y = build_broadcast(&b, y, 3, (int64_t[]){4, 2, 17});
    y = build_binary(&b, OP_mul, y, build_broadcast(&b, s, 3, (int64_t[]){4, 2, 17}));
    assert_true(check(y) < 1e-6);
}

static struct value *ids_of(int count, int rank, const int64_t *dims, int extent)
{
    int64_t length = count;
    struct value *ids = build_iota(&b, DTYPE_i32, 1, &length, 0);
    ids = build_binary(&b, OP_mul, ids, build_constant(&b, DTYPE_i32, 3));
    ids = build_binary(&b, OP_mod, ids, build_constant(&b, DTYPE_i32, extent));
    return build_reshape(&b, ids, rank, dims);
}

static void gathers(void **state)
{
    (void)state;
    struct value *x = weight("x", 3, (int64_t[]){2, 4, 3});
    struct value *y = build_gather(&b, x, ids_of(10, 2, (int64_t[]){2, 5}, 4), 1);
    struct value *z = build_gather(&b, x, ids_of(6, 2, (int64_t[]){2, 3}, 2), 0);
    struct attributes dims = {0};
    attributes_set_list(arena, &dims, ATTRIBUTE_dims, (int64_t[]){3, 3}, 2);
    struct value *operands[] = {ids_of(10, 2, (int64_t[]){2, 5}, 3), y};
    y = &build_node(&b, OP_scatter_add, operands, 2, dims, NULL)->results[0];
    z = build_reduce(&b, OP_sum, build_unary(&b, OP_sin, z), (int64_t[]){0, 1}, 2);
    z = build_broadcast(&b, build_reshape(&b, z, 2, (int64_t[]){4, 3}), 2, (int64_t[]){4, 3});
    assert_true(check(build_concat(&b, (struct value *[]){y, z}, 2, 0)) < 1e-6);
}

static void products(void **state)
{
    for (int form = 0; form < 12; form++) {
        end(state);
        begin(state);
        bool transa = form & 1, transb = form & 2;
        int rank = form < 4 ? 2 : 3, right = form < 8 ? rank : 2; /* from 8 on: shared */
        int64_t x[] = {2, transa ? 4 : 3, transa ? 3 : 4},
                y[] = {2, transb ? 5 : 4, transb ? 4 : 5};
        struct value *product = build_matmul(&b, weight("x", rank, x + 3 - rank),
                                             weight("y", right, y + 3 - right), transa, transb);
        double error = check(product);
        if (!(error < 1e-6))
            fail_msg("matmul, form %d: error %g", form, error);
    }
}

static void convolutions(void **state)
{
    for (int form = 0; form < 6; form++) {
        struct attributes at = {0};
        end(state);
        begin(state);
        int64_t groups = form % 2 + 1;
        attributes_set_list(arena, &at, ATTRIBUTE_stride, (int64_t[]){1 + form / 2, 1 + form % 3},
                            2);
        attributes_set_list(arena, &at, ATTRIBUTE_pad, (int64_t[]){1, 0, form % 2, 2}, 4);
        attributes_set_int(arena, &at, ATTRIBUTE_groups, groups);
        struct value *operands[] = {weight("x", 4, (int64_t[]){2, 5, 6, 2 * groups}),
                                    weight("w", 4, (int64_t[]){3 * groups, 3, 2, 2})};
        double error = check(&build_node(&b, OP_conv2d, operands, 2, at, NULL)->results[0]);
        if (!(error < 1e-6))
            fail_msg("conv2d, form %d: error %g", form, error);
    }
}

/* Operands of a concat that take turns. */
static void turns(void **state)
{
    for (int axis = 0; axis < 3; axis++) {
        struct attributes at = {0};
        end(state);
        begin(state);
        attributes_set_int(arena, &at, ATTRIBUTE_axis, axis);
        attributes_set_int(arena, &at, ATTRIBUTE_granule, 2);
        struct value *operands[] = {weight("x", 3, (int64_t[]){4, 6, 2}),
                                    weight("y", 3, (int64_t[]){4, 6, 2})};
        double error = check(&build_node(&b, OP_concat, operands, 2, at, NULL)->results[0]);
        if (!(error < 1e-6))
            fail_msg("concat by turns along axis %d: error %g", axis, error);
    }
}

/* The gradients of a convolution have gradients themselves. */
static void convolution_gradients(void **state)
{
    for (int form = 0; form < 12; form++) {
        struct attributes at = {0};
        end(state);
        begin(state);
        bool filter = form >= 6;
        int64_t groups = form % 2 + 1, sv = 1 + form / 2 % 3, sh = 1 + form % 3;
        int64_t x[] = {2, 5, 6, 2 * groups}, w[] = {3 * groups, 3, 2, 2};
        int64_t dy[] = {2, (5 + 1 - 3) / sv + 1, (6 + form % 2 + 2 - 2) / sh + 1, 3 * groups};
        attributes_set_list(arena, &at, ATTRIBUTE_stride, (int64_t[]){sv, sh}, 2);
        attributes_set_list(arena, &at, ATTRIBUTE_pad, (int64_t[]){1, 0, form % 2, 2}, 4);
        attributes_set_int(arena, &at, ATTRIBUTE_groups, groups);
        attributes_set_list(arena, &at, ATTRIBUTE_dims, filter ? w : x, 4);
        struct value *operands[] = {weight("a", 4, filter ? x : w), weight("dy", 4, dy)};
        enum op op = filter ? OP_conv2d_filter : OP_conv2d_input;
        double error = check(&build_node(&b, op, operands, 2, at, NULL)->results[0]);
        if (!(error < 1e-6))
            fail_msg("%s, form %d: error %g", op_info(op)->name, form, error);
    }
}

static void sorts(void **state)
{
    for (int form = 0; form < 6; form++) {
        struct attributes at = {0};
        end(state);
        begin(state);
        attributes_set_int(arena, &at, ATTRIBUTE_axis, form / 2);
        attributes_set_int(arena, &at, ATTRIBUTE_descending, form % 2);
        struct value *x = weight("x", 3, (int64_t[]){4, 3, 5});
        double error = check(&build_node(&b, OP_sort, &x, 1, at, NULL)->results[0]);
        if (!(error < 1e-6))
            fail_msg("sort, form %d: error %g", form, error);
    }
}

static void attentions(void **state)
{
    for (int form = 0; form < 12; form++) {
        struct attributes at = {0};
        end(state);
        begin(state);
        bool biased = form % 3 == 2;
        int64_t groups = 1 + form % 2, q[] = {2, 4, 2 * groups, 3}, k[] = {2, 4, groups, 3};
        attributes_set_int(arena, &at, ATTRIBUTE_causal, form & 1);
        attributes_set_int(arena, &at, ATTRIBUTE_window, form & 4 ? 2 : 0);
        attributes_set_real(arena, &at, ATTRIBUTE_scale, 0.7);
        attributes_set_int(arena, &at, ATTRIBUTE_biased, biased);
        struct value *operands[] = {weight("q", 4, q), weight("k", 4, k), weight("v", 4, k), NULL};
        if (biased)
            operands[3] = weight("bias", 4, (int64_t[]){1, q[2], form < 6 ? 1 : 4, 4});
        struct node *node = build_node(&b, OP_attention, operands, 3 + biased, at, NULL);
        double error = check(&node->results[0]);
        if (!(error < 1e-6))
            fail_msg("attention, form %d: error %g", form, error);
    }
}

static void running_sums(void **state)
{
    for (int form = 0; form < 4; form++) {
        struct attributes at = {0};
        end(state);
        begin(state);
        attributes_set_int(arena, &at, ATTRIBUTE_axis, form / 2);
        attributes_set_int(arena, &at, ATTRIBUTE_exclusive, form % 2);
        struct value *x = weight("x", 2, (int64_t[]){3, 4});
        assert_true(check(&build_node(&b, OP_cumsum, &x, 1, at, NULL)->results[0]) < 1e-6);
    }
}

/* --- random graphs, and what must fail --- */

static int exit_code_of_grad(void)
{
    jmp_buf trap;
    int code = setjmp(trap);
    if (code == 0) {
        diag_set_trap(&trap);
        pass_grad(module);
    }
    diag_set_trap(NULL);
    return code;
}

static void random_graphs(void **state)
{
    int checked = 0;
    for (uint64_t seed = 0; seed < GRAPHS; seed++) {
        struct random_options options = {
            .nodes = 4 + (int)(seed % 12), .smooth = true, .elements = 200};
        end(state);
        arena = arena_create();
        module = random_graph(arena, seed, &options);
        function = module->functions.items[0];
        if (exit_code_of_grad()) /* no weight reaches the loss */
            continue;
        ir_verify(module, "grad", false);
        if (seed % 2)
            pass_simplify(module);
        double error = gradient_error();
        if (!(error < 1e-5))
            fail_msg("seed %llu: error %g", (unsigned long long)seed, error);
        checked++;
    }
    assert_true(checked > GRAPHS / 2);
}

static struct binding *find_binding(const char *name)
{
    for (size_t i = 0; i < function->bindings.count; i++)
        if (strcmp(function->bindings.items[i].name, name) == 0)
            return &function->bindings.items[i];
    fail_msg("no output '%s'", name);
    return NULL;
}

/* A gradient that is wrong by 0.1 % must not pass the check that all tests above rely on. */
static void a_wrong_gradient_is_caught(void **state)
{
    (void)state;
    struct value *x = weight("x", 2, (int64_t[]){3, 4});
    assert_true(check(build_unary(&b, OP_tanh, x)) < 1e-6);
    struct binding *gradient = find_binding("d.x");
    gradient->value =
        build_binary(&b, OP_mul, gradient->value, build_constant(&b, DTYPE_f32, 1.001));
    assert_true(gradient_error() > 1e-5);
}

static void assert_refused(struct value *y, const char *message)
{
    lose(y);
    assert_int_equal(exit_code_of_grad(), EXIT_MODEL);
    if (!strstr(diag_last_message(), message))
        fail_msg("'%s', not '%s'", diag_last_message(), message);
}

/* Rows that go to a cache, and attention that reads one. */
static void what_states_keep_is_refused(void)
{
    const int64_t cache[] = {2, 6, 1, 4}, rows[] = {2, 3, 1, 4}, batch[] = {2};
    struct attributes at = {0};
    struct value *pos = build_param(&b, "pos", type_make(DTYPE_i32, 1, batch));
    struct value *state =
        build_state(&b, "cache", type_make(DTYPE_f32, 4, cache), (struct attributes){0});
    struct value *x = weight("x", 4, rows);
    struct value *update[] = {state, x, pos, pos}, *attention[] = {x, state, state, pos};
    assert_refused(&build_node(&b, OP_update, update, 4, at, NULL)->results[0],
                   "no gradient of update");
    function->bindings.count = 0;
    attributes_set_int(arena, &at, ATTRIBUTE_cached, 1);
    attributes_set_int(arena, &at, ATTRIBUTE_causal, 1);
    assert_refused(&build_node(&b, OP_attention, attention, 4, at, NULL)->results[0],
                   "no gradient of attention over a cache");
}

static void what_cannot_be_trained_is_refused(void **state)
{
    assert_int_equal(exit_code_of_grad(), EXIT_MODEL); /* no loss */
    end(state);
    begin(state);
    what_states_keep_is_refused();
    end(state);
    begin(state);
    build_output(&b, "loss", weight("x", 1, (int64_t[]){4}));
    assert_int_equal(exit_code_of_grad(), EXIT_MODEL);
    end(state);
    begin(state);
    build_output(&b, "loss", build_constant(&b, DTYPE_f32, 1));
    assert_int_equal(exit_code_of_grad(), EXIT_MODEL);
}

/* --- the optimizer --- */

static void bind_number(struct interp *interp, const char *name, double number)
{
    for (size_t i = 0; i < function->params.count; i++)
        if (strcmp(function->params.items[i]->results[0].name, name) == 0)
            interp_bind(interp, &function->params.items[i]->results[0], &number);
}

/* The output `finite` of the last step. */
static bool was_applied(struct interp *interp)
{
    for (size_t i = 0; i < function->bindings.count; i++)
        if (strcmp(function->bindings.items[i].name, "finite") == 0)
            return *interp_value(interp, function->bindings.items[i].value) != 0;
    fail_msg("no output 'finite'");
    return false;
}

/* loss = (w - 3)^2 * x: three steps by hand, then one whose loss is not finite. */
static void optimizer_steps(void **state)
{
    (void)state;
    struct value *w = weight("w", 0, NULL);
    struct value *x = build_param(&b, "x", type_scalar(DTYPE_f32));
    struct value *y = build_binary(&b, OP_sub, w, build_constant(&b, DTYPE_f32, 3));
    struct value *count = build_state(&b, "steps", type_scalar(DTYPE_f32), (struct attributes){0});
    build_output(&b, "loss", build_binary(&b, OP_mul, build_unary(&b, OP_square, y), x));
    build_store(&b, count, build_binary(&b, OP_add, count, build_constant(&b, DTYPE_f32, 1)));
    struct function *predict = module_add_function(module, "predict");
    struct builder p = {module, predict, {0}, ""};
    build_output(&p, "y", build_unary(&p, OP_neg, w));
    pass_simplify(module);
    pass_grad(module);
    pass_optimizer(module);
    ir_verify(module, "optimizer", false);
    pass_simplify(module);
    struct interp *interp = interp_create(module, INTERP_EXACT);
    double weight_value = 1, moment = 0, start = 1;
    interp_bind(interp, &module->weights.items[0]->results[0], &start);
    for (int step = 0; step < 3; step++) {
        bind_number(interp, "x", 0.5 + step);
        bind_number(interp, "learning_rate", 0.1);
        bind_number(interp, "momentum", 0.9);
        interp_function(interp, function);
        double gradient = 2 * (weight_value - 3) * (0.5 + step);
        moment = 0.9 * moment + gradient;
        weight_value -= 0.1 * moment;
        double now = *interp_value(interp, &module_find_leaf(module, "w.value")->results[0]);
        assert_true(fabs(now - weight_value) < 1e-12);
        assert_true(was_applied(interp));
    }
    bind_number(interp, "x", INFINITY);
    interp_function(interp, function);
    assert_false(was_applied(interp));
    assert_true(fabs(*interp_value(interp, &module_find_leaf(module, "w.value")->results[0]) -
                     weight_value) < 1e-12);
    assert_true(*interp_value(interp, &module_find_leaf(module, "steps")->results[0]) == 3);
    interp_function(interp, predict);
    assert_true(fabs(*interp_value(interp, predict->bindings.items[0].value) + weight_value) <
                1e-12);
    interp_destroy(interp);
}

/* loss = sqrt(w), w = 0: the loss is finite, its gradient is not. */
static void an_infinite_gradient_is_not_applied(void **state)
{
    (void)state;
    struct value *w = weight("w", 0, NULL);
    double start = 0;
    build_output(&b, "loss", build_unary(&b, OP_sqrt, w));
    build_output(&b, "finite", w); /* the model's own gives way */
    pass_grad(module);
    pass_optimizer(module);
    ir_verify(module, "optimizer", false);
    struct interp *interp = interp_create(module, INTERP_EXACT);
    interp_bind(interp, &module->weights.items[0]->results[0], &start);
    bind_number(interp, "learning_rate", 0.1);
    bind_number(interp, "momentum", 0.9);
    interp_function(interp, function);
    assert_false(was_applied(interp));
    assert_true(*interp_value(interp, &module_find_leaf(module, "w.value")->results[0]) == 0);
    interp_destroy(interp);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(elementwise_rows, begin, end),
        cmocka_unit_test_setup_teardown(reduction_rows, begin, end),
        cmocka_unit_test_setup_teardown(index_maps, begin, end),
        cmocka_unit_test_setup_teardown(gathers, begin, end),
        cmocka_unit_test_setup_teardown(products, begin, end),
        cmocka_unit_test_setup_teardown(convolutions, begin, end),
        cmocka_unit_test_setup_teardown(convolution_gradients, begin, end),
        cmocka_unit_test_setup_teardown(sorts, begin, end),
        cmocka_unit_test_setup_teardown(turns, begin, end),
        cmocka_unit_test_setup_teardown(attentions, begin, end),
        cmocka_unit_test_setup_teardown(running_sums, begin, end),
        cmocka_unit_test_setup_teardown(random_graphs, begin, end),
        cmocka_unit_test_setup_teardown(a_wrong_gradient_is_caught, begin, end),
        cmocka_unit_test_setup_teardown(what_cannot_be_trained_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(optimizer_steps, begin, end),
        cmocka_unit_test_setup_teardown(an_infinite_gradient_is_not_applied, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
