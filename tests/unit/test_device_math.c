/*
 * The device libraries' intrinsics against libm in double: at most 2 ulp in f32, over floats of
 * all magnitudes and signs, and at the golden points of every elementwise op; conversions against
 * the runtime's own. Built once for the library of the C backend and once, with SINTER_EMULATED,
 * for the CUDA backend's.
 */
#ifdef SINTER_EMULATED
#include "backends/cuda/lib/philox.cuh"
#else
#include "backends/c/lib/math.h"
#endif
#include "ir/ir.h"
#include "ir/philox.h"
#include "runtime/convert.h"
#include "runtime/philox.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { STRIDE = 4099 }; /* between the bit patterns that are tried: prime, a million of them */

/* Distance in units of the last place of the expected float. */
static double ulps(float got, double want)
{
    if (isnan(want))
        return isnan(got) ? 0 : INFINITY;
    if (isinf((float)want) || isinf(got))
        return (float)want == got || fabs(want) > 0x1.fffffcp127 ? 0 : INFINITY;
    int exponent;
    frexp(fabs(want) < 0x1p-126 ? 0x1p-126 : want, &exponent);
    return fabs(got - want) / ldexp(1, exponent - 24);
}

static void check_unary(const char *name, float (*device)(float), double (*reference)(double),
                        double limit)
{
    double worst = 0;
    float at = 0;
    for (uint64_t bits = 0; bits < 1ull << 32; bits += STRIDE) {
        float x = f32_of_bits((uint32_t)bits);
        if (fabs(x) > limit)
            continue;
        double error = ulps(device(x), reference(x));
        if (!(error <= worst)) {
            worst = error;
            at = x;
        }
    }
    if (!(worst <= 2))
        fail_msg("%s: %g ulp at %a", name, worst, at);
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static double reciprocal_root(double x)
{
    return 1 / sqrt(x);
}

/* Functions to point at, since the library's are inline. */
#define POINTER(name) \
    static float point_##name(float x) \
    { \
        return m_##name##_f32(x); \
    }
POINTER(exp)
POINTER(log)
POINTER(sqrt)
POINTER(rsqrt)
POINTER(sin)
POINTER(cos)
POINTER(tanh)
POINTER(erf)
POINTER(sigmoid)
POINTER(floor)
POINTER(round)
POINTER(abs)

static void unary_functions(void **state)
{
    (void)state;
    check_unary("exp", point_exp, exp, INFINITY);
    check_unary("log", point_log, log, INFINITY);
    check_unary("sqrt", point_sqrt, sqrt, INFINITY);
    check_unary("rsqrt", point_rsqrt, reciprocal_root, INFINITY);
    check_unary("sin", point_sin, sin, 0x1p29);
    check_unary("cos", point_cos, cos, 0x1p29);
    check_unary("tanh", point_tanh, tanh, INFINITY);
    check_unary("erf", point_erf, erf, INFINITY);
    check_unary("sigmoid", point_sigmoid, sigmoid, INFINITY);
    check_unary("floor", point_floor, floor, INFINITY);
    check_unary("round", point_round, nearbyint, INFINITY);
    check_unary("abs", point_abs, fabs, INFINITY);
}

static void powers(void **state)
{
    (void)state;
    uint32_t random = 1;
    for (int i = 0; i < 2000000; i++) {
        random = random * 1664525 + 1013904223;
        float a = f32_of_bits(random & 0x7fffffff);
        random = random * 1664525 + 1013904223;
        float b = (float)((int32_t)(random >> 8) - (1 << 23)) * 0x1p-18f;
        if (i % 2)
            a = isfinite(a) ? 1 + fmodf(a, 1e4f) : 2;
        if (!(ulps(m_pow_f32(a, b), pow(a, b)) <= 2))
            fail_msg("pow(%a, %a): %a, expected %a", a, b, m_pow_f32(a, b), pow(a, b));
    }
    static const float special[] = {0, -0.0f, 1, -1, 2, -2, 3, 0.5f, -0.5f, INFINITY, -3};
    for (size_t i = 0; i < sizeof special / sizeof *special; i++)
        for (size_t k = 0; k < sizeof special / sizeof *special; k++)
            if (!(signbit(special[i]) && special[i] == 0) &&
                !(ulps(m_pow_f32(special[i], special[k]), pow(special[i], special[k])) <= 2))
                fail_msg("pow(%g, %g) is %g", special[i], special[k],
                         m_pow_f32(special[i], special[k]));
}

/* A wrong constant must be seen: the test of exp on a function that is off by 1e-6. */
static double exp_planted(double x)
{
    return exp(x) * (1 + 1e-6);
}

static void planted_error(void **state)
{
    (void)state;
    double worst = 0;
    for (float x = -10; x < 10; x += 0.01f)
        worst = fmax(worst, ulps(m_exp_f32(x), exp_planted(x)));
    assert_true(worst > 2);
}

static void conversions(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 65536; i++) {
        float bf16 = from_bf16((uint16_t)i), f16 = from_f16((uint16_t)i);
        assert_true(isnan(bf16) || to_bf16(bf16) == i);
        assert_true(isnan(f16) || to_f16(f16) == i);
        assert_true(isnan(f16) || f16 == rt_f32_of_f16((uint16_t)i));
    }
    for (uint64_t bits = 0; bits < 1ull << 32; bits += STRIDE) {
        float x = f32_of_bits((uint32_t)bits);
        if (isnan(x))
            continue;
        assert_int_equal(to_bf16(x), rt_bf16_of_f32(x));
        assert_int_equal(to_f16(x), rt_f16_of_f32(x));
    }
    assert_true(isnan(from_bf16(to_bf16(NAN))) && isnan(from_f16(to_f16(NAN))));
}

