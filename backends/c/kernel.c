/* See kernel.h. */
#include "backends/c/kernel.h"

#include "backends/c/dialect.h"
#include "backends/c/skeletons.h"
#include "backends/element/describe.h"

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
    bool empty = kernel_is_empty(g);
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
    struct kernel_text text = {.comment = kernel_comment(g), .body = body.text};
    text.operands = arena_array(arena, const struct value *, g->arguments.count + 1);
    for (size_t i = 0; i < g->arguments.count; i++)
        text.operands[text.operand_count++] = g->arguments.items[i].value;
    return text;
}
