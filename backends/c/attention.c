/*
 * The skeleton `attention`: flash-style, with online softmax over blocks of `keys` keys counted
 * from position 0, so that a query's sums do not depend on how many queries run together. A
 * tile is a batch row, a key head and `rows` queries, with all query heads of the group; the
 * products are the register blocks of lib/product.h.
 */
#include "backends/element/operand.h"
#include "backends/c/skeletons.h"

#include <string.h>

struct attention {
    const struct node *node;
    int64_t batch, queries, heads, size, slots, groups, share; /* share = heads / groups */
    int64_t rows, keys, depth, pitch; /* depth: of scores, in steps; pitch: of the result */
    bool pairs, causal, ring, cached;
    int64_t window;
    const struct value *position, *bias;
    struct matrix key, value;
    int v_batch, v_query, v_head, v_column, v_key;
};

static const struct value *operand_value(const struct attention *a, int which)
{
    return a->node->operands[which];
}

static void find_extents(struct generator *g, struct attention *a)
{
    const struct type *q = &operand_value(a, 0)->type, *k = &operand_value(a, 1)->type;
    a->batch = q->dims[0];
    a->queries = q->dims[1];
    a->heads = q->dims[2];
    a->size = q->dims[3];
    a->slots = k->dims[1];
    a->groups = k->dims[2];
    a->share = a->heads / a->groups;
    a->causal = node_int(a->node, causal);
    a->window = node_int(a->node, window);
    a->ring = node_int(a->node, ring);
    a->cached = node_int(a->node, cached);
    a->position = a->cached ? operand_value(a, 3) : NULL;
    a->bias = node_int(a->node, biased) ? operand_value(a, 3 + a->cached) : NULL;
    a->pairs = kernel_int(g, dots);
    int64_t nr = g->target->nr, rows = kernel_int(g, rows), keys = kernel_int(g, keys);
    a->rows = rows > 0 ? rows : 1;
    a->keys = keys > 0 ? (keys + nr - 1) / nr * nr : nr;
    a->depth = a->pairs ? (a->size + 1) / 2 * 2 : a->size;
    a->pitch = (a->size + nr - 1) / nr * nr;
}

static struct matrix find_cache(struct generator *g, struct attention *a, int which)
{
    variables_reset(g);
    generator_restart(g);
    int64_t extents[4] = {a->batch, a->groups, a->slots, a->size};
    static const char *const names[4] = {"b", "g", "s", "c"};
    struct index v[4];
    for (int i = 0; i < 4; i++)
        v[i] = variable_open(g, variable_add(g, extents[i], 0, false), names[i], 0,
                             extents[i] - 1);
    int64_t dims[4] = {a->batch, a->slots, a->groups, a->size};
    struct index axes[4] = {v[0], v[2], v[1], v[3]};
    struct index index = index_put_together(&g->space, 4, dims, axes);
    return matrix_find(g, operand_value(a, which), index, (struct matrix_axes){0, 1, 2, 3}, true);
}

/* Element (batch, slot, group, column) of keys or values, computed. */
static struct element cache_element(struct generator *g, struct attention *a, int which,
                                    struct index slot, struct index column)
{
    int64_t dims[4] = {a->batch, a->slots, a->groups, a->size};
    struct index group = index_of_atom(
        index_new_atom(&g->space, (struct atom){"group", 0, a->groups - 1, 1, -1}));
    struct index axes[4] = {index_of_atom(g->variables[a->v_batch].atom), slot, group, column};
    return value_at(g, operand_value(a, which), index_put_together(&g->space, 4, dims, axes));
}

/* Rows of keys or values that are not rows of memory are first computed into `lines`. */
static void emit_lines(struct generator *g, struct attention *a, int which)
{
    scope_open(g);
    writer_line(scope_writer(g), "const rt_i64 slot = key + j;");
    struct index slot = variable_open(g, a->v_key, "slot", 0, a->slots - 1);
    scope_open(g);
    struct index column = variable_open(g, a->v_column, "c", 0, a->size - 1);
    struct element e = cache_element(g, a, which, slot, column);
    writer_line(scope_writer(g), "lines[j * %lld + c] = %s;", (long long)a->size, e.text);
    scope_close(g, "for (rt_i64 c = 0; c < %lld; c++)", (long long)a->size);
    scope_close(g, "for (rt_i64 j = 0; j < count; j++)");
}

