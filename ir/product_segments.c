/*
 * Which products of a kernel belong together, and how their columns are tiled: see product.h.
 * One pass over the nodes gives each the set of products that it depends on; results unite the
 * products of their sets.
 */
#include "ir/product.h"

struct grouping {
    const struct node *anchors[PRODUCTS_MOST];
    int count;
    int leader[PRODUCTS_MOST]; /* the lowest product that this one meets */
};

static void list_nodes(struct arena *arena, const struct function *function,
                       const struct kernel *kernel, struct product_layout *out)
{
    ARRAY_OF(struct node *) nodes = {0};
    for (size_t i = 0; i < function->nodes.count; i++)
        if (function->nodes.items[i]->kernel == kernel)
            array_push(arena, &nodes, function->nodes.items[i]);
    out->nodes = nodes.items;
    out->node_count = (int)nodes.count;
    out->reach = arena_array(arena, unsigned char, nodes.count + 1);
}

static int find_node(const struct product_layout *layout, const struct node *node)
{
    for (int i = 0; i < layout->node_count; i++)
        if (layout->nodes[i] == node)
            return i;
    return -1;
}

static unsigned char operand_reach(const struct product_layout *layout, const struct node *node,
                                   int operand)
{
    int at = find_node(layout, node->operands[operand]->node);
    return at < 0 ? 0 : layout->reach[at];
}

static bool is_product(const struct node *node)
{
    return node->op == OP_matmul || node->op == OP_conv2d;
}

/* Sets the bits of all nodes; false if one product feeds another or there are too many. */
static bool find_reach(struct product_layout *layout, struct grouping *groups)
{
    for (int i = 0; i < layout->node_count; i++) {
        const struct node *node = layout->nodes[i];
        for (int k = 0; k < node->operand_count; k++)
            layout->reach[i] |= operand_reach(layout, node, k);
        if (!is_product(node))
            continue;
        if (layout->reach[i] || groups->count == PRODUCTS_MOST)
            return false;
        groups->leader[groups->count] = groups->count;
        groups->anchors[groups->count] = node;
        layout->reach[i] = (unsigned char)(1u << groups->count++);
    }
    return groups->count > 0;
}

/* --- results --- */

static void unite(struct grouping *groups, unsigned char reach)
{
    int first = -1;
    for (int i = 0; i < groups->count; i++) {
        if (!(reach >> i & 1))
            continue;
        int leader = groups->leader[i];
        first = first < 0 ? leader : first;
        int low = leader < first ? leader : first, high = leader < first ? first : leader;
        for (int k = 0; k < groups->count; k++)
            if (groups->leader[k] == high)
                groups->leader[k] = low;
        first = low;
    }
}

static void unite_results(const struct function *function, const struct product_layout *layout,
                          struct grouping *groups)
{
    for (int i = 0; i < layout->node_count; i++) {
        const struct node *node = layout->nodes[i];
        bool effect = op_info(node->op)->flags & OP_EFFECT;
        if (layout->reach[i] && (effect || node_leaves_kernel(function, node)))
            unite(groups, layout->reach[i]);
    }
}

/* Turns groups into segments, and bits of products into bits of segments. */
static bool make_segments(struct product_layout *layout, const struct grouping *groups)
{
    int of[PRODUCTS_MOST];
    layout->e = product_extents(groups->anchors[0]);
    for (int i = 0; i < groups->count; i++) {
        struct product_extents e = product_extents(groups->anchors[i]);
        bool leads = groups->leader[i] == i;
        of[i] = leads ? layout->count++ : of[groups->leader[i]];
        struct product_segment *segment = &layout->segments[of[i]];
        if (leads)
            segment->n = e.n;
        segment->anchors[segment->count++] = groups->anchors[i];
        if (groups->anchors[i]->operands[0] != groups->anchors[0]->operands[0] ||
            groups->anchors[i]->op != groups->anchors[0]->op || segment->n != e.n ||
            e.m != layout->e.m || e.k != layout->e.k || e.batch != layout->e.batch)
            return false;
    }
    for (int i = 0; i < layout->node_count; i++) {
        unsigned char reach = 0;
        for (int k = 0; k < groups->count; k++)
            reach |= (unsigned char)((layout->reach[i] >> k & 1) << of[k]);
        layout->reach[i] = reach;
    }
    return true;
}

