/* The generator against Random123's published vectors, and the random weights against their
 * formula computed another way. */
#include "runtime/philox.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* philox4x32 with 10 rounds, from kat_vectors of Random123 1.14. */
static const struct {
    uint32_t counter[4], key[2], words[4];
} vectors[] = {
    {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
     {0xffffffff, 0xffffffff},
     {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
     {0xa4093822, 0x299f31d0},
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
};

static void known_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        uint32_t words[4];
        rt_philox(vectors[i].counter, vectors[i].key, words);
        assert_memory_equal(words, vectors[i].words, sizeof words);
    }
}

static double value_of(uint16_t bits)
{
    uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
}

/* Elements of a block are its words in order; the value is within one rounding of the formula
 * in double precision. */
static void follows_the_formula(void **state)
{
    (void)state;
    uint64_t seed = 0x123456789abcdef0;
    float scale = rt_random_scale(0.02f);
    assert_true(fabs(scale - sqrt(3.0) * 0.02) < 1e-8);
    for (uint64_t element = 0; element < 4000; element++) {
        uint64_t place = element < 2000 ? element : (UINT64_C(1) << 35) + element;
        uint32_t counter[4] = {(uint32_t)(place / 4), (uint32_t)(place / 4 >> 32), 7, 0};
        uint32_t key[2] = {0x9abcdef0, 0x12345678}, words[4];
        rt_philox(counter, key, words);
        double u = (words[place % 4] >> 8) / 16777216.0, exact = scale * (2 * u - 1);
        double drawn = value_of(rt_random_bf16(seed, 7, place, scale));
        assert_true(fabs(drawn - exact) <= fabs(exact) * (0x1p-8 + 0x1p-23));
        assert_true(fabs(drawn) <= scale * (1 + 0x1p-8));
    }
}

/* A fill equals single draws, whatever part of the tensor it covers. */
static void fills_anywhere(void **state)
{
    (void)state;
    enum { MOST = 300 };
    for (uint64_t first = 0; first < 9; first++) {
        for (uint64_t count = 0; count < MOST; count += 1 + count / 7) {
            uint16_t filled[MOST + 1];
            filled[count] = 0xabcd;
            rt_random_fill_bf16(42, 3, first, count, 0.5f, filled);
            for (uint64_t i = 0; i < count; i++)
                assert_int_equal(filled[i], rt_random_bf16(42, 3, first + i, 0.5f));
            assert_int_equal(filled[count], 0xabcd);
        }
    }
}

static void has_the_moments(void **state)
{
    (void)state;
    enum { COUNT = 1 << 20 };
    uint16_t *drawn = malloc(COUNT * sizeof *drawn);
    double sum = 0, squares = 0;
    rt_random_fill_bf16(1, 0, 0, COUNT, rt_random_scale(0.02f), drawn);
    for (int i = 0; i < COUNT; i++) {
        sum += value_of(drawn[i]);
        squares += value_of(drawn[i]) * value_of(drawn[i]);
    }
    free(drawn);
    assert_true(fabs(sum / COUNT) < 5 * 0.02 / 1024);
    assert_true(fabs(sqrt(squares / COUNT) / 0.02 - 1) < 0.005);
}

static void streams_differ(void **state)
{
    (void)state;
    uint16_t a[64], b[64];
    rt_random_fill_bf16(1, 0, 0, 64, 1, a);
    rt_random_fill_bf16(0, 1, 0, 64, 1, b);
    assert_memory_not_equal(a, b, sizeof a);
    rt_random_fill_bf16(1, 1, 0, 64, 1, b);
    assert_memory_not_equal(a, b, sizeof a);
    rt_random_fill_bf16(UINT64_C(1) << 32 | 1, 0, 0, 64, 1, b);
    assert_memory_not_equal(a, b, sizeof a);
}

static void rounds_to_even(void **state)
{
    (void)state;
    static const struct {
        float value;
        uint16_t bits;
    } cases[] = {
        {0.0f, 0},           {-0.0f, 0x8000},           {1.0f, 0x3f80},
        {0x1.01p0f, 0x3f80}, {0x1.03p0f, 0x3f82},       {0x1.010002p0f, 0x3f81},
        {INFINITY, 0x7f80},  {0x1.fffffep127f, 0x7f80}, {-0x1p-149f, 0x8000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(rt_bf16_of_f32(cases[i].value), cases[i].bits);
    assert_true((rt_bf16_of_f32(NAN) & 0x7fff) > 0x7f80);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),  cmocka_unit_test(follows_the_formula),
        cmocka_unit_test(fills_anywhere), cmocka_unit_test(has_the_moments),
        cmocka_unit_test(streams_differ), cmocka_unit_test(rounds_to_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
