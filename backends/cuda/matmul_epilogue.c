/*
 * From the sums of a product to its results: see matmul.h. The sums go to shared memory a slab
 * of rows at a time; then each thread takes `vector` neighbouring columns of a row (of a tile of
 * pairs: those and the columns `pair` further), computes every result there and stores it.
 *
 * Variables, by role: the digits of the column tile's number in its segment, of a unit (a thread's
 * columns) in the tile, and the lane, one of a unit's neighbours. With pairs that are whole in a
 * tile, UNIT counts them; with pairs of which a tile holds a part, HEAD and RUN say which. Where
 * the last tile is ragged, the number of a unit's first column has a name of its own, so that it
 * is known to be inside.
 */
#include "backends/cuda/matmul.h"

enum { TILE, HEAD, RUN, UNIT, COLUMN, LANE };

static const struct product_segment *segment_of(const struct gpu_product *p)
{
    return &p->layout.segments[p->segment];
}

/* Columns that a result joins: runs of `width` neighbours, `distance` apart; 0: none. Those that
 * the tiling did not ask for are whole in a tile all the same where their number divides it. */
struct joined {
    int64_t width, distance;
};

static struct joined joined_of(const struct gpu_product *p)
{
    const struct product_segment *segment = segment_of(p);
    int64_t distance = segment->distance;
    if (segment->width > 0)
        return (struct joined){segment->width, p->layout.pair};
    if (distance > 0 && p->tile.cols % (2 * distance) == 0 && segment->n % (2 * distance) == 0)
        return (struct joined){distance, distance};
    return (struct joined){0, 0};
}

/* Whether tiles hold parts of pairs. */
static bool is_part_of_pair(const struct gpu_product *p)
{
    struct joined joined = joined_of(p);
    return joined.width < joined.distance;
}

/* Neighbours of a thread: as many as asked for that divide every run of columns. */
static int64_t vector_of(struct generator *g, const struct gpu_product *p)
{
    const struct product_segment *segment = segment_of(p);
    int64_t vector = kernel_int(g, vector), width = joined_of(p).width;
    int64_t run = width ? width : p->tile.cols;
    vector = vector > 8 ? 8 : vector;
    while (vector > 1 && (segment->n % vector != 0 || run % vector != 0 || (vector & 1)))
        vector = vector % 2 ? vector - 1 : vector / 2;
    return vector < 1 ? 1 : vector;
}

static void prepare(struct generator *g)
{
    struct gpu_product *p = product_of(g);
    const struct product_segment *segment = segment_of(p);
    struct joined joined = joined_of(p);
    int64_t width = joined.width;
    p->vector = vector_of(g, p);
    if (is_part_of_pair(p)) {
        variable_add(g, segment->n / (2 * joined.distance), HEAD, true);
        variable_add(g, joined.distance / width, RUN, true);
        variable_add(g, width / p->vector, COLUMN, true);
    } else {
        variable_add(g, segment->tiles, TILE, true);
        if (width)
            variable_add(g, p->tile.cols / (2 * width), UNIT, true);
        variable_add(g, (width ? width : p->tile.cols) / p->vector, COLUMN, true);
    }
    if (p->vector > 1)
        variable_add(g, p->vector, LANE, false);
}

/* --- indices --- */

static struct index role_index(struct generator *g, int role, int64_t scale)
{
    return index_scale(linear_index(g, role), scale);
}

/* The column, in the segment, at the open variables, of the lower side of a pair. */
static struct index column_index(struct generator *g, const struct gpu_product *p)
{
    struct joined joined = joined_of(p);
    if (p->grouped)
        return index_add(&g->space, index_scale(p->group, p->vector), role_index(g, LANE, 1));
    struct index tile = is_part_of_pair(p)
                            ? index_add(&g->space, role_index(g, HEAD, 2 * joined.distance),
                                        role_index(g, RUN, joined.width))
                            : role_index(g, TILE, p->tile.cols);
    struct index inside = index_add(&g->space, role_index(g, UNIT, 2 * joined.width),
                                    role_index(g, COLUMN, p->vector));
    return index_add(&g->space, index_add(&g->space, tile, inside), role_index(g, LANE, 1));
}