/* --- pairs --- */

/* Columns after an axis of a value of the segment; a slice there joins columns this far apart
 * for every index that it skips. */
static int64_t run_after(const struct type *type, int axis)
{
    int64_t run = 1;
    for (int k = axis + 1; k < type->rank; k++)
        run *= type->dims[k];
    return run;
}

/* The distance that slices of a segment's values speak of: halves of an axis. */
static void find_distance(struct product_layout *layout, int which)
{
    struct product_segment *segment = &layout->segments[which];
    for (int i = 0; i < layout->node_count; i++) {
        const struct node *node = layout->nodes[i];
        if (node->op != OP_slice || !(layout->reach[i] >> which & 1))
            continue;
        const struct type *from = &node->operands[0]->type;
        int axis = (int)node_int(node, axis);
        int64_t run = run_after(from, axis), len = node_int(node, len);
        bool half = len * 2 == from->dims[axis] && node_int(node, step) == 1 &&
                    run * from->dims[axis] <= segment->n;
        int64_t distance = half ? len * run : -1;
        if (segment->distance == 0)
            segment->distance = distance;
        else if (segment->distance != distance)
            segment->distance = -1;
    }
}

bool product_segments(struct arena *arena, const struct function *function,
                      const struct kernel *kernel, struct product_layout *out)
{
    struct grouping groups = {0};
    *out = (struct product_layout){0};
    list_nodes(arena, function, kernel, out);
    if (!find_reach(out, &groups))
        return false;
    unite_results(function, out, &groups);
    if (!make_segments(out, &groups))
        return false;
    for (int i = 0; i < out->count; i++)
        find_distance(out, i);
    int64_t cols = attributes_int(&kernel->attributes, ATTRIBUTE_cols);
    int64_t pair = attributes_int(&kernel->attributes, ATTRIBUTE_pair);
    return cols <= 0 || product_tile(out, cols, pair);
}

/* --- tiles --- */

static bool tile_segment(const struct product_layout *layout, struct product_segment *segment)
{
    int64_t cols = layout->cols, half = cols / 2, distance = segment->distance;
    segment->width = 0;
    segment->tiles = segment->n / cols + (segment->n % cols != 0);
    if (distance == 0)
        return true;
    bool even = distance > 0 && cols % 2 == 0 && segment->n % (2 * distance) == 0;
    if (even && half % distance == 0)
        segment->width = distance;
    else if (even && distance == layout->pair && distance % half == 0)
        segment->width = half;
    return segment->width > 0 || cols >= segment->n;
}

bool product_tile(struct product_layout *layout, int64_t cols, int64_t pair)
{
    layout->cols = cols;
    layout->pair = pair;
    layout->tiles = 0;
    bool fits = cols > 0 && pair >= 0;
    for (int i = 0; fits && i < layout->count; i++) {
        struct product_segment *segment = &layout->segments[i];
        fits = tile_segment(layout, segment);
        segment->first_tile = layout->tiles;
        layout->tiles += segment->tiles;
    }
    return fits;
}

int product_segment_of(const struct product_layout *layout, const struct value *value)
{
    int at = find_node(layout, value->node);
    for (int i = 0; at >= 0 && i < layout->count; i++)
        if (layout->reach[at] >> i & 1)
            return i;
    return -1;
}

int product_segment_at(const struct product_layout *layout, int64_t tile)
{
    int which = layout->count - 1;
    while (which > 0 && layout->segments[which].first_tile > tile)
        which--;
    return which;
}

int64_t product_column(const struct product_layout *layout, const struct product_segment *segment,
                       int64_t tile, int64_t local)
{
    int64_t width = segment->width;
    if (width == 0)
        return tile * layout->cols + local;
    /* Runs of `width` columns, counted over the lower halves of all pairs. */
    int64_t unit = local / (2 * width), side = local / width % 2;
    int64_t run = tile * (layout->cols / (2 * width)) + unit, runs = segment->distance / width;
    return (run / runs * 2 + side) * segment->distance + run % runs * width + local % width;
}