/* --- golden points: every elementwise row of the table in f32 --- */

#define m_abs m_abs_f32
#define m_exp m_exp_f32
#define m_log m_log_f32
#define m_sqrt m_sqrt_f32
#define m_rsqrt m_rsqrt_f32
#define m_sin m_sin_f32
#define m_cos m_cos_f32
#define m_tanh m_tanh_f32
#define m_erf m_erf_f32
#define m_sigmoid m_sigmoid_f32
#define m_floor m_floor_f32
#define m_round m_round_f32
#define m_isfinite m_isfinite_f32
#define m_max m_max_f32
#define m_min m_min_f32
#define m_pow m_pow_f32
#define m_mod m_mod_f32
#define m_philox(a, b, c, d) m_philox((int)(a), (int)(b), (int)(c), (int)(d), 0)

#define EW(name, arity, rule, flops, expression, ...)              \
    static float device_##name(float a, float b, float c, float d) \
    {                                                              \
        (void)a, (void)b, (void)c, (void)d;                        \
        return (float)(expression);                                \
    }
#include "ir/ops.def"

static float (*const device_ops[OP_COUNT])(float, float, float, float) = {
#define EW(name, ...) [OP_##name] = device_##name,
#include "ir/ops.def"
};
#undef m_philox

/* "1,2 -> 3; ...": the next point, or false at the end. */
static bool next_point(const char **text, float x[4], double *out_y)
{
    static const char arrow[] = " -> ";
    char *end;
    *text += strspn(*text, "; ");
    if (!**text)
        return false;
    for (int count = 0; strncmp(*text, arrow, strlen(arrow)) != 0; count++) {
        *text += **text == ',';
        x[count] = (float)strtod(*text, &end);
        *text = end;
    }
    *out_y = strtod(*text + strlen(arrow), &end);
    *text = end;
    return true;
}

static void golden_points(void **state)
{
    (void)state;
    int points = 0;
    for (int op = 0; op < OP_COUNT; op++) {
        const char *text = op_info((enum op)op)->golden;
        float x[4] = {0};
        double y;
        if (!device_ops[op] || strcmp(text, "-") == 0)
            continue;
        while (next_point(&text, x, &y)) {
            float found = device_ops[op](x[0], x[1], x[2], x[3]);
            /* The points are decimal: their floats differ by half an ulp. */
            if (fabs(found - y) > 1e-6 * fmax(fabs(y), 0.1))
                fail_msg("%s(%g, %g) is %.9g, not %.9g", op_info((enum op)op)->name, x[0], x[1],
                         found, y);
            points++;
        }
    }
    assert_true(points > 90);
}

static void integers(void **state)
{
    (void)state;
    assert_int_equal(m_mod_i32(-1, 4), 3);
    assert_int_equal(m_mod_i32(7, -3), -2);
    assert_int_equal(m_mod_i32(7, 0), 0);
    assert_int_equal(m_mod_i64(INT64_MIN, -1), 0);
    assert_int_equal(m_abs_i32(INT32_MIN), INT32_MIN);
    assert_int_equal(m_to_i32_f32(NAN), 0);
    assert_int_equal(m_to_i32_f32(-2.9f), -2);
    assert_int_equal(m_to_i32_f32(3e9f), INT32_MAX);
    assert_int_equal(m_to_i32_f32(-3e9f), INT32_MIN);
    assert_int_equal(m_div_i64(-1, 4), -1);
}

static void random_numbers(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_true(m_philox(i, -i, 7 * i, 3, 5) ==
                    (float)philox_uniform(i, -i, 7.0 * i, 3, 5));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unary_functions), cmocka_unit_test(powers),
        cmocka_unit_test(planted_error),   cmocka_unit_test(conversions),
        cmocka_unit_test(integers),        cmocka_unit_test(random_numbers),
        cmocka_unit_test(golden_points),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
