/* See kernel.h. */
#include "backends/c/kernel.h"

#include "backends/c/dialect.h"
#include "backends/c/skeletons.h"
#include "ir/cost.h"
#include "ir/names.h"

#include <string.h>

static void print_body(struct generator *g)
{
#undef C_SKELETON_C
#define C_SKELETON_C(name) [SKELETON_##name] = emit_##name,
    static void (*const printers[SKELETON_COUNT])(struct generator *) = {
#define SKELETON(name, anchor, where, ...) C_SKELETON_##where(name)
#include "ir/skeletons.def"
    };
    if (!printers[g->kernel->skeleton])
        fatal(INTERNAL, "a kernel has no skeleton", g->kernel->name);
    printers[g->kernel->skeleton](g);
}

/* A kernel without elements does nothing. */
static bool is_empty(struct generator *g)
{
    struct value_list outs = kernel_live_outs(g);
    bool empty = outs.count > 0;
    for (int i = 0; i < outs.count; i++)
        empty = empty && type_elements(&outs.items[i]->type) == 0;
    return empty;
}

/* "%3 = add %1, %2 : f32[2,3]" with the attributes that are numbers; names are the module's,
 * which are identifiers joined by dots. */
static void comment_node(struct generator *g, struct str *out, const struct node *node)
{
    str_printf(out, " *   ");
    for (int k = 0; k < op_info(node->op)->results; k++)
        str_printf(out, "%s%%%s", k ? ", " : "", node->results[k].name);
    str_printf(out, " = %s", op_info(node->op)->name);
    for (int k = 0; k < node->operand_count; k++)
        str_printf(out, "%s%%%s", k ? ", " : " ", node->operands[k]->name);
    for (int k = 0; k < node->attributes.count; k++) {
        const struct attribute *a = &node->attributes.items[k];
        const struct attribute_info *info = attribute_info(a->id);
        if (info->kind == KIND_INT)
            str_printf(out, " %s=%lld", info->name, (long long)a->integer);
        else if (info->kind == KIND_FLAG)
            str_printf(out, " %s", info->name);
    }
    str_printf(out, " : %s", type_text(g->arena, &node->results[0].type));
    if (node->location.line)
        str_printf(out, "  !%u:%u", node->location.line, node->location.column);
    str_printf(out, "\n");
}

static const char *comment_text(struct generator *g)
{
    enum { LINES = 24 };
    struct str out = str_create(g->arena);
    struct node_list nodes = kernel_nodes(g);
    struct cost cost = kernel_cost(g->function, g->kernel);
    const char *scope = nodes.count ? nodes.items[nodes.count - 1]->scope : NULL;
    if (!scope || !name_valid(scope, strlen(scope))) /* IR text may say anything */
        scope = "";
    str_printf(&out, "/*\n * %s%s%s: %.4g MFLOP, %.4g MB\n", skeleton_name(g->kernel->skeleton),
               scope[0] ? " of " : "", scope, cost.flops / 1e6, cost.bytes / 1e6);
    for (int i = 0; i < nodes.count && i < LINES; i++)
        comment_node(g, &out, nodes.items[i]);
    if (nodes.count > LINES)
        str_printf(&out, " *   and %d more\n", nodes.count - LINES);
    str_printf(&out, " */\n");
    return out.text;
}

static void declare_arguments(struct generator *g, struct str *out)
{
    for (size_t i = 0; i < g->arguments.count; i++) {
        const struct argument *argument = &g->arguments.items[i];
        const char *type = memory_type(argument->value->type.dtype);
        if (argument->read)
            str_printf(out, "    const %s *x%zu = operands[%zu];\n", type, i, i);
        if (argument->written)
            str_printf(out, "    %s *y%zu = operands[%zu];\n", type, i, i);
    }
}

struct kernel_text kernel_print(struct arena *arena, const struct module *module,
                                const struct target *target, const struct function *function,
                                const struct kernel *kernel)
{
    struct generator *g = arena_new(arena, struct generator);
    *g = (struct generator){.dialect = &dialect_c,
                            .arena = arena,
                            .module = module,
                            .target = target,
                            .function = function,
                            .kernel = kernel};
    generator_restart(g);
    bool empty = is_empty(g);
    if (!empty)
        print_body(g);
    struct str body = str_create(arena);
    str_printf(&body, "(void *const *operands, rt_i64 begin, rt_i64 end)\n{\n");
    declare_arguments(g, &body);
    if (empty)
        str_printf(&body, "    (void)operands, (void)begin, (void)end;\n");
    str_bytes(&body, g->tables.text, g->tables.length);
    str_bytes(&body, g->scopes[0].writer.text.text, g->scopes[0].writer.text.length);
    str_printf(&body, "}\n");
    struct kernel_text text = {.comment = comment_text(g), .body = body.text};
    text.operands = arena_array(arena, const struct value *, g->arguments.count + 1);
    for (size_t i = 0; i < g->arguments.count; i++)
        text.operands[text.operand_count++] = g->arguments.items[i].value;
    return text;
}