/* The same, from the tile's first column in the slab. */
static struct index local_index(struct generator *g, const struct gpu_product *p)
{
    struct index inside = index_add(&g->space, role_index(g, UNIT, 2 * joined_of(p).width),
                                    role_index(g, COLUMN, p->vector));
    return index_add(&g->space, inside, role_index(g, LANE, 1));
}

/* Row-major index of the result at a column of the open row. */
static struct index result_index(struct generator *g, const struct gpu_product *p,
                                 struct index column)
{
    const struct product_extents *e = &p->layout.e;
    struct index outer = p->batch_inside ? p->row : p->batch;
    struct index inner = p->batch_inside ? p->batch : p->row;
    int64_t inners = p->batch_inside ? e->batch : e->m;
    struct index rows = index_add(&g->space, index_scale(outer, inners), inner);
    return index_add(&g->space, index_scale(rows, segment_of(p)->n), column);
}

/* --- elements of the products --- */

/* Where the element at `index` of a product is in the slab's row; false: in another tile. */
static bool find_local(struct generator *g, const struct gpu_product *p, struct index index,
                       struct index *out_local)
{
    int64_t low, high;
    struct index base = result_index(g, p, column_index(g, p));
    struct index difference = index_add(&g->space, index, index_scale(base, -1));
    *out_local = index_add(&g->space, local_index(g, p), difference);
    if (is_part_of_pair(p)) {
        struct joined joined = joined_of(p);
        if (difference.count || (difference.base != 0 && difference.base != joined.distance))
            return false;
        if (difference.base)
            *out_local = index_offset(local_index(g, p), joined.width);
    }
    index_range(&g->space, out_local, &low, &high);
    return low >= 0 && high < p->tile.cols;
}

static bool provide(struct generator *g, const struct value *value, struct index index,
                    struct element *out_element)
{
    struct gpu_product *p = product_of(g);
    const struct product_segment *segment = segment_of(p);
    int which = 0;
    while (which < segment->count && value->node != segment->anchors[which])
        which++;
    if (which == segment->count)
        return false;
    struct index local, rest;
    if (!find_local(g, p, index, &local) && !g->space.split.wanted)
        fatal(INTERNAL, "an epilogue needs products of another tile", value->name);
    local = index_offset(local, which * p->tile.cols);
    int64_t width = joined_of(p).width;
    bool narrow = width > 0 && width < GPU_WARP; /* the lanes would meet half of the banks */
    if (!narrow && cuda_lanes_read(g, &local, &rest)) {
        struct index at = index_scale(rest, 4);
        const char *text = arena_printf(g->arena, "shared_load_f32x%lld(row_at + %s)",
                                        (long long)p->vector, index_text(&g->space, &at));
        *out_element = cuda_lanes_element(g, "f32", cuda_of(g)->lanes.depth - 1, text);
    } else {
        struct index at = index_scale(local, 4);
        *out_element = element_new(g, "float", g->depth, "shared_load_f32(row_at + %s)",
                                   index_text(&g->space, &at));
    }
    const char *rounded = round_text(g->arena, value->type.dtype, out_element->text);
    if (rounded != out_element->text)
        *out_element = element_new(g, "float", g->depth, "%s", rounded);
    return true;
}

/* --- results --- */

static bool is_effect(const struct node *node)
{
    return op_info(node->op)->flags & OP_EFFECT;
}

/* All live-outs of the segment at the open variables, of both sides of a pair. */
static void store_results(struct generator *g)
{
    struct gpu_product *p = product_of(g);
    struct value_list outs = kernel_live_outs(g);
    struct index column = column_index(g, p);
    struct joined joined = joined_of(p);
    for (int side = 0; side <= (joined.width > 0); side++) {
        struct index index = result_index(g, p, index_offset(column, side * joined.distance));
        for (int i = 0; i < outs.count; i++)
            if (!is_effect(outs.items[i]->node) &&
                product_segment_of(&p->layout, outs.items[i]) == p->segment)
                value_store(g, outs.items[i], index, value_at(g, outs.items[i], index));
    }
}

