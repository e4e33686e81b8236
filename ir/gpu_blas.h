/*
 * Products that a library computes: which kernels it can take over whole, and what it has to be
 * told. Passes, predictions, tables and the emulation all ask here, so they agree.
 *
 * A kernel of skeleton matmul is plain if it holds one product, batched or not, of two operands
 * that stand in memory as matrices of a constant pitch (rows or columns of neighbouring elements,
 * as stored or through views), in the type that is multiplied; f32 numbers may become tf32, which
 * the library does as it reads them. Besides the product it may add a residual of the result's
 * shape and type, and a bias of a number for each column, and round the sum once to the operands'
 * type of 16 bits. The result is the only value that leaves the kernel.
 */
#ifndef SINTER_GPU_BLAS_H
#define SINTER_GPU_BLAS_H

#include "ir/ir.h"

enum gpu_provider {
    PROVIDER_none,
#define PROVIDER(name, ...) PROVIDER_##name,
#include "ir/providers.def"
    PROVIDER_COUNT
};

/* NULL for PROVIDER_none. */
const char *gpu_provider_name(enum gpu_provider provider);

/* False if there is none of that name. */
bool gpu_provider_parse(const char *name, enum gpu_provider *out);

/* Who computes the kernel; PROVIDER_COUNT if its attribute is no name of a provider. */
enum gpu_provider gpu_provider(const struct kernel *kernel);

/*
 * Element (i, j) of matrix z of a batch stands at offset + z * stride + i * pitch + j elements
 * behind the first of the operand; of a transposed one at offset + z * stride + j * pitch + i.
 */
struct gpu_matrix {
    int operand; /* number in gpu_blas.operands; -1: there is no such matrix */
    bool transposed;
    int64_t offset, pitch, stride; /* a batch of one has stride 0 */
};

/*
 * d[z][i][j] = sum over k of a[z][i][k] * b[z][k][j], and c[z][i][j], and bias[j], where these are
 * there. Sums are f32; `multiply` is bf16, f16, tf32 (stored as f32) or f32, `result` the type of
 * c, bias and d: f32 or, of 16 bits, `multiply`.
 */
struct gpu_blas {
    enum dtype multiply, result;
    int64_t batch, m, n, k; /* at least 1, at most INT32_MAX, pitches too */
    struct gpu_matrix a, b, c, d; /* c and d are not transposed */
    struct gpu_matrix bias;       /* its offset counts only */
    const struct value *operands[5]; /* in memory: a, b, c and bias if there, d */
    int operand_count;
};

/* False if the kernel is not plain, or if padded rows, which pass_plan gives to operands of odd
 * extents, would make it so. */
bool gpu_blas(const struct function *function, const struct kernel *kernel, struct gpu_blas *out);

#endif
