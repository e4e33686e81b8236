/* See few.h. */
#include "backends/cuda/few.h"

#include <string.h>

/* --- weights --- */

/* Where the weights of a product stand: rows of memory along K, one a column. */
static struct few_weights find_weights(struct generator *g, const struct node *anchor)
{
    const struct few_operands *o = few_of(g)->operands;
    int64_t n = product_extents(anchor).n, k = o->k;
    variables_reset(g);
    generator_restart(g);
    struct index column = variable_open(g, variable_add(g, n, 0, false), "n", 0, n - 1);
    struct index step = variable_open(g, variable_add(g, k, 0, false), "k", 0, k - 1);
    bool rows = node_int(anchor, transb);
    struct index index = rows ? index_add(&g->space, index_scale(column, k), step)
                              : index_add(&g->space, index_scale(step, n), column);
    struct matrix_axes axes = {-1, -1, 0, 1};
    struct few_weights weights = {.matrix = matrix_find(g, anchor->operands[1], index, axes, true)};
    if (weights.matrix.kind != MATRIX_ROWS)
        fatal(INTERNAL, "the weights of a product of few rows are not stored by columns",
              g->kernel->name);
    int64_t chunk = 128 / dtype_bits(o->stored);
    weights.aligned = weights.matrix.major % chunk == 0 && weights.matrix.offset % chunk == 0;
    return weights;
}

/* The element in one segment, assigned to "weight". */
static void emit_weight_of(struct generator *g, int which, int partner)
{
    const struct few_operands *o = few_of(g)->operands;
    const struct product_segment *segment = &o->layout.segments[which];
    const struct node *anchor = segment->anchors[partner];
    struct atom names[2] = {{.text = "column", .high = segment->n - 1},
                            {.text = "k", .high = o->k - 1}};
    struct index at[2];
    for (int i = 0; i < 2; i++) {
        names[i].depth = g->depth;
        names[i].variable = -1;
        at[i] = index_of_atom(index_new_atom(&g->space, names[i]));
    }
    bool rows = node_int(anchor, transb);
    struct index index =
        index_add(&g->space, index_scale(at[!rows], rows ? o->k : segment->n), at[rows]);
    struct element element = value_at(g, anchor->operands[1], index);
    writer_line(scope_writer(g), "weight = %s;", element.text);
}

void few_emit_weight(struct generator *g, int partner)
{
    const struct few_operands *o = few_of(g)->operands;
    const struct product_layout *layout = &o->layout;
    writer_line(scope_writer(g), "float weight = 0;");
    for (int s = 0; s < layout->count; s++) {
        struct str guard = str_create(g->arena);
        str_printf(&guard, "if (k < %lld", (long long)o->k);
        if (s > 0)
            str_printf(&guard, " && block >= %lld", (long long)layout->segments[s].first_tile);
        if (s + 1 < layout->count)
            str_printf(&guard, " && block < %lld", (long long)layout->segments[s + 1].first_tile);
        scope_open_conditional(g, g->depth);
        emit_weight_of(g, s, partner);
        scope_close(g, "%s)", guard.text);
    }
}

bool few_aligned(const struct few *few)
{
    const struct product_layout *layout = &few->operands->layout;
    bool aligned = true;
    for (int s = 0; s < layout->count; s++)
        for (int p = 0; p < layout->segments[s].count; p++)
            aligned = aligned && few->weights[s][p].aligned;
    return aligned;
}

/* --- what differs from segment to segment --- */

const char *few_by_segment(struct generator *g, const char *const *texts)
{
    const struct product_layout *layout = &few_of(g)->operands->layout;
    bool same = true;
    for (int s = 1; s < layout->count; s++)
        same = same && strcmp(texts[s], texts[0]) == 0;
    if (same)
        return texts[0];
    struct str out = str_create(g->arena);
    str_printf(&out, "(");
    for (int s = 0; s + 1 < layout->count; s++)
        if (strcmp(texts[s], texts[s + 1]) != 0)
            str_printf(&out, "block < %lld ? %s : ", (long long)layout->segments[s + 1].first_tile,
                       texts[s]);
    str_printf(&out, "%s)", texts[layout->count - 1]);
    return out.text;
}

