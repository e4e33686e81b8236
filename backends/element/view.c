/*
 * Index maps: the element of the operand that an element of a view is. Affine views take the
 * linear index apart only as far as they must. Concat and pad choose by position; where a loop
 * variable decides, the loop is cut in two instead.
 */
#include "backends/element/value.h"

#include "ir/encoding.h"

#include <string.h>

/* The extents before, at, and after an axis. */
static void three_extents(const struct type *type, int axis, int64_t out_dims[3])
{
    out_dims[0] = out_dims[2] = 1;
    for (int k = 0; k < type->rank; k++)
        out_dims[(k > axis) - (k < axis) + 1] *= k == axis ? 1 : type->dims[k];
    out_dims[1] = type->dims[axis];
}

static struct index transpose_index(struct generator *g, const struct node *node,
                                    struct index index)
{
    const struct type *from = &node->operands[0]->type, *to = &node->results[0].type;
    struct index axes[MAX_RANK], source[MAX_RANK];
    int count;
    const int64_t *perm = node_list(node, perm, &count);
    index_take_apart(&g->space, index, to->rank, to->dims, axes);
    for (int k = 0; k < to->rank; k++)
        source[perm[k]] = axes[k];
    return index_put_together(&g->space, from->rank, from->dims, source);
}

/* Neighbouring axes that all repeat, or all do not, are one axis. */
static struct index broadcast_index(struct generator *g, const struct node *node,
                                    struct index index)
{
    const struct type *from = &node->operands[0]->type, *to = &node->results[0].type;
    if (type_elements(from) == 1)
        return index_constant(0);
    int64_t dims[MAX_RANK], source[MAX_RANK];
    struct index axes[MAX_RANK];
    int rank = 0;
    for (int k = 0; k < to->rank; k++) {
        bool repeats = from->dims[k] != to->dims[k];
        if (to->dims[k] == 1)
            continue;
        if (rank > 0 && repeats == (source[rank - 1] == 1)) {
            dims[rank - 1] *= to->dims[k];
            source[rank - 1] = repeats ? 1 : dims[rank - 1];
        } else {
            dims[rank] = to->dims[k];
            source[rank++] = repeats ? 1 : to->dims[k];
        }
    }
    index_take_apart(&g->space, index, rank, dims, axes);
    for (int k = 0; k < rank; k++)
        if (source[k] == 1)
            axes[k] = index_constant(0);
    return index_put_together(&g->space, rank, source, axes);
}

static struct index slice_index(struct generator *g, const struct node *node, struct index index)
{
    int64_t dims[3], source[3];
    struct index axes[3];
    int axis = (int)node_int(node, axis);
    three_extents(&node->results[0].type, axis, dims);
    three_extents(&node->operands[0]->type, axis, source);
    if (dims[0] == 1 && node_int(node, step) == 1) /* one run of memory */
        return index_offset(index, node_int(node, at) * dims[2]);
    index_take_apart(&g->space, index, 3, dims, axes);
    axes[1] = index_offset(index_scale(axes[1], node_int(node, step)), node_int(node, at));
    return index_put_together(&g->space, 3, source, axes);
}

struct index view_index(struct generator *g, const struct node *node, struct index index)
{
    switch (node->op) {
    case OP_reshape: return index;
    case OP_transpose: return transpose_index(g, node, index);
    case OP_broadcast: return broadcast_index(g, node, index);
    case OP_slice: return slice_index(g, node, index);
    default: fatal(INTERNAL, "not a view", op_info(node->op)->name);
    }
}

/* --- choices --- */

/* Where `position` < `bound` is decided by one loop variable alone, asks for a cut there. */
static bool ask_cut(struct generator *g, const struct index *position, int64_t bound)
{
    if (position->count != 1 || position->terms[0].scale <= 0)
        return false;
    const struct atom *atom = &g->space.atoms.items[position->terms[0].atom];
    int64_t scale = position->terms[0].scale;
    int64_t at = (bound - position->base + scale - 1) / scale;
    if (atom->variable < 0 || !g->may_split[atom->variable] || at <= atom->low ||
        at > atom->high || g->variables[atom->variable].cut_count == CUTS ||
        !g->variables[atom->variable].may_cut)
        return false;
    if (!g->space.split.wanted)
        g->space.split = (struct split){.wanted = true, .variable = atom->variable, .cut = at};
    return true;
}

