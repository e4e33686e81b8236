/*
 * The text of a module. Whatever parse.c reads comes back here, in one order and one spelling;
 * what follows ';' is computed and never read.
 */
#include "ir/cost.h"
#include "ir/program.h"
#include "ir/text.h"

#include <inttypes.h>
#include <string.h>

struct printer {
    struct module *module;
    struct str out;
    struct map files; /* name to number + 1, in order of first use */
};

/* --- the file table --- */

static void note_file(struct printer *p, struct location location)
{
    const struct source *source = diag_source(location.file);
    if (source && !map_get(&p->files, source->name))
        map_set(&p->files, source->name, (void *)(uintptr_t)(p->files.count + 1));
}

static void note_nodes(struct printer *p, struct node *const *nodes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        note_file(p, nodes[i]->location);
}

static void collect_files(struct printer *p)
{
    const struct module *module = p->module;
    note_nodes(p, module->weights.items, module->weights.count);
    note_nodes(p, module->states.items, module->states.count);
    for (size_t f = 0; f < module->functions.count; f++) {
        const struct function *function = module->functions.items[f];
        note_file(p, function->location);
        note_nodes(p, function->params.items, function->params.count);
        note_nodes(p, function->nodes.items, function->nodes.count);
        for (size_t i = 0; i < function->bindings.count; i++)
            note_file(p, function->bindings.items[i].location);
    }
}

/* --- parts of lines --- */

static void print_location(struct printer *p, struct location location)
{
    const struct source *source = diag_source(location.file);
    if (source)
        str_printf(&p->out, " !%u:%u:%u", (unsigned)(uintptr_t)map_get(&p->files, source->name),
                   location.line, location.column);
}

static void print_place(struct printer *p, struct place place)
{
    switch (place.kind) {
    case PLACE_NONE: str_printf(&p->out, "none"); break;
    case PLACE_REG: str_printf(&p->out, "reg"); break;
    case PLACE_VIEW: str_printf(&p->out, "view"); break;
    case PLACE_ARENA: str_printf(&p->out, "a+0x%" PRIx64, place.offset); break;
    case PLACE_WEIGHT: str_printf(&p->out, "w+0x%" PRIx64, place.offset); break;
    case PLACE_CONSTANT: str_printf(&p->out, "c+0x%" PRIx64, place.offset); break;
    }
}

/* " : type, type @ place, place !1:2:3 ^scope" */
static void print_tail(struct printer *p, const struct node *node)
{
    int count = node->result_count;
    bool placed = false;
    for (int i = 0; i < count; i++) {
        str_printf(&p->out, "%s%s", i ? ", " : " : ",
                   type_text(p->module->arena, &node->results[i].type));
        placed = placed || node->results[i].place.kind != PLACE_NONE;
    }
    for (int i = 0; placed && i < count; i++) {
        str_printf(&p->out, i ? ", " : " @ ");
        print_place(p, node->results[i].place);
    }
    print_location(p, node->location);
    if (node->scope[0]) {
        str_printf(&p->out, " ^");
        print_word(&p->out, node->scope);
    }
}

static void print_cost(struct printer *p, struct cost cost)
{
    if (cost.flops == 0 && cost.bytes == 0)
        return;
    str_printf(&p->out, " ; ");
    str_double(&p->out, cost.flops);
    str_printf(&p->out, " flops ");
    str_double(&p->out, cost.bytes);
    str_printf(&p->out, " bytes");
}

/* --- lines --- */

static void print_header(struct printer *p)
{
    const struct module *module = p->module;
    str_printf(&p->out, "ir %d\nmodule ", IR_TEXT_VERSION);
    print_word(&p->out, module->name);
    str_printf(&p->out, " stage=");
    print_word(&p->out, module->stage);
    if (module->target) {
        str_printf(&p->out, " target=");
        print_word(&p->out, module->target);
    }
    if (module->arena_bytes || module->state_bytes)
        str_printf(&p->out, " arena=0x%" PRIx64 " state=0x%" PRIx64, module->arena_bytes,
                   module->state_bytes);
    str_printf(&p->out, "\n");
    for (size_t i = 0; i < p->files.count; i++) {
        str_printf(&p->out, "file %zu ", i + 1);
        print_quoted(&p->out, p->files.entries[i].key);
        str_printf(&p->out, "\n");
    }
    for (size_t i = 0; i < module->facts.count; i++) {
        str_printf(&p->out, "fact ");
        print_word(&p->out, module->facts.items[i].name);
        str_printf(&p->out, " ");
        print_quoted(&p->out, module->facts.items[i].value);
        str_printf(&p->out, "\n");
    }
    for (size_t i = 0; i < module->blobs.count; i++) {
        const struct blob *blob = &module->blobs.items[i];
        str_printf(&p->out, "blob \"%s\" %zu \"", blob->name, blob->size);
        print_base64(&p->out, blob->bytes, blob->size);
        str_printf(&p->out, "\"\n");
    }
}

