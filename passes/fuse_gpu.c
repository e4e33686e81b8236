/* See fuse_gpu.h. */
#include "passes/fuse_gpu.h"

#include "passes/fuse_pairs.h"

enum { SMALL_LOOP = 65536 }; /* elements of loops that are worth less than a launch */

/* --- segments --- */

static bool is_living_product(const struct groups *groups, int group)
{
    const struct group *g = &groups->list.items[group];
    return g->merged < 0 && groups_is_product(g);
}

/* By bit: the products of the group that a node depends on; `reach` by position of the nodes. */
static unsigned find_reach(struct groups *groups, int group, int position, unsigned *reach,
                           int *products)
{
    const struct fuse_graph *graph = groups->graph;
    unsigned bits = 0;
    for (size_t i = 0; i < graph->needs[position].count; i++) {
        int from = fuse_position(graph, graph->needs[position].items[i].value);
        bits |= from >= 0 && groups_of(groups, from) == group ? reach[from] : 0;
    }
    if (graph->nodes[position]->op == OP_matmul)
        bits = 1u << ((*products)++ % 32);
    return reach[position] = bits;
}

/* Products of the group that meet in one value, the same number everywhere; else 0. */
static int count_partners(struct groups *groups, int group)
{
    enum { MOST = 32 };
    struct fuse_graph *graph = groups->graph;
    unsigned *reach = arena_array(graph->module->arena, unsigned, (size_t)graph->count + 1);
    unsigned together[MOST] = {0};
    int products = 0, count = 0;
    for (int p = 0; p < graph->count; p++) {
        unsigned bits =
            groups_of(groups, p) == group ? find_reach(groups, group, p, reach, &products) : 0;
        for (int i = 0; i < MOST; i++)
            together[i] |= bits >> i & 1 ? bits : 0;
    }
    for (int i = 0; i < products && i < MOST; i++) {
        int size = __builtin_popcount(together[i]);
        if (count != 0 && size != count)
            return 0;
        count = size;
    }
    return products <= MOST ? count : 0;
}

/* The type of the first product's right operand as it stands in memory. */
static enum dtype stored_type(const struct groups *groups, int group)
{
    const struct value *value = groups->list.items[group].anchor->operands[1];
    while (value->node->op == OP_cast || value->node->op == OP_reshape ||
           value->node->op == OP_transpose)
        value = value->node->operands[0];
    return value->type.dtype;
}

/* Segments of one kernel have as many partners each, and weights of one type. */
static bool are_alike(struct groups *groups, int into, int from)
{
    int partners = count_partners(groups, into);
    return partners > 0 && partners == count_partners(groups, from) &&
           stored_type(groups, into) == stored_type(groups, from);
}

/* By value id of a left operand: the last product group that has it, + 1. */
static void merge_segments(struct groups *groups)
{
    struct module *module = groups->graph->module;
    int *last = arena_array(module->arena, int, module->next_value);
    for (int group = 0; group < (int)groups->list.count; group++) {
        if (!is_living_product(groups, group))
            continue;
        int *other = &last[groups->list.items[group].anchor->operands[0]->id];
        int into = *other ? groups_find(groups, *other - 1) : -1;
        if (into < 0 || !are_alike(groups, into, group) || !groups_merge(groups, into, group))
            *other = group + 1;
    }
}

/* --- who reads --- */

/* Whether a node of the group is a result of the function. */
static bool is_bound(struct groups *groups, int group)
{
    const struct function *function = groups->graph->function;
    for (size_t i = 0; i < function->bindings.count; i++) {
        int position = fuse_position(groups->graph, function->bindings.items[i].value);
        if (position >= 0 && groups_of(groups, position) == group)
            return true;
    }
    return false;
}

/* The one group whose products read `only`, if nothing else of `from` is read outside; -1. */
static int sole_reader(struct groups *groups, int from, const struct value *only)
{
    int reader = -1;
    struct fuse_graph *graph = groups->graph;
    for (int p = 0; p < graph->count; p++) {
        int group = groups_of(groups, p);
        for (size_t i = 0; group != from && i < graph->needs[p].count; i++) {
            const struct value *value = graph->needs[p].items[i].value;
            if (groups_of(groups, fuse_position(graph, value)) != from)
                continue;
            if (value != only || graph->nodes[p]->op != OP_matmul ||
                (reader >= 0 && reader != group))
                return -1;
            reader = group;
        }
    }
    return reader;
}

static bool reads_state(const struct groups *groups, int group)
{
    const struct group *g = &groups->list.items[group];
    for (size_t i = 0; i < g->nodes.count; i++)
        if (groups->graph->states[g->nodes.items[i]].count > 0)
            return true;
    return false;
}

/* --- updates --- */

static bool reads_value(const struct groups *groups, int group, const struct value *state)
{
    const struct group *g = &groups->list.items[group];
    for (size_t i = 0; i < g->nodes.count; i++) {
        int position = g->nodes.items[i];
        for (size_t k = 0; k < groups->graph->states[position].count; k++)
            if (groups->graph->states[position].items[k].value == state)
                return true;
    }
    return false;
}

/* The product group whose epilogue computes all that an update stores; -1. */
static int rows_from(struct groups *groups, const struct group *update)
{
    int product = -1;
    int position = fuse_position(groups->graph, &update->anchor->results[0]);
    for (size_t i = 0; i < groups->graph->needs[position].count; i++) {
        const struct value *value = groups->graph->needs[position].items[i].value;
        int group = groups_of(groups, fuse_position(groups->graph, value));
        if (is_living_product(groups, group) && (product < 0 || product == group))
            product = group;
        else
            return -1;
    }
    return product;
}

