/* See gpu_blas.h. */
#include "ir/gpu_blas.h"

#include "ir/product.h"
#include "ir/stored_view.h"

#include <string.h>

static const char *const names[PROVIDER_COUNT] = {
    NULL,
#define PROVIDER(name, ...) #name,
#include "ir/providers.def"
};

const char *gpu_provider_name(enum gpu_provider provider)
{
    return names[provider];
}

bool gpu_provider_parse(const char *name, enum gpu_provider *out)
{
    for (int i = PROVIDER_none + 1; i < PROVIDER_COUNT; i++)
        if (strcmp(names[i], name) == 0) {
            *out = (enum gpu_provider)i;
            return true;
        }
    return false;
}

enum gpu_provider gpu_provider(const struct kernel *kernel)
{
    enum gpu_provider provider = PROVIDER_COUNT;
    const char *name = attributes_text(&kernel->attributes, ATTRIBUTE_provider);
    if (!name)
        return PROVIDER_none;
    return gpu_provider_parse(name, &provider) ? provider : PROVIDER_COUNT;
}

/* A kernel while its description is made. */
struct reading {
    const struct function *function;
    const struct kernel *kernel;
    const struct node *product;
    bool padded;
    struct gpu_blas *out;
};

/* --- nodes --- */

/* The one value that leaves the kernel; NULL if there are others, effects, or several products. */
static const struct value *find_result(struct reading *r)
{
    const struct value *result = NULL;
    for (size_t i = 0; i < r->function->nodes.count; i++) {
        const struct node *node = r->function->nodes.items[i];
        if (node->kernel != r->kernel)
            continue;
        bool product = node->op == OP_matmul;
        if ((product && r->product) || (op_info(node->op)->flags & OP_EFFECT))
            return NULL;
        r->product = product ? node : r->product;
        for (int k = 0; k < node->result_count; k++) {
            if (!value_leaves_kernel(r->function, &node->results[k]))
                continue;
            if (result)
                return NULL;
            result = &node->results[k];
        }
    }
    return r->product ? result : NULL;
}

static bool is_own(const struct reading *r, const struct value *value, enum op op)
{
    return value->node->kernel == r->kernel && value->node->op == op;
}

/* The value under reshapes, which keep the order of elements. */
static const struct value *reshaped(const struct reading *r, const struct value *value)
{
    while (is_own(r, value, OP_reshape))
        value = value->node->operands[0];
    return value;
}

/* --- matrices --- */

static int add_operand(struct gpu_blas *out, const struct value *value)
{
    out->operands[out->operand_count] = value;
    return out->operand_count++;
}

static bool in_bounds(int64_t extent)
{
    return extent >= 1 && extent <= INT32_MAX;
}

/* Rows of neighbouring elements, or else columns. */
static bool set_matrix(struct reading *r, const struct stored_view *view, struct gpu_matrix *out)
{
    int64_t rows = view->dims[1], columns = view->dims[2], across = view->strides[2];
    struct gpu_matrix matrix = {.offset = view->offset, .pitch = view->strides[1]};
    matrix.transposed = columns > 1 && across != 1;
    if (matrix.transposed && rows > 1 && view->strides[1] != 1)
        return false;
    int64_t run = matrix.transposed ? rows : columns, lines = matrix.transposed ? columns : rows;
    if (matrix.transposed)
        matrix.pitch = across;
    if (lines == 1)
        matrix.pitch = run;
    if (view->dims[0] > 1)
        matrix.stride = view->strides[0];
    if (matrix.pitch < run || !in_bounds(matrix.pitch) || matrix.stride < 0)
        return false;
    matrix.operand = add_operand(r->out, view->base);
    *out = matrix;
    return true;
}

/* A view as [batch][rows][columns]; a matrix that all of the batch share has no stride. */
static bool as_matrices(struct stored_view *view, int64_t batch, int64_t rows, int64_t columns,
                        bool shared)
{
    const int64_t dims[] = {shared ? 1 : batch, rows, columns};
    if (!stored_view_reshape(view, 3, dims))
        return false;
    if (shared)
        view->strides[0] = 0;
    view->dims[0] = batch;
    return true;
}

/* --- operands of the product --- */

/* The value before what the library does as it reads: f32 to tf32. */
static const struct value *before_rounding(const struct reading *r, const struct value *value)
{
    bool rounds = is_own(r, value, OP_cast) && value->type.dtype == DTYPE_tf32 &&
                  value->node->operands[0]->type.dtype == DTYPE_f32;
    return rounds ? value->node->operands[0] : value;
}

static bool read_factor(struct reading *r, int number, bool transposed, int64_t rows,
                        int64_t columns, struct gpu_matrix *out)
{
    struct stored_view view;
    const struct value *value = before_rounding(r, r->product->operands[number]);
    bool shared = number == 1 && product_extents(r->product).shared_b;
    int64_t lines = transposed ? columns : rows, run = transposed ? rows : columns;
    if (!stored_view(r->kernel, value, r->padded, &view) ||
        !as_matrices(&view, r->out->batch, lines, run, shared) || !set_matrix(r, &view, out))
        return false;
    out->transposed ^= transposed;
    return true;
}

