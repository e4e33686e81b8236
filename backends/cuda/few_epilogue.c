/*
 * The epilogue of a product of few rows: from the block of results in shared memory to the
 * live-outs and states of the segment that the block's columns belong to.
 *
 * The columns of a tile are one variable, `local`; where columns are joined, a thread has both
 * sides of a pair, as constants of the index, so that what chooses between them is decided when
 * the kernel is printed.
 */
#include "backends/cuda/few.h"

enum { ROW, UNIT, LOCAL };

static const struct product_segment *segment_of(const struct few *few)
{
    return &few->operands->layout.segments[few->segment];
}

static bool is_ragged(const struct few *few)
{
    return segment_of(few)->n % few->operands->layout.cols != 0;
}

static struct index named_atom(struct generator *g, const char *text, int64_t extent)
{
    struct atom atom = {.text = text, .high = extent - 1, .depth = g->depth, .variable = -1};
    return index_of_atom(index_new_atom(&g->space, atom));
}

/* --- elements of the products --- */

/* A result in the block: of four neighbours at once, where the thread has them. */
static struct element load_result(struct generator *g, int partner, struct index local)
{
    struct few *few = few_of(g);
    struct index rest, index = index_scale(linear_index(g, ROW), few->pitch);
    index = index_offset(index, partner * few->operands->m * few->pitch);
    index = index_add(&g->space, index, local);
    bool lanes = cuda_of(g)->lanes.count == 4 && cuda_lanes_read(g, &index, &rest);
    struct index bytes = index_scale(lanes ? rest : index, 4);
    const char *place =
        arena_printf(g->arena, "results + (shared_t)(%s)", index_text(&g->space, &bytes));
    if (!lanes)
        return element_new(g, "float", g->depth, "shared_load_f32(%s)", place);
    return cuda_lanes_element(g, "f32", index_depth(&g->space, &rest),
                              arena_printf(g->arena, "shared_load_f32x4(%s)", place));
}

/* The local column of an element of the products; false if it is another tile's. */
static bool find_local(struct generator *g, struct index index, struct index *out_local)
{
    struct few *few = few_of(g);
    const struct product_segment *segment = segment_of(few);
    struct index column = index_add(&g->space, index, index_scale(few->origin, -1));
    int64_t low, high, from = 0, width = segment->width;
    index_range(&g->space, &column, &low, &high);
    if (width < segment->distance && low >= segment->distance) { /* the other side of a tile */
        from = segment->distance;
        column = index_offset(column, width - from);
    }
    *out_local = index_add(&g->space, few->base, column);
    return low >= from && high < from + few->run;
}

static bool provide(struct generator *g, const struct value *value, struct index index,
                    struct element *out_element)
{
    struct few *few = few_of(g);
    const struct product_segment *segment = segment_of(few);
    int partner = 0;
    while (partner < segment->count && value->node != segment->anchors[partner])
        partner++;
    if (partner == segment->count)
        return few_provide_reduction(g, value, index, out_element);
    struct index local;
    if (!find_local(g, index, &local) && !g->space.split.wanted)
        fatal(INTERNAL, "an epilogue needs products of another tile", value->name);
    *out_element = load_result(g, partner, local);
    const char *rounded = round_text(g->arena, value->type.dtype, out_element->text);
    if (rounded != out_element->text)
        *out_element = element_new(g, "float", out_element->depth, "%s", rounded);
    return true;
}

/* --- results --- */

static bool belongs(const struct few *few, const struct value *value)
{
    return product_segment_of(&few->operands->layout, value) == few->segment;
}

