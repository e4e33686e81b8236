/* Attention on whole tensors: scores, softmax and weighted sum of one query at a time. */
#include "ir/interp_internal.h"

#include <math.h>
#include <stdlib.h>

int64_t slot_position(bool ring, int64_t slots, int64_t slot, int64_t last)
{
    if (!ring)
        return slot;
    int64_t behind = (last - slot) % slots; /* the largest position <= last, congruent to slot */
    return last - (behind < 0 ? behind + slots : behind);
}

bool key_visible(const struct node *attention, int64_t query, int64_t key)
{
    int64_t window = node_int(attention, window);
    if (key < 0)
        return false; /* a ring's slot that was never written */
    if (node_int(attention, causal) && key > query)
        return false;
    return !window || key > query - window;
}

struct attention {
    const struct node *node;
    int64_t batch, queries, heads, slots, groups, size;
    const double *q, *k, *v, *pos, *bias;
    int64_t bias_strides[4]; /* 0 where it repeats */
    double scale;
    bool ring;
};

static struct attention describe(const struct interp_call *call)
{
    const struct type *q = call_type(call, 0), *k = call_type(call, 1);
    const struct node *node = call->node;
    struct attention a = {.node = node,
                          .batch = q->dims[0],
                          .queries = q->dims[1],
                          .heads = q->dims[2],
                          .slots = k->dims[1],
                          .groups = k->dims[2],
                          .size = q->dims[3],
                          .q = call->in[0],
                          .k = call->in[1],
                          .v = call->in[2],
                          .scale = node_real(node, scale),
                          .ring = node_int(node, ring)};
    if (node_int(node, cached))
        a.pos = call->in[3];
    if (node_int(node, biased)) {
        const struct type *bias = call_type(call, node->operand_count - 1);
        a.bias = call->in[node->operand_count - 1];
        row_major(bias, a.bias_strides);
        for (int i = 0; i < 4; i++)
            a.bias_strides[i] = bias->dims[i] == 1 ? 0 : a.bias_strides[i];
    }
    return a;
}

struct query {
    int64_t batch, index, head;
};

/* The score of a key for a query, -infinity if it is not seen. */
static double score(const struct attention *a, struct query at, int64_t slot)
{
    int64_t first = a->pos ? (int64_t)a->pos[at.batch] : 0;
    int64_t position = slot_position(a->ring, a->slots, slot, first + a->queries - 1);
    if (!key_visible(a->node, first + at.index, position))
        return -INFINITY;
    int64_t group = at.head / (a->heads / a->groups);
    const double *q = a->q + ((at.batch * a->queries + at.index) * a->heads + at.head) * a->size;
    const double *k = a->k + ((at.batch * a->slots + slot) * a->groups + group) * a->size;
    double sum = 0;
    for (int64_t i = 0; i < a->size; i++)
        sum += q[i] * k[i];
    sum *= a->scale;
    if (a->bias)
        sum += a->bias[at.batch * a->bias_strides[0] + at.head * a->bias_strides[1] +
                       at.index * a->bias_strides[2] + slot * a->bias_strides[3]];
    return sum;
}

/* A query that sees no key gives zeros. */
static void attend(const struct attention *a, struct query at, double *weights, double *out)
{
    double largest = -INFINITY, total = 0;
    int64_t group = at.head / (a->heads / a->groups);
    for (int64_t j = 0; j < a->slots; j++) {
        weights[j] = score(a, at, j);
        largest = weights[j] > largest ? weights[j] : largest;
    }
    for (int64_t j = 0; j < a->slots; j++) {
        weights[j] = weights[j] == -INFINITY ? 0 : exp(weights[j] - largest);
        total += weights[j];
    }
    for (int64_t i = 0; i < a->size; i++)
        out[i] = 0;
    for (int64_t j = 0; j < a->slots; j++) {
        const double *v = a->v + ((at.batch * a->slots + j) * a->groups + group) * a->size;
        for (int64_t i = 0; weights[j] != 0 && i < a->size; i++)
            out[i] += weights[j] / total * v[i];
    }
}

void interpret_attention(const struct interp_call *call)
{
    struct attention a = describe(call);
    double *weights = calloc((size_t)a.slots + 1, sizeof *weights);
    if (!weights)
        fatal(OUT_OF_MEMORY, (size_t)a.slots * sizeof *weights);
    for (int64_t b = 0; b < a.batch; b++)
        for (int64_t i = 0; i < a.queries; i++)
            for (int64_t h = 0; h < a.heads; h++)
                attend(&a, (struct query){b, i, h}, weights,
                       call->out[0] + ((b * a.queries + i) * a.heads + h) * a.size);
    free(weights);
}