void few_declare(struct generator *g)
{
    const struct product_layout *layout = &few_of(g)->operands->layout;
    struct writer *w = scope_writer(g);
    writer_line(w, "const int thread = thread_index(), lane = lane_index(), warp = warp_index();");
    const char *first[PRODUCTS_MOST];
    for (int s = 0; s < layout->count; s++)
        first[s] = number_text(g, layout->segments[s].first_tile);
    if (layout->count == 1)
        writer_line(w, "const int tile = block;");
    else
        writer_line(w, "const int tile = block - %s;", few_by_segment(g, first));
}

void few_declare_weights(struct generator *g)
{
    struct few *few = few_of(g);
    const struct product_layout *layout = &few->operands->layout;
    for (int p = 0; p < few->operands->partners; p++) {
        const char *texts[PRODUCTS_MOST];
        for (int s = 0; s < layout->count; s++)
            texts[s] = matrix_pointer(g, &few->weights[s][p].matrix, "0", "0", "0", "0");
        writer_line(scope_writer(g), "const %s *weights%d = %s;", cuda_cell(few->operands->stored),
                    p, few_by_segment(g, texts));
    }
}

/* See product_column. */
static const char *segment_column(struct generator *g, const struct product_segment *segment,
                                  const char *local)
{
    long long cols = (long long)few_of(g)->operands->layout.cols;
    long long width = (long long)segment->width, distance = (long long)segment->distance;
    if (width == 0 || width == distance)
        return arena_printf(g->arena, "tile * %lld + %s", cols, local);
    return arena_printf(
        g->arena, "(tile / %lld * 2 + %s / %lld) * %lld + tile %% %lld * %lld + %s %% %lld",
        distance / width, local, width, distance, distance / width, width, local, width);
}

const char *few_column(struct generator *g, const char *local)
{
    const struct product_layout *layout = &few_of(g)->operands->layout;
    const char *columns[PRODUCTS_MOST], *last[PRODUCTS_MOST];
    for (int s = 0; s < layout->count; s++) {
        columns[s] = segment_column(g, &layout->segments[s], local);
        last[s] = number_text(g, layout->segments[s].n - 1);
    }
    struct writer *w = scope_writer(g);
    writer_line(w, "const int wanted = %s;", few_by_segment(g, columns));
    const char *most = few_by_segment(g, last);
    writer_line(w, "const int column = wanted < %s ? wanted : %s;", most, most);
    return "column";
}

const char *few_stride(struct generator *g)
{
    struct few *few = few_of(g);
    const char *texts[PRODUCTS_MOST];
    for (int s = 0; s < few->operands->layout.count; s++)
        texts[s] = number_text(g, few->weights[s][0].matrix.major);
    return few_by_segment(g, texts);
}

/* --- variables that are found before the kernel is printed --- */

void few_settle(struct generator *g, struct few_settled *settled,
                void (*prepare)(struct generator *g), void (*attempt)(struct generator *g))
{
    emit_attempts(g, prepare, attempt);
    memcpy(settled->variables, g->variables, sizeof settled->variables);
    memcpy(settled->may_split, g->may_split, sizeof settled->may_split);
    settled->count = g->variable_count;
}

void few_restore(struct generator *g, const struct few_settled *settled)
{
    memcpy(g->variables, settled->variables, sizeof settled->variables);
    memcpy(g->may_split, settled->may_split, sizeof settled->may_split);
    g->variable_count = settled->count;
    for (int v = 0; v < settled->count; v++) {
        g->extents[v] = settled->variables[v].extent;
        g->variables[v].atom = -1;
    }
}

static void check_strides(struct generator *g, const struct few *few)
{
    const struct product_layout *layout = &few->operands->layout;
    for (int s = 0; s < layout->count; s++)
        for (int p = 1; p < layout->segments[s].count; p++)
            if (few->weights[s][p].matrix.major != few->weights[s][0].matrix.major)
                fatal(INTERNAL, "partners of a product differ in the strides of their weights",
                      g->kernel->name);
}

void few_prepare(struct generator *g, struct few *few)
{
    const struct product_layout *layout = &few->operands->layout;
    for (int s = 0; s < layout->count && !few->operands->decoded; s++)
        for (int p = 0; p < layout->segments[s].count; p++)
            few->weights[s][p] = find_weights(g, layout->segments[s].anchors[p]);
    check_strides(g, few);
    few_settle_epilogues(g);
    if (few->stage)
        few_settle_prologue(g);
    generator_restart(g);
}
