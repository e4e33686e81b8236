/* See reductions.h. */
#include "backends/element/reductions.h"

#include "backends/element/parts.h"

/* --- levels --- */

static int level_of(struct generator *g, struct reductions *r, const struct value *value);

static int level_of_node(struct generator *g, struct reductions *r, const struct node *node)
{
    int level = 0;
    for (int k = 0; k < node->operand_count; k++) {
        int below = level_of(g, r, node->operands[k]);
        level = below > level ? below : level;
    }
    return level;
}

/* The number of passes that must have run before the value can be computed. */
static int level_of(struct generator *g, struct reductions *r, const struct value *value)
{
    if (is_loaded(g, value))
        return 0;
    struct reduction *reduction = reductions_of(r, value);
    return reduction ? reduction->level + 1 : level_of_node(g, r, value->node);
}

void reductions_find(struct generator *g, struct reductions *out)
{
    struct node_list nodes = kernel_nodes(g);
    out->count = out->levels = 0;
    for (int i = 0; i < nodes.count; i++) {
        const struct node *node = nodes.items[i];
        const struct op_info *info = op_info(node->op);
        if (info->kind != KIND_RED)
            continue;
        if (out->count == REDUCTIONS)
            fatal(INTERNAL, "a kernel has too many reductions", g->kernel->name);
        enum dtype dtype = node->operands[0]->type.dtype;
        bool wide = !dtype_is_float(dtype) || dtype == DTYPE_f64;
        struct reduction *r = &out->items[out->count];
        *r = (struct reduction){.node = node,
                                .parts = info->parts,
                                .type = wide ? "double" : "float",
                                .suffix = wide ? "f64" : "f32"};
        r->level = level_of_node(g, out, node);
        out->levels = r->level + 1 > out->levels ? r->level + 1 : out->levels;
        out->domain = node->operands[0]->type;
        out->count++;
    }
    if (out->count == 0)
        fatal(INTERNAL, "a rows kernel has no reduction", g->kernel->name);
}

struct reduction *reductions_of(struct reductions *r, const struct value *value)
{
    for (int i = 0; i < r->count; i++)
        if (r->items[i].node == value->node)
            return &r->items[i];
    return NULL;
}

/* --- variables --- */

static bool is_reduced(const struct reductions *r, int axis)
{
    int count;
    const int64_t *axes = node_list(r->items[0].node, axes, &count);
    for (int i = 0; i < count; i++)
        if (axes[i] == axis)
            return true;
    return false;
}

void reductions_variables(struct generator *g, const struct reductions *r)
{
    int64_t extent = 1;
    int role = -1;
    for (int k = 0; k < r->domain.rank; k++) {
        int this = is_reduced(r, k) ? REDUCED : KEPT;
        if (r->domain.dims[k] == 1)
            continue;
        if (role >= 0 && this != role) {
            variable_add(g, extent, role, true);
            extent = 1;
        }
        role = this;
        extent *= r->domain.dims[k];
    }
    if (role >= 0)
        variable_add(g, extent, role, true);
    else
        variable_add(g, 1, REDUCED, false);
}

void reductions_check_row(struct generator *g, const struct reduction *r,
                          const struct value *value, struct index index)
{
    /* With one row, or rows of one element, every index names the row that is at hand. */
    int64_t count = type_elements(&value->type);
    bool only = count == 1 || count == type_elements(&value->node->operands[0]->type);
    struct index here = linear_index(g, KEPT);
    if (!only && !index_equal(&here, &index) && !g->space.split.wanted)
        fatal(INTERNAL, "a reduction is used at another row than its own", value->name);
    if (!r->done)
        fatal(INTERNAL, "a reduction is used before it is computed", value->name);
}

/* --- accumulators --- */

void reduction_combine(struct generator *g, const struct reduction *r, const char *const to[4],
                       const char *const p[4], const char *const q[4])
{
    const struct op_info *info = op_info(r->node->op);
    const char *before[4] = {"0", "0", "0", "0"}; /* each part reads all */
    for (int k = 0; k < r->parts; k++)
        before[k] = element_new(g, r->type, g->depth, "%s", p[k]).text;
    struct emit_names names = {.p = before, .q = q, .suffix = r->suffix};
    for (int k = 0; k < r->parts; k++)
        writer_line(scope_writer(g), "%s = %s;", to[k],
                    emit_expression(g->arena, emit_component(g->arena, info->combine, k), &names));
}

void reduction_lift(struct generator *g, const struct reduction *r, const char *out_q[4])
{
    const struct op_info *info = op_info(r->node->op);
    struct element element = value_at(g, r->node->operands[0], linear_index(g, -1));
    struct index flat = linear_index(g, REDUCED);
    const char *operands[4] = {element.text, "0", "0", "0"};
    struct emit_names names = {
        .operands = operands,
        .index = arena_printf(g->arena, "(%s)(%s)", r->type, index_text(&g->space, &flat)),
        .suffix = r->suffix};
    for (int k = 0; k < 4; k++)
        out_q[k] = "0";
    for (int k = 0; k < r->parts; k++) {
        const char *text = emit_component(g->arena, info->lift, k);
        const char *lifted = emit_expression(g->arena, text, &names);
        out_q[k] = element_new(g, r->type, g->depth, "%s", lifted).text;
    }
}

const char *reduction_identity(struct generator *g, const struct reduction *r, int k)
{
    return emit_component(g->arena, op_info(r->node->op)->identity, k);
}

const char *reduction_finish(struct generator *g, const struct reduction *r,
                             const char *const p[4])
{
    struct emit_names names = {.p = p, .suffix = r->suffix};
    enum dtype to = r->node->results[0].type.dtype;
    const char *text = emit_expression(g->arena, op_info(r->node->op)->finish, &names);
    if (!dtype_is_float(to))
        return arena_printf(g->arena, "(%s)(%s)", emit_compute_type(to), text);
    return round_text(g->arena, to, text);
}

/* --- storing --- */

static bool is_out(struct generator *g, struct reductions *r, const struct value *value,
                   enum reductions_outs outs)
{
    bool full = type_elements(&value->type) == type_elements(&r->domain);
    if (!full || outs == OUTS_ROW || outs == OUTS_FULL)
        return full == (outs != OUTS_ROW);
    return (level_of_node(g, r, value->node) == 0) == (outs == OUTS_EARLY);
}

bool reductions_has_outs(struct generator *g, struct reductions *r, enum reductions_outs outs)
{
    struct value_list values = kernel_live_outs(g);
    for (int i = 0; i < values.count; i++)
        if (is_out(g, r, values.items[i], outs))
            return true;
    return false;
}

void reductions_store(struct generator *g, struct reductions *r, enum reductions_outs outs)
{
    struct value_list values = kernel_live_outs(g);
    struct index index = linear_index(g, outs == OUTS_ROW ? KEPT : -1);
    struct element *elements = arena_array(g->arena, struct element, (size_t)values.count + 1);
    for (int i = 0; i < values.count; i++)
        if (is_out(g, r, values.items[i], outs))
            elements[i] = value_at(g, values.items[i], index);
    for (int i = 0; i < values.count; i++)
        if (is_out(g, r, values.items[i], outs))
            value_store(g, values.items[i], index, elements[i]);
}
