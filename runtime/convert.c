/* Conversions between element types: see convert.h. */
#include "runtime/convert.h"

#include "runtime/philox.h"
#include "runtime/session.h"

#include <string.h>

float rt_f32_of_f16(unsigned bits)
{
    unsigned sign = (bits & 0x8000u) << 16, exponent = bits >> 10 & 31, fraction = bits & 0x3ff;
    unsigned word = sign | (exponent + 112) << 23 | fraction << 13;
    float value;
    if (exponent == 31)
        word = sign | 0x7f800000u | fraction << 13;
    if (exponent == 0) { /* subnormal: fraction * 2^-24 */
        value = (float)fraction * 0x1p-24f;
        return sign ? -value : value;
    }
    memcpy(&value, &word, sizeof value);
    return value;
}

unsigned rt_f16_of_f32(float value)
{
    unsigned word;
    memcpy(&word, &value, sizeof word);
    unsigned sign = word >> 16 & 0x8000u, magnitude = word & 0x7fffffffu;
    if (magnitude > 0x7f800000u)
        return sign | 0x7e00;
    if (magnitude >= 0x477ff000u) /* 65520 and above round to infinity */
        return sign | 0x7c00;
    if (magnitude < 0x38800000u) { /* below 2^-14: adding 0.5 rounds at 2^-24 */
        float small;
        memcpy(&small, &magnitude, sizeof small);
        small += 0.5f;
        memcpy(&magnitude, &small, sizeof magnitude);
        return sign | (magnitude - 0x3f000000u);
    }
    unsigned odd = magnitude >> 13 & 1;
    return sign | (magnitude - 0x38000000u + 0xfff + odd) >> 13;
}

static float load(const unsigned char *from, rt_u32 dtype, rt_u64 index)
{
    float value;
    unsigned short half;
    if (dtype == RT_F32 || dtype == RT_TF32) {
        memcpy(&value, from + index * sizeof value, sizeof value);
        return value;
    }
    memcpy(&half, from + index * sizeof half, sizeof half);
    if (dtype == RT_F16)
        return rt_f32_of_f16(half);
    unsigned word = (unsigned)half << 16;
    memcpy(&value, &word, sizeof value);
    return value;
}

/* The nearest number of 11 significant bits, ties to even. */
static float round_tf32(float value)
{
    unsigned bits;
    memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7fffffff) > 0x7f800000)
        return value;
    bits = (bits + 0xfff + (bits >> 13 & 1)) & ~0x1fffu;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void store(unsigned char *to, rt_u32 dtype, rt_u64 index, float value)
{
    if (dtype == RT_TF32)
        value = round_tf32(value);
    if (dtype == RT_F32 || dtype == RT_TF32) {
        memcpy(to + index * sizeof value, &value, sizeof value);
        return;
    }
    unsigned short half = dtype == RT_F16 ? (unsigned short)rt_f16_of_f32(value)
                                          : rt_bf16_of_f32(value);
    memcpy(to + index * sizeof half, &half, sizeof half);
}

static bool is_float(rt_u32 dtype)
{
    return dtype == RT_F32 || dtype == RT_BF16 || dtype == RT_F16 || dtype == RT_TF32;
}

bool rt_convert(void *to, rt_u32 to_dtype, const void *from, rt_u32 from_dtype, rt_u64 count)
{
    if (to_dtype == from_dtype) {
        memcpy(to, from, count * rt_dtype_size(to_dtype));
        return true;
    }
    if (!is_float(to_dtype) || !is_float(from_dtype))
        return false;
    for (rt_u64 i = 0; i < count; i++)
        store(to, to_dtype, i, load(from, from_dtype, i));
    return true;
}

double rt_read_number(rt_u32 dtype, const void *at)
{
    double wide;
    rt_i32 word;
    rt_i64 whole;
    switch (dtype) {
    case RT_F64: memcpy(&wide, at, sizeof wide); return wide;
    case RT_I32: memcpy(&word, at, sizeof word); return word;
    case RT_I64: memcpy(&whole, at, sizeof whole); return (double)whole;
    case RT_U8:
    case RT_BOOL: return *(const unsigned char *)at;
    default: return (double)load(at, dtype, 0);
    }
}

void rt_write_number(rt_u32 dtype, void *at, double number)
{
    rt_i32 word = dtype == RT_I32 ? (rt_i32)number : 0;
    rt_i64 whole = dtype == RT_I64 ? (rt_i64)number : 0;
    switch (dtype) {
    case RT_F64: memcpy(at, &number, sizeof number); break;
    case RT_I32: memcpy(at, &word, sizeof word); break;
    case RT_I64: memcpy(at, &whole, sizeof whole); break;
    case RT_U8:
    case RT_BOOL: *(unsigned char *)at = (unsigned char)number; break;
    default: store(at, dtype, 0, (float)number); break;
    }
}
