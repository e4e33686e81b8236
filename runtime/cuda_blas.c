/* See cuda_blas.h. Everything that the library makes is made here before any function runs. */
#include "runtime/cuda_blas.h"

#include "runtime/cuda_device.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- the library --- */

static const struct symbol {
    const char *name;
    size_t place;
} symbols[] = {
#define BLAS(name, symbol, returns, parameters) {#symbol, offsetof(struct blas_library, name)},
#include "runtime/cublas_symbols.def"
};

/* The newest first; each needs a driver for its CUDA version. */
static void *open_in(const char *folder, const char *below, int driver)
{
    static const struct {
        const char *name;
        int oldest_driver;
    } libraries[] = {
        {"libcublasLt.so.13", 13000}, {"libcublasLt.so.12", 12000}, {"libcublasLt.so", 0}};
    char path[4096];
    void *library = NULL;
    for (size_t i = 0; i < sizeof libraries / sizeof *libraries && !library; i++) {
        int length = snprintf(path, sizeof path, "%s%s%s", folder, below, libraries[i].name);
        if (length < (int)sizeof path && driver >= libraries[i].oldest_driver)
            library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    }
    return library;
}

/* Where the loader looks, then in the toolkit. */
static void *open_library(int driver)
{
    const char *named = getenv("SINTER_CUBLASLT_LIBRARY"), *toolkit = getenv("CUDA_HOME");
    if (named && *named)
        return dlopen(named, RTLD_NOW | RTLD_LOCAL);
    void *library = open_in("", "", driver);
    if (!library && toolkit && *toolkit)
        library = open_in(toolkit, "/lib64/", driver);
    return library ? library : open_in("/usr/local/cuda", "/lib64/", driver);
}

rt_status rt_blas_load(int driver, const struct blas_library **out)
{
    static struct blas_library loaded;
    static bool ready;
    *out = &loaded;
    if (ready)
        return 0;
    void *library = open_library(driver);
    if (!library)
        return rt_fail(BLAS_NONE, dlerror());
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
        void *function = dlsym(library, symbols[i].name);
        if (!function)
            return rt_fail(BLAS_LACKS, symbols[i].name);
        memcpy((char *)&loaded + symbols[i].place, &function, sizeof function);
    }
    ready = true;
    return 0; /* the library stays, as the driver does */
}

/* --- what a device holds --- */

/* A product as the library wants it: `left` is our b, `right` our a. */
struct planned {
    blas_operation operation;
    blas_layout left, right, residual, result;
    struct blas_algorithm algorithm;
};

struct cuda_blas {
    const struct blas_library *library;
    blas_handle handle;
    struct planned *planned; /* by launch */
};

static rt_status check(const struct cuda_blas *blas, blas_status status, const char *what,
                       const char *name)
{
    if (status == BLAS_OK)
        return 0;
    return rt_fail(BLAS_FAILED, what, name, blas->library->status_name(status), status);
}

static int type_of(rt_u32 dtype)
{
    return dtype == RT_BF16 ? BLAS_TYPE_BF16 : dtype == RT_F16 ? BLAS_TYPE_F16 : BLAS_TYPE_F32;
}

static rt_u64 size_of(rt_u32 dtype)
{
    return dtype == RT_BF16 || dtype == RT_F16 ? 2 : 4;
}

/* --- descriptions --- */

static blas_status set_int(const struct blas_library *library, blas_operation operation,
                           int attribute, int value)
{
    return library->operation_set(operation, attribute, &value, sizeof value);
}

static blas_status make_operation(const struct blas_library *library, const struct rt_product *p,
                                  blas_operation *out)
{
    int compute = p->multiply == RT_TF32 ? BLAS_COMPUTE_TF32 : BLAS_COMPUTE_F32;
    blas_status status = library->operation_create(out, compute, BLAS_TYPE_F32);
    if (status) {
        *out = NULL;
        return status;
    }
    status = set_int(library, *out, BLAS_OPERATION_TRANSPOSE_A,
                     p->b.transposed ? BLAS_TRANSPOSED : BLAS_PLAIN);
    if (!status)
        status = set_int(library, *out, BLAS_OPERATION_TRANSPOSE_B,
                         p->a.transposed ? BLAS_TRANSPOSED : BLAS_PLAIN);
    if (!status && p->bias.operand != RT_NO_OPERAND)
        status = set_int(library, *out, BLAS_OPERATION_EPILOGUE, BLAS_EPILOGUE_BIAS);
    return status;
}