/* Stores the live-outs at `count` elements: both sides of a pair, or one. */
static void store_live_outs(struct generator *g, const struct index *at, int count)
{
    struct few *few = few_of(g);
    struct value_list outs = kernel_live_outs(g);
    struct element *elements = arena_array(g->arena, struct element, (size_t)outs.count * 2 + 1);
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < outs.count * count; i++) {
            const struct value *out = outs.items[i / count];
            if (!belongs(few, out) || op_info(out->node->op)->flags & OP_EFFECT)
                continue;
            if (type_elements(&out->type) != few->operands->m * segment_of(few)->n)
                fatal(INTERNAL, "a live-out of a product has another number of elements",
                      out->name);
            if (pass == 0)
                elements[i] = value_at(g, out, at[i % count]);
            else
                value_store(g, out, at[i % count], elements[i]);
        }
}

/* The rows of one update: to slot pos + i of the state, modulo the slots in a ring. */
static void store_update(struct generator *g, const struct node *node, const struct index *at,
                         int count)
{
    const struct type *cache = &node->operands[0]->type;
    int64_t n = segment_of(few_of(g))->n, slots = cache->dims[1];
    struct index row = linear_index(g, ROW), column, batch, new;
    batch = index_divide(&g->space, row, node->operands[1]->type.dims[1]);
    new = index_modulo(&g->space, row, node->operands[1]->type.dims[1]);
    struct element position = value_at(g, node->operands[2], batch);
    struct element limit = value_at(g, node->operands[3], batch);
    const char *number = index_text(&g->space, &new);
    struct element place =
        element_new(g, "rt_u32", g->depth, "(rt_u32)(%s) + (rt_u32)(%s)", position.text, number);
    bool ring = node_int(node, ring);
    const char *inside = ring ? arena_printf(g->arena, "(int)%s >= 0", place.text)
                              : arena_printf(g->arena, "%s < %lld", place.text, (long long)slots);
    scope_open_conditional(g, g->depth);
    const char *remainder = ring ? arena_printf(g->arena, " %% %lldu", (long long)slots) : "";
    struct element slot = element_new(g, "int", g->depth, "(int)(%s%s)", place.text, remainder);
    struct index to =
        index_add(&g->space, index_scale(batch, slots), named_atom(g, slot.text, slots));
    for (int i = 0; i < count; i++) {
        struct element element = value_at(g, node->operands[1], at[i]);
        column = index_add(&g->space, at[i], index_scale(row, -n));
        value_store(g, &node->results[0], index_add(&g->space, index_scale(to, n), column),
                    element);
    }
    scope_close(g, "if (%s < %s && %s)", number, limit.text, inside);
}

static void store_updates(struct generator *g, const struct index *at, int count)
{
    struct few *few = few_of(g);
    const struct product_layout *layout = &few->operands->layout;
    for (int i = 0; i < layout->node_count; i++) {
        const struct node *node = layout->nodes[i];
        if (!(op_info(node->op)->flags & OP_EFFECT) || !belongs(few, &node->results[0]))
            continue;
        if (node->op != OP_update || !belongs(few, node->operands[1]) ||
            type_elements(&node->operands[1]->type) != few->operands->m * segment_of(few)->n)
            fatal(INTERNAL, "an effect cannot be part of a product", node->results[0].name);
        store_update(g, node, at, count);
    }
}

static void store_all(struct generator *g, const struct index *at, int count)
{
    store_live_outs(g, at, count);
    store_updates(g, at, count);
}

/* The last tile has fewer columns, or pairs of runs of columns: those at hand have one name,
 * known to be inside. */
static void store_ragged(struct generator *g)
{
    struct few *few = few_of(g);
    const struct product_segment *segment = segment_of(few);
    int64_t unit = segment->width > 0 ? 2 * segment->distance : 1;
    int64_t units = segment->n / unit;
    struct index local = linear_index(g, segment->width > 0 ? UNIT : LOCAL);
    writer_line(scope_writer(g), "const int unit_of_segment = tile * %lld + %s;",
                (long long)(few->operands->layout.cols / unit), index_text(&g->space, &local));
    scope_open_conditional(g, g->depth);
    few->base = index_scale(local, unit);
    few->run = unit;
    few->origin = index_add(&g->space, index_scale(linear_index(g, ROW), segment->n),
                            index_scale(named_atom(g, "unit_of_segment", units), unit));
    struct index at[2] = {few->origin};
    if (segment->width > 0)
        at[0] = index_add(&g->space, at[0], linear_index(g, LOCAL));
    at[1] = index_offset(at[0], segment->distance);
    store_all(g, at, segment->width > 0 ? 2 : 1);
    scope_close(g, "if (unit_of_segment < %lld)", (long long)units);
}

