/* Single elements of structured ops on demand. */
#include "ir/interp_demand.h"

#include <math.h>
#include <stdlib.h>

/* --- products and sums --- */

double element_matmul(struct demand *d, const struct node *node, int result, int64_t flat)
{
    const struct type *a = &node->operands[0]->type, *b = &node->operands[1]->type;
    int rank = a->rank, transa = node_int(node, transa) != 0, transb = node_int(node, transb) != 0;
    int64_t index[MAX_RANK], left[MAX_RANK], right[MAX_RANK];
    split_index(&node->results[result].type, flat, index);
    for (int i = 0; i < rank; i++)
        left[i] = right[i] = index[i];
    int64_t *second = right + (b->rank == 2 ? rank - 2 : 0);
    left[rank - 2 + transa] = index[rank - 2];
    second[b->rank - 1 - transb] = index[rank - 1];
    double sum = 0;
    for (int64_t k = 0; k < a->dims[rank - 1 - transa]; k++) {
        left[rank - 1 - transa] = second[b->rank - 2 + transb] = k;
        sum += demand_operand(d, node, 0, join_index(a, left)) *
               demand_operand(d, node, 1, join_index(b, second));
    }
    return sum;
}

double element_scatter_add(struct demand *d, const struct node *node, int result, int64_t flat)
{
    const struct type *type = &node->results[result].type;
    int64_t run = type_elements(type) / type->dims[0],
            ids = type_elements(&node->operands[0]->type);
    double sum = 0;
    for (int64_t i = 0; i < ids; i++)
        if (clamp_index(demand_operand(d, node, 0, i), type->dims[0]) == flat / run)
            sum += demand_operand(d, node, 1, i * run + flat % run);
    return sum;
}

/* --- convolutions --- */

struct taps { /* the geometry of a convolution, from its three types */
    const struct type *x, *w, *y;
    const int64_t *stride, *pad;
    int64_t each; /* filters of a group */
};

static struct taps describe(const struct node *node, const struct type *x, const struct type *w,
                            const struct type *y)
{
    int count;
    return (struct taps){x,
                         w,
                         y,
                         node_list(node, stride, &count),
                         node_list(node, pad, &count),
                         w->dims[0] / node_int(node, groups)};
}

/* Row or column of x that output position `out` reads at tap `tap`, -1 if outside. */
static int64_t input_at(const struct taps *t, int axis, int64_t out, int64_t tap)
{
    int64_t at = out * t->stride[axis] + tap - t->pad[2 * axis];
    return at >= 0 && at < t->x->dims[1 + axis] ? at : -1;
}

/* Index 0 of output positions that read `in` at `tap`, -1 if there is none. */
static int64_t output_at(const struct taps *t, int axis, int64_t in, int64_t tap)
{
    int64_t at = in + t->pad[2 * axis] - tap;
    bool reads = at >= 0 && at % t->stride[axis] == 0;
    at /= t->stride[axis];
    return reads && at < t->y->dims[1 + axis] ? at : -1;
}

double element_conv2d(struct demand *d, const struct node *node, int result, int64_t flat)
{
    struct taps t = describe(node, &node->operands[0]->type, &node->operands[1]->type,
                             &node->results[result].type);
    int64_t y[4];
    double sum = 0;
    split_index(t.y, flat, y);
    for (int64_t i = 0; i < t.w->dims[1]; i++)
        for (int64_t j = 0; j < t.w->dims[2]; j++) {
            int64_t row = input_at(&t, 0, y[1], i), col = input_at(&t, 1, y[2], j);
            for (int64_t k = 0; row >= 0 && col >= 0 && k < t.w->dims[3]; k++) {
                int64_t x[4] = {y[0], row, col, y[3] / t.each * t.w->dims[3] + k};
                int64_t w[4] = {y[3], i, j, k};
                sum += demand_operand(d, node, 0, join_index(t.x, x)) *
                       demand_operand(d, node, 1, join_index(t.w, w));
            }
        }
    return sum;
}

double element_conv2d_input(struct demand *d, const struct node *node, int result, int64_t flat)
{
    struct taps t = describe(node, &node->results[result].type, &node->operands[0]->type,
                             &node->operands[1]->type);
    int64_t x[4];
    double sum = 0;
    split_index(t.x, flat, x);
    int64_t group = t.w->dims[3] ? x[3] / t.w->dims[3] : 0;
    for (int64_t i = 0; i < t.w->dims[1]; i++)
        for (int64_t j = 0; j < t.w->dims[2]; j++) {
            int64_t row = output_at(&t, 0, x[1], i), col = output_at(&t, 1, x[2], j);
            for (int64_t o = 0; row >= 0 && col >= 0 && o < t.each; o++) {
                int64_t w[4] = {group * t.each + o, i, j, x[3] % t.w->dims[3]};
                int64_t y[4] = {x[0], row, col, group * t.each + o};
                sum += demand_operand(d, node, 0, join_index(t.w, w)) *
                       demand_operand(d, node, 1, join_index(t.y, y));
            }
        }
    return sum;
}

double element_conv2d_filter(struct demand *d, const struct node *node, int result, int64_t flat)
{
    struct taps t = describe(node, &node->operands[0]->type, &node->results[result].type,
                             &node->operands[1]->type);
    int64_t w[4];
    double sum = 0;
    split_index(t.w, flat, w);
    for (int64_t n = 0; n < t.x->dims[0]; n++)
        for (int64_t r = 0; r < t.y->dims[1]; r++)
            for (int64_t c = 0; c < t.y->dims[2]; c++) {
                int64_t row = input_at(&t, 0, r, w[1]), col = input_at(&t, 1, c, w[2]);
                if (row < 0 || col < 0)
                    continue;
                int64_t x[4] = {n, row, col, w[0] / t.each * t.w->dims[3] + w[3]};
                int64_t y[4] = {n, r, c, w[0]};
                sum += demand_operand(d, node, 0, join_index(t.x, x)) *
                       demand_operand(d, node, 1, join_index(t.y, y));
            }
    return sum;
}