static bool read_product(struct reading *r)
{
    struct gpu_blas *out = r->out;
    const struct node *node = r->product;
    struct product_extents e = product_extents(node);
    enum dtype left = node->operands[0]->type.dtype, right = node->operands[1]->type.dtype;
    bool known = left == DTYPE_bf16 || left == DTYPE_f16 || left == DTYPE_tf32 || left == DTYPE_f32;
    if (!known || left != right || !in_bounds(e.batch) || !in_bounds(e.m) || !in_bounds(e.n) ||
        !in_bounds(e.k))
        return false;
    out->multiply = left;
    out->batch = e.batch;
    out->m = e.m;
    out->n = e.n;
    out->k = e.k;
    return read_factor(r, 0, node_int(node, transa), e.m, e.k, &out->a) &&
           read_factor(r, 1, node_int(node, transb), e.k, e.n, &out->b);
}

/* --- what is added --- */

static bool contains_product(const struct reading *r, const struct value *value)
{
    enum { DEEPEST = 8 };
    value = reshaped(r, value);
    for (int i = 0; i < DEEPEST && is_own(r, value, OP_add); i++) {
        const struct value *left = reshaped(r, value->node->operands[0]);
        const struct value *right = reshaped(r, value->node->operands[1]);
        value = left->node == r->product || is_own(r, left, OP_add) ? left : right;
    }
    return value->node == r->product;
}

/* A residual, or a number for each column. */
static bool read_term(struct reading *r, const struct value *term)
{
    enum { BIAS_BYTES = 16 }; /* where it may begin */
    struct gpu_blas *out = r->out;
    struct stored_view view;
    bool widened = out->result != DTYPE_f32;
    if (widened && !is_own(r, term, OP_cast))
        return false;
    if (widened)
        term = term->node->operands[0];
    if (term->type.dtype != out->result || !stored_view(r->kernel, term, r->padded, &view) ||
        !as_matrices(&view, out->batch, out->m, out->n, false))
        return false;
    bool whole = (out->batch == 1 || view.strides[0] != 0) && (out->m == 1 || view.strides[1] != 0);
    bool row = (out->batch == 1 || view.strides[0] == 0) && (out->m == 1 || view.strides[1] == 0) &&
               (out->n == 1 || view.strides[2] == 1) &&
               view.offset * dtype_bits(out->result) / 8 % BIAS_BYTES == 0;
    if (row && out->bias.operand < 0) {
        out->bias = (struct gpu_matrix){.operand = add_operand(out, view.base),
                                        .offset = view.offset};
        return true;
    }
    return whole && out->c.operand < 0 && set_matrix(r, &view, &out->c) && !out->c.transposed;
}

/* From the result back to the product. */
static bool read_epilogue(struct reading *r, const struct value *result)
{
    const struct value *value = reshaped(r, result);
    struct gpu_blas *out = r->out;
    out->result = value->type.dtype;
    bool narrow = dtype_bits(out->result) == 16 && out->result == out->multiply;
    if (out->result != DTYPE_f32 && !narrow)
        return false;
    if (narrow && is_own(r, value, OP_cast) && value->node->operands[0]->type.dtype == DTYPE_f32)
        value = reshaped(r, value->node->operands[0]);
    else if (narrow)
        return value->node == r->product;
    while (is_own(r, value, OP_add)) {
        const struct value *left = value->node->operands[0], *right = value->node->operands[1];
        bool first = contains_product(r, left);
        if (!read_term(r, first ? right : left))
            return false;
        value = reshaped(r, first ? left : right);
    }
    return value->node == r->product && value->type.dtype == DTYPE_f32;
}

/* --- the whole --- */

static bool read_kernel(struct reading *r)
{
    struct gpu_blas *out = r->out;
    struct stored_view view;
    const struct value *result = find_result(r);
    if (!result || !read_product(r) || !read_epilogue(r, result))
        return false;
    view = stored_view_of(result, r->padded);
    return as_matrices(&view, out->batch, out->m, out->n, false) &&
           set_matrix(r, &view, &out->d) && !out->d.transposed;
}

bool gpu_blas(const struct function *function, const struct kernel *kernel, struct gpu_blas *out)
{
    const struct gpu_blas none = {.c.operand = -1, .bias.operand = -1};
    struct gpu_blas padded;
    bool plain = kernel->skeleton == SKELETON_matmul;
    for (int pass = 0; pass < 2 && plain; pass++) {
        struct reading r = {.function = function, .kernel = kernel, .padded = pass == 0};
        r.out = pass == 0 ? &padded : out;
        *r.out = none;
        plain = read_kernel(&r);
    }
    return plain;
}