/* A position along an axis that decides, and what its neighbours share of it. */
struct position {
    struct index index;
    struct index rest; /* of `count` neighbours, from a multiple of their number on */
    int64_t count;     /* 0: they are not known, or not together; 1: all have the same */
};

/* Neighbours are together where all `bounds` are multiples of their number. */
static struct position position_of(struct generator *g, struct index index, int64_t bounds)
{
    struct position p = {.index = index};
    if (!g->dialect->neighbours || !g->dialect->neighbours(g, &index, &p.rest, &p.count) ||
        bounds % p.count != 0)
        p.count = 0;
    return p;
}

/* The position that decides for all neighbours, as text. */
static const char *position_text(struct generator *g, const struct position *p)
{
    return index_text(&g->space, p->count ? &p->rest : &p->index);
}

/* The place of neighbours, less `start`: the number of them is named outside of their loop. */
static struct index bounded_together(struct generator *g, const struct position *p, int64_t start,
                                     int64_t extent)
{
    struct index whole = index_offset(p->rest, -start);
    struct index lane = index_add(&g->space, p->index, index_scale(p->rest, -1));
    whole.base /= p->count;
    for (int i = 0; i < whole.count; i++)
        whole.terms[i].scale /= p->count;
    struct index named = index_named_at(g, index_text(&g->space, &whole),
                                        index_depth(&g->space, &whole), 0,
                                        extent / p->count - 1);
    return index_add(&g->space, index_scale(named, p->count), lane);
}

/* position - start as a named index that is known to lie in 0..extent-1 (inside a condition
 * that makes it so). */
static struct index bounded(struct generator *g, const struct position *p, int64_t start,
                            int64_t extent)
{
    struct index index = index_offset(p->index, -start);
    int64_t low, high;
    index_range(&g->space, &index, &low, &high);
    if (low >= 0 && high < extent)
        return index;
    if (p->count)
        return bounded_together(g, p, start, extent);
    const char *text = index_text(&g->space, &index);
    return index_of_atom(g->space.name(g->space.context, text, g->depth, low < 0 ? 0 : low,
                                       high >= extent ? extent - 1 : high));
}

/* The extents before, along and after the axis of a concat's result or operand, which has `parts`
 * of the segments. Segments that take turns are segments of extent `granule` under a longer
 * axis. */
static void concat_extents(const struct node *node, const struct type *type, int parts,
                           int64_t out_dims[3])
{
    int64_t turn = node_int(node, granule) * parts;
    three_extents(type, (int)node_int(node, axis), out_dims);
    if (turn) {
        out_dims[0] *= out_dims[1] / turn;
        out_dims[1] = turn;
    }
}

static int64_t segment_extent(const struct node *node, int part)
{
    int64_t dims[3];
    concat_extents(node, &node->operands[part]->type, 1, dims);
    return dims[1];
}

static struct element concat_part(struct generator *g, const struct node *node, int part,
                                  int64_t start, const struct position *p,
                                  const struct index axes[3])
{
    const struct value *operand = node->operands[part];
    int64_t dims[3];
    concat_extents(node, &operand->type, 1, dims);
    struct index inner[3] = {axes[0], bounded(g, p, start, dims[1]), axes[2]};
    return value_at(g, operand, index_put_together(&g->space, 3, dims, inner));
}

/* A number of which all boundaries are multiples as far as it is a power of two. */
static int64_t concat_bounds(const struct node *node)
{
    int64_t bounds = 0;
    for (int i = 0; i < node->operand_count; i++)
        bounds |= segment_extent(node, i);
    return bounds & -bounds;
}

/* Opens the scope of the segment at start..end-1. */
static void open_segment(struct generator *g, const struct position *p, int depth, int64_t start,
                         int64_t end, bool first, bool last)
{
    if (p->count == 0) {
        scope_open_conditional(g, depth);
        return;
    }
    const char *text = position_text(g, p);
    const char *guard = arena_printf(g->arena, "%s < %lld", text, (long long)end);
    if (last)
        guard = arena_printf(g->arena, "%s >= %lld", text, (long long)start);
    else if (!first)
        guard = arena_printf(g->arena, "%s >= %lld && %s", text, (long long)start, guard);
    scope_open_guarded(g, depth, guard, index_depth(&g->space, &p->rest));
}