struct lines {
    const char *pointer, *type;
    int64_t stride;
};

/* Where rows key.. of keys (which = 1) or values (2) stand. */
static struct lines find_lines(struct generator *g, struct attention *a, int which)
{
    const struct matrix *matrix = which == 1 ? &a->key : &a->value;
    if (matrix->kind == MATRIX_ROWS)
        return (struct lines){matrix_pointer(g, matrix, "v0", "group", "key", "0"),
                              dtype_name(matrix->value->type.dtype), matrix->major};
    emit_lines(g, a, which);
    return (struct lines){"lines", "f32", a->size};
}

static const char *form(const struct attention *a)
{
    return a->pairs ? "pairs" : "f32";
}

static void emit_scores(struct generator *g, struct attention *a)
{
    int64_t nr = g->target->nr, words = a->depth / (a->pairs ? 2 : 1) * nr;
    struct lines lines = find_lines(g, a, 1);
    struct writer *w = scope_writer(g);
    writer_open(w, "for (rt_i64 j = 0; j < %lld; j += NR) {", (long long)a->keys);
    writer_line(w, "rt_u32 *target = panels + j / NR * %lld;", (long long)words);
    writer_line(w, "const rt_i64 columns = m_clamp_i64(count - j, NR);");
    writer_line(w, "pack_rows_%s_%s(target, %s + j * %lld, %lld, columns, %lld);", form(a),
                lines.type, lines.pointer, (long long)lines.stride, (long long)lines.stride,
                (long long)a->size);
    writer_open(w, "for (rt_i64 r = 0; r < rows; r += MR)");
    writer_line(w,
                "multiply_block(%s, m_least_i64(rows - r, MR), left + r * %lld, %lld, 1, target, "
                "%lld, scores + r * %lld + j, %lld, 0);",
                form(a), (long long)a->depth, (long long)a->depth, (long long)a->depth,
                (long long)a->keys, (long long)a->keys);
    w->level--;
    writer_close(w, "}");
}

static bool is_masked(const struct attention *a)
{
    return a->ring || a->causal || a->window > 0;
}

/* The condition under which key j of the block is visible to the query. */
static const char *visible_text(struct generator *g, struct attention *a)
{
    struct str out = str_create(g->arena);
    str_printf(&out, "j < count");
    if (a->ring)
        str_printf(&out, " && at >= 0");
    if (a->causal)
        str_printf(&out, " && at <= query");
    if (a->window > 0)
        str_printf(&out, " && at > query - %lld", (long long)a->window);
    return out.text;
}

static struct element bias_at(struct generator *g, struct attention *a, struct index slot)
{
    struct index axes[4] = {index_of_atom(g->variables[a->v_batch].atom),
                            index_of_atom(g->variables[a->v_head].atom),
                            index_of_atom(g->variables[a->v_query].atom), slot};
    const int64_t *dims = a->bias->type.dims;
    for (int i = 0; i < 4; i++)
        if (dims[i] == 1)
            axes[i] = index_constant(0);
    return value_at(g, a->bias, index_put_together(&g->space, 4, dims, axes));
}