/* Our rows are the library's columns, as they stand in memory. */
static blas_status make_layout(const struct blas_library *library, const struct rt_product *p,
                               const struct rt_matrix *matrix, rt_u32 dtype, rt_i64 rows,
                               rt_i64 columns, blas_layout *out)
{
    rt_i64 lines = matrix->transposed ? columns : rows, run = matrix->transposed ? rows : columns;
    rt_i32 batch = (rt_i32)p->batch;
    blas_status status = library->layout_create(out, type_of(dtype), (rt_u64)run, (rt_u64)lines,
                                                matrix->pitch);
    if (status) {
        *out = NULL;
        return status;
    }
    if (batch > 1)
        status = library->layout_set(*out, BLAS_LAYOUT_BATCH, &batch, sizeof batch);
    if (batch > 1 && !status)
        status = library->layout_set(*out, BLAS_LAYOUT_STRIDE, &matrix->stride,
                                     sizeof matrix->stride);
    return status;
}

static blas_status describe(const struct blas_library *library, const struct rt_product *p,
                            struct planned *out)
{
    const struct rt_matrix *c = p->c.operand == RT_NO_OPERAND ? &p->d : &p->c;
    blas_status status = make_operation(library, p, &out->operation);
    if (!status)
        status = make_layout(library, p, &p->b, p->multiply, p->k, p->n, &out->left);
    if (!status)
        status = make_layout(library, p, &p->a, p->multiply, p->m, p->k, &out->right);
    if (!status)
        status = make_layout(library, p, c, p->result, p->m, p->n, &out->residual);
    if (!status)
        status = make_layout(library, p, &p->d, p->result, p->m, p->n, &out->result);
    return status;
}

/* --- algorithms --- */

/* What the addresses of a launch's matrices have in common: bits that are 0 in all its steps. */
struct places {
    rt_u64 left, right, residual, result, bias;
};

/* Spaces begin at multiples of CUDA_ALIGNMENT, so that offsets tell. */
static rt_u64 place(const struct rt_matrix *matrix, rt_u32 dtype, const struct rt_operand *operands)
{
    if (matrix->operand == RT_NO_OPERAND)
        return 0;
    return operands[matrix->operand].offset + (rt_u64)matrix->offset * size_of(dtype);
}

static void collect(const struct rt_program *program, rt_u32 number, struct places *out)
{
    const struct rt_product *p = program->launches[number].product;
    for (rt_u32 f = 0; f < program->function_count; f++) {
        const struct rt_function *function = &program->functions[f];
        for (rt_u32 i = 0; i < function->step_count; i++) {
            const struct rt_step *step = &function->steps[i];
            const struct rt_operand *operands = function->operands + step->first_operand;
            if (step->launch != number)
                continue;
            out->left |= place(&p->b, p->multiply, operands);
            out->right |= place(&p->a, p->multiply, operands);
            out->residual |= place(&p->c, p->result, operands);
            out->result |= place(&p->d, p->result, operands);
            out->bias |= place(&p->bias, p->result, operands);
        }
    }
}

static rt_u32 alignment_of(rt_u64 bits)
{
    return bits % CUDA_ALIGNMENT ? (rt_u32)(bits & -bits) : CUDA_ALIGNMENT;
}

static blas_status prefer(const struct blas_library *library, blas_preference preference,
                          const struct rt_product *p, const struct places *bits)
{
    bool residual = p->c.operand != RT_NO_OPERAND;
    const struct {
        int attribute;
        rt_u64 bits;
    } rows[] = {{BLAS_PREFERENCE_ALIGNMENT_A, bits->left},
                {BLAS_PREFERENCE_ALIGNMENT_B, bits->right},
                {BLAS_PREFERENCE_ALIGNMENT_C, residual ? bits->residual : bits->result},
                {BLAS_PREFERENCE_ALIGNMENT_D, bits->result}};
    blas_status status = library->preference_set(preference, BLAS_PREFERENCE_WORKSPACE,
                                                 &p->workspace, sizeof p->workspace);
    for (size_t i = 0; i < sizeof rows / sizeof *rows && !status; i++) {
        rt_u32 alignment = alignment_of(rows[i].bits);
        status = library->preference_set(preference, rows[i].attribute, &alignment,
                                         sizeof alignment);
    }
    return status;
}

/* The library's first choice. It looks at the address of the bias to know how that is aligned. */
static rt_status choose(struct cuda *cuda, rt_u32 number, blas_preference preference)
{
    const struct rt_launch *launch = &cuda->program->launches[number];
    const struct rt_product *p = launch->product;
    const struct cuda_blas *blas = cuda->blas;
    struct planned *planned = &blas->planned[number];
    struct places bits = {0};
    struct blas_choice choice = {.state = BLAS_OK};
    int found = 0;
    collect(cuda->program, number, &bits);
    rt_u64 bias = bits.bias % CUDA_ALIGNMENT + CUDA_ALIGNMENT;
    blas_status status = prefer(blas->library, preference, p, &bits);
    if (!status && p->bias.operand != RT_NO_OPERAND)
        status = blas->library->operation_set(planned->operation, BLAS_OPERATION_BIAS, &bias,
                                              sizeof bias);
    if (status)
        return check(blas, status, "describing product", launch->symbol);
    status = blas->library->choose(blas->handle, planned->operation, planned->left, planned->right,
                                   planned->residual, planned->result, preference, 1, &choice,
                                   &found);
    status = status ? status : choice.state;
    planned->algorithm = choice.algorithm;
    if (!status && found == 1 && choice.workspace <= p->workspace)
        return 0;
    return rt_fail(BLAS_NO_ALGORITHM, launch->symbol, (long long)p->m, (long long)p->k,
                   (long long)p->n, blas->library->status_name(status), status);
}