/* The segments first.., which begins at `start`, that the range low..high of a position meets. */
static struct element concat_choose(struct generator *g, const struct node *node, int part,
                                    int64_t start, const int64_t range[2], struct index index,
                                    const struct index axes[3])
{
    struct position p = position_of(g, axes[1], concat_bounds(node));
    int depth = index_depth(&g->space, &index);
    depth = depth < g->depth && g->scopes[g->depth].conditional ? g->depth : depth;
    struct element result = {arena_printf(g->arena, "t%d", ++g->temporaries), depth};
    writer_line(&g->scopes[depth].writer, "%s %s;",
                emit_compute_type(node->results[0].type.dtype), result.text);
    const char *text = position_text(g, &p);
    bool first = true;
    for (int64_t end; start <= range[1]; start = end, part++, first = false) {
        end = start + segment_extent(node, part);
        bool last = end > range[1];
        open_segment(g, &p, depth, start, end, first, last);
        struct element chosen = concat_part(g, node, part, start, &p, axes);
        writer_line(scope_writer(g), "%s = %s;", result.text, chosen.text);
        if (last)
            scope_close_into(g, depth, "else");
        else
            scope_close_into(g, depth, "%sif (%s < %lld)", first ? "" : "else ", text,
                             (long long)end);
    }
    return result;
}

struct element concat_at(struct generator *g, const struct node *node, struct index index)
{
    int part = 0;
    int64_t dims[3], start = 0, range[2];
    struct index axes[3];
    concat_extents(node, &node->results[0].type, node->operand_count, dims);
    index_take_apart(&g->space, index, 3, dims, axes);
    if (g->space.split.wanted) /* the axes are not final: this attempt will be abandoned */
        return (struct element){"0", 0};
    index_range(&g->space, &axes[1], &range[0], &range[1]);
    /* the range is a bound; the index itself is one of the result's */
    range[0] = range[0] < 0 ? 0 : range[0];
    range[1] = range[1] >= dims[1] ? dims[1] - 1 : range[1];
    while (part + 1 < node->operand_count && /* an empty result has no index to find */
           start + segment_extent(node, part) <= range[0])
        start += segment_extent(node, part++);
    int64_t end = start + segment_extent(node, part);
    if (range[1] < end || ask_cut(g, &axes[1], end))
        return concat_part(g, node, part, start, &(struct position){.index = axes[1]}, axes);
    return concat_choose(g, node, part, start, range, index, axes);
}

/* Conditions under which an index lies inside, with "&&" between; "" where it always does.
 * Those that neighbours share stand in `guard` too. */
struct conditions {
    struct str all, guard;
    int depth; /* of the guard */
};

static void add_condition(struct generator *g, struct conditions *c, const struct position *p,
                          const char *comparison, int64_t bound)
{
    const char *text = position_text(g, p);
    str_printf(&c->all, "%s%s %s %lld", c->all.length ? " && " : "", text, comparison,
               (long long)bound);
    if (p->count == 0)
        return;
    int depth = index_depth(&g->space, &p->rest);
    c->depth = depth > c->depth ? depth : c->depth;
    str_printf(&c->guard, "%s%s %s %lld", c->guard.length ? " && " : "", text, comparison,
               (long long)bound);
}

/* That a position lies in 0..extent-1; false where it never does. Asks for cuts where a loop
 * variable decides. */
static bool inside(struct generator *g, struct conditions *c, const struct position *p,
                   int64_t extent)
{
    int64_t low, high;
    index_range(&g->space, &p->index, &low, &high);
    if (high < 0 || low >= extent)
        return false;
    if (low < 0 && !ask_cut(g, &p->index, 0))
        add_condition(g, c, p, ">=", 0);
    if (high >= extent && !ask_cut(g, &p->index, extent))
        add_condition(g, c, p, "<", extent);
    return true;
}

