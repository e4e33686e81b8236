/* See dot.h. */
#include "compiler/dot.h"

static void print_node(struct module *module, struct str *out, const struct node *node)
{
    const struct value *value = &node->results[0];
    bool leaf = (op_info(node->op)->flags & OP_LEAF) != 0;
    str_printf(out, "    n%u [label=\"%s\\n%%%s\\n%s\"%s];\n", node->id, op_info(node->op)->name,
               value->name, type_text(module->arena, &value->type),
               leaf ? ", style=filled, fillcolor=lightgrey" : "");
}

static void print_edges(struct str *out, const struct node *node, const bool *shown)
{
    for (int i = 0; i < node->operand_count; i++)
        if (shown[node->operands[i]->node->id])
            str_printf(out, "    n%u -> n%u;\n", node->operands[i]->node->id, node->id);
}

static void open_kernel(struct str *out, const struct kernel *kernel, size_t function,
                        size_t number)
{
    str_printf(out, "    subgraph cluster_%zu_%zu { label=\"%s: %s\"; style=rounded;\n", function,
               number, kernel->name, skeleton_name(kernel->skeleton));
}

/* Leaves that several functions share are drawn in each: once a function, by its first use. */
static void print_leaves(struct module *module, struct str *out, const struct function *function,
                         bool *shown)
{
    for (size_t i = 0; i < function->params.count; i++) {
        print_node(module, out, function->params.items[i]);
        shown[function->params.items[i]->id] = true;
    }
    for (size_t i = 0; i < function->nodes.count; i++) {
        const struct node *node = function->nodes.items[i];
        for (int o = 0; o < node->operand_count; o++) {
            const struct node *operand = node->operands[o]->node;
            if ((op_info(operand->op)->flags & OP_LEAF) && !shown[operand->id]) {
                print_node(module, out, operand);
                shown[operand->id] = true;
            }
        }
    }
}

static void print_function(struct module *module, struct str *out, size_t number)
{
    const struct function *function = module->functions.items[number];
    const struct kernel *kernel = NULL;
    bool *shown = arena_array(module->arena, bool, module->next_node);
    str_printf(out, "digraph \"%s\" {\n    node [shape=box, fontname=monospace];\n",
               function->name);
    print_leaves(module, out, function, shown);
    for (size_t i = 0, kernels = 0; i < function->nodes.count; i++) {
        const struct node *node = function->nodes.items[i];
        if (node->kernel != kernel) {
            str_printf(out, "%s", kernel ? "    }\n" : "");
            open_kernel(out, node->kernel, number, kernels++);
            kernel = node->kernel;
        }
        print_node(module, out, node);
        shown[node->id] = true;
    }
    str_printf(out, "%s", kernel ? "    }\n" : "");
    for (size_t i = 0; i < function->nodes.count; i++)
        print_edges(out, function->nodes.items[i], shown);
    str_printf(out, "}\n");
}

void dot_print(struct module *module, struct str *out)
{
    for (size_t i = 0; i < module->functions.count; i++)
        print_function(module, out, i);
}
