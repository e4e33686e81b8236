/* See product.h. */
#include "compiler/emulation/product.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TILE = 64 };

/* --- descriptions --- */

static struct rt_matrix matrix_of(const struct gpu_matrix *matrix)
{
    if (matrix->operand < 0)
        return (struct rt_matrix){.operand = RT_NO_OPERAND};
    return (struct rt_matrix){(rt_u32)matrix->operand, matrix->transposed, matrix->offset,
                              matrix->pitch, matrix->stride};
}

struct rt_product emulation_product_of(const struct gpu_blas *blas, int64_t workspace)
{
    return (struct rt_product){
        .multiply = blas->multiply,
        .result = blas->result,
        .batch = blas->batch,
        .m = blas->m,
        .n = blas->n,
        .k = blas->k,
        .a = matrix_of(&blas->a),
        .b = matrix_of(&blas->b),
        .c = matrix_of(&blas->c),
        .d = matrix_of(&blas->d),
        .bias = matrix_of(&blas->bias),
        .workspace = (rt_u64)workspace,
    };
}

static int64_t tiles_along(int64_t extent)
{
    return (extent + TILE - 1) / TILE;
}

int emulation_product_blocks(const struct rt_product *p)
{
    int64_t blocks;
    if (__builtin_mul_overflow(tiles_along(p->m) * tiles_along(p->n), p->batch, &blocks) ||
        blocks > INT32_MAX)
        return INT32_MAX;
    return (int)blocks;
}

/* --- checks --- */

struct run {
    const struct rt_product *product;
    const struct emulation_launch *launch;
    struct emulation_report *report;
};

