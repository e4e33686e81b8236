/* Element types and tensor types: rounding against exhaustive or independent means, byte forms,
 * limits of sizes. */
#include "ir/ir.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* All finite values of a format of 16 bits, in order of their bits. */
static double value16(enum dtype dtype, uint16_t bits)
{
    return dtype_load(dtype, &bits, 0);
}

/* Each value is itself; halfway between two neighbours goes to the even one; a bit beside it to the
 * nearer one. */
static void check_rounding16(enum dtype dtype, uint16_t last)
{
    for (uint16_t bits = 0; bits < last; bits++) {
        double low = value16(dtype, bits), high = value16(dtype, bits + 1);
        double middle = low + (high - low) / 2;
        assert_true(low < high && dtype_round(dtype, low) == low);
        assert_true(dtype_round(dtype, -low) == -low);
        assert_true(dtype_round(dtype, middle) == (bits & 1 ? high : low));
        assert_true(dtype_round(dtype, nextafter(middle, INFINITY)) == high);
        assert_true(dtype_round(dtype, nextafter(middle, 0)) == low);
    }
}

static void rounding_is_to_nearest_even(void **state)
{
    (void)state;
    check_rounding16(DTYPE_bf16, 0x7f7f);
    check_rounding16(DTYPE_f16, 0x7bff);
    assert_true(dtype_round(DTYPE_f16, 65519.999) == 65504);
    assert_true(isinf(dtype_round(DTYPE_f16, 65520)));
    assert_true(isinf(dtype_round(DTYPE_bf16, 3.4e38)));
    assert_true(isnan(dtype_round(DTYPE_bf16, NAN)));
    assert_true(dtype_round(DTYPE_f32, 0.1) == (float)0.1);
    assert_true(dtype_round(DTYPE_f64, 0.1) == 0.1);
}

static void integers_truncate_and_saturate(void **state)
{
    (void)state;
    assert_true(dtype_round(DTYPE_i32, 2.9) == 2 && dtype_round(DTYPE_i32, -2.9) == -2);
    assert_true(dtype_round(DTYPE_i32, 1e20) == INT32_MAX);
    assert_true(dtype_round(DTYPE_i32, -INFINITY) == INT32_MIN);
    assert_true(dtype_round(DTYPE_i32, NAN) == 0);
    assert_true(dtype_round(DTYPE_u8, 256) == 255 && dtype_round(DTYPE_u8, -1) == 0);
    assert_true(dtype_round(DTYPE_bool, 0.25) == 1 && dtype_round(DTYPE_bool, 0) == 0);
}

static void bytes_come_back(void **state)
{
    (void)state;
    static const double numbers[] = {0, 1, -1, 0.5, 100, -3.75, 1.0 / 3, 1e-40, 6e-8, 65504};
    for (int dtype = 0; dtype < DTYPE_COUNT; dtype++)
        for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
            unsigned char bytes[24] = {0};
            dtype_store((enum dtype)dtype, bytes, 1, numbers[i]);
            double back = dtype_load((enum dtype)dtype, bytes, 1);
            if (back != dtype_round((enum dtype)dtype, numbers[i]))
                fail_msg("%s: %g became %g", dtype_name((enum dtype)dtype), numbers[i], back);
        }
    for (uint32_t bits = 0; bits < 0x10000; bits++) {
        uint16_t in = (uint16_t)bits, out;
        double value = dtype_load(DTYPE_bf16, &in, 0);
        dtype_store(DTYPE_bf16, &out, 0, value);
        assert_true(isnan(value) || in == out);
        value = dtype_load(DTYPE_f16, &in, 0);
        dtype_store(DTYPE_f16, &out, 0, value);
        assert_true(isnan(value) || in == out);
    }
}

static void sizes_are_limited(void **state)
{
    (void)state;
    int64_t large[] = {(int64_t)1 << 39, 1 << 17, 2}, one = (int64_t)1 << 40;
    int64_t empty[] = {(int64_t)1 << 39, 0, 1 << 20}, negative = -1;
    assert_true(type_dims_valid(DTYPE_u8, 2, large));
    assert_false(type_dims_valid(DTYPE_f64, 2, large));
    assert_false(type_dims_valid(DTYPE_f32, 1, &one));
    assert_false(type_dims_valid(DTYPE_f32, 1, &negative));
    assert_false(type_dims_valid(DTYPE_f64, 3, empty)); /* its strides would overflow */
    assert_true(type_dims_valid(DTYPE_f32, 0, NULL));
    assert_false(type_dims_valid(DTYPE_f32, MAX_RANK + 1, large));
}

static void texts(void **state)
{
    (void)state;
    struct arena *arena = arena_create();
    struct type type = type_make(DTYPE_bf16, 2, (int64_t[]){8, 128});
    assert_string_equal(type_text(arena, &type), "bf16[8,128]");
    assert_int_equal(type_bytes(&type), 2048);
    struct type view = type;
    view.strided = true;
    view.strides[0] = 256;
    view.strides[1] = 1;
    assert_string_equal(type_text(arena, &view), "bf16[8,128]/[256,1]");
    view.offset = 128;
    assert_string_equal(type_text(arena, &view), "bf16[8,128]/[256,1]+128");
    assert_false(type_equal(&type, &view));
    assert_true(type_same_dims(&type, &view));
    type = type_scalar(DTYPE_bool);
    assert_string_equal(type_text(arena, &type), "bool[]");
    for (int i = 0; i < MAX_RANK; i++) { /* the longest */
        view.dims[i] = ((int64_t)1 << 40) - 1;
        view.strides[i] = INT64_MIN;
    }
    view.rank = MAX_RANK;
    view.offset = INT64_MAX;
    assert_true(strlen(type_text(arena, &view)) > 200);
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rounding_is_to_nearest_even),
        cmocka_unit_test(integers_truncate_and_saturate),
        cmocka_unit_test(bytes_come_back),
        cmocka_unit_test(sizes_are_limited),
        cmocka_unit_test(texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