static void store_columns(struct generator *g)
{
    struct few *few = few_of(g);
    const struct product_segment *segment = segment_of(few);
    struct index tile_origin = few->origin, at[2];
    few->origin = index_add(&g->space, tile_origin, index_scale(linear_index(g, ROW), segment->n));
    struct index unit = index_scale(linear_index(g, UNIT), 2 * segment->distance);
    at[0] = index_add(&g->space, few->origin, index_add(&g->space, unit, linear_index(g, LOCAL)));
    at[1] = index_offset(at[0], segment->distance);
    store_all(g, at, segment->width > 0 ? 2 : 1);
    few->origin = tile_origin;
}

/* The first column of a whole tile, without its row. */
static void declare_origin(struct generator *g)
{
    struct few *few = few_of(g);
    const struct product_segment *segment = segment_of(few);
    int64_t cols = few->operands->layout.cols, width = segment->width;
    few->base = index_constant(0);
    few->run = cols;
    if (width == 0 || width == segment->distance) {
        few->origin = index_scale(named_atom(g, "tile", segment->tiles), cols);
        return;
    }
    int64_t runs = segment->distance / width;
    few->run = width;
    writer_line(scope_writer(g), "const int unit_of_tile = tile / %lld, run = tile %% %lld;",
                (long long)runs, (long long)runs);
    struct index pair = named_atom(g, "unit_of_tile", segment->tiles / runs);
    few->origin = index_add(&g->space, index_scale(pair, 2 * segment->distance),
                            index_scale(named_atom(g, "run", runs), width));
}

static void prepare(struct generator *g)
{
    struct few *few = few_of(g);
    const struct product_segment *segment = segment_of(few);
    int64_t cols = few->operands->layout.cols, width = segment->width;
    if (few->operands->m > 1)
        variable_add(g, few->operands->m, ROW, false);
    if (width > 0 && cols > 2 * width)
        variable_add(g, cols / (2 * width), UNIT, false);
    variable_add(g, width > 0 ? width : cols, LOCAL, width > 0 || !is_ragged(few));
}

static void attempt(struct generator *g)
{
    struct few *few = few_of(g);
    for (int v = 0; v < g->variable_count; v++)
        g->variables[v].atom = -1;
    declare_origin(g);
    struct nest nest = nest_of_block(g, 0);
    nest.thread = "thread";
    nest.vector = is_ragged(few) ? 1 : few->wanted;
    nest_emit(g, &nest, is_ragged(few) ? store_ragged : store_columns);
}

void few_settle_epilogues(struct generator *g)
{
    struct few *few = few_of(g);
    g->provide = provide;
    for (few->segment = 0; few->segment < few->operands->layout.count; few->segment++)
        few_settle(g, &few->epilogues[few->segment], prepare, attempt);
}

void few_emit_epilogues(struct generator *g)
{
    struct few *few = few_of(g);
    const struct product_layout *layout = &few->operands->layout;
    for (int s = 0; s < layout->count; s++) {
        few->segment = s;
        few_restore(g, &few->epilogues[s]);
        scope_open_conditional(g, g->depth);
        attempt(g);
        if (layout->count == 1)
            scope_close_bare(g);
        else if (s + 1 == layout->count)
            scope_close(g, "else");
        else
            scope_close(g, "%sif (block < %lld)", s ? "else " : "",
                        (long long)layout->segments[s + 1].first_tile);
    }
}
