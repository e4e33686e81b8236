/* See fuse_groups.h. */
#include "passes/fuse_groups.h"

#include "ir/product.h"
#include "passes/fuse_pairs.h"

/* Batches of at most so many rows stream the stored weights through once; on GPUs, by the
 * cores or with the weights as the rows of tensor-core tiles. */
enum { GEMV_ROWS = 15, GPU_GEMV_ROWS = 4, GPU_GEMV_BYTES = 120 << 10, GPU_SKINNY_ROWS = 64 };

struct groups groups_create(struct fuse_graph *graph, bool pairs)
{
    struct groups groups = {.graph = graph, .pairs = pairs};
    groups.of = arena_array(graph->module->arena, int, (size_t)graph->count + 1);
    for (int i = 0; i < graph->count; i++)
        groups.of[i] = -1;
    return groups;
}

int groups_find(struct groups *groups, int group)
{
    while (groups->list.items[group].merged >= 0)
        group = groups->list.items[group].merged;
    return group;
}

int groups_of(struct groups *groups, int position)
{
    int group = groups->of[position];
    return group < 0 ? -1 : groups_find(groups, group);
}

/* --- what a node needs from a memory graph of groups --- */

static bool depends(struct groups *groups, int group, int target, int first)
{
    struct group *g = &groups->list.items[group];
    if (group == target)
        return true;
    if (g->mark == groups->search || g->last < first)
        return false;
    g->mark = groups->search;
    for (size_t i = 0; i < g->after.count; i++)
        if (depends(groups, groups_find(groups, g->after.items[i]), target, first))
            return true;
    for (size_t i = 0; i < g->nodes.count; i++) {
        int position = groups->list.items[group].nodes.items[i];
        for (size_t k = 0; k < groups->graph->needs[position].count; k++) {
            const struct value *value = groups->graph->needs[position].items[k].value;
            int other = groups_of(groups, fuse_position(groups->graph, value));
            if (other >= 0 && other != group && depends(groups, other, target, first))
                return true;
        }
    }
    return false;
}

bool groups_depends(struct groups *groups, int group, int target)
{
    groups->search++;
    return depends(groups, group, target, groups->list.items[target].first);
}

/* Whether some group that `group` needs, other than `target` itself, depends on target. */
static bool depends_beside(struct groups *groups, int group, int target)
{
    const struct group *g = &groups->list.items[group];
    groups->search++;
    int first = groups->list.items[target].first;
    for (size_t i = 0; i < g->after.count; i++) {
        int other = groups_find(groups, g->after.items[i]);
        if (other != target && depends(groups, other, target, first))
            return true;
    }
    for (size_t i = 0; i < g->nodes.count; i++) {
        int position = g->nodes.items[i];
        for (size_t k = 0; k < groups->graph->needs[position].count; k++) {
            const struct value *value = groups->graph->needs[position].items[k].value;
            int other = groups_of(groups, fuse_position(groups->graph, value));
            if (other >= 0 && other != group && other != target &&
                depends(groups, other, target, first))
                return true;
        }
    }
    return false;
}

/* --- making groups --- */

static int64_t matmul_rows(const struct node *node)
{
    const struct type *type = &node->results[0].type;
    return type->dims[type->rank - 1] ? type_elements(type) / type->dims[type->rank - 1] : 0;
}

static bool streams_weights(const struct node *node)
{
    const struct node *filter = node->operands[1]->node;
    if (filter->op == OP_cast)
        filter = filter->operands[0]->node;
    return filter->op == OP_weight && filter->results[0].type.rank == 2 && node_int(node, transb) &&
           !node_int(node, transa);
}

/* Whether the rows of the left operand can wait in the shared memory of a block, in 16 bits where
 * nothing has more. */
static bool rows_can_wait(const struct node *node)
{
    const struct type *left = &node->operands[0]->type;
    bool stored = node->operands[1]->node->op == OP_weight;
    int64_t bytes = stored && dtype_bits(left->dtype) == 16 ? 2 : 4;
    return type_elements(left) <= GPU_GEMV_BYTES / bytes;
}

static enum skeleton product_skeleton(const struct groups *groups, const struct node *node)
{
    int64_t rows = matmul_rows(node);
    if (!streams_weights(node) || rows > (groups->graph->gpu ? GPU_SKINNY_ROWS : GEMV_ROWS))
        return SKELETON_matmul;
    if (groups->graph->gpu && (rows > GPU_GEMV_ROWS || !rows_can_wait(node)))
        return SKELETON_skinny;
    return SKELETON_gemv;
}

/* One new position over a cache: the keys are what there is to share out. */
static bool splits_keys(const struct node *node)
{
    return node->op == OP_attention && node->operands[0]->type.dims[1] == 1 &&
           node_int(node, cached) && !node_int(node, biased);
}

