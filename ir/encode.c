/* Numbers as bytes: little-endian elements of every dtype. See ir.h. */
#include "ir/ir.h"

#include <math.h>
#include <string.h>

/* The bits of a rounded value in a format of 16 bits with `fraction` stored digits. */
static uint16_t pack16(double value, int fraction, int bias)
{
    uint16_t sign = signbit(value) ? 0x8000 : 0;
    uint16_t top = (uint16_t)(0x7fff & ~((1 << fraction) - 1)); /* all ones in the exponent */
    if (isnan(value))
        return (uint16_t)(sign | top | 1 << (fraction - 1));
    if (isinf(value))
        return sign | top;
    if (value == 0)
        return sign;
    int exponent = ilogb(value);
    if (exponent < 1 - bias) /* subnormal: units of the least exponent */
        return (uint16_t)(sign | (uint16_t)ldexp(fabs(value), bias - 1 + fraction));
    uint16_t digits = (uint16_t)ldexp(fabs(value), fraction - exponent);
    return (uint16_t)(sign | (exponent + bias) << fraction | (digits & ((1 << fraction) - 1)));
}

static double unpack16(uint16_t bits, int fraction, int bias)
{
    int exponent = (bits & 0x7fff) >> fraction, digits = bits & ((1 << fraction) - 1);
    double value;
    if (exponent == 0x7fff >> fraction)
        value = digits ? NAN : INFINITY;
    else if (exponent == 0)
        value = ldexp(digits, 1 - bias - fraction);
    else
        value = ldexp(digits | 1 << fraction, exponent - bias - fraction);
    return bits & 0x8000 ? -value : value;
}

#define LOAD(type)                      \
    {                                   \
        type item;                      \
        memcpy(&item, at, sizeof item); \
        return (double)item;            \
    }
#define STORE(type)                     \
    {                                   \
        type item = (type)value;        \
        memcpy(at, &item, sizeof item); \
        break;                          \
    }

double dtype_load(enum dtype dtype, const void *bytes, int64_t index)
{
    const char *at = (const char *)bytes + index * (dtype_bits(dtype) / 8);
    uint16_t half;
    switch (dtype) {
    case DTYPE_f32:
    case DTYPE_tf32: LOAD(float)
    case DTYPE_f64: LOAD(double)
    case DTYPE_i32: LOAD(int32_t)
    case DTYPE_i64: LOAD(int64_t)
    case DTYPE_u8: LOAD(uint8_t)
    case DTYPE_bf16: memcpy(&half, at, sizeof half); return unpack16(half, 7, 127);
    case DTYPE_f16: memcpy(&half, at, sizeof half); return unpack16(half, 10, 15);
    case DTYPE_bool: return *at != 0;
    case DTYPE_COUNT: break;
    }
    return 0;
}

void dtype_store(enum dtype dtype, void *bytes, int64_t index, double number)
{
    char *at = (char *)bytes + index * (dtype_bits(dtype) / 8);
    double value = dtype_round(dtype, number);
    uint16_t half;
    switch (dtype) {
    case DTYPE_f32:
    case DTYPE_tf32: STORE(float)
    case DTYPE_f64: STORE(double)
    case DTYPE_i32: STORE(int32_t)
    case DTYPE_i64: STORE(int64_t)
    case DTYPE_u8: STORE(uint8_t)
    case DTYPE_bf16:
        half = pack16(value, 7, 127);
        memcpy(at, &half, sizeof half);
        break;
    case DTYPE_f16:
        half = pack16(value, 10, 15);
        memcpy(at, &half, sizeof half);
        break;
    case DTYPE_bool: *at = value != 0; break;
    case DTYPE_COUNT: break;
    }
}
