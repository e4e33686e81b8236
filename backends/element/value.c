/* The elements of IR values as C expressions: see value.h. */
#include "backends/element/value.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct element element_new(struct generator *g, const char *type, int depth, const char *format,
                           ...)
{
    char text[4096];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if ((size_t)length >= sizeof text)
        fatal(INTERNAL, "an expression is too long", g->kernel->name);
    for (int i = g->depth; i > depth; i--)
        if (g->scopes[i].conditional)
            depth = i;
    struct element element = {arena_printf(g->arena, "t%d", ++g->temporaries), depth};
    writer_line(&g->scopes[depth].writer, "const %s %s = %s;", type, element.text, text);
    return element;
}

/* An integer constant with a sign stands in brackets. */
static const char *integer_text(struct generator *g, enum dtype dtype, int64_t value)
{
    const char *suffix = dtype == DTYPE_i64 ? "L" : "";
    return arena_printf(g->arena, value < 0 ? "(%lld%s)" : "%lld%s", (long long)value, suffix);
}

static struct element constant_at(struct generator *g, const struct node *node,
                                  struct index index)
{
    enum dtype dtype = node->results[0].type.dtype;
    int count;
    const int64_t *values = node_list(node, values, &count);
    if (!values) {
        double value = node_real(node, value);
        bool real = dtype_is_float(dtype);
        return (struct element){real ? emit_real(g->arena, dtype, value)
                                     : integer_text(g, dtype, (int64_t)value), 0};
    }
    if (index.count == 0) {
        bool real = dtype_is_float(dtype);
        return (struct element){real ? emit_real(g->arena, dtype, (double)values[index.base])
                                     : integer_text(g, dtype, values[index.base]), 0};
    }
    const char *name = arena_printf(g->arena, "table%d", ++g->table_count);
    str_printf(&g->tables, "    %s %s %s[%d] = {", g->dialect->table, emit_compute_type(dtype),
               name, count);
    for (int i = 0; i < count; i++)
        str_printf(&g->tables, "%s%lld", i ? ", " : "", (long long)values[i]);
    str_printf(&g->tables, "};\n");
    return element_new(g, emit_compute_type(dtype), index_depth(&g->space, &index), "%s[%s]",
                       name, index_text(&g->space, &index));
}

/* The index along an axis, as a value. */
static struct element axis_at(struct generator *g, const struct node *node, int axis,
                              struct index index)
{
    const struct type *type = &node->results[0].type;
    int64_t dims[3] = {1, type->dims[axis], 1};
    struct index axes[3];
    for (int k = 0; k < type->rank; k++)
        dims[(k > axis) - (k < axis) + 1] *= k == axis ? 1 : type->dims[k];
    index_take_apart(&g->space, index, 3, dims, axes);
    const char *name = emit_compute_type(type->dtype);
    const char *text = arena_printf(g->arena, "(%s)(%s)", name, index_text(&g->space, &axes[1]));
    return element_new(g, name, index_depth(&g->space, &axes[1]), "%s",
                       round_text(g->arena, type->dtype, text));
}

static const char *cast_text(struct generator *g, enum dtype from, enum dtype to,
                             const char *text)
{
    if (to == DTYPE_bool)
        return arena_printf(g->arena, "%s != 0", text);
    bool same = strcmp(emit_compute_type(from), emit_compute_type(to)) == 0;
    bool narrows = dtype_is_float(from) && !dtype_is_float(to);
    const char *convert =
        narrows ? arena_printf(g->arena, "m_to_%s_%s(%s)", emit_suffix(to), emit_suffix(from), text)
        : same  ? text
                : arena_printf(g->arena, "(%s)%s", emit_compute_type(to), text);
    bool exact = from == to || (to == DTYPE_f32 && from != DTYPE_f64);
    return exact ? convert : round_text(g->arena, to, convert);
}

static struct element elementwise_at(struct generator *g, const struct node *node,
                                     struct index index)
{
    const struct op_info *info = op_info(node->op);
    const char *names[4] = {"0", "0", "0", "0"};
    enum dtype to = node->results[0].type.dtype;
    int depth = 0;
    for (int k = 0; k < node->operand_count; k++) {
        const struct value *operand = node->operands[k];
        bool scalar = operand->type.rank == 0;
        struct element e = value_at(g, operand, scalar ? index_constant(0) : index);
        names[k] = e.text;
        depth = e.depth > depth ? e.depth : depth;
    }
    enum dtype from = node->operands[info->rule == RULE_SELECT]->type.dtype;
    const char *text;
    if (info->rule == RULE_CAST)
        text = cast_text(g, from, to, names[0]);
    else if (info->rule == RULE_DRAW)
        text = arena_printf(g->arena, "m_philox(%s, %s, %s, %s, %lld)", names[0], names[1],
                            names[2], names[3], (long long)node_int(node, site));
    else {
        struct emit_names put = {.operands = names, .suffix = emit_suffix(from)};
        text = emit_expression(g->arena, info->expression, &put);
        bool exact =
            info->rule == RULE_EXACT || info->rule == RULE_SELECT || !dtype_is_float(to);
        text = exact && to != DTYPE_u8 ? text : round_text(g->arena, to, text);
    }
    return element_new(g, emit_compute_type(to), depth, "%s", text);
}

static struct element compute(struct generator *g, const struct value *value,
                              struct index index)
{
    const struct node *node = value->node;
    const struct op_info *info = op_info(node->op);
    if (info->kind == KIND_EW)
        return elementwise_at(g, node, index);
    if (info->flags & OP_VIEW)
        return value_at(g, node->operands[0], view_index(g, node, index));
    switch (node->op) {
    case OP_const: return constant_at(g, node, index);
    case OP_iota: return axis_at(g, node, (int)node_int(node, axis), index);
    case OP_positions: return axis_at(g, node, 1, index);
    case OP_concat: return concat_at(g, node, index);
    case OP_pad: return pad_at(g, node, index);
    case OP_gather: return gather_at(g, node, index);
    case OP_decode: return decode_at(g, node, index);
    default: fatal(INTERNAL, "a value is neither in memory nor computable where it is used",
                   value->name);
    }
}

static struct element load_at(struct generator *g, const struct value *value,
                              struct index index)
{
    struct element element;
    index = memory_index(g, value, index);
    if (g->dialect->load_element && g->dialect->load_element(g, value, index, &element))
        return element;
    const char *pointer = argument_name(g, value, false);
    enum dtype dtype = value->type.dtype;
    return element_new(g, emit_compute_type(dtype), index_depth(&g->space, &index), "%s",
                       g->dialect->load(g->arena, dtype, pointer, index_text(&g->space, &index)));
}

struct element value_at(struct generator *g, const struct value *value, struct index index)
{
    for (size_t i = 0; i < g->memo.count; i++)
        if (g->memo.items[i].value == value && index_equal(&g->memo.items[i].index, &index))
            return g->memo.items[i].element;
    struct element element;
    if (g->space.split.wanted)
        element = (struct element){"0", 0}; /* this attempt will be abandoned */
    else if (is_loaded(g, value))
        element = load_at(g, value, index);
    else if (!g->provide || !g->provide(g, value, index, &element))
        element = compute(g, value, index);
    struct remembered entry = {value, index, element};
    array_push(g->arena, &g->memo, entry);
    return element;
}