static enum skeleton skeleton_of(const struct groups *groups, const struct node *node)
{
    const struct op_info *info = op_info(node->op);
    if (info->kind == KIND_EW)
        return SKELETON_loop;
    if (info->kind == KIND_RED)
        return SKELETON_rows;
    if (node->op == OP_matmul)
        return product_skeleton(groups, node);
    if (groups->graph->gpu && splits_keys(node))
        return SKELETON_split_attention;
    for (int s = 1; s < SKELETON_COUNT; s++)
        if (skeleton_anchor((enum skeleton)s) == node->op)
            return (enum skeleton)s;
    fatal_at(node->location, INTERNAL, "no skeleton for an op", info->name);
}

static unsigned reduced_axes(const struct node *node)
{
    int count;
    const int64_t *axes = node_list(node, axes, &count);
    unsigned mask = 0;
    for (int i = 0; i < count; i++)
        mask |= 1u << axes[i];
    return mask;
}

int groups_add(struct groups *groups, int position)
{
    struct node *node = groups->graph->nodes[position];
    bool reduces = op_info(node->op)->kind == KIND_RED;
    struct group group = {
        .skeleton = skeleton_of(groups, node), .first = position, .last = position, .merged = -1};
    group.products = node->op == OP_matmul;
    group.anchor = op_info(node->op)->kind == KIND_OP ? node : NULL;
    group.domain = reduces ? node->operands[0]->type : node->results[0].type;
    group.reduced = reduces ? reduced_axes(node) : 0;
    array_push(groups->graph->module->arena, &group.nodes, position);
    array_push(groups->graph->module->arena, &groups->list, group);
    groups->of[position] = (int)groups->list.count - 1;
    return groups->of[position];
}

/* --- joining --- */

static bool dims_reduced(const struct group *group, const struct type *type)
{
    if (type->rank != group->domain.rank)
        return false;
    for (int i = 0; i < type->rank; i++)
        if (type->dims[i] != (group->reduced >> i & 1 ? 1 : group->domain.dims[i]))
            return false;
    return true;
}

/*
 * Few rows of many elements, on a GPU: all blocks share them, and the last one to finish a row has
 * its result. What goes over the row again would be left to that block alone, so it makes a
 * kernel of its own, which costs less than the elements of such a row.
 */
bool groups_share_rows(const struct groups *groups, const struct group *group)
{
    enum { ROWS = 8, ELEMENTS = 65536 };
    int64_t kept = 1, reduced = 1;
    for (int i = 0; i < group->domain.rank; i++)
        *(group->reduced >> i & 1 ? &reduced : &kept) *= group->domain.dims[i];
    return groups->graph->gpu && group->skeleton == SKELETON_rows && kept <= ROWS &&
           reduced >= ELEMENTS;
}

/* In rows: the node runs over the domain, or once a row over what is reduced already. */
static bool rows_accept(const struct groups *groups, const struct group *group,
                        const struct type *type, const struct need *need)
{
    const struct type *from = &need->value->type;
    if (type_same_dims(type, &group->domain))
        return need->access <= ACCESS_FLAT
                   ? type_same_dims(from, &group->domain)
                   : need->access == ACCESS_ROW && dims_reduced(group, from) &&
                         !groups_share_rows(groups, group);
    return dims_reduced(group, type) && need->access <= ACCESS_FLAT && dims_reduced(group, from);
}

static bool accepts_need(const struct groups *groups, const struct group *group,
                         const struct node *node, const struct need *need)
{
    const struct type *type = &node->results[0].type;
    bool pointwise = need->access <= ACCESS_FLAT &&
                     type_elements(type) == type_elements(&group->domain) &&
                     type_elements(&need->value->type) == type_elements(type);
    switch (group->skeleton) {
    case SKELETON_loop: return pointwise && type_same_dims(type, &group->domain);
    case SKELETON_rows: return rows_accept(groups, group, type, need);
    case SKELETON_matmul:
    case SKELETON_gemv:
    case SKELETON_skinny:
    case SKELETON_conv2d: return pointwise;
    case SKELETON_attention:
    case SKELETON_split_attention:
    case SKELETON_conv2d_input:
    case SKELETON_conv2d_filter: return pointwise && (node->op == OP_cast || node->op == OP_copy);
    default: return false;
    }
}

/* A reduction joins what computes its operand over the same domain. */
static bool accepts_reduction(const struct group *group, const struct node *node,
                              const struct need *need)
{
    bool rows = group->skeleton == SKELETON_rows && group->reduced == reduced_axes(node);
    return (rows || group->skeleton == SKELETON_loop) && need->access <= ACCESS_FLAT &&
           type_same_dims(&group->domain, &node->operands[0]->type) &&
           type_same_dims(&group->domain, &need->value->type);
}

