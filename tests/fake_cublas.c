/*
 * See fake_cuda.h: a cuBLASLt beside the driver without a GPU. Products are queued like kernels
 * and computed on the host, by columns as the library counts, of f32 and bf16. Sizes of attributes,
 * extents, memory, alignment and workspace are checked. FAKE_CUBLAS_NONE=1: it knows no algorithm.
 */
#include "tests/fake_cuda_state.h"

#include <stdlib.h>
#include <string.h>

enum {
    NOT_SUPPORTED = 15,
    WORKSPACE = 4096, /* bytes that every algorithm uses */
    MAGIC = 0x5eed,
};

struct blas_handle_object {
    cuda_context context;
};

struct blas_operation_object {
    struct fake_operation o;
};

struct blas_layout_object {
    struct fake_layout l;
};

struct blas_preference_object {
    rt_u64 workspace;
    rt_u32 alignment[4]; /* of a, b, c, d */
};

/* --- objects --- */

static blas_status create(const char *symbol, void **object, size_t size)
{
    ENTER(symbol);
    if (state.recording)
        return fault(INVALID_VALUE, "%s while recording; ", symbol);
    *object = calloc(1, size);
    state.objects++;
    return BLAS_OK;
}

static blas_status destroy(const char *symbol, void *object)
{
    ENTER_TO_FREE(symbol);
    if (!object)
        return fault(INVALID_VALUE, "%s: nothing; ", symbol);
    free(object);
    state.objects--;
    return order;
}

blas_status cublasLtCreate(blas_handle *handle)
{
    blas_status status = create("cublasLtCreate", (void **)handle, sizeof **handle);
    if (!status)
        (*handle)->context = state.current;
    return status;
}

blas_status cublasLtDestroy(blas_handle handle)
{
    return destroy("cublasLtDestroy", handle);
}

const char *cublasLtGetStatusName(blas_status status)
{
    return status == NOT_SUPPORTED ? "CUBLAS_STATUS_NOT_SUPPORTED" : "CUBLAS_STATUS_FAKE";
}

blas_status cublasLtMatmulDescCreate(blas_operation *operation, int compute, int scale_type)
{
    if ((compute != BLAS_COMPUTE_F32 && compute != BLAS_COMPUTE_TF32)
        || scale_type != BLAS_TYPE_F32)
        return fault(INVALID_VALUE, "cublasLtMatmulDescCreate: %d, %d; ", compute, scale_type);
    blas_status status =
        create("cublasLtMatmulDescCreate", (void **)operation, sizeof **operation);
    if (!status)
        (*operation)->o = (struct fake_operation){.compute = compute, .epilogue = 1};
    return status;
}

blas_status cublasLtMatmulDescDestroy(blas_operation operation)
{
    return destroy("cublasLtMatmulDescDestroy", operation);
}

/* Stores a value of the size that the attribute has. */
static blas_status set(const char *symbol, int attribute, void *to, size_t size,
                       const void *value, size_t value_size)
{
    ENTER(symbol);
    if (!to || size != value_size)
        return fault(INVALID_VALUE, "%s: attribute %d of %zu bytes; ", symbol, attribute,
                     value_size);
    memcpy(to, value, size);
    return BLAS_OK;
}

blas_status cublasLtMatmulDescSetAttribute(blas_operation operation, int attribute,
                                           const void *value, size_t size)
{
    struct fake_operation *o = &operation->o;
    void *to = attribute == BLAS_OPERATION_TRANSPOSE_A   ? (void *)&o->transpose_a
               : attribute == BLAS_OPERATION_TRANSPOSE_B ? (void *)&o->transpose_b
               : attribute == BLAS_OPERATION_EPILOGUE    ? (void *)&o->epilogue
               : attribute == BLAS_OPERATION_BIAS        ? (void *)&o->bias
                                                         : NULL;
    return set("cublasLtMatmulDescSetAttribute", attribute, to,
               attribute == BLAS_OPERATION_BIAS ? sizeof o->bias : sizeof o->epilogue, value,
               size);
}

blas_status cublasLtMatrixLayoutCreate(blas_layout *layout, int type, rt_u64 rows,
                                       rt_u64 columns, rt_i64 pitch)
{
    bool known = type == BLAS_TYPE_F32 || type == BLAS_TYPE_BF16;
    if (!known || rows < 1 || columns < 1 || pitch < (rt_i64)rows)
        return fault(INVALID_VALUE, "cublasLtMatrixLayoutCreate: %d: %llu x %llu by %lld; ", type,
                     (unsigned long long)rows, (unsigned long long)columns, (long long)pitch);
    blas_status status = create("cublasLtMatrixLayoutCreate", (void **)layout, sizeof **layout);
    if (!status)
        (*layout)->l = (struct fake_layout){type, (rt_i64)rows, (rt_i64)columns, pitch, 1, 0};
    return status;
}