static void absorb_update(struct groups *groups, int group)
{
    const struct group *g = &groups->list.items[group];
    if (g->merged >= 0 || g->skeleton != SKELETON_update || g->nodes.count != 1)
        return;
    int product = rows_from(groups, g);
    if (product >= 0 && pairs_accept_operand(groups, product, g->anchor->operands[1]) &&
        !reads_value(groups, product, g->anchor->operands[0]))
        groups_merge_effect(groups, product, group);
}

/* --- prologues --- */

/* Whether a group computes the rows of `a`: over its elements, reducing along the rows only. */
static bool computes_rows(const struct group *group, const struct value *a)
{
    const struct type *domain = &group->domain;
    int last = domain->rank - 1;
    if (group->skeleton != SKELETON_loop && group->skeleton != SKELETON_rows)
        return false;
    return last >= 0 && a->type.rank > 0 && type_elements(domain) == type_elements(&a->type) &&
           domain->dims[last] == a->type.dims[a->type.rank - 1] &&
           (group->skeleton == SKELETON_loop || group->reduced == 1u << last);
}

static const struct value *under_reshapes(const struct value *value)
{
    while (value->node->op == OP_reshape)
        value = value->node->operands[0];
    return value;
}

static void absorb_prologue(struct groups *groups, int group)
{
    const struct group *g = &groups->list.items[group];
    if (g->merged >= 0 || g->skeleton != SKELETON_gemv)
        return;
    const struct value *a = under_reshapes(g->anchor->operands[0]);
    int position = fuse_position(groups->graph, a);
    int from = position < 0 ? -1 : groups_of(groups, position);
    if (from < 0 || from == group || !computes_rows(&groups->list.items[from], a) ||
        is_bound(groups, from) || reads_state(groups, from) ||
        sole_reader(groups, from, a) != group)
        return;
    groups_take(groups, group, from);
}

/* --- loops, and reductions, beside each other --- */

static bool is_small_loop(const struct groups *groups, int group)
{
    const struct group *g = &groups->list.items[group];
    return g->merged < 0 && g->skeleton == SKELETON_loop && !g->reduced &&
           type_elements(&g->domain) <= SMALL_LOOP;
}

/* Whether a node of the group reads this value as it is. */
static bool reads(const struct groups *groups, const struct group *g, const struct value *value)
{
    for (size_t i = 0; i < g->nodes.count; i++) {
        const struct node *node = groups->graph->nodes[g->nodes.items[i]];
        for (int k = 0; k < node->operand_count; k++)
            if (node->operands[k] == value)
                return true;
    }
    return false;
}

/* Whether both reduce the same few long rows: one kernel reads them once. */
static bool reduce_together(const struct groups *groups, int a, int b)
{
    const struct group *g = &groups->list.items[a], *other = &groups->list.items[b];
    if (g->merged >= 0 || other->merged >= 0 || !groups_share_rows(groups, g) ||
        !groups_share_rows(groups, other))
        return false;
    for (size_t i = 0; i < g->nodes.count; i++) {
        const struct node *node = groups->graph->nodes[g->nodes.items[i]];
        for (int k = 0; k < node->operand_count; k++)
            if (type_same_dims(&node->operands[k]->type, &g->domain) &&
                reads(groups, other, node->operands[k]))
                return true;
    }
    return false;
}

static void merge_loops(struct groups *groups)
{
    for (int group = 0; group < (int)groups->list.count; group++)
        for (int other = 0; other < group && groups->list.items[group].merged < 0; other++) {
            bool small = is_small_loop(groups, group) && is_small_loop(groups, other);
            if ((small || reduce_together(groups, group, other)) &&
                !groups_depends(groups, group, other) && !groups_depends(groups, other, group))
                groups_merge(groups, other, group);
        }
}

void merge_for_gpu(struct groups *groups)
{
    for (int group = 0; group < (int)groups->list.count; group++)
        absorb_update(groups, group);
    merge_segments(groups);
    for (int group = 0; group < (int)groups->list.count; group++)
        absorb_prologue(groups, group);
    merge_loops(groups);
}

/* --- halves --- */

/* The product of the group that a node's value is computed from; NULL: none. */
static const struct node *product_under(struct groups *groups, int group, int position)
{
    struct fuse_graph *graph = groups->graph;
    if (graph->nodes[position]->op == OP_matmul)
        return graph->nodes[position];
    for (size_t i = 0; i < graph->needs[position].count; i++) {
        int from = fuse_position(graph, graph->needs[position].items[i].value);
        const struct node *product =
            groups_of(groups, from) == group ? product_under(groups, group, from) : NULL;
        if (product)
            return product;
    }
    return NULL;
}

static bool leaves_whole(struct groups *groups, const struct value *value)
{
    int position = fuse_position(groups->graph, value), group = groups_of(groups, position);
    const struct node *product =
        is_living_product(groups, group) ? product_under(groups, group, position) : NULL;
    return !product || (op_info(value->node->op)->flags & OP_EFFECT) ||
           type_elements(&product->results[0].type) == type_elements(&value->type);
}

bool leaves_in_halves(struct groups *groups)
{
    struct fuse_graph *graph = groups->graph;
    const struct function *function = graph->function;
    for (int p = 0; p < graph->count; p++)
        for (size_t i = 0; i < graph->needs[p].count; i++) {
            const struct value *value = graph->needs[p].items[i].value;
            if (groups_of(groups, fuse_position(graph, value)) != groups_of(groups, p) &&
                !leaves_whole(groups, value))
                return true;
        }
    for (size_t i = 0; i < function->bindings.count; i++)
        if (fuse_position(graph, function->bindings.items[i].value) >= 0 &&
            !leaves_whole(groups, function->bindings.items[i].value))
            return true;
    return false;
}
