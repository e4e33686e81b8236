/*
 * Device library of the C backend: element types, conversions, integer helpers. This text is
 * put in front of emitted code, which includes nothing; compiled alone it finds its types by
 * the include below, which embedding drops.
 */
#ifndef LANES
#define LANES 16 /* f32 lanes of a vector register of the target */
#endif
#include "runtime/program.h"

typedef __UINT16_TYPE__ rt_u16;
typedef float f32v __attribute__((vector_size(4 * LANES)));
typedef rt_u32 u32v __attribute__((vector_size(4 * LANES)));
typedef rt_i32 i32v __attribute__((vector_size(4 * LANES)));
/* The same at any address. */
typedef float f32v_any __attribute__((vector_size(4 * LANES), aligned(2)));
typedef rt_u32 u32v_any __attribute__((vector_size(4 * LANES), aligned(2)));
typedef rt_u16 u16v_any __attribute__((vector_size(2 * LANES), aligned(2)));
typedef rt_u16 u16v __attribute__((vector_size(2 * LANES)));

/* Helpers that not every program uses. */
#define LIBRARY static inline __attribute__((always_inline, unused))
/* Larger ones, one copy for a translation unit. */
#define LIBRARY_CODE static __attribute__((noinline, unused))

/* Before a loop of the texts that all backends share: left to Clang. */
#define UNROLL

/* Before a loop of independent steps; short ones are not to be unrolled before they are vectors. */
#define VECTORISED _Pragma("clang loop vectorize(assume_safety) unroll(disable)")

#define m_infinity __builtin_inff()
#define m_last 2147483647.0f /* after every index */

LIBRARY rt_u32 bits_of_f32(float x)
{
    union {
        float real;
        rt_u32 bits;
    } u = {.real = x};
    return u.bits;
}

LIBRARY float f32_of_bits(rt_u32 x)
{
    union {
        rt_u32 bits;
        float real;
    } u = {.bits = x};
    return u.real;
}

LIBRARY float from_bf16(rt_u16 x)
{
    return f32_of_bits((rt_u32)x << 16);
}

/* To nearest, ties to even; NaN stays a quiet NaN. */
LIBRARY rt_u16 to_bf16(float x)
{
    rt_u32 bits = bits_of_f32(x);
    rt_u32 rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    return (rt_u16)((bits & 0x7fffffff) > 0x7f800000 ? (bits >> 16 | 0x40) : rounded);
}

LIBRARY float round_bf16(float x)
{
    return from_bf16(to_bf16(x));
}

/* To nearest, ties to even, of 11 significant bits; NaN stays one. */
LIBRARY float round_tf32(float x)
{
    rt_u32 bits = bits_of_f32(x);
    rt_u32 rounded = (bits + 0xfff + (bits >> 13 & 1)) & ~0x1fffu;
    return f32_of_bits((bits & 0x7fffffff) > 0x7f800000 ? bits | 0x400000 : rounded);
}

#ifdef __F16C__
LIBRARY float from_f16(rt_u16 x)
{
    union {
        rt_u16 bits;
        _Float16 real;
    } u = {.bits = x};
    return (float)u.real;
}

LIBRARY rt_u16 to_f16(float x)
{
    union {
        _Float16 real;
        rt_u16 bits;
    } u = {.real = (_Float16)x};
    return u.bits;
}
#else
/* The exponent is rebased by a multiplication, which also makes subnormals normal. */
LIBRARY float from_f16(rt_u16 x)
{
    rt_u32 sign = (rt_u32)(x & 0x8000) << 16;
    float scaled = f32_of_bits((rt_u32)(x & 0x7fff) << 13) * 0x1p112f;
    rt_u32 bits = scaled >= 65536.0f ? bits_of_f32(scaled) | 0x7f800000 : bits_of_f32(scaled);
    return f32_of_bits(bits | sign);
}

/* To nearest, ties to even: adding a power of two rounds at its last place. */
LIBRARY rt_u16 to_f16(float x)
{
    rt_u32 bits = bits_of_f32(x), sign = bits >> 16 & 0x8000, size = bits & 0x7fffffff;
    float magnitude = f32_of_bits(size);
    rt_u32 tiny = bits_of_f32(magnitude + 0.5f) - 0x3f000000;
    rt_u32 normal = (size - 0x38000000 + 0xfff + (size >> 13 & 1)) >> 13;
    rt_u32 big = size > 0x7f800000 ? 0x7e00 : 0x7c00;
    rt_u32 result = size < 0x38800000 ? tiny : normal;
    return (rt_u16)((size >= 0x477ff000 ? big : result) | sign);
}
#endif

LIBRARY float round_f16(float x)
{
    return from_f16(to_f16(x));
}

#include "../../lib/convert.h"