blas_status cublasLtMatrixLayoutDestroy(blas_layout layout)
{
    return destroy("cublasLtMatrixLayoutDestroy", layout);
}

blas_status cublasLtMatrixLayoutSetAttribute(blas_layout layout, int attribute, const void *value,
                                             size_t size)
{
    struct fake_layout *l = &layout->l;
    bool batch = attribute == BLAS_LAYOUT_BATCH;
    void *to = batch ? (void *)&l->batch : attribute == BLAS_LAYOUT_STRIDE ? &l->stride : NULL;
    return set("cublasLtMatrixLayoutSetAttribute", attribute, to,
               batch ? sizeof l->batch : sizeof l->stride, value, size);
}

blas_status cublasLtMatmulPreferenceCreate(blas_preference *preference)
{
    blas_status status =
        create("cublasLtMatmulPreferenceCreate", (void **)preference, sizeof **preference);
    for (int i = 0; i < 4 && !status; i++)
        (*preference)->alignment[i] = 256;
    return status;
}

blas_status cublasLtMatmulPreferenceDestroy(blas_preference preference)
{
    return destroy("cublasLtMatmulPreferenceDestroy", preference);
}

blas_status cublasLtMatmulPreferenceSetAttribute(blas_preference preference, int attribute,
                                                 const void *value, size_t size)
{
    int number = attribute - BLAS_PREFERENCE_ALIGNMENT_A;
    bool alignment = number >= 0 && number < 4;
    void *to = attribute == BLAS_PREFERENCE_WORKSPACE ? (void *)&preference->workspace
               : alignment                            ? (void *)&preference->alignment[number]
                                                      : NULL;
    return set("cublasLtMatmulPreferenceSetAttribute", attribute, to,
               alignment ? sizeof(rt_u32) : sizeof(rt_u64), value, size);
}

/* --- algorithms --- */

static void shape(const struct fake_layout *l, int transposed, rt_i64 *rows, rt_i64 *columns)
{
    *rows = transposed ? l->columns : l->rows;
    *columns = transposed ? l->rows : l->columns;
}

static bool fits(const struct fake_product *p)
{
    rt_i64 a_rows, a_columns, b_rows, b_columns;
    shape(&p->a, p->operation.transpose_a, &a_rows, &a_columns);
    shape(&p->b, p->operation.transpose_b, &b_rows, &b_columns);
    bool whole = a_columns == b_rows && p->d.rows == a_rows && p->d.columns == b_columns
                 && p->c.rows == p->d.rows && p->c.columns == p->d.columns;
    bool types = p->a.type == p->b.type && p->c.type == p->d.type
                 && (p->d.type == BLAS_TYPE_F32 || p->d.type == p->a.type)
                 && (p->operation.compute == BLAS_COMPUTE_F32 || p->a.type == BLAS_TYPE_F32);
    return whole && types && p->a.batch == p->d.batch && p->b.batch == p->d.batch
           && p->c.batch == p->d.batch;
}

static struct fake_product describe(blas_operation operation, blas_layout a, blas_layout b,
                                    blas_layout c, blas_layout d)
{
    return (struct fake_product){.operation = operation->o, .a = a->l, .b = b->l, .c = c->l,
                                 .d = d->l};
}

blas_status cublasLtMatmulAlgoGetHeuristic(blas_handle handle, blas_operation operation,
                                           blas_layout a, blas_layout b, blas_layout c,
                                           blas_layout d, blas_preference preference, int wanted,
                                           struct blas_choice *choices, int *found)
{
    struct fake_product product = describe(operation, a, b, c, d);
    ENTER("cublasLtMatmulAlgoGetHeuristic");
    if (state.recording || handle->context != state.current || wanted < 1)
        return fault(INVALID_VALUE, "cublasLtMatmulAlgoGetHeuristic: not now; ");
    *found = 0;
    if (!fits(&product))
        return fault(INVALID_VALUE, "cublasLtMatmulAlgoGetHeuristic: no such product; ");
    if (pretended("FAKE_CUBLAS_NONE", 0) || preference->workspace < WORKSPACE)
        return NOT_SUPPORTED;
    *found = 1;
    memset(choices, 0, sizeof *choices);
    choices->workspace = WORKSPACE;
    choices->algorithm.data[0] = MAGIC + ++state.algorithms;
    for (int i = 0; i < 4; i++)
        choices->algorithm.data[1 + i] = preference->alignment[i];
    return BLAS_OK;
}

/* --- products --- */

static size_t size_of(int type)
{
    return type == BLAS_TYPE_F32 ? 4 : 2;
}

/* The whole of a matrix lies in device memory, at a multiple of what the algorithm was for. */
static bool stands(const struct fake_layout *l, const void *at, rt_u64 alignment)
{
    rt_i64 count = (l->batch - 1) * l->stride + (l->columns - 1) * l->pitch + l->rows;
    return (size_t)at % alignment == 0 && in_device(at, (size_t)count * size_of(l->type));
}