static struct element pad_choose(struct generator *g, const struct node *node, struct index index,
                                 const struct position *positions, const struct conditions *c,
                                 struct element fill)
{
    const struct value *operand = node->operands[0];
    const struct type *type = &node->results[0].type;
    struct index axes[MAX_RANK];
    int depth = index_depth(&g->space, &index);
    depth = g->scopes[g->depth].conditional ? g->depth : depth;
    struct element result = {arena_printf(g->arena, "t%d", ++g->temporaries), depth};
    writer_line(&g->scopes[depth].writer, "%s %s = %s;", emit_compute_type(type->dtype),
                result.text, fill.text);
    if (c->guard.length == c->all.length)
        scope_open_guarded(g, depth, c->guard.text, c->depth);
    else
        scope_open_conditional(g, depth);
    for (int k = 0; k < type->rank; k++)
        axes[k] = bounded(g, &positions[k], 0, operand->type.dims[k]);
    struct element chosen = value_at(
        g, operand, index_put_together(&g->space, type->rank, operand->type.dims, axes));
    writer_line(scope_writer(g), "%s = %s;", result.text, chosen.text);
    scope_close_into(g, depth, "if (%s)", c->all.text);
    return result;
}

struct element pad_at(struct generator *g, const struct node *node, struct index index)
{
    const struct value *operand = node->operands[0];
    const struct type *type = &node->results[0].type;
    int count;
    const int64_t *low = node_list(node, low, &count);
    struct index axes[MAX_RANK];
    struct position positions[MAX_RANK];
    struct conditions c = {str_create(g->arena), str_create(g->arena), 0};
    bool possible = true;
    index_take_apart(&g->space, index, type->rank, type->dims, axes);
    for (int k = 0; k < type->rank; k++) {
        int64_t extent = operand->type.dims[k];
        axes[k] = index_offset(axes[k], -low[k]);
        positions[k] = position_of(g, axes[k], extent);
        possible = inside(g, &c, &positions[k], extent) && possible;
    }
    struct element fill = {emit_real(g->arena, type->dtype, node_real(node, value)), 0};
    if (!dtype_is_float(type->dtype))
        fill.text = arena_printf(g->arena, "%lld", (long long)node_real(node, value));
    if (!possible || g->space.split.wanted)
        return fill;
    if (c.all.length == 0)
        return value_at(g, operand,
                        index_put_together(&g->space, type->rank, operand->type.dims, axes));
    return pad_choose(g, node, index, positions, &c, fill);
}

struct element gather_at(struct generator *g, const struct node *node, struct index index)
{
    const struct value *table = node->operands[0], *ids = node->operands[1];
    int batch = (int)node_int(node, batch);
    int64_t dims[3] = {1, 1, 1}, source[3] = {1, table->type.dims[batch], 1};
    for (int k = 0; k < ids->type.rank; k++)
        dims[k >= batch] *= ids->type.dims[k];
    for (int k = batch + 1; k < table->type.rank; k++)
        dims[2] *= table->type.dims[k];
    struct index axes[3];
    index_take_apart(&g->space, index, 3, dims, axes);
    source[0] = dims[0];
    source[2] = dims[2];
    struct element id = value_at(g, ids, index_put_together(&g->space, 2, dims, axes));
    const char *row = arena_printf(g->arena, "m_clamp_i64(%s, %lld)", id.text,
                                   (long long)source[1] - 1);
    axes[1] = index_of_atom(g->space.name(g->space.context, row, id.depth, 0, source[1] - 1));
    return value_at(g, table, index_put_together(&g->space, 3, source, axes));
}

/* A number of a packed weight: its code out of a byte, times the scale of its group. */
struct element decode_at(struct generator *g, const struct node *node, struct index index)
{
    const struct encoding *encoding = encoding_find(node_text(node, encoding));
    const struct type *type = &node->results[0].type;
    int64_t group = node_int(node, group), each = 8 / encoding->bits;
    struct index place = index_modulo(&g->space, index, each);
    struct element byte = value_at(g, node->operands[0], index_divide(&g->space, index, each));
    struct element scale = value_at(g, node->operands[1], index_divide(&g->space, index, group));
    const char *code = byte.text;
    if (each > 1)
        code = arena_printf(g->arena, "(%s >> (%s) * %d & %d)", code,
                            index_text(&g->space, &place), encoding->bits,
                            (1 << encoding->bits) - 1);
    int depth = index_depth(&g->space, &place);
    depth = byte.depth > depth ? byte.depth : depth;
    depth = scale.depth > depth ? scale.depth : depth;
    return element_new(g, emit_compute_type(type->dtype), depth, "(float)((%s ^ %d) - %d) * %s",
                       code, encoding->flip, encoding->zero, scale.text);
}