/* --- attention --- */

/* The score of key `slot` for the query at q (batch, query, head), -infinity if unseen. */
static double score(struct demand *d, const struct node *node, const int64_t *q, int64_t slot)
{
    const struct type *tq = &node->operands[0]->type, *tk = &node->operands[1]->type;
    int64_t first = node_int(node, cached) ? (int64_t)demand_operand(d, node, 3, q[0]) : 0;
    int64_t position =
        slot_position(node_int(node, ring), tk->dims[1], slot, first + tq->dims[1] - 1);
    double sum = 0;
    if (!key_visible(node, first + q[1], position))
        return -INFINITY;
    for (int64_t i = 0; i < tq->dims[3]; i++) {
        int64_t left[4] = {q[0], q[1], q[2], i};
        int64_t right[4] = {q[0], slot, q[2] / (tq->dims[2] / tk->dims[2]), i};
        sum += demand_operand(d, node, 0, join_index(tq, left)) *
               demand_operand(d, node, 1, join_index(tk, right));
    }
    sum *= node_real(node, scale);
    if (node_int(node, biased)) {
        int last = node->operand_count - 1;
        const struct type *tb = &node->operands[last]->type;
        int64_t at[4] = {q[0], q[2], q[1], slot};
        for (int i = 0; i < 4; i++)
            at[i] = tb->dims[i] == 1 ? 0 : at[i];
        sum += demand_operand(d, node, last, join_index(tb, at));
    }
    return sum;
}

double element_attention(struct demand *d, const struct node *node, int result, int64_t flat)
{
    const struct type *tk = &node->operands[1]->type, *tq = &node->results[result].type;
    int64_t q[4], slots = tk->dims[1];
    double largest = -INFINITY, total = 0, sum = 0;
    double *scores = calloc((size_t)slots + 1, sizeof *scores);
    if (!scores)
        fatal(OUT_OF_MEMORY, (size_t)slots * sizeof *scores);
    split_index(tq, flat, q);
    for (int64_t j = 0; j < slots; j++) {
        scores[j] = score(d, node, q, j);
        largest = scores[j] > largest ? scores[j] : largest;
    }
    for (int64_t j = 0; j < slots; j++)
        total += scores[j] = scores[j] == -INFINITY ? 0 : exp(scores[j] - largest);
    for (int64_t j = 0; j < slots; j++) {
        int64_t v[4] = {q[0], j, q[2] / (tq->dims[2] / tk->dims[2]), q[3]};
        if (scores[j] != 0)
            sum += scores[j] / total * demand_operand(d, node, 2, join_index(tk, v));
    }
    free(scores);
    return sum;
}

/* --- state --- */

/* The last new row that goes to the slot wins. */
double element_update(struct demand *d, const struct node *node, int result, int64_t flat)
{
    const struct type *cache = &node->results[result].type, *rows = &node->operands[1]->type;
    int64_t index[MAX_RANK], chunk = rows->dims[1], slots = cache->dims[1];
    split_index(cache, flat, index);
    double count = demand_operand(d, node, 3, index[0]);
    int64_t first = (int64_t)demand_operand(d, node, 2, index[0]), slot = index[1];
    for (int64_t i = chunk - 1; i >= 0; i--) {
        int64_t at = first + i;
        at = node_int(node, ring) && at >= 0 ? at % slots : at;
        if ((double)i >= count || at != slot)
            continue;
        index[1] = i;
        return demand_operand(d, node, 1, join_index(rows, index));
    }
    return demand_operand(d, node, 0, flat);
}

double element_mark(struct demand *d, const struct node *node, int result, int64_t flat)
{
    int64_t width = node->results[result].type.dims[1], row = flat / width;
    int64_t chunk = node->operands[1]->type.dims[1];
    double count = demand_operand(d, node, 2, row);
    for (int64_t i = 0; i < chunk && (double)i < count; i++)
        if (demand_operand(d, node, 1, row * chunk + i) == (double)(flat % width))
            return 1;
    return demand_operand(d, node, 0, flat);
}

/* --- along an axis --- */

double element_sort(struct demand *d, const struct node *node, int result, int64_t flat)
{
    const struct type *type = &node->results[result].type;
    int64_t index[MAX_RANK], axis = node_int(node, axis), extent = type->dims[axis];
    split_index(type, flat, index);
    int64_t wanted = index[axis];
    struct sort_item *items = calloc((size_t)extent, sizeof *items);
    if (!items)
        fatal(OUT_OF_MEMORY, (size_t)extent * sizeof *items);
    for (int64_t i = 0; i < extent; i++) {
        index[axis] = i;
        items[i] = (struct sort_item){demand_operand(d, node, 0, join_index(type, index)), i};
    }
    struct sort_item found = select_item(items, extent, wanted, node_int(node, descending));
    free(items);
    return result == 0 ? found.number : (double)found.index;
}

double element_cumsum(struct demand *d, const struct node *node, int result, int64_t flat)
{
    const struct type *type = &node->results[result].type;
    int64_t index[MAX_RANK], axis = node_int(node, axis);
    split_index(type, flat, index);
    int64_t end = index[axis] + (node_int(node, exclusive) ? 0 : 1);
    double sum = 0;
    for (int64_t i = 0; i < end; i++) {
        index[axis] = i;
        sum += demand_operand(d, node, 0, join_index(type, index));
    }
    return sum;
}
