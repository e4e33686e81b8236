/* Products, sums by index, updates, sorts and running sums on whole tensors. */
#include "ir/interp_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double *scratch(int64_t count)
{
    size_t bytes = (size_t)(count ? count : 1) * sizeof(double);
    double *numbers = malloc(bytes);
    if (!numbers)
        fatal(OUT_OF_MEMORY, bytes);
    return numbers;
}

/* --- matmul --- */

/* out[n][m] = in[m][n], or a plain copy. */
static void lay_out(double *out, const double *in, int64_t rows, int64_t cols, bool transpose)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++)
            out[transpose ? c * rows + r : r * cols + c] = in[r * cols + c];
}

/* y[M,N] += a[M,K] b[K,N]; rows of b run along, so that the inner loop is contiguous. */
static void multiply(double *y, const double *a, const double *b, int64_t m, int64_t k, int64_t n)
{
    for (int64_t i = 0; i < m; i++)
        for (int64_t p = 0; p < k; p++) {
            const double factor = a[i * k + p], *restrict row = b + p * n;
            double *restrict out = y + i * n;
            for (int64_t j = 0; j < n; j++)
                out[j] += factor * row[j];
        }
}

void interpret_matmul(const struct interp_call *call)
{
    const struct type *type = call_result(call), *ta = call_type(call, 0);
    const struct type *tb = call_type(call, 1);
    bool transa = node_int(call->node, transa), transb = node_int(call->node, transb);
    int64_t m = type->dims[type->rank - 2], n = type->dims[type->rank - 1], batch = 1;
    int64_t k = ta->dims[ta->rank - 1 - transa];
    for (int i = 0; i < type->rank - 2; i++)
        batch *= type->dims[i];
    double *a = scratch(m * k), *b = scratch(k * n);
    for (int64_t i = 0; i < batch * m * n; i++)
        call->out[0][i] = 0;
    for (int64_t g = 0; g < batch; g++) {
        bool shared = tb->rank == 2 && ta->rank > 2;
        lay_out(a, call->in[0] + g * m * k, transa ? k : m, transa ? m : k, transa);
        if (g == 0 || !shared)
            lay_out(b, call->in[1] + (shared ? 0 : g * k * n), transb ? n : k, transb ? k : n,
                    transb);
        multiply(call->out[0] + g * m * n, a, b, m, k, n);
    }
    free(a);
    free(b);
}

/* --- sums by index --- */

void interpret_scatter_add(const struct interp_call *call)
{
    const struct type *type = call_result(call);
    int64_t rows = type->dims[0], ids = type_elements(call_type(call, 0));
    int64_t count = type_elements(type), run = 1;
    for (int i = 1; i < type->rank; i++)
        run *= type->dims[i];
    for (int64_t i = 0; i < count; i++)
        call->out[0][i] = 0;
    for (int64_t i = 0; rows && i < ids; i++) {
        double *row = call->out[0] + clamp_index(call->in[0][i], rows) * run;
        for (int64_t k = 0; k < run; k++)
            row[k] += call->in[1][i * run + k];
    }
}

/* --- state --- */

static void copy_first(const struct interp_call *call)
{
    size_t count = (size_t)type_elements(call_result(call));
    if (count)
        memcpy(call->out[0], call->in[0], count * sizeof(double));
}

/* Rows that would go outside the cache are not stored. */
void interpret_update(const struct interp_call *call)
{
    const struct type *cache = call_type(call, 0), *rows = call_type(call, 1);
    int64_t slots = cache->dims[1], chunk = rows->dims[1], run = 1;
    bool ring = node_int(call->node, ring);
    for (int i = 2; i < cache->rank; i++)
        run *= cache->dims[i];
    copy_first(call);
    for (int64_t b = 0; slots && b < cache->dims[0]; b++)
        for (int64_t i = 0; i < chunk && (double)i < call->in[3][b]; i++) {
            int64_t slot = (int64_t)call->in[2][b] + i;
            slot = ring && slot >= 0 ? slot % slots : slot;
            if (slot >= 0 && slot < slots && run)
                memcpy(call->out[0] + (b * slots + slot) * run, call->in[1] + (b * chunk + i) * run,
                       (size_t)run * sizeof(double));
        }
}

