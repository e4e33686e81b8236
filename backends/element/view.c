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

/* position - start as a named index that is known to lie in 0..extent-1 (inside a condition
 * that makes it so). */
static struct index bounded(struct generator *g, struct index position, int64_t start,
                            int64_t extent)
{
    struct index index = index_offset(position, -start);
    int64_t low, high;
    index_range(&g->space, &index, &low, &high);
    if (low >= 0 && high < extent)
        return index;
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
                                  int64_t start, const struct index axes[3])
{
    const struct value *operand = node->operands[part];
    int64_t dims[3];
    concat_extents(node, &operand->type, 1, dims);
    struct index inner[3] = {axes[0], bounded(g, axes[1], start, dims[1]), axes[2]};
    return value_at(g, operand, index_put_together(&g->space, 3, dims, inner));
}

struct element concat_at(struct generator *g, const struct node *node, struct index index)
{
    int part = 0;
    int64_t dims[3], start = 0, low, high;
    struct index axes[3];
    concat_extents(node, &node->results[0].type, node->operand_count, dims);
    index_take_apart(&g->space, index, 3, dims, axes);
    if (g->space.split.wanted) /* the axes are not final: this attempt will be abandoned */
        return (struct element){"0", 0};
    index_range(&g->space, &axes[1], &low, &high);
    low = low < 0 ? 0 : low; /* the range is a bound; the index itself is one of the result's */
    high = high >= dims[1] ? dims[1] - 1 : high;
    while (part + 1 < node->operand_count && /* an empty result has no index to find */
           start + segment_extent(node, part) <= low)
        start += segment_extent(node, part++);
    int64_t end = start + segment_extent(node, part);
    if (high < end || ask_cut(g, &axes[1], end))
        return concat_part(g, node, part, start, axes);
    int depth = index_depth(&g->space, &index);
    depth = depth < g->depth && g->scopes[g->depth].conditional ? g->depth : depth;
    struct element result = {arena_printf(g->arena, "t%d", ++g->temporaries), depth};
    writer_line(&g->scopes[depth].writer, "%s %s;",
                emit_compute_type(node->results[0].type.dtype), result.text);
    const char *position = index_text(&g->space, &axes[1]);
    for (; start <= high; start = end, part++) {
        end = start + segment_extent(node, part);
        scope_open_conditional(g, depth);
        struct element chosen = concat_part(g, node, part, start, axes);
        writer_line(scope_writer(g), "%s = %s;", result.text, chosen.text);
        const char *word = start <= low ? "if" : "else if";
        if (end > high)
            scope_close_into(g, depth, "else");
        else
            scope_close_into(g, depth, "%s (%s < %lld)", word, position, (long long)end);
    }
    return result;
}

/* The condition under which an index lies in 0..extent-1, appended with "&&"; nothing where it
 * always does. Asks for cuts where a loop variable decides. */
static bool inside(struct generator *g, struct str *condition, const struct index *axis,
                   int64_t extent)
{
    int64_t low, high;
    index_range(&g->space, axis, &low, &high);
    if (high < 0 || low >= extent)
        return false;
    const char *text = index_text(&g->space, axis);
    const char *and = condition->length ? " && " : "";
    if (low < 0 && !ask_cut(g, axis, 0))
        str_printf(condition, "%s%s >= 0", and, text);
    and = condition->length ? " && " : "";
    if (high >= extent && !ask_cut(g, axis, extent))
        str_printf(condition, "%s%s < %lld", and, text, (long long)extent);
    return true;
}

struct element pad_at(struct generator *g, const struct node *node, struct index index)
{
    const struct value *operand = node->operands[0];
    const struct type *type = &node->results[0].type;
    int count;
    const int64_t *low = node_list(node, low, &count);
    struct index axes[MAX_RANK];
    struct str condition = str_create(g->arena);
    bool possible = true;
    index_take_apart(&g->space, index, type->rank, type->dims, axes);
    for (int k = 0; k < type->rank; k++) {
        axes[k] = index_offset(axes[k], -low[k]);
        possible = inside(g, &condition, &axes[k], operand->type.dims[k]) && possible;
    }
    struct element fill = {emit_real(g->arena, type->dtype, node_real(node, value)), 0};
    if (!dtype_is_float(type->dtype))
        fill.text = arena_printf(g->arena, "%lld", (long long)node_real(node, value));
    if (!possible || g->space.split.wanted)
        return fill;
    if (condition.length == 0)
        return value_at(g, operand,
                        index_put_together(&g->space, type->rank, operand->type.dims, axes));
    int depth = index_depth(&g->space, &index);
    depth = g->scopes[g->depth].conditional ? g->depth : depth;
    struct element result = {arena_printf(g->arena, "t%d", ++g->temporaries), depth};
    writer_line(&g->scopes[depth].writer, "%s %s = %s;", emit_compute_type(type->dtype),
                result.text, fill.text);
    scope_open_conditional(g, depth);
    for (int k = 0; k < type->rank; k++)
        axes[k] = bounded(g, axes[k], 0, operand->type.dims[k]);
    struct element chosen = value_at(
        g, operand, index_put_together(&g->space, type->rank, operand->type.dims, axes));
    writer_line(scope_writer(g), "%s = %s;", result.text, chosen.text);
    scope_close_into(g, depth, "if (%s)", condition.text);
    return result;
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