static void refuse(const struct run *run, enum emulation_error error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void refuse(const struct run *run, enum emulation_error error, const char *format, ...)
{
    struct emulation_report *report = run->report;
    va_list values;
    if (report->error != EMULATION_none)
        return;
    report->error = error;
    int used = snprintf(report->text, sizeof report->text, "%s: ", run->launch->kernel);
    va_start(values, format);
    vsnprintf(report->text + used, sizeof report->text - (size_t)used, format, values);
    va_end(values);
}

struct range {
    const char *begin, *end; /* both NULL: there is no such matrix */
};

/* The bytes from its first element to its last, checked. */
static struct range check_matrix(const struct run *run, const struct rt_matrix *matrix,
                                 enum dtype dtype, int64_t rows, int64_t columns, bool written)
{
    int64_t lines = matrix->transposed ? columns : rows, row = matrix->transposed ? rows : columns;
    int64_t size = dtype_bits(dtype) / 8;
    if (matrix->operand == RT_NO_OPERAND)
        return (struct range){0};
    if (matrix->operand >= run->launch->region_count) {
        refuse(run, EMULATION_bad_launch, "no operand %u", matrix->operand);
        return (struct range){0};
    }
    const struct emulation_region *region = &run->launch->regions[matrix->operand];
    const char *base = region->base, *at = run->launch->operands[matrix->operand];
    int64_t last = (run->product->batch - 1) * matrix->stride + (lines - 1) * matrix->pitch + row;
    struct range range = {at + matrix->offset * size, at + (matrix->offset + last) * size};
    if (range.begin < base || range.end > base + region->bytes)
        refuse(run, EMULATION_out_of_bounds, "operand %u of a product reaches %lld bytes beyond "
               "its memory", matrix->operand, (long long)(range.end - (base + region->bytes)));
    if (written && !region->written)
        refuse(run, EMULATION_read_only, "operand %u of a product", matrix->operand);
    if ((uintptr_t)range.begin % (uintptr_t)size)
        refuse(run, EMULATION_misaligned, "operand %u of a product", matrix->operand);
    return range;
}

static bool meet(struct range a, struct range b)
{
    return a.begin && a.begin < b.end && b.begin < a.end;
}

/* A library may write before it has read all: a residual is changed in place or stands apart. */
static void check_product(const struct run *run)
{
    const struct rt_product *p = run->product;
    enum dtype multiply = (enum dtype)p->multiply, result = (enum dtype)p->result;
    const struct rt_matrix *c = &p->c, *d = &p->d;
    struct rt_matrix bias = p->bias;
    bias.stride = bias.pitch = 0;
    struct range to = check_matrix(run, d, result, p->m, p->n, true);
    struct range residual = check_matrix(run, c, result, p->m, p->n, false);
    bool in_place = residual.begin == to.begin && c->pitch == d->pitch && c->stride == d->stride;
    if (meet(check_matrix(run, &p->a, multiply, p->m, p->k, false), to) ||
        meet(check_matrix(run, &p->b, multiply, p->k, p->n, false), to) ||
        meet(check_matrix(run, &bias, result, 1, p->n, false), to) ||
        (meet(residual, to) && !in_place))
        refuse(run, EMULATION_block_race, "the result of a product lies over an operand");
    size_t count = run->launch->region_count;
    if (p->workspace > 0 && (count == 0 || run->launch->regions[count - 1].bytes < p->workspace))
        refuse(run, EMULATION_out_of_bounds, "a product has less than its workspace");
}

/* --- numbers --- */

static const char *memory_of(const struct run *run, const struct rt_matrix *matrix)
{
    return run->launch->operands[matrix->operand];
}

static int64_t place(const struct rt_matrix *matrix, int64_t z, int64_t i, int64_t j)
{
    int64_t within = matrix->transposed ? j * matrix->pitch + i : i * matrix->pitch + j;
    return matrix->offset + z * matrix->stride + within;
}

/* What a GPU multiplies: f32 numbers lose the bits that TF32 has not. */
static double factor(const struct run *run, const struct rt_matrix *matrix, int64_t z, int64_t i,
                     int64_t j)
{
    enum dtype dtype = (enum dtype)run->product->multiply;
    return dtype_round(dtype, dtype_load(dtype, memory_of(run, matrix), place(matrix, z, i, j)));
}

static double added(const struct run *run, const struct rt_matrix *matrix, int64_t place)
{
    if (matrix->operand == RT_NO_OPERAND)
        return 0;
    return dtype_load((enum dtype)run->product->result, memory_of(run, matrix), place);
}

struct tile {
    int64_t z, row, column, rows, columns;
};

static struct tile tile_of(const struct rt_product *p, int block)
{
    int64_t across = tiles_along(p->n), down = tiles_along(p->m);
    struct tile t = {.z = block / across / down,
                     .row = block / across % down * TILE,
                     .column = block % across * TILE};
    t.rows = p->m - t.row < TILE ? p->m - t.row : TILE;
    t.columns = p->n - t.column < TILE ? p->n - t.column : TILE;
    return t;
}

static void store(const struct run *run, int64_t z, int64_t i, int64_t j, double sum)
{
    const struct rt_product *p = run->product;
    sum += added(run, &p->c, place(&p->c, z, i, j)) + added(run, &p->bias, p->bias.offset + j);
    dtype_store((enum dtype)p->result, run->launch->operands[p->d.operand],
                place(&p->d, z, i, j), sum);
}

/* `rows` has room for TILE rows of K numbers, `row` for one. */
static void compute_tile(const struct run *run, struct tile t, double *rows, double *row)
{
    const struct rt_product *p = run->product;
    for (int64_t i = 0; i < t.rows; i++)
        for (int64_t k = 0; k < p->k; k++)
            rows[i * p->k + k] = factor(run, &p->a, t.z, t.row + i, k);
    for (int64_t j = 0; j < t.columns; j++) {
        for (int64_t k = 0; k < p->k; k++)
            row[k] = factor(run, &p->b, t.z, k, t.column + j);
        for (int64_t i = 0; i < t.rows; i++) {
            double sum = 0;
            for (int64_t k = 0; k < p->k; k++)
                sum += rows[i * p->k + k] * row[k];
            store(run, t.z, t.row + i, t.column + j, sum);
        }
    }
}

enum emulation_error emulation_product(const struct rt_product *product,
                                       const struct emulation_launch *launch,
                                       struct emulation_report *report)
{
    struct run run = {product, launch, report};
    *report = (struct emulation_report){.block = -1, .thread = -1, .line = -1};
    check_product(&run);
    if (report->error != EMULATION_none)
        return report->error;
    size_t count = launch->chosen ? launch->chosen_count
                                  : (size_t)emulation_product_blocks(product);
    double *numbers = malloc((TILE + 1) * (size_t)product->k * sizeof *numbers);
    if (!numbers)
        fatal(OUT_OF_MEMORY, (TILE + 1) * (size_t)product->k * sizeof *numbers);
    for (size_t i = 0; i < count; i++)
        compute_tile(&run, tile_of(product, launch->chosen ? launch->chosen[i] : (int)i), numbers,
                     numbers + TILE * product->k);
    free(numbers);
    return EMULATION_none;
}
