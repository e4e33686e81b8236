/* See fuse_pairs.h. */
#include "passes/fuse_pairs.h"

struct pairing {
    struct groups *groups;
    int group;
    int64_t elements; /* of the product */
    int64_t distance; /* in columns; 0: none yet */
    bool fits;
};

static bool is_member(const struct pairing *p, const struct value *value)
{
    int position = fuse_position(p->groups->graph, value);
    return position >= 0 && !p->groups->graph->cheap[position] &&
           groups_of(p->groups, position) == p->group;
}

static bool is_cheap(const struct pairing *p, const struct value *value)
{
    int position = fuse_position(p->groups->graph, value);
    return position >= 0 && p->groups->graph->cheap[position];
}

/* Whether a value, seen through cheap nodes, needs one of the group. */
static bool reaches(const struct pairing *p, const struct value *value)
{
    if (!is_cheap(p, value))
        return is_member(p, value);
    for (int i = 0; i < value->node->operand_count; i++)
        if (reaches(p, value->node->operands[i]))
            return true;
    return false;
}

/* Columns between the halves of an axis of `type`. */
static int64_t half_distance(const struct type *type, int axis)
{
    int64_t distance = type->dims[axis] / 2;
    for (int k = axis + 1; k < type->rank; k++)
        distance *= type->dims[k];
    return distance;
}

static void join(struct pairing *p, const struct type *whole, int axis)
{
    int64_t distance = half_distance(whole, axis);
    p->fits &= p->distance == 0 || p->distance == distance;
    p->distance = distance;
}

static void follow_slice(struct pairing *p, const struct node *node)
{
    const struct type *whole = &node->operands[0]->type;
    int axis = (int)node_int(node, axis);
    p->fits &= node_int(node, step) == 1 && 2 * node_int(node, len) == whole->dims[axis];
    join(p, whole, axis);
}

static void follow_concat(struct pairing *p, const struct node *node)
{
    p->fits &= node->operand_count == 2 &&
               type_same_dims(&node->operands[0]->type, &node->operands[1]->type);
    join(p, &node->results[0].type, (int)node_int(node, axis));
}

static bool has_fitting_size(const struct pairing *p, const struct type *type)
{
    int64_t elements = type_elements(type);
    return elements == p->elements || 2 * elements == p->elements;
}

static void follow(struct pairing *p, const struct value *value)
{
    if (!p->fits || !reaches(p, value))
        return;
    p->fits &= has_fitting_size(p, &value->type);
    if (!is_cheap(p, value))
        return;
    const struct node *node = value->node;
    switch (node->op) {
    case OP_reshape: break;
    case OP_slice: follow_slice(p, node); break;
    case OP_concat: follow_concat(p, node); break;
    default: p->fits = false;
    }
    for (int i = 0; i < node->operand_count; i++)
        follow(p, node->operands[i]);
}

static struct pairing start(struct groups *groups, int group)
{
    const struct node *anchor = groups->list.items[group].anchor;
    return (struct pairing){groups, group, type_elements(&anchor->results[0].type), 0, true};
}

/* Whether tiles can hold whole pairs: theirs have a power of two of columns, of which one half is
 * at least so many; the blocks of gemv have any number. */
static bool tiles_hold(const struct groups *groups, int group, int64_t distance)
{
    enum { MATMUL_HALF = 32, SKINNY_HALF = 16 };
    enum skeleton skeleton = groups->list.items[group].skeleton;
    int64_t half = skeleton == SKELETON_matmul ? MATMUL_HALF : SKINNY_HALF;
    return skeleton == SKELETON_gemv || distance == 0 || distance % half == 0 ||
           half % distance == 0;
}

bool pairs_accept(struct groups *groups, int group, const struct node *node)
{
    struct pairing p = start(groups, group);
    p.fits = has_fitting_size(&p, &node->results[0].type);
    for (int i = 0; i < node->operand_count; i++)
        follow(&p, node->operands[i]);
    return p.fits && tiles_hold(groups, group, p.distance);
}

bool pairs_accept_operand(struct groups *groups, int group, struct value *value)
{
    struct pairing p = start(groups, group);
    p.fits = type_elements(&value->type) == p.elements;
    follow(&p, value);
    return p.fits && tiles_hold(groups, group, p.distance);
}