static void store_rows(struct generator *g)
{
    struct gpu_product *p = product_of(g);
    const struct node *node = p->update;
    const struct value *cache = &node->results[0];
    int64_t rest = segment_of(p)->n;
    struct index column = column_index(g, p);
    struct joined joined = joined_of(p);
    for (int side = 0; side <= (joined.width > 0); side++) {
        struct index at = index_offset(column, side * joined.distance);
        struct element e = value_at(g, node->operands[1], result_index(g, p, at));
        struct index to = index_add(&g->space, index_scale(p->slot, rest), at);
        value_store(g, cache, to, e);
    }
}

/* The lanes of a unit: see nest.c. */
static void emit_unit_lanes(struct generator *g, void (*body)(struct generator *g))
{
    struct cuda_lanes *lanes = &cuda_of(g)->lanes;
    struct gpu_product *p = product_of(g);
    int last = g->variable_count - 1;
    if (p->vector == 1) {
        body(g);
        return;
    }
    const char *name = arena_printf(g->arena, "v%d", last);
    scope_open(g);
    struct index lane = variable_open(g, last, name, 0, p->vector - 1);
    *lanes = (struct cuda_lanes){lane.terms[0].atom, p->vector, g->depth, str_create(g->arena)};
    body(g);
    struct writer *outer = &g->scopes[g->depth - 1].writer;
    writer_line(outer, "UNROLL");
    scope_close(g, "for (int %s = 0; %s < %lld; %s++)", name, name, (long long)p->vector, name);
    str_bytes(&outer->text, lanes->stores.text, lanes->stores.length);
    lanes->atom = -1;
}

/* Rows of the result that become rows of a state, at the slot of their position. */
static void emit_update(struct generator *g, const struct node *node)
{
    struct gpu_product *p = product_of(g);
    const struct type *cache = &node->operands[0]->type, *rows = &node->operands[1]->type;
    int64_t slots = cache->dims[1], count = rows->dims[1];
    struct index_space *space = &g->space;
    if (type_elements(rows) != rows->dims[0] * count * segment_of(p)->n)
        fatal(INTERNAL, "the rows of a state are not those of a product", g->kernel->name);
    struct index line = index_add(space, index_scale(p->batch, p->layout.e.m), p->row);
    struct index batch = index_divide(space, line, count), i = index_modulo(space, line, count);
    struct element position = value_at(g, node->operands[2], batch);
    struct element limit = value_at(g, node->operands[3], batch);
    const char *at = arena_printf(g->arena, "(rt_i64)%s + %s", position.text,
                                  index_text(space, &i));
    if (node_int(node, ring))
        at = arena_printf(g->arena, "m_mod_i64(%s, %lld)", at, (long long)slots);
    const char *slot = arena_printf(g->arena, "slot%d", ++g->temporaries);
    writer_line(scope_writer(g), "const rt_i64 %s = %s;", slot, at);
    scope_open_conditional(g, g->depth);
    int atom = index_new_atom(space, (struct atom){slot, 0, slots - 1, g->depth, -1});
    p->slot = index_add(space, index_scale(batch, slots), index_of_atom(atom));
    p->update = node;
    emit_unit_lanes(g, store_rows);
    scope_close(g, "if (%s < %s && %s >= 0 && %s < %lld)", index_text(space, &i), limit.text, slot,
                slot, (long long)slots);
}

static bool has_results(struct generator *g, const struct gpu_product *p)
{
    struct value_list outs = kernel_live_outs(g);
    for (int i = 0; i < outs.count; i++)
        if (!is_effect(outs.items[i]->node) &&
            product_segment_of(&p->layout, outs.items[i]) == p->segment)
            return true;
    return false;
}

