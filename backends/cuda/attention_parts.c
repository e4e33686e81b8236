/* See attention.h. */
#include "backends/cuda/attention.h"

#include <string.h>

enum { CHUNK = 16 };

static const char *index_type(const struct generator *g)
{
    return g->dialect->index_type;
}

/* The text of an index as a factor, as wide as the kernel's indices. */
static const char *widened(struct generator *g, const char *name)
{
    bool narrow = strcmp(index_type(g), "int") == 0;
    return arena_printf(g->arena, narrow ? "(%s)" : "(rt_i64)(%s)", name);
}

const char *attention_form_name(const struct attention *a)
{
    static const char *const names[] = {"bf16", "f16", "f32"};
    return names[a->l.form];
}

struct index attention_open(struct generator *g, int variable, const char *name, const char *text)
{
    writer_line(scope_writer(g), "const %s %s = %s;", index_type(g), name, text);
    int64_t extent = g->variables[variable].extent;
    return variable_open(g, variable, name, 0, extent > 0 ? extent - 1 : 0);
}

static struct index open_index(struct generator *g, int variable)
{
    return index_of_atom(g->variables[variable].atom);
}

/* --- operands --- */

/* The row-major index of an operand at the open variables; keys and values have groups. */
static struct index operand_index(struct generator *g, struct attention *a, int which)
{
    const int64_t *dims = a->l.node->operands[which]->type.dims;
    struct index axes[4] = {
        open_index(g, a->v_batch), open_index(g, which ? a->v_slot : a->v_query),
        open_index(g, which ? a->v_group : a->v_head), open_index(g, a->v_column)};
    return index_put_together(&g->space, 4, dims, axes);
}

static void find_operand(struct generator *g, struct attention *a, int which)
{
    generator_restart(g);
    int variables[] = {a->v_batch, a->v_query, a->v_head, a->v_group, a->v_slot, a->v_column};
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        variable_open(g, variables[i], "v", 0, g->variables[variables[i]].extent - 1);
    struct matrix_axes axes = {a->v_batch, which ? a->v_group : a->v_head,
                               which ? a->v_slot : a->v_query, a->v_column};
    a->operands[which] =
        matrix_find(g, a->l.node->operands[which], operand_index(g, a, which), axes, false);
    const struct matrix *m = &a->operands[which];
    if (m->kind != MATRIX_ROWS || m->value->place.kind != PLACE_ARENA)
        return;
    enum dtype dtype = m->value->type.dtype;
    int64_t element = a->l.element, unit = CHUNK / element;
    bool fits = a->l.form == ATTENTION_F32 ? dtype == DTYPE_f32 || dtype == DTYPE_tf32
                                           : dtype_bits(dtype) == 16;
    a->direct[which] = fits && m->offset % unit == 0 && m->batch % unit == 0 &&
                       m->group % unit == 0 && m->major % unit == 0 &&
                       (m->major + m->group) * element < 1 << 20;
}

static void add_variables(struct generator *g, struct attention *a)
{
    variables_reset(g);
    a->v_batch = variable_add(g, a->l.batch, 0, false);
    a->v_query = variable_add(g, a->l.queries, 0, false);
    a->v_head = variable_add(g, a->l.heads, 0, false);
    a->v_group = variable_add(g, a->l.groups, 0, false);
    a->v_slot = variable_add(g, a->l.slots, 0, false);
    a->v_column = variable_add(g, a->l.size, 0, false);
    a->v_lane = variable_add(g, 8, 0, false);
}

static bool provide(struct generator *g, const struct value *value, struct index index,
                    struct element *out_element)
{
    struct attention *a = g->skeleton;
    if (value->node != a->l.node)
        return false;
    if (!index_equal(&index, &a->here))
        fatal(INTERNAL, "an epilogue needs another element of attention", value->name);
    *out_element = (struct element){round_text(g->arena, value->type.dtype, a->result), g->depth};
    return true;
}

struct attention *attention_begin(struct generator *g)
{
    struct attention *a = arena_new(g->arena, struct attention);
    if (!attention_layout(g->function, g->kernel, &a->l) || a->l.tiles != cuda_of(g)->blocks ||
        a->l.shared_bytes > cuda_of(g)->shared)
        fatal(INTERNAL, "the attributes of an attention kernel do not fit", g->kernel->name);
    const struct node *node = a->l.node;
    a->causal = node_int(node, causal);
    a->window = node_int(node, window);
    a->ring = node_int(node, ring);
    a->cached = node_int(node, cached);
    a->split = g->kernel->skeleton == SKELETON_split_attention;
    a->scale = node_real(node, scale);
    a->position = a->cached ? node->operands[3] : NULL;
    a->bias = node_int(node, biased) ? node->operands[3 + a->cached] : NULL;
    g->skeleton = a;
    g->provide = provide;
    add_variables(g, a);
    for (int i = 0; i < 3; i++)
        find_operand(g, a, i);
    generator_restart(g);
    return a;
}

/* --- lines --- */