void interpret_mark(const struct interp_call *call)
{
    int64_t width = call_type(call, 0)->dims[1], chunk = call_type(call, 1)->dims[1];
    copy_first(call);
    for (int64_t b = 0; b < call_type(call, 0)->dims[0]; b++)
        for (int64_t i = 0; i < chunk && (double)i < call->in[2][b]; i++) {
            double id = call->in[1][b * chunk + i];
            if (id >= 0 && id < (double)width)
                call->out[0][b * width + (int64_t)id] = 1;
        }
}

/* --- along an axis --- */

/* Stable by index; NaN comes last in both orders. */
static int compare_up(const void *x, const void *y)
{
    const struct sort_item *a = x, *b = y;
    if (isnan(a->number) != isnan(b->number))
        return isnan(a->number) ? 1 : -1;
    if (a->number < b->number || a->number > b->number)
        return a->number < b->number ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

static int compare_down(const void *x, const void *y)
{
    struct sort_item a = *(const struct sort_item *)x, b = *(const struct sort_item *)y;
    a.number = -a.number;
    b.number = -b.number;
    return compare_up(&a, &b);
}

void sort_items(struct sort_item *items, int64_t count, bool descending)
{
    qsort(items, (size_t)count, sizeof *items, descending ? compare_down : compare_up);
}

struct sort_item select_item(struct sort_item *items, int64_t count, int64_t wanted,
                             bool descending)
{
    int (*compare)(const void *, const void *) = descending ? compare_down : compare_up;
    int64_t low = 0, high = count - 1;
    while (low < high) {
        struct sort_item pivot = items[low + (high - low) / 2];
        int64_t i = low, j = high;
        while (i <= j) {
            while (compare(&items[i], &pivot) < 0)
                i++;
            while (compare(&items[j], &pivot) > 0)
                j--;
            if (i > j)
                break;
            struct sort_item kept = items[i];
            items[i++] = items[j];
            items[j--] = kept;
        }
        if (wanted <= j)
            high = j;
        else if (wanted >= i)
            low = i;
        else
            break;
    }
    return items[wanted];
}

/* The first element of row r along an axis, where rows are counted over the other axes. */
static int64_t row_start(int64_t r, int64_t extent, int64_t stride)
{
    return r / stride * stride * extent + r % stride;
}

void interpret_sort(const struct interp_call *call)
{
    int64_t strides[MAX_RANK], axis = node_int(call->node, axis);
    int64_t count = row_major(call_result(call), strides);
    int64_t extent = call_result(call)->dims[axis], stride = strides[axis];
    struct sort_item *items = calloc((size_t)(extent ? extent : 1), sizeof *items);
    if (!items)
        fatal(OUT_OF_MEMORY, (size_t)extent * sizeof *items);
    for (int64_t r = 0; extent && r < count / extent; r++) {
        int64_t start = row_start(r, extent, stride);
        for (int64_t i = 0; i < extent; i++)
            items[i] = (struct sort_item){call->in[0][start + i * stride], i};
        sort_items(items, extent, node_int(call->node, descending));
        for (int64_t i = 0; i < extent; i++) {
            call->out[0][start + i * stride] = items[i].number;
            call->out[1][start + i * stride] = (double)items[i].index;
        }
    }
    free(items);
}

void interpret_cumsum(const struct interp_call *call)
{
    int64_t strides[MAX_RANK], axis = node_int(call->node, axis);
    int64_t count = row_major(call_result(call), strides);
    int64_t extent = call_result(call)->dims[axis], stride = strides[axis];
    bool exclusive = node_int(call->node, exclusive);
    for (int64_t r = 0; extent && r < count / extent; r++) {
        int64_t start = row_start(r, extent, stride);
        double sum = 0;
        for (int64_t i = 0; i < extent; i++) {
            double before = sum;
            sum += call->in[0][start + i * stride];
            call->out[0][start + i * stride] = exclusive ? before : sum;
        }
    }
}