static void emit_results(struct generator *g, struct gpu_product *p)
{
    if (has_results(g, p))
        emit_unit_lanes(g, store_results);
    for (int i = 0; i < p->layout.node_count; i++) {
        const struct node *node = p->layout.nodes[i];
        if (is_effect(node) && product_segment_of(&p->layout, &node->results[0]) == p->segment)
            emit_update(g, node);
    }
}

/* --- units of the threads --- */

/* The row of the tile that a row of the slab is: of every warp the same share. */
static const char *row_text(struct generator *g, const struct gpu_tile *t)
{
    long long share = (long long)(t->warp_rows / t->passes);
    if (t->passes == 1)
        return "m0 + slab_row";
    return arena_printf(g->arena, "m0 + slab_row / %lld * %lld + pass * %lld + slab_row %% %lld",
                        share, (long long)t->warp_rows, share, share);
}

/* First variable of a role or a later one. */
static int first_of(const struct generator *g, int role)
{
    int v = 0;
    while (v < g->variable_count && g->variables[v].role < role)
        v++;
    return v;
}

/* Names the unit's number in the row of the result, where no columns are joined. */
static void name_group(struct generator *g, struct gpu_product *p)
{
    int64_t each = p->tile.cols / p->vector, all = segment_of(p)->n / p->vector;
    struct index number = index_add(&g->space, role_index(g, TILE, each), role_index(g, COLUMN, 1));
    writer_line(scope_writer(g), "const int group = %s;", index_text(&g->space, &number));
    struct atom group = {"group", 0, all - 1, g->depth, -1};
    p->group = index_of_atom(index_new_atom(&g->space, group));
    p->grouped = true;
}

/* The condition that a unit is inside of the result; names its row, batch and column. */
static const char *unit_guard(struct generator *g, struct gpu_product *p)
{
    const struct product_extents *e = &p->layout.e;
    struct atom row = {"row", 0, e->m - 1, g->depth, -1};
    struct atom batch = {"v_batch", 0, e->batch - 1, 0, -1};
    struct str guard = str_create(g->arena);
    p->row = index_of_atom(index_new_atom(&g->space, row));
    p->batch = e->batch > 1 ? index_of_atom(index_new_atom(&g->space, batch)) : index_constant(0);
    p->grouped = false;
    if (e->m % p->tile.rows != 0)
        str_printf(&guard, "row < %lld", (long long)e->m);
    if (segment_of(p)->n % p->tile.cols == 0 || is_part_of_pair(p))
        return guard.text;
    if (segment_of(p)->distance == 0)
        name_group(g, p);
    struct index column = column_index(g, p);
    str_printf(&guard, "%s%s < %lld", guard.length ? " && " : "", index_text(&g->space, &column),
               (long long)segment_of(p)->n);
    return guard.text;
}

/* What a unit computes, guarded where its tile is ragged. */
static void emit_unit(struct generator *g, struct gpu_product *p)
{
    emit_digits(g, first_of(g, UNIT), first_of(g, LANE), "place");
    const char *guard = unit_guard(g, p);
    if (!guard || !guard[0]) {
        emit_results(g, p);
        return;
    }
    scope_open_conditional(g, g->depth);
    emit_results(g, p);
    scope_close(g, "if (%s)", guard);
}

/* The units of a slab, among all threads. */
static void emit_segment(struct generator *g)
{
    struct gpu_product *p = product_of(g);
    const struct gpu_tile *t = &p->tile;
    const struct product_segment *segment = segment_of(p);
    int64_t sides = joined_of(p).width ? 2 : 1, across = t->cols / p->vector / sides;
    for (int v = 0; v < g->variable_count; v++)
        g->variables[v].atom = -1;
    scope_open(g);
    if (segment->first_tile)
        writer_line(scope_writer(g), "const int column_tile = tile - %lld;",
                    (long long)segment->first_tile);
    emit_digits(g, 0, first_of(g, UNIT), segment->first_tile ? "column_tile" : "tile");
    scope_open(g);
    struct writer *w = scope_writer(g);
    writer_line(w, "const int slab_row = unit / %lld, place = unit %% %lld;", (long long)across,
                (long long)across);
    writer_line(w, "const %s row = %s;", g->dialect->index_type, row_text(g, t));
    writer_line(w, "const shared_t row_at = window + slab_row * %lld;",
                (long long)t->slab_pitch * 4);
    emit_unit(g, p);
    writer_line(&g->scopes[g->depth - 1].writer, "NO_UNROLL");
    scope_close(g, "for (int unit = thread; unit < %lld; unit += %d)",
                (long long)(t->slab_rows * across), t->threads);
    scope_close_bare(g);
}