static void fill_direct(struct generator *g, struct attention *a, const struct line_block *block)
{
    const struct matrix *m = &a->operands[block->which];
    const struct attention_layout *l = &a->l;
    const char *first = widened(g, block->first);
    const char *from =
        block->heads ? matrix_pointer(g, m, "batch", first, "0", "0")
                     : matrix_pointer(g, m, "batch", block->which ? "group" : "head", first, "0");
    int64_t stride = (block->heads ? m->group : m->major) * l->element;
    writer_line(scope_writer(g), "copy_lines(%s, %lld, %d, %s, %lld, %lld, %s, %lld, %lld, %lld);",
                block->to, (long long)l->pitch, (int)l->line, from, (long long)stride,
                (long long)(l->size * l->element), block->count, (long long)block->lines,
                (long long)l->chunks, (long long)l->threads);
}

/* One element of a line that is not a run of memory. */
static void fill_element(struct generator *g, struct attention *a, const struct line_block *block)
{
    scope_open_conditional(g, g->depth);
    const char *at = arena_printf(g->arena, "%s + line", block->first);
    if (block->which)
        attention_open(g, a->v_slot, "slot", at);
    else
        attention_open(g, block->heads ? a->v_head : a->v_query, block->heads ? "head" : "query",
                       at);
    if (block->which)
        variable_open(g, a->v_group, "group", 0, a->l.groups - 1);
    else if (block->heads)
        attention_open(g, a->v_query, "query", "0");
    variable_open(g, a->v_column, "column", 0, a->l.size - 1);
    struct element e =
        value_at(g, a->l.node->operands[block->which], operand_index(g, a, block->which));
    writer_line(scope_writer(g), "element = %s;", e.text);
    scope_close(g, "if (line < %s && column < %lld)", block->count, (long long)a->l.size);
}

static void fill_elements(struct generator *g, struct attention *a, const struct line_block *block)
{
    const struct attention_layout *l = &a->l;
    long long unit = CHUNK / l->element;
    scope_open(g);
    struct writer *w = scope_writer(g);
    writer_line(w, "const int line = item / %lld, column = item %% %lld;", (long long)l->depth,
                (long long)l->depth);
    writer_line(w, "float element = 0;");
    fill_element(g, a, block);
    writer_line(w,
                "const shared_t place = line_chunk(%s, %lld, %d, line, column / %lld) + "
                "column %% %lld * %lld;",
                block->to, (long long)l->pitch, (int)l->line, unit, unit, (long long)l->element);
    if (l->form == ATTENTION_F32)
        writer_line(w, "shared_store_f32(place, element);");
    else
        writer_line(w, "shared_store_u16(place, to_%s(element));", attention_form_name(a));
    writer_line(&g->scopes[g->depth - 1].writer, "NO_UNROLL");
    scope_close(g, "for (int item = thread_index(); item < %lld; item += %lld)",
                (long long)(block->lines * l->depth), (long long)l->threads);
}

void attention_fill(struct generator *g, struct attention *a, const struct line_block *block)
{
    if (a->direct[block->which])
        fill_direct(g, a, block);
    else
        fill_elements(g, a, block);
}

/* --- results --- */

void attention_close_unrolled(struct generator *g, const char *head)
{
    writer_line(&g->scopes[g->depth - 1].writer, "UNROLL");
    scope_close(g, "%s", head);
}

static void store_all(struct generator *g, struct attention *a, struct index column)
{
    struct value_list outs = kernel_live_outs(g);
    int64_t dims[4] = {a->l.batch, a->l.queries, a->l.heads, a->l.size};
    struct index axes[4] = {open_index(g, a->v_batch), open_index(g, a->v_query),
                            open_index(g, a->v_head), column};
    a->here = index_put_together(&g->space, 4, dims, axes);
    for (int i = 0; i < outs.count; i++)
        value_store(g, outs.items[i], a->here, value_at(g, outs.items[i], a->here));
}

/* Head sizes that are no multiple of 4: an element at a time. */
static void store_single(struct generator *g, struct attention *a, const char *chunk)
{
    scope_open(g);
    scope_open_conditional(g, g->depth);
    struct index column =
        attention_open(g, a->v_column, "column", arena_printf(g->arena, "(%s) * 4 + u", chunk));
    store_all(g, a, column);
    scope_close(g, "if ((%s) * 4 + u < %lld)", chunk, (long long)a->l.size);
    attention_close_unrolled(g, "for (int u = 0; u < 4; u++)");
}

void attention_store(struct generator *g, struct attention *a, const char *chunk)
{
    if (a->l.size % 4 != 0) {
        store_single(g, a, chunk);
        return;
    }
    struct cuda_lanes *lanes = &cuda_of(g)->lanes;
    writer_line(scope_writer(g), "const %s four = %s;", index_type(g), chunk);
    struct index four = variable_open(g, a->v_column, "four", 0, a->l.size / 4 - 1);
    scope_open(g);
    struct index lane = variable_open(g, a->v_lane, "u", 0, 3);
    *lanes = (struct cuda_lanes){lane.terms[0].atom, 4, g->depth, str_create(g->arena)};
    store_all(g, a, index_add(&g->space, index_scale(four, 4), lane));
    struct writer *outer = &g->scopes[g->depth - 1].writer;
    attention_close_unrolled(g, "for (int u = 0; u < 4; u++)");
    str_bytes(&outer->text, lanes->stores.text, lanes->stores.length);
    lanes->atom = -1;
}
