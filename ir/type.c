/* Element types and tensor types: rounding, sizes, texts. See ir.h. */
#include "ir/ir.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

struct dtype_info {
    const char *name;
    int bits;
    char kind;
};

static const struct dtype_info dtypes[] = {
#define DTYPE(name, bits, kind, ...) {#name, bits, #kind[0]},
#include "ir/types.def"
};

enum { LONGEST_TYPE = 640 };

const char *dtype_name(enum dtype dtype)
{
    return dtypes[dtype].name;
}

bool dtype_parse(const char *text, size_t length, enum dtype *out_dtype)
{
    for (int i = 0; i < DTYPE_COUNT; i++) {
        if (strlen(dtypes[i].name) == length && memcmp(dtypes[i].name, text, length) == 0) {
            *out_dtype = (enum dtype)i;
            return true;
        }
    }
    return false;
}

int dtype_bits(enum dtype dtype)
{
    return dtypes[dtype].bits;
}

bool dtype_is_float(enum dtype dtype)
{
    return dtypes[dtype].kind == 'F';
}

bool dtype_is_integer(enum dtype dtype)
{
    return dtypes[dtype].kind == 'I';
}

/*
 * To a binary format of `digits` significant bits, least normal exponent `least` and largest
 * finite value `largest`. One rounding: the scaling by powers of two is exact.
 */
static double round_binary(double value, int digits, int least, double largest)
{
    if (!isfinite(value) || value == 0)
        return value;
    int exponent = ilogb(value);
    double unit = ldexp(1, (exponent < least ? least : exponent) - (digits - 1));
    double rounded = nearbyint(value / unit) * unit;
    return fabs(rounded) > largest ? copysign(INFINITY, value) : rounded;
}

static double round_integer(double value, double low, double high)
{
    if (isnan(value))
        return 0;
    double whole = trunc(value);
    return whole < low ? low : whole > high ? high : whole;
}

double dtype_round(enum dtype dtype, double value)
{
    switch (dtype) {
    case DTYPE_f32: return (float)value;
    case DTYPE_bf16: return round_binary(value, 8, -126, 0x1.fep127);
    case DTYPE_f16: return round_binary(value, 11, -14, 65504);
    case DTYPE_tf32: return round_binary(value, 11, -126, 0x1.ffcp127);
    case DTYPE_i32: return round_integer(value, INT32_MIN, INT32_MAX);
    case DTYPE_i64: return round_integer(value, -0x1p63, 0x1.fffffffffffffp62);
    case DTYPE_u8: return round_integer(value, 0, 255);
    case DTYPE_bool: return value != 0;
    case DTYPE_f64:
    case DTYPE_COUNT: break;
    }
    return value;
}

struct type type_make(enum dtype dtype, int rank, const int64_t *dims)
{
    struct type type = {.dtype = dtype, .rank = rank};
    for (int i = 0; i < rank; i++)
        type.dims[i] = dims[i];
    return type;
}

struct type type_scalar(enum dtype dtype)
{
    return (struct type){.dtype = dtype};
}

bool type_same_dims(const struct type *a, const struct type *b)
{
    if (a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i])
            return false;
    return true;
}

bool type_equal(const struct type *a, const struct type *b)
{
    if (a->dtype != b->dtype || !type_same_dims(a, b) || a->strided != b->strided)
        return false;
    if (!a->strided)
        return true;
    for (int i = 0; i < a->rank; i++)
        if (a->strides[i] != b->strides[i])
            return false;
    return a->offset == b->offset;
}

int64_t type_elements(const struct type *type)
{
    int64_t elements = 1;
    for (int i = 0; i < type->rank; i++)
        elements *= type->dims[i];
    return elements;
}

uint64_t type_bytes(const struct type *type)
{
    return ((uint64_t)type_elements(type) * (uint64_t)dtype_bits(type->dtype) + 7) / 8;
}

uint64_t type_storage_bytes(const struct type *type)
{
    int64_t elements = 0;
    if (!type->strided || type_elements(type) == 0)
        return type_bytes(type);
    for (int k = 0; k < type->rank; k++)
        if (type->dims[k] * type->strides[k] > elements)
            elements = type->dims[k] * type->strides[k];
    return ((uint64_t)elements * (uint64_t)dtype_bits(type->dtype) + 7) / 8;
}

int64_t type_place(const struct type *type, int64_t index)
{
    if (!type->strided)
        return index;
    int64_t place = type->offset;
    for (int k = type->rank; k-- > 0; index /= type->dims[k])
        place += index % type->dims[k] * type->strides[k];
    return place;
}

static size_t format_list(char *text, size_t size, const int64_t *list, int count)
{
    size_t at = 0;
    for (int i = 0; i < count; i++)
        at += (size_t)snprintf(text + at, size - at, "%s%" PRId64, i ? "," : "", list[i]);
    return at;
}

const char *type_text(struct arena *arena, const struct type *type)
{
    char text[LONGEST_TYPE];
    size_t at = (size_t)snprintf(text, sizeof text, "%s[", dtype_name(type->dtype));
    at += format_list(text + at, sizeof text - at, type->dims, type->rank);
    at += (size_t)snprintf(text + at, sizeof text - at, "]");
    if (type->strided) {
        at += (size_t)snprintf(text + at, sizeof text - at, "/[");
        at += format_list(text + at, sizeof text - at, type->strides, type->rank);
        at += (size_t)snprintf(text + at, sizeof text - at, "]");
    }
    if (type->strided && type->offset)
        at += (size_t)snprintf(text + at, sizeof text - at, "+%" PRId64, type->offset);
    return arena_copy(arena, text, at);
}

bool type_dims_valid(enum dtype dtype, int rank, const int64_t *dims)
{
    if (rank < 0 || rank > MAX_RANK)
        return false;
    int64_t bits = dtype_bits(dtype);
    for (int i = 0; i < rank; i++) {
        if (dims[i] < 0 || dims[i] >= (int64_t)1 << 40)
            return false;
        /* an empty tensor too: its strides are products of the other dims */
        int64_t extent = dims[i] ? dims[i] : 1;
        if (__builtin_mul_overflow(bits, extent, &bits) || bits >= (int64_t)1 << 62)
            return false;
    }
    return true;
}