/* Scale, bias and mask of a row of scores; masked keys get -infinity. */
static void emit_mask(struct generator *g, struct attention *a)
{
    scope_open(g);
    if (is_masked(a))
        writer_line(scope_writer(g), "const int at = (int)(%s);",
                    a->ring ? "slot_position(key + j, newest, SLOTS)" : "key + j");
    const char *scale = emit_real(g->arena, DTYPE_f32, node_real(a->node, scale));
    const char *bias = "";
    if (a->bias) {
        writer_line(scope_writer(g), "const rt_i64 slot = m_least_i64(key + j, %lld);",
                    (long long)a->slots - 1);
        struct index slot = variable_open(g, a->v_key, "slot", 0, a->slots - 1);
        bias = arena_printf(g->arena, " + %s", bias_at(g, a, slot).text);
    }
    writer_line(scope_writer(g), "line[j] = %s ? line[j] * %s%s : -m_infinity;",
                visible_text(g, a), scale, bias);
    writer_line(&g->scopes[g->depth - 1].writer, VECTOR_LOOP);
    scope_close(g, "for (int j = 0; j < %lld; j++)", (long long)a->keys);
}

/* Opens the query, and the head if wanted, that row r of the tile stands for. */
static void open_row(struct generator *g, struct attention *a, bool head)
{
    struct writer *w = scope_writer(g);
    writer_line(w, "const rt_i64 v1 = first_query + r / %lld;", (long long)a->share);
    variable_open(g, a->v_query, "v1", 0, a->queries - 1);
    if (!head)
        return;
    writer_line(w, "const rt_i64 v2 = group * %lld + r %% %lld;", (long long)a->share,
                (long long)a->share);
    variable_open(g, a->v_head, "v2", 0, a->heads - 1);
}

static void emit_softmax(struct generator *g, struct attention *a)
{
    scope_open(g);
    open_row(g, a, a->bias != NULL);
    struct writer *w = scope_writer(g);
    writer_line(w, "float *line = scores + r * %lld;", (long long)a->keys);
    if (a->causal || a->window > 0)
        writer_line(w, "const int query = (int)(start + v1);");
    emit_mask(g, a);
    writer_line(w, "softmax_block(line, %lld, &top[r], &sum[r], sums + r * %lld, %lld);",
                (long long)a->keys, (long long)a->pitch, (long long)a->pitch);
    if (a->pairs)
        writer_line(w, "round_block(weights + r * %lld, line, %lld);", (long long)a->keys,
                    (long long)a->keys);
    scope_close(g, "for (rt_i64 r = 0; r < rows; r++)");
}

static void emit_values(struct generator *g, struct attention *a)
{
    struct lines lines = find_lines(g, a, 2);
    struct writer *w = scope_writer(g);
    writer_open(w, "for (rt_i64 c = 0; c < %lld; c += NR) {", (long long)a->size);
    writer_line(w, "const rt_i64 columns = m_least_i64(%lld - c, NR);", (long long)a->size);
    writer_line(w, "pack_columns_%s_%s(panels, %s + c, %lld, columns, count);", form(a),
                lines.type, lines.pointer, (long long)lines.stride);
    writer_open(w, "for (rt_i64 r = 0; r < rows; r += MR)");
    writer_line(w,
                "multiply_block(%s, m_least_i64(rows - r, MR), %s + r * %lld, %lld, 1, panels, "
                "%s, sums + r * %lld + c, %lld, 1);",
                form(a), a->pairs ? "weights" : "scores", (long long)a->keys, (long long)a->keys,
                a->pairs ? "(count + 1) / 2 * 2" : "count", (long long)a->pitch,
                (long long)a->pitch);
    w->level--;
    writer_close(w, "}");
}

/* Queries into a buffer of the computing type. */
static void emit_left(struct generator *g, struct attention *a)
{
    scope_open(g);
    open_row(g, a, true);
    scope_open(g);
    struct index column = variable_open(g, a->v_column, "c", 0, a->size - 1);
    int64_t dims[4] = {a->batch, a->queries, a->heads, a->size};
    struct index axes[4] = {index_of_atom(g->variables[a->v_batch].atom),
                            index_of_atom(g->variables[a->v_query].atom),
                            index_of_atom(g->variables[a->v_head].atom), column};
    struct element e =
        value_at(g, operand_value(a, 0), index_put_together(&g->space, 4, dims, axes));
    writer_line(scope_writer(g), "left[r * %lld + c] = %s(%s);", (long long)a->depth,
                a->pairs ? "to_bf16" : "", e.text);
    writer_line(&g->scopes[g->depth - 1].writer, VECTOR_LOOP);
    scope_close(g, "for (rt_i64 c = 0; c < %lld; c++)", (long long)a->size);
    if (a->depth != a->size)
        writer_line(scope_writer(g), "left[r * %lld + %lld] = 0;", (long long)a->depth,
                    (long long)a->size);
    scope_close(g, "for (rt_i64 r = 0; r < rows; r++)");
}