static bool bias_stands(const struct fake_product *p)
{
    return p->operation.epilogue != BLAS_EPILOGUE_BIAS
           || in_device(p->operation.bias, (size_t)p->d.rows * size_of(p->d.type));
}

/* The first product of an algorithm loads its code, which cannot be recorded. */
static bool known_algorithm(const struct blas_algorithm *algorithm)
{
    rt_u64 number = algorithm->data[0] - MAGIC;
    if (number < 1 || number > (rt_u64)state.algorithms || number >= ALGORITHMS_MOST)
        return false;
    if (state.recording && !state.loaded[number])
        return false;
    state.loaded[number] = true;
    return true;
}

blas_status cublasLtMatmul(blas_handle handle, blas_operation operation, const void *alpha,
                           const void *a, blas_layout a_layout, const void *b,
                           blas_layout b_layout, const void *beta, const void *c,
                           blas_layout c_layout, void *d, blas_layout d_layout,
                           const struct blas_algorithm *algorithm, void *workspace,
                           size_t workspace_bytes, cuda_stream stream)
{
    struct fake_product product = describe(operation, a_layout, b_layout, c_layout, d_layout);
    ENTER("cublasLtMatmul");
    memcpy(&product.beta, beta, sizeof product.beta);
    float factor;
    memcpy(&factor, alpha, sizeof factor);
    if (handle->context != state.current || factor != 1 || !fits(&product) || !stream)
        return fault(INVALID_VALUE, "cublasLtMatmul: no such product; ");
    if (!known_algorithm(algorithm))
        return fault(INVALID_VALUE, "cublasLtMatmul: the algorithm cannot be used; ");
    if (!stands(&product.a, a, algorithm->data[1]) || !stands(&product.b, b, algorithm->data[2])
        || !stands(&product.c, c, algorithm->data[3]) || !stands(&product.d, d, algorithm->data[4])
        || !bias_stands(&product))
        return fault(INVALID_VALUE, "cublasLtMatmul: an operand is not where it may be; ");
    if (workspace_bytes < WORKSPACE || !in_device(workspace, workspace_bytes)
        || (size_t)workspace % 16)
        return fault(INVALID_VALUE, "cublasLtMatmul: wrong workspace; ");
    product.at[0] = a;
    product.at[1] = b;
    product.at[2] = c;
    product.result = d;
    product.workspace = workspace;
    note("%s:product ", stream->capture ? "record" : "launch");
    return fake_queue_product(stream, &product);
}

/* --- numbers --- */

static double load(int type, const void *at, rt_i64 index)
{
    rt_u32 bits;
    float value;
    if (type == BLAS_TYPE_F32)
        return ((const float *)at)[index];
    bits = (rt_u32)((const unsigned short *)at)[index] << 16;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void store(int type, void *at, rt_i64 index, double number)
{
    float value = (float)number;
    rt_u32 bits;
    if (type == BLAS_TYPE_F32) {
        ((float *)at)[index] = value;
        return;
    }
    memcpy(&bits, &value, sizeof bits);
    bits += 0x7fff + (bits >> 16 & 1);
    ((unsigned short *)at)[index] = (unsigned short)(bits >> 16);
}

/* Element (row, column) of op(matrix) number z, where op is a transpose or nothing. */
static double element(const struct fake_layout *l, const void *at, int transposed, rt_i64 z,
                      rt_i64 row, rt_i64 column)
{
    rt_i64 within = transposed ? column + row * l->pitch : row + column * l->pitch;
    return load(l->type, at, z * l->stride + within);
}

static void compute_element(const struct fake_product *p, rt_i64 z, rt_i64 row, rt_i64 column)
{
    const struct fake_operation *o = &p->operation;
    rt_i64 depth = o->transpose_a ? p->a.rows : p->a.columns;
    double sum = 0;
    for (rt_i64 k = 0; k < depth; k++)
        sum += element(&p->a, p->at[0], o->transpose_a, z, row, k)
               * element(&p->b, p->at[1], o->transpose_b, z, k, column);
    if (p->beta != 0)
        sum += p->beta * element(&p->c, p->at[2], 0, z, row, column);
    if (o->epilogue == BLAS_EPILOGUE_BIAS)
        sum += load(p->d.type, o->bias, row);
    store(p->d.type, p->result, z * p->d.stride + row + column * p->d.pitch, sum);
}

void fake_compute_product(const struct fake_product *p)
{
    memset(p->workspace, 0xee, WORKSPACE);
    for (rt_i64 z = 0; z < p->d.batch; z++)
        for (rt_i64 column = 0; column < p->d.columns; column++)
            for (rt_i64 row = 0; row < p->d.rows; row++)
                compute_element(p, z, row, column);
}
