/*
 * The gradient of attention, in primitive ops: scores and softmax are computed again, and the
 * gradient follows from P = softmax(scale Q K^T + bias): dV = P^T dO, dP = dO V^T,
 * dS = P (dP - rowsum(P dP)), dQ = scale dS K, dK = scale dS^T Q (Dao et al. 2022, section 3.1).
 */
#include "passes/grad.h"

#include <math.h>

struct parts {
    struct value *q, *k, *v, *dy; /* [B, G, R T, d] and [B, G, S, d]; R = H / G */
    int64_t batch, queries, heads, slots, groups, size;
};

/* [B, X, H, d] to [B, G, (H / G) X, d]: heads of one group under each other. */
static struct value *by_group(struct gradient *g, const struct parts *p, struct value *x)
{
    int64_t rows = x->type.dims[1], ratio = x->type.dims[2] / p->groups;
    int64_t split[] = {p->batch, rows, p->groups, ratio, p->size};
    int64_t joined[] = {p->batch, p->groups, ratio * rows, p->size};
    x = build_transpose(&g->b, build_reshape(&g->b, x, 5, split), (int64_t[]){0, 2, 3, 1, 4});
    return build_reshape(&g->b, x, 4, joined);
}

/* The inverse, for `heads` heads. */
static struct value *by_row(struct gradient *g, const struct parts *p, struct value *x,
                            int64_t rows, int64_t heads)
{
    int64_t split[] = {p->batch, p->groups, heads / p->groups, rows, p->size};
    int64_t joined[] = {p->batch, rows, heads, p->size};
    x = build_transpose(&g->b, build_reshape(&g->b, x, 5, split), (int64_t[]){0, 3, 1, 2, 4});
    return build_reshape(&g->b, x, 4, joined);
}

/* bool[T,S]: what {causal window} lets a query see; NULL if everything. */
static struct value *visible(struct gradient *g, const struct parts *p, const struct node *node)
{
    int64_t dims[] = {p->queries, p->slots}, window = node_int(node, window);
    struct value *query = build_iota(&g->b, DTYPE_i32, 2, dims, 0), *seen = NULL;
    struct value *key = build_iota(&g->b, DTYPE_i32, 2, dims, 1);
    if (node_int(node, causal))
        seen = build_binary(&g->b, OP_le, key, query);
    if (!window)
        return seen;
    query = build_binary(&g->b, OP_sub, query, build_constant(&g->b, DTYPE_i32, (double)window));
    struct value *near = build_binary(&g->b, OP_gt, key, query);
    return seen ? build_binary(&g->b, OP_and, seen, near) : near;
}

/* [B or 1, H or 1, T or 1, S] or [T, S] repeated to [B, G, R T, S]. */
static struct value *repeat(struct gradient *g, const struct parts *p, struct value *x)
{
    int64_t full[] = {p->batch, p->heads, p->queries, p->slots};
    int64_t grouped[] = {p->batch, p->groups, p->heads / p->groups * p->queries, p->slots};
    return build_reshape(&g->b, build_broadcast(&g->b, x, 4, full), 4, grouped);
}

/* softmax of the scores; exactly zero where a key is not seen. */
static struct value *weights(struct gradient *g, const struct parts *p, const struct node *node)
{
    struct builder *b = &g->b;
    enum dtype dtype = p->q->type.dtype;
    struct value *scores = build_matmul(b, p->q, p->k, false, true);
    scores = build_binary(b, OP_mul, scores, build_constant(b, dtype, node_real(node, scale)));
    if (node_int(node, biased))
        scores =
            build_binary(b, OP_add, scores, repeat(g, p, node->operands[node->operand_count - 1]));
    struct value *seen = visible(g, p, node);
    if (seen)
        scores = build_select(b, repeat(g, p, seen), scores, build_constant(b, dtype, -INFINITY));
    const struct type *type = &scores->type;
    struct value *total = build_reduce(b, OP_logsumexp, scores, (int64_t[]){3}, 1);
    struct value *none = build_binary(b, OP_eq, total, build_constant(b, dtype, -INFINITY));
    total = build_select(b, none, build_constant(b, dtype, 0), total);
    total = build_broadcast(b, total, type->rank, type->dims);
    return build_unary(b, OP_exp, build_binary(b, OP_sub, scores, total));
}

static void add_bias_gradient(struct gradient *g, const struct parts *p, const struct node *node,
                              struct value *ds)
{
    int last = node->operand_count - 1;
    int64_t full[] = {p->batch, p->heads, p->queries, p->slots};
    if (!node_int(node, biased) || !gradient_wanted(g, node, last))
        return;
    ds = build_reshape(&g->b, ds, 4, full);
    gradient_add(g, node, last, gradient_reduce_to(g, ds, &node->operands[last]->type));
}

static void add_gradients(struct gradient *g, const struct parts *p, const struct node *node)
{
    struct builder *b = &g->b;
    struct value *probability = weights(g, p, node);
    const struct type *type = &probability->type;
    struct value *dp = build_matmul(b, p->dy, p->v, false, true);
    struct value *mean =
        build_reduce(b, OP_sum, build_binary(b, OP_mul, probability, dp), (int64_t[]){3}, 1);
    mean = build_broadcast(b, mean, type->rank, type->dims);
    struct value *ds = build_binary(b, OP_mul, probability, build_binary(b, OP_sub, dp, mean));
    add_bias_gradient(g, p, node, ds);
    ds = build_binary(b, OP_mul, ds, build_constant(b, p->q->type.dtype, node_real(node, scale)));
    if (gradient_wanted(g, node, 0))
        gradient_add(g, node, 0,
                     by_row(g, p, build_matmul(b, ds, p->k, false, false), p->queries, p->heads));
    if (gradient_wanted(g, node, 1))
        gradient_add(g, node, 1,
                     by_row(g, p, build_matmul(b, ds, p->q, true, false), p->slots, p->groups));
    if (gradient_wanted(g, node, 2))
        gradient_add(
            g, node, 2,
            by_row(g, p, build_matmul(b, probability, p->dy, true, false), p->slots, p->groups));
}

void gradient_attention(struct gradient *g, const struct node *node, struct value *dy)
{
    const struct type *q = &node->operands[0]->type, *k = &node->operands[1]->type;
    struct parts p = {.batch = q->dims[0],
                      .queries = q->dims[1],
                      .heads = q->dims[2],
                      .slots = k->dims[1],
                      .groups = k->dims[2],
                      .size = q->dims[3]};
    if (node_int(node, cached))
        fatal_at(node->location, GRAD_MISSING, "attention over a cache");
    p.q = by_group(g, &p, node->operands[0]);
    p.k = by_group(g, &p, node->operands[1]);
    p.v = by_group(g, &p, node->operands[2]);
    p.dy = by_group(g, &p, dy);
    add_gradients(g, &p, node);
}
