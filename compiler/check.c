/* See check.h. */
#include "compiler/check.h"

#include "compiler/check_kernel.h"
#include "compiler/check_memory.h"
#include "runtime/program.h"

#include <dlfcn.h>

struct checker {
    struct module *module;
    const struct rt_program *program;
    struct check_memory memory;
    int64_t samples;
    struct random random;
};

/* --- the code --- */

static const struct rt_program *load(const struct object *objects, size_t count)
{
    const struct rt_program *program =
        dlsym(toolchain_load_kernels(objects, count), "rt_program");
    if (!program)
        fatal(INTERNAL, "the kernels hold no program", "rt_program");
    return program;
}

static void run_step(struct checker *c, const struct rt_function *function,
                     const struct rt_step *step)
{
    void **operands = arena_array(c->module->arena, void *, (size_t)step->operand_count + 1);
    for (rt_u32 i = 0; i < step->operand_count; i++) {
        const struct rt_operand *operand = &function->operands[step->first_operand + i];
        char *base = operand->space == RT_SPACE_ARENA ? c->memory.arena
                     : operand->space == RT_SPACE_WEIGHT
                         ? check_memory_weight(&c->memory, operand->index)
                         : (char *)(uintptr_t)c->program->constants[operand->index].bytes;
        operands[i] = base + operand->offset;
    }
    step->kernel(operands, 0, step->tiles);
}

static char *memory_of(void *context, const struct value *value)
{
    return check_memory_of(context, value);
}

static struct check_result check_kernel(struct checker *c, size_t f, size_t s)
{
    const struct function *function = c->module->functions.items[f];
    struct kernel_check check = {.module = c->module,
                                 .function = function,
                                 .kernel = function->kernels.items[s],
                                 .random = &c->random,
                                 .samples = c->samples,
                                 .memory = memory_of,
                                 .context = &c->memory};
    kernel_check_begin(&check);
    run_step(c, &c->program->functions[f], &c->program->functions[f].steps[s]);
    struct check_result result = kernel_check_compare(&check);
    kernel_check_end(&check);
    return result;
}

static bool seen_before(const struct rt_program *program, size_t f, size_t s)
{
    rt_kernel *kernel = program->functions[f].steps[s].kernel;
    for (size_t g = 0; g <= f; g++)
        for (size_t i = 0; i < (g == f ? s : program->functions[g].step_count); i++)
            if (program->functions[g].steps[i].kernel == kernel)
                return true;
    return false;
}

struct check_result *check_kernels(struct module *module, const struct object *objects,
                                   size_t object_count, int64_t samples, uint64_t seed,
                                   size_t *out_count)
{
    ARRAY_OF(struct check_result) results = {0};
    struct checker c = {.module = module, .samples = samples, .random = {seed, 0}};
    c.program = load(objects, object_count);
    c.memory = check_memory_create(module);
    for (size_t f = 0; f < module->functions.count; f++) {
        if (c.program->functions[f].step_count != module->functions.items[f]->kernels.count)
            fatal(INTERNAL, "steps and kernels differ", module->functions.items[f]->name);
        for (size_t s = 0; s < c.program->functions[f].step_count; s++)
            if (!seen_before(c.program, f, s))
                array_push(module->arena, &results, check_kernel(&c, f, s));
    }
    check_memory_destroy(&c.memory);
    *out_count = results.count;
    return results.items;
}
