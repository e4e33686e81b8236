/*
 * NVIDIA's cuBLASLt without its headers: the types and numbers that we use, and the products of a
 * program by it. The library is opened where a program that is about to run has products;
 * nothing is linked.
 *
 * It counts matrices by columns where we count by rows: what it takes for a matrix is our
 * transpose, so it is asked for the transpose of each product, d^T = b^T a^T.
 */
#ifndef SINTER_CUDA_BLAS_H
#define SINTER_CUDA_BLAS_H

#include "runtime/cuda.h"

typedef int blas_status;
typedef struct blas_handle_object *blas_handle;
typedef struct blas_operation_object *blas_operation;
typedef struct blas_layout_object *blas_layout;
typedef struct blas_preference_object *blas_preference;

/* Enumerators, as cublas_api.h, cublasLt.h and library_types.h number them. */
enum {
    BLAS_OK = 0,
    BLAS_TYPE_F32 = 0, /* CUDA_R_32F, CUDA_R_16F, CUDA_R_16BF */
    BLAS_TYPE_F16 = 2,
    BLAS_TYPE_BF16 = 14,
    BLAS_COMPUTE_F32 = 68, /* CUBLAS_COMPUTE_32F, CUBLAS_COMPUTE_32F_FAST_TF32 */
    BLAS_COMPUTE_TF32 = 77,
    BLAS_PLAIN = 0, /* CUBLAS_OP_N, CUBLAS_OP_T */
    BLAS_TRANSPOSED = 1,
    BLAS_OPERATION_TRANSPOSE_A = 3, /* CUBLASLT_MATMUL_DESC_... */
    BLAS_OPERATION_TRANSPOSE_B = 4,
    BLAS_OPERATION_EPILOGUE = 7,
    BLAS_OPERATION_BIAS = 8,
    BLAS_EPILOGUE_BIAS = 4, /* CUBLASLT_EPILOGUE_BIAS */
    BLAS_LAYOUT_BATCH = 5,  /* CUBLASLT_MATRIX_LAYOUT_... */
    BLAS_LAYOUT_STRIDE = 6,
    BLAS_PREFERENCE_WORKSPACE = 1, /* CUBLASLT_MATMUL_PREF_... */
    BLAS_PREFERENCE_ALIGNMENT_A = 5,
    BLAS_PREFERENCE_ALIGNMENT_B = 6,
    BLAS_PREFERENCE_ALIGNMENT_C = 7,
    BLAS_PREFERENCE_ALIGNMENT_D = 8,
};

/* cublasLtMatmulAlgo_t and cublasLtMatmulHeuristicResult_t. */
struct blas_algorithm {
    rt_u64 data[8];
};
struct blas_choice {
    struct blas_algorithm algorithm;
    size_t workspace;
    blas_status state;
    float waves;
    int reserved[4];
};

struct blas_library {
#define BLAS(name, symbol, returns, parameters) returns(*name) parameters;
#include "runtime/cublas_symbols.def"
};

/*
 * Loads the library at the first call; *library then stays valid. It is libcublasLt.so.13 or, with
 * a driver (of CUDA version `driver`) that is older or where there is none, libcublasLt.so.12,
 * where the loader looks, else in the toolkit: CUDA_HOME, /usr/local/cuda. The environment
 * variable SINTER_CUBLASLT_LIBRARY names another. A failure has exit code 5.
 */
rt_status rt_blas_load(int driver, const struct blas_library **library);

struct cuda;

/* The products of the device's program: descriptions and algorithms. Opens nothing where there are
 * none. */
rt_status cuda_blas_open(struct cuda *cuda);

/* Queues the product of a step on the device's stream, or into what that records; parameters are
 * the places of the operands. */
rt_status cuda_blas_multiply(struct cuda *cuda, const struct rt_step *step,
                             void *const *parameters);

void cuda_blas_close(struct cuda *cuda);

#endif
