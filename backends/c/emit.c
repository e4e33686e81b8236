/* See emit.h. */
#include "backends/c/emit.h"

#include "backends/c/kernel.h"
#include "backends/c/library.h"
#include "backends/emit.h"
#include "ir/names.h"

#include <string.h>

struct emission {
    struct arena *arena;
    struct module *module;
    const struct emit_options *options;
    struct map bodies; /* kernel body to function name */
    struct map names;  /* function names that are taken */
    struct str *units;
    struct str declarations;
    int kernels;
};

static void put_prelude(struct emission *e, struct str *out)
{
    const struct target *target = e->options->target;
    str_printf(out,
               "/* Made by %s for %s. */\n"
               "/* Not all indices of a kernel are needed; hints to vectorise are no promises. */\n"
               "#pragma clang diagnostic ignored \"-Wunused-variable\"\n"
               "#pragma clang diagnostic ignored \"-Wpass-failed\"\n"
               "#define LANES %d\n#define MR %d\n#define NR %d\n\n",
               e->options->facts.compiler ? "sinter" : "a compiler", target->name, target->lanes,
               target->mr, target->nr);
    for (size_t i = 0; i < library_file_count; i++)
        emit_library(out, &library_files[i]);
}

/* A name that is not the IR's own kind gets a number only: nothing of it enters the text. */
static const char *free_name(struct emission *e, const char *wanted)
{
    enum { LONGEST = 60 };
    size_t length = strlen(wanted);
    bool plain = length <= LONGEST && name_valid(wanted, length);
    const char *base = plain ? emit_identifier(e->arena, wanted) : "kernel";
    const char *name = arena_printf(e->arena, "run_%s", base);
    for (int i = 2; map_get(&e->names, name); i++)
        name = arena_printf(e->arena, "run_%s_%d", base, i);
    map_set(&e->names, name, e);
    return name;
}

/* Prints the kernel unless one of the same text is there; its function's name. */
static const char *define(struct emission *e, const struct kernel *kernel,
                          const struct kernel_text *text)
{
    const char *name = map_get(&e->bodies, text->body);
    if (name)
        return name;
    name = free_name(e, kernel->name);
    map_set(&e->bodies, text->body, (void *)name);
    bool single = e->options->units <= 1;
    const char *linkage = single ? "static " : "__attribute__((visibility(\"hidden\"))) ";
    struct str *unit = &e->units[single ? 0 : e->kernels % e->options->units];
    if (!single) {
        str_printf(&e->declarations, "%srt_kernel %s;\n", linkage, name);
        str_printf(unit, "%srt_kernel %s;\n", linkage, name);
    }
    str_printf(unit, "%s%svoid %s%s\n", text->comment, single ? "static " : "", name, text->body);
    e->kernels++;
    return name;
}

static struct program_step *emit_function(struct emission *e, const struct function *function)
{
    size_t count = function->kernels.count;
    struct program_step *steps = arena_array(e->arena, struct program_step, count + 1);
    for (size_t i = 0; i < count; i++) {
        const struct kernel *kernel = function->kernels.items[i];
        struct kernel_text text =
            kernel_print(e->arena, e->module, e->options->target, function, kernel);
        steps[i].function = define(e, kernel, &text);
        steps[i].operands = text.operands;
        steps[i].operand_count = text.operand_count;
    }
    return steps;
}

struct emit_result backend_c_emit(struct module *planned, const struct emit_options *options)
{
    struct emission e = {.arena = planned->arena,
                         .module = planned,
                         .options = options,
                         .bodies = map_create(planned->arena),
                         .names = map_create(planned->arena),
                         .declarations = str_create(planned->arena)};
    int count = options->units > 1 ? options->units : 1;
    e.units = arena_array(e.arena, struct str, (size_t)count);
    for (int i = 0; i < count; i++) {
        e.units[i] = str_create(e.arena);
        put_prelude(&e, &e.units[i]);
    }
    size_t functions = planned->functions.count;
    struct program_step **steps = arena_array(e.arena, struct program_step *, functions + 1);
    for (size_t i = 0; i < functions; i++)
        steps[i] = emit_function(&e, planned->functions.items[i]);
    struct str *last = &e.units[count - 1];
    str_bytes(last, e.declarations.text, e.declarations.length);
    struct program_facts facts = options->facts;
    if (!facts.cpu)
        facts.cpu = options->target->name;
    if (!facts.cpu_features)
        facts.cpu_features = target_features(e.arena, options->target);
    program_print(last, planned, &facts, steps);
    struct emit_result result = {.count = count, .kernels = e.kernels};
    result.units = arena_array(e.arena, struct emit_text, (size_t)count);
    for (int i = 0; i < count; i++)
        result.units[i] = (struct emit_text){e.units[i].text, e.units[i].length};
    return result;
}