static bool provide(struct generator *g, const struct value *value, struct index index,
                    struct element *out_element)
{
    struct attention *a = g->skeleton;
    if (value->node != a->node)
        return false;
    int64_t dims[4] = {a->batch, a->queries, a->heads, a->size};
    struct index axes[4] = {index_of_atom(g->variables[a->v_batch].atom),
                            index_of_atom(g->variables[a->v_query].atom),
                            index_of_atom(g->variables[a->v_head].atom),
                            index_of_atom(g->variables[a->v_column].atom)};
    struct index here = index_put_together(&g->space, 4, dims, axes);
    if (!index_equal(&here, &index) && !g->space.split.wanted)
        fatal(INTERNAL, "an epilogue needs another element of attention", value->name);
    const char *text = arena_printf(g->arena, "sums[r * %lld + c] * share", (long long)a->pitch);
    *out_element = element_new(g, "float", g->depth, "%s",
                               round_text(g->arena, value->type.dtype, text));
    return true;
}

static void emit_result(struct generator *g, struct attention *a)
{
    struct value_list outs = kernel_live_outs(g);
    int64_t dims[4] = {a->batch, a->queries, a->heads, a->size};
    scope_open(g);
    open_row(g, a, true);
    writer_line(scope_writer(g), "const float share = sum[r] > 0 ? 1.0f / sum[r] : 0.0f;");
    scope_open(g);
    struct index axes[4] = {index_of_atom(g->variables[a->v_batch].atom),
                            index_of_atom(g->variables[a->v_query].atom),
                            index_of_atom(g->variables[a->v_head].atom),
                            variable_open(g, a->v_column, "c", 0, a->size - 1)};
    struct index index = index_put_together(&g->space, 4, dims, axes);
    for (int i = 0; i < outs.count; i++)
        value_store(g, outs.items[i], index, value_at(g, outs.items[i], index));
    writer_line(&g->scopes[g->depth - 1].writer, VECTOR_LOOP);
    scope_close(g, "for (rt_i64 c = 0; c < %lld; c++)", (long long)a->size);
    scope_close(g, "for (rt_i64 r = 0; r < rows; r++)");
}

static void declare_buffers(struct generator *g, struct attention *a)
{
    struct writer *w = scope_writer(g);
    long long rows = a->rows * a->share, nr = g->target->nr;
    int64_t key_words = a->depth / (a->pairs ? 2 : 1) * a->keys, value_words = a->keys * nr;
    const char *aligned = "__attribute__((aligned(64)))";
    writer_line(w, "%s left[%lld] %s;", a->pairs ? "rt_u16" : "float", rows * a->depth, aligned);
    writer_line(w, "float scores[%lld] %s;", rows * a->keys, aligned);
    if (a->pairs)
        writer_line(w, "rt_u16 weights[%lld] %s;", rows * a->keys, aligned);
    writer_line(w, "float sums[%lld] %s;", rows * a->pitch, aligned);
    writer_line(w, "rt_u32 panels[%lld] %s;",
                (long long)(key_words > value_words ? key_words : value_words), aligned);
    if (a->key.kind != MATRIX_ROWS || a->value.kind != MATRIX_ROWS)
        writer_line(w, "float lines[%lld] %s;", (long long)(a->keys * a->size), aligned);
    writer_line(w, "float top[%lld], sum[%lld];", rows, rows);
    writer_open(w, "for (rt_i64 r = 0; r < rows; r++) {");
    writer_line(w, "top[r] = -m_infinity;");
    writer_line(w, "sum[r] = 0;");
    writer_close(w, "}");
    writer_line(w, "for (rt_i64 i = 0; i < rows * %lld; i++)", (long long)a->pitch);
    writer_line(w, "    sums[i] = 0;");
}

