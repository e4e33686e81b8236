/* See describe.h. */
#include "backends/element/describe.h"

#include "backends/element/parts.h"
#include "ir/cost.h"
#include "ir/gpu_predict.h"
#include "ir/names.h"

#include <string.h>

bool kernel_is_empty(struct generator *g)
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

/* ", 41.8 us predicted (HBM)" for a GPU whose figures are known. */
static const char *predicted_text(struct generator *g)
{
    struct gpu_prediction prediction;
    if (!g->target || !g->target->gpu ||
        !gpu_predict(g->target->gpu, g->function, g->kernel, &prediction))
        return "";
    return arena_printf(g->arena, ", %.3g us predicted (%s)", prediction.us, prediction.bound);
}

const char *kernel_comment(struct generator *g)
{
    enum { LINES = 24 };
    struct str out = str_create(g->arena);
    struct node_list nodes = kernel_nodes(g);
    struct cost cost = kernel_cost(g->function, g->kernel);
    const char *scope = nodes.count ? nodes.items[nodes.count - 1]->scope : NULL;
    if (!scope || !name_valid(scope, strlen(scope))) /* IR text may say anything */
        scope = "";
    str_printf(&out, "/*\n * %s%s%s: %.4g MFLOP, %.4g MB%s\n", skeleton_name(g->kernel->skeleton),
               scope[0] ? " of " : "", scope, cost.flops / 1e6, cost.bytes / 1e6,
               predicted_text(g));
    for (int i = 0; i < nodes.count && i < LINES; i++)
        comment_node(g, &out, nodes.items[i]);
    if (nodes.count > LINES)
        str_printf(&out, " *   and %d more\n", nodes.count - LINES);
    str_printf(&out, " */\n");
    return out.text;
}
