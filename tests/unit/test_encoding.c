/*
 * Packed weights: what codes mean, written out; the interpreter before pass_cast, where a weight is
 * logical, and behind it, where it is the bytes of its file; the emitted code is in test_backend_c.
 */
#include "ir/encoding.h"
#include "ir/interp.h"
#include "passes/passes.h"
#include "tests/random_graph.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char text[] = "ir 1\nmodule t stage=lower\n"
                           "weight %as {tensor=as} : f32[3,2]\n"
                           "weight %a {tensor=a encoding=int8 group=4 scales=as} : f32[3,8]\n"
                           "weight %bs {tensor=bs ordinal=1} : f32[3,4]\n"
                           "weight %b {tensor=b encoding=int4 group=2 scales=bs} : f32[3,8]\n"
                           "func main {role=predict}\n"
                           "  param %x : f32[2,8]\n"
                           "  %y = matmul %x, %a {transb} : f32[2,3]\n"
                           "  %z = matmul %x, %b {transb} : f32[2,3]\n"
                           "  return %y as y\n  return %z as z\n"
                           "end\n";

static const double a_scales[6] = {0.5, 0.25, 2, 1, 0.125, 4};
static const double b_scales[12] = {1, 0.5, 0.25, 2, 1, 1, 4, 0.5, 0.5, 0.5, 0.25, 8};
static unsigned char a_codes[24], b_codes[12];
static double a[24], b[24]; /* by the definition */

static void make_codes(void)
{
    for (int i = 0; i < 24; i++) {
        int number = i == 0 ? -128 : i == 1 ? 127 : i * 10 - 115;
        a_codes[i] = (unsigned char)number;
        a[i] = number * a_scales[i / 4];
    }
    for (int i = 0; i < 24; i++) {
        int number = i * 5 % 16 - 8; /* -8 .. 7 */
        b_codes[i / 2] |= (unsigned char)((number + 8) << (i % 2 ? 4 : 0));
        b[i] = number * b_scales[i / 2];
    }
}

static struct value *leaf(const struct module *module, const char *name)
{
    return &module_find_leaf(module, name)->results[0];
}

static void bind_codes(struct interp *interp, const struct module *module, const char *name,
                       const unsigned char *codes, bool logical)
{
    const struct value *weight = leaf(module, name);
    double bytes[24];
    if (logical) {
        interp_bind_codes(interp, weight->node, codes);
        return;
    }
    for (int64_t i = 0; i < type_elements(&weight->type); i++)
        bytes[i] = codes[i];
    interp_bind(interp, weight, bytes);
}

/* y and z against sums over the numbers above. */
static void check_outputs(struct module *module, bool logical)
{
    const struct function *main = module->functions.items[0];
    struct interp *interp = interp_create(module, INTERP_EXACT);
    double *x = random_numbers(&main->params.items[0]->results[0], 3);
    interp_bind(interp, &main->params.items[0]->results[0], x);
    interp_bind(interp, leaf(module, "as"), a_scales);
    interp_bind(interp, leaf(module, "bs"), b_scales);
    bind_codes(interp, module, "a", a_codes, logical);
    bind_codes(interp, module, "b", b_codes, logical);
    interp_function(interp, main);
    const double *y = interp_value(interp, main->bindings.items[0].value);
    const double *z = interp_value(interp, main->bindings.items[1].value);
    for (int i = 0; i < 6; i++) {
        double right_y = 0, right_z = 0;
        for (int k = 0; k < 8; k++) {
            right_y += x[i / 3 * 8 + k] * a[i % 3 * 8 + k];
            right_z += x[i / 3 * 8 + k] * b[i % 3 * 8 + k];
        }
        assert_true(fabs(y[i] - right_y) < 1e-12 && fabs(z[i] - right_z) < 1e-12);
    }
    interp_destroy(interp);
    free(x);
}

static void test_numbers(void **state)
{
    (void)state;
    struct arena *arena = arena_create();
    struct module *module = ir_parse(arena, diag_add_source("t.ir", text, sizeof text - 1));
    make_codes();
    ir_verify(module, "parse", true);
    check_outputs(module, true);
    pass_simplify(module);
    check_outputs(module, true);
    pass_cast(module, DTYPE_f32);
    ir_verify(module, "cast", false);
    assert_int_equal(leaf(module, "a")->type.dtype, DTYPE_u8);
    assert_int_equal(type_bytes(&leaf(module, "a")->type), 24);
    assert_int_equal(type_bytes(&leaf(module, "b")->type), 12);
    check_outputs(module, false);
    pass_simplify(module);
    pass_layout(module);
    for (size_t i = 0; i < module->functions.items[0]->nodes.count; i++) /* no copy of a weight */
        if (module->functions.items[0]->nodes.items[i]->op == OP_matmul)
            assert_int_equal(module->functions.items[0]->nodes.items[i]->operands[1]->node->op,
                             OP_decode);
    check_outputs(module, false);
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_numbers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
