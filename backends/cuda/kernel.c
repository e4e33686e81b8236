/* See kernel.h. */
#include "backends/cuda/kernel.h"

#include "backends/cuda/skeletons.h"
#include "backends/element/describe.h"
#include "ir/gpu.h"

static void print_body(struct generator *g)
{
#undef CUDA_SKELETON_BOTH
#define CUDA_SKELETON_BOTH(name) [SKELETON_##name] = cuda_emit_##name,
    static void (*const printers[SKELETON_COUNT])(struct generator *) = {
        [SKELETON_none] = NULL,
#define SKELETON(name, anchor, where, ...) CUDA_SKELETON_##where(name)
#include "ir/skeletons.def"
    };
    if (!printers[g->kernel->skeleton])
        fatal(INTERNAL, "a kernel has no skeleton", g->kernel->name);
    printers[g->kernel->skeleton](g);
}

/* Whether an index of some tensor of the kernel, or a step beyond it, may not fit an int. */
static bool is_wide(struct generator *g)
{
    const int64_t most = (int64_t)1 << 30;
    struct node_list nodes = kernel_nodes(g);
    for (int i = 0; i < nodes.count; i++) {
        const struct node *node = nodes.items[i];
        for (int k = 0; k < op_info(node->op)->results; k++)
            if (type_elements(&node->results[k].type) >= most)
                return true;
        for (int k = 0; k < node->operand_count; k++)
            if (type_elements(&node->operands[k]->type) >= most)
                return true;
    }
    return false;
}

/* A tensor that is read and written is one pointer under two names. */
static void declare_parameters(const struct cuda_generator *c, struct str *out)
{
    const struct generator *g = &c->generator;
    const char *comma = "";
    str_printf(out, "(");
    for (size_t i = 0; i < g->arguments.count; i++, comma = ", ") {
        const struct argument *argument = &g->arguments.items[i];
        const char *cell = cuda_cell(argument->value->type.dtype);
        if (argument->written)
            str_printf(out, "%s%s *y%zu", comma, cell, i);
        else
            str_printf(out, "%sconst %s *x%zu", comma, cell, i);
    }
    if (c->workspace)
        str_printf(out, "%sg_f32 *workspace", comma), comma = ", ";
    if (c->counters)
        str_printf(out, "%sg_i32 *counters", comma), comma = ", ";
    str_printf(out, comma[0] ? ")\n{\n" : "void)\n{\n");
    for (size_t i = 0; i < g->arguments.count; i++) {
        const struct argument *argument = &g->arguments.items[i];
        if (argument->read && argument->written)
            str_printf(out, "    const %s *x%zu = y%zu;\n",
                       cuda_cell(argument->value->type.dtype), i, i);
    }
}

static struct cuda_generator *create(struct arena *arena, const struct module *module,
                                     const struct target *target,
                                     const struct function *function, const struct kernel *kernel)
{
    struct cuda_generator *c = arena_new(arena, struct cuda_generator);
    struct generator *g = &c->generator;
    *g = (struct generator){.dialect = &dialect_cuda,
                            .arena = arena,
                            .module = module,
                            .target = target,
                            .function = function,
                            .kernel = kernel};
    if (is_wide(g))
        g->dialect = &dialect_cuda_wide;
    c->lanes.atom = -1;
    c->blocks = kernel_int(g, tiles) > 0 ? kernel_int(g, tiles) : 1;
    c->threads = kernel_int(g, threads) > 0 ? kernel_int(g, threads) : GPU_WARP;
    c->shared = kernel_int(g, shared);
    c->mma_count = -1;
    generator_restart(g);
    return c;
}

struct cuda_kernel_text cuda_kernel_print(struct arena *arena, const struct module *module,
                                          const struct target *target,
                                          const struct function *function,
                                          const struct kernel *kernel)
{
    struct cuda_generator *c = create(arena, module, target, function, kernel);
    struct generator *g = &c->generator;
    if (gpu_provider(kernel) != PROVIDER_none)
        return cuda_provider_print(g, kernel_comment(g));
    if (!kernel_is_empty(g))
        print_body(g);
    struct str body = str_create(arena);
    declare_parameters(c, &body);
    str_bytes(&body, g->tables.text, g->tables.length);
    str_bytes(&body, g->scopes[0].writer.text.text, g->scopes[0].writer.text.length);
    str_printf(&body, "}\n");
    struct cuda_kernel_text text = {.comment = kernel_comment(g),
                                    .body = body.text,
                                    .blocks = c->blocks,
                                    .threads = c->threads,
                                    .shared = c->shared,
                                    .residency = (int)kernel_int(g, residency),
                                    .mma_count = c->mma_count,
                                    .workspace = c->workspace,
                                    .counters = c->counters};
    text.operands = arena_array(arena, const struct value *, g->arguments.count + 1);
    for (size_t i = 0; i < g->arguments.count; i++)
        text.operands[text.operand_count++] = g->arguments.items[i].value;
    return text;
}