/* The keys that some query of the tile can see: first_key..last_key-1, in whole blocks. */
static void emit_key_range(struct generator *g, struct attention *a)
{
    struct writer *w = scope_writer(g);
    long long slots = a->slots;
    if (!is_masked(a)) {
        writer_line(w, "const rt_i64 last_key = %lld, first_key = 0;", slots);
        return;
    }
    if (a->position) {
        struct index batch = index_of_atom(g->variables[a->v_batch].atom);
        writer_line(w, "const rt_i64 start = m_clamp_i64(%s, %lld);",
                    value_at(g, a->position, batch).text, 1LL << 30);
    } else {
        writer_line(w, "const rt_i64 start = 0;");
    }
    if (a->ring)
        writer_line(w, "const rt_i64 newest = start + %lld;", (long long)a->queries - 1);
    if (a->ring)
        writer_line(w, "const rt_i64 last_key = m_least_i64(newest + 1, SLOTS);");
    else if (a->causal)
        writer_line(w, "const rt_i64 last_key = m_least_i64(start + first_query + queries, %lld);",
                    slots);
    else
        writer_line(w, "const rt_i64 last_key = %lld;", slots);
    if (a->window > 0 && !a->ring)
        writer_line(w,
                    "const rt_i64 first_key = m_most_i64(start + first_query - %lld, 0) / %lld "
                    "* %lld;",
                    (long long)a->window - 1, (long long)a->keys, (long long)a->keys);
    else
        writer_line(w, "const rt_i64 first_key = 0;");
}

static void prepare(struct generator *g)
{
    struct attention *a = g->skeleton;
    a->v_batch = variable_add(g, a->batch, 0, false);
    a->v_query = variable_add(g, a->queries, 0, false);
    a->v_head = variable_add(g, a->heads, 0, false);
    a->v_column = variable_add(g, a->size, 0, false);
    a->v_key = variable_add(g, a->slots, 0, false);
}

static void attempt(struct generator *g)
{
    struct attention *a = g->skeleton;
    int64_t tiles = (a->queries + a->rows - 1) / a->rows;
    if (a->ring)
        writer_line(scope_writer(g), "enum { SLOTS = %lld };", (long long)a->slots);
    scope_open(g);
    struct writer *w = scope_writer(g);
    writer_line(w, "const rt_i64 v0 = tile / %lld, group = tile / %lld %% %lld;",
                (long long)(tiles * a->groups), (long long)tiles, (long long)a->groups);
    writer_line(w, "const rt_i64 first_query = tile %% %lld * %lld;", (long long)tiles,
                (long long)a->rows);
    writer_line(w, "const rt_i64 queries = m_least_i64(%lld - first_query, %lld);",
                (long long)a->queries, (long long)a->rows);
    writer_line(w, "const rt_i64 rows = queries * %lld;", (long long)a->share);
    variable_open(g, a->v_batch, "v0", 0, a->batch - 1);
    emit_key_range(g, a);
    declare_buffers(g, a);
    emit_left(g, a);
    scope_open(g);
    writer_line(scope_writer(g), "const rt_i64 count = m_least_i64(last_key - key, %lld);",
                (long long)a->keys);
    emit_scores(g, a);
    emit_softmax(g, a);
    emit_values(g, a);
    scope_close(g, "for (rt_i64 key = first_key; key < last_key; key += %lld)",
                (long long)a->keys);
    emit_result(g, a);
    scope_close(g, "for (rt_i64 tile = begin; tile < end; tile++)");
}

void emit_attention(struct generator *g)
{
    struct attention *a = arena_new(g->arena, struct attention);
    a->node = kernel_anchor(g, OP_attention);
    find_extents(g, a);
    a->key = find_cache(g, a, 1);
    a->value = find_cache(g, a, 2);
    g->skeleton = a;
    g->provide = provide;
    emit_attempts(g, prepare, attempt);
}