/* --- all segments --- */

/* Each segment has variables of its own: they are split until nothing asks for more, and kept. */
void settle_epilogues(struct generator *g, struct gpu_product *p)
{
    g->provide = provide;
    for (p->segment = 0; p->segment < p->layout.count; p->segment++) {
        emit_attempts(g, prepare, emit_segment);
        int s = p->segment;
        p->settled[s].count = g->variable_count;
        for (int v = 0; v < g->variable_count; v++) {
            p->settled[s].variables[v] = g->variables[v];
            p->settled[s].may_split[v] = g->may_split[v];
        }
    }
}

static void emit_settled(struct generator *g, struct gpu_product *p)
{
    int s = p->segment;
    g->variable_count = p->settled[s].count;
    for (int v = 0; v < g->variable_count; v++) {
        g->variables[v] = p->settled[s].variables[v];
        g->may_split[v] = p->settled[s].may_split[v];
        g->extents[v] = g->variables[v].extent;
    }
    p->vector = vector_of(g, p);
    emit_segment(g);
}

static void emit_all_segments(struct generator *g, struct gpu_product *p)
{
    int count = p->layout.count;
    for (p->segment = 0; p->segment < count; p->segment++) {
        if (count == 1) {
            emit_settled(g, p);
            continue;
        }
        scope_open_conditional(g, g->depth);
        emit_settled(g, p);
        const char *word = p->segment ? "else if" : "if";
        if (p->segment + 1 == count)
            scope_close(g, "else");
        else
            scope_close(g, "%s (tile < %lld)", word,
                        (long long)p->layout.segments[p->segment + 1].first_tile);
    }
}

/* The slab of one pass. Sums are registers: which of them, the code says and no variable. */
static void emit_slab(struct generator *g, struct gpu_product *p)
{
    const struct gpu_tile *t = &p->tile;
    writer_line(scope_writer(g), "block_barrier();");
    if (t->passes == 1) {
        emit_slab_stores(g, p);
    } else {
        scope_open(g);
        scope_open_conditional(g, g->depth);
        emit_slab_stores(g, p);
        scope_close(g, "if (i == pass)");
        writer_line(&g->scopes[g->depth - 1].writer, "UNROLL");
        scope_close(g, "for (int i = 0; i < %d; i++)", t->passes);
    }
    writer_line(scope_writer(g), "block_barrier();");
    emit_all_segments(g, p);
}

void emit_epilogues(struct generator *g, struct gpu_product *p)
{
    const struct gpu_tile *t = &p->tile;
    bool exact = t->multiply == MULTIPLY_f32;
    g->provide = provide;
    long long share = (long long)(t->warp_rows / t->passes);
    writer_line(scope_writer(g),
                "const shared_t slab = window + (warp_row * %lld + lane / %d) * %lld + "
                "(warp_column * %lld + lane %% %s) * 4;",
                share, exact ? 8 : 4, (long long)t->slab_pitch * 4, (long long)t->warp_cols,
                exact ? "8" : "4 * 2");
    if (t->passes == 1) {
        emit_slab(g, p);
        return;
    }
    scope_open(g);
    emit_slab(g, p);
    writer_line(&g->scopes[g->depth - 1].writer, "NO_UNROLL");
    scope_close(g, "for (int pass = 0; pass < %d; pass++)", t->passes);
}