static bool accepts_pairs(struct groups *groups, int group, const struct node *node)
{
    return groups->pairs && groups->list.items[group].products > 0 &&
           pairs_accept(groups, group, node);
}

bool groups_accept(struct groups *groups, int group, int position)
{
    const struct node *node = groups->graph->nodes[position];
    const struct group *g = &groups->list.items[group];
    enum op_kind kind = op_info(node->op)->kind;
    if (kind == KIND_OP)
        return false;
    for (size_t i = 0; i < groups->graph->needs[position].count; i++) {
        const struct need *need = &groups->graph->needs[position].items[i];
        if (groups_of(groups, fuse_position(groups->graph, need->value)) != group)
            continue;
        if (kind == KIND_RED ? !accepts_reduction(g, node, need)
                             : !accepts_need(groups, g, node, need) &&
                                   !accepts_pairs(groups, group, node))
            return false;
    }
    return true;
}

bool groups_can_join(struct groups *groups, int group, int position)
{
    int first = groups->list.items[group].first;
    groups->search++;
    for (size_t i = 0; i < groups->graph->needs[position].count; i++) {
        const struct value *value = groups->graph->needs[position].items[i].value;
        int other = groups_of(groups, fuse_position(groups->graph, value));
        if (other != group && depends(groups, other, group, first))
            return false;
    }
    return true;
}

void groups_join(struct groups *groups, int group, int position)
{
    struct node *node = groups->graph->nodes[position];
    struct group *g = &groups->list.items[group];
    array_push(groups->graph->module->arena, &g->nodes, position);
    groups->of[position] = group;
    g->last = position > g->last ? position : g->last;
    g->first = position < g->first ? position : g->first;
    if (op_info(node->op)->kind == KIND_RED) {
        g->skeleton = SKELETON_rows;
        g->reduced = reduced_axes(node);
    }
}

/* --- merging --- */

bool groups_is_product(const struct group *group)
{
    return group->products > 0;
}

/* Products that one kernel can hold: two of equal dims on a CPU; on GPUs also segments of
 * different numbers of columns. */
static bool same_products(const struct groups *groups, const struct group *a,
                          const struct group *b)
{
    const struct node *x = a->anchor, *y = b->anchor;
    bool same_dims = type_same_dims(&x->operands[1]->type, &y->operands[1]->type) &&
                     type_same_dims(&x->results[0].type, &y->results[0].type);
    bool segments = groups->graph->gpu && product_extents(x).batch == 1 &&
                    product_extents(y).batch == 1;
    return a->skeleton == b->skeleton &&
           a->products + b->products <= (groups->graph->gpu ? PRODUCTS_MOST : 2) &&
           x->operands[0] == y->operands[0] && (same_dims || segments) &&
           x->operands[1]->type.dtype == y->operands[1]->type.dtype &&
           x->results[0].type.dtype == y->results[0].type.dtype &&
           node_int(x, transa) == node_int(y, transa) && node_int(x, transb) == node_int(y, transb);
}

static bool may_merge(const struct groups *groups, const struct group *a, const struct group *b)
{
    if (groups_is_product(a) && groups_is_product(b))
        return same_products(groups, a, b);
    bool both_plain = !a->anchor && !b->anchor && type_same_dims(&a->domain, &b->domain);
    return both_plain && (!a->reduced || !b->reduced || a->reduced == b->reduced);
}

void groups_take(struct groups *groups, int into, int from)
{
    struct arena *arena = groups->graph->module->arena;
    struct group *g = &groups->list.items[into], *other = &groups->list.items[from];
    for (size_t i = 0; i < other->nodes.count; i++)
        array_push(arena, &g->nodes, other->nodes.items[i]);
    for (size_t i = 0; i < other->after.count; i++)
        array_push(arena, &g->after, other->after.items[i]);
    g->first = other->first < g->first ? other->first : g->first;
    g->last = other->last > g->last ? other->last : g->last;
    other->merged = into;
}

bool groups_merge(struct groups *groups, int into, int from)
{
    struct group *g = &groups->list.items[into], *other = &groups->list.items[from];
    if (!may_merge(groups, g, other) || depends_beside(groups, into, from) ||
        depends_beside(groups, from, into))
        return false;
    g->products += other->products;
    if (other->skeleton == SKELETON_rows) {
        g->skeleton = SKELETON_rows;
        g->reduced = other->reduced;
    }
    groups_take(groups, into, from);
    return true;
}

bool groups_merge_effect(struct groups *groups, int into, int from)
{
    if (depends_beside(groups, into, from) || depends_beside(groups, from, into))
        return false;
    groups_take(groups, into, from);
    return true;
}