static rt_status plan(struct cuda *cuda, rt_u32 number)
{
    const struct rt_launch *launch = &cuda->program->launches[number];
    const struct cuda_blas *blas = cuda->blas;
    blas_preference preference = NULL;
    blas_status made = describe(blas->library, launch->product, &blas->planned[number]);
    if (!made)
        made = blas->library->preference_create(&preference);
    rt_status status = made ? check(blas, made, "describing product", launch->symbol)
                            : choose(cuda, number, preference);
    if (preference)
        blas->library->preference_destroy(preference);
    return status;
}

/* --- life --- */

static bool has_products(const struct rt_program *program)
{
    for (rt_u32 i = 0; i < program->launch_count; i++)
        if (program->launches[i].product)
            return true;
    return false;
}

rt_status cuda_blas_open(struct cuda *cuda)
{
    const struct rt_program *program = cuda->program;
    if (!has_products(program))
        return 0;
    struct cuda_blas *blas = cuda->blas = calloc(1, sizeof *blas);
    if (!blas || !(blas->planned = calloc(program->launch_count, sizeof *blas->planned)))
        return rt_fail(OUT_OF_MEMORY, program->launch_count * sizeof *blas->planned);
    rt_status status = rt_blas_load(cuda->gpu.driver, &blas->library);
    if (status)
        return status;
    blas_status opened = blas->library->create(&blas->handle);
    if (opened)
        blas->handle = NULL;
    status = check(blas, opened, "opening", cuda->gpu.name);
    for (rt_u32 i = 0; i < program->launch_count && !status; i++)
        if (program->launches[i].product)
            status = plan(cuda, i);
    return status;
}

static void drop(const struct blas_library *library, const struct planned *planned)
{
    const blas_layout layouts[] = {planned->left, planned->right, planned->residual,
                                   planned->result};
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++)
        if (layouts[i])
            library->layout_destroy(layouts[i]);
    if (planned->operation)
        library->operation_destroy(planned->operation);
}

void cuda_blas_close(struct cuda *cuda)
{
    struct cuda_blas *blas = cuda->blas;
    if (!blas)
        return;
    for (rt_u32 i = 0; blas->planned && i < cuda->program->launch_count; i++)
        drop(blas->library, &blas->planned[i]);
    if (blas->handle)
        blas->library->destroy(blas->handle);
    free(blas->planned);
    free(blas);
    cuda->blas = NULL;
}

/* --- products --- */

static cuda_pointer operand(void *const *parameters, rt_u32 number)
{
    return *(const cuda_pointer *)parameters[number];
}

static cuda_pointer address(const struct rt_matrix *matrix, rt_u32 dtype,
                            void *const *parameters)
{
    return operand(parameters, matrix->operand) + (rt_u64)matrix->offset * size_of(dtype);
}

static void *pointer(cuda_pointer address)
{
    return (void *)(size_t)address;
}

rt_status cuda_blas_multiply(struct cuda *cuda, const struct rt_step *step,
                             void *const *parameters)
{
    const struct cuda_blas *blas = cuda->blas;
    const struct rt_product *p = cuda->program->launches[step->launch].product;
    const struct planned *planned = &blas->planned[step->launch];
    bool residual = p->c.operand != RT_NO_OPERAND;
    const float one = 1, beta = residual ? 1 : 0;
    cuda_pointer d = address(&p->d, p->result, parameters), bias;
    cuda_pointer c = residual ? address(&p->c, p->result, parameters) : d;
    cuda_pointer workspace = p->workspace > 0 ? operand(parameters, step->operand_count - 1) : 0;
    blas_status status = BLAS_OK;
    if (p->bias.operand != RT_NO_OPERAND) {
        bias = address(&p->bias, p->result, parameters);
        status = blas->library->operation_set(planned->operation, BLAS_OPERATION_BIAS, &bias,
                                              sizeof bias);
    }
    if (!status)
        status = blas->library->multiply(
            blas->handle, planned->operation, &one,
            pointer(address(&p->b, p->multiply, parameters)), planned->left,
            pointer(address(&p->a, p->multiply, parameters)), planned->right, &beta, pointer(c),
            planned->residual, pointer(d), planned->result, &planned->algorithm,
            pointer(workspace), (size_t)p->workspace, cuda->stream);
    return check(blas, status, "computing", step->name);
}