static void print_leaf(struct printer *p, const char *indent, const struct node *node)
{
    str_printf(&p->out, "%s%s %%%s", indent, op_info(node->op)->name, node->results[0].name);
    print_attributes(&p->out, &node->attributes);
    print_tail(p, node);
    str_printf(&p->out, "\n");
}

static void print_leaves(struct printer *p, const struct module *module)
{
    for (size_t i = 0; i < module->weights.count; i++)
        print_leaf(p, i ? "" : "\n", module->weights.items[i]);
    for (size_t i = 0; i < module->states.count; i++)
        print_leaf(p, i ? "" : "\n", module->states.items[i]);
}

static void print_node(struct printer *p, const struct node *node)
{
    str_printf(&p->out, node->kernel ? "    " : "  ");
    for (int i = 0; i < node->result_count; i++)
        str_printf(&p->out, "%s%%%s", i ? ", " : "", node->results[i].name);
    str_printf(&p->out, " = %s", op_info(node->op)->name);
    for (int i = 0; i < node->operand_count; i++)
        str_printf(&p->out, "%s%%%s", i ? ", " : " ", node->operands[i]->name);
    print_attributes(&p->out, &node->attributes);
    print_tail(p, node);
    print_cost(p, node_cost(node));
    str_printf(&p->out, "\n");
}

static void print_kernel(struct printer *p, const struct function *function,
                         const struct kernel *kernel)
{
    str_printf(&p->out, "  kernel ");
    print_word(&p->out, kernel->name);
    str_printf(&p->out, " %s", skeleton_name(kernel->skeleton));
    print_attributes(&p->out, &kernel->attributes);
    print_cost(p, kernel_cost(function, kernel));
    str_printf(&p->out, "\n");
}

static void print_binding(struct printer *p, const struct binding *binding)
{
    if (binding->state) {
        str_printf(&p->out, "  store %%%s = %%%s", binding->state->name, binding->value->name);
    } else {
        str_printf(&p->out, "  return %%%s as ", binding->value->name);
        print_word(&p->out, binding->name);
    }
    print_location(p, binding->location);
    str_printf(&p->out, "\n");
}

static void print_function(struct printer *p, const struct function *function)
{
    size_t at = 0;
    str_printf(&p->out, "\nfunc ");
    print_word(&p->out, function->name);
    print_attributes(&p->out, &function->attributes);
    print_location(p, function->location);
    str_printf(&p->out, "\n");
    for (size_t i = 0; i < function->params.count; i++)
        print_leaf(p, "  ", function->params.items[i]);
    for (; at < function->nodes.count && !function->nodes.items[at]->kernel; at++)
        print_node(p, function->nodes.items[at]);
    for (size_t k = 0; k < function->kernels.count; k++) {
        const struct kernel *kernel = function->kernels.items[k];
        print_kernel(p, function, kernel);
        for (; at < function->nodes.count && function->nodes.items[at]->kernel == kernel; at++)
            print_node(p, function->nodes.items[at]);
    }
    for (size_t i = 0; i < function->bindings.count; i++)
        print_binding(p, &function->bindings.items[i]);
    str_printf(&p->out, "end\n");
}

char *ir_print(struct module *module, size_t *out_length)
{
    struct printer p = {module, str_create(module->arena), map_create(module->arena)};
    collect_files(&p);
    print_header(&p);
    print_leaves(&p, module);
    programs_print(&p.out, module);
    for (size_t i = 0; i < module->functions.count; i++)
        print_function(&p, module->functions.items[i]);
    if (out_length)
        *out_length = p.out.length;
    return p.out.text;
}
