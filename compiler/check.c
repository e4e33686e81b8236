/* See check.h. */
#include "compiler/check.h"

#include "compiler/check_memory.h"
#include "ir/interp.h"
#include "runtime/program.h"

#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * What rounding may do, in units of the expected value. f32 sums of thousands of terms
 * in another order stay below the first; one operand or intermediate value in bf16 that rounds
 * the other way moves a result by up to a few of its units.
 */
static const double limit_f32 = 1e-4, limit_bf16 = 3e-2;

struct checker {
    struct module *module;
    const struct rt_program *program;
    struct check_memory memory;
    int64_t samples;
    struct random random;
};

/* --- the code --- */

static const struct rt_program *load(struct arena *arena, const struct object *objects,
                                     size_t count)
{
    const char *folder = getenv("TMPDIR");
    char *path = arena_printf(arena, "%s/sinter-check-XXXXXX",
                              folder && *folder ? folder : P_tmpdir);
    int descriptor = mkstemp(path);
    if (descriptor < 0)
        fatal(FILE_OPEN, path, "no temporary file can be made");
    close(descriptor);
    toolchain_link_kernels(objects, count, path);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    unlink(path);
    if (!library)
        fatal(INTERNAL, "the kernels cannot be loaded", dlerror());
    const struct rt_program *program = dlsym(library, "rt_program");
    if (!program)
        fatal(INTERNAL, "the kernels hold no program", path);
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

/* --- one kernel --- */

struct error {
    double absolute, expected;
};

struct kernel_check {
    struct checker *checker;
    const struct function *function;
    const struct kernel *kernel;
    struct snapshot *inputs; /* by value id: bytes before the kernel ran */
    struct check_result result;
    struct arena *arena; /* of `errors` */
    ARRAY_OF(struct error) errors;
    double squares; /* of the expected values */
};

static bool is_input(const struct kernel_check *k, const struct value *value)
{
    return value->node->kernel != k->kernel;
}

static bool provide(void *context, const struct value *value, int64_t element, double *out_number)
{
    const struct kernel_check *k = context;
    if (!is_input(k, value))
        return false;
    *out_number = read_element(value->type.dtype, k->inputs[value->id].bytes, element);
    return true;
}

static void for_each_input(struct kernel_check *k,
                           void (*visit)(struct kernel_check *, const struct value *))
{
    for (size_t i = 0; i < k->function->nodes.count; i++) {
        const struct node *node = k->function->nodes.items[i];
        for (int o = 0; node->kernel == k->kernel && o < node->operand_count; o++)
            if (is_input(k, node->operands[o]))
                visit(k, node->operands[o]);
    }
}

static void fill_input(struct kernel_check *k, const struct value *value)
{
    int64_t bound = index_bound(k->function, k->kernel);
    fill_random(&k->checker->random, &value->type, check_memory_of(&k->checker->memory, value),
                bound);
}

static void keep_input(struct kernel_check *k, const struct value *value)
{
    struct snapshot *snapshot = &k->inputs[value->id];
    const char *bytes = check_memory_of(&k->checker->memory, value);
    if (!snapshot->bytes)
        *snapshot =
            snapshot_take(bytes, type_bytes(&value->type), value->place.kind == PLACE_ARENA);
}

static void release_input(struct kernel_check *k, const struct value *value)
{
    snapshot_drop(&k->inputs[value->id]);
}

static void compare_element(struct kernel_check *k, const struct value *value, int64_t element)
{
    double expected =
        interp_element(k->checker->module, INTERP_ROUNDED, value, element, provide, k);
    double got =
        read_element(value->type.dtype, check_memory_of(&k->checker->memory, value), element);
    k->result.compared++;
    if (isnan(expected) && isnan(got))
        return;
    double error = expected == got ? 0 : fabs(expected - got);
    if (isfinite(expected))
        k->squares += expected * expected;
    if (error != 0)
        array_push(k->arena, &k->errors, ((struct error){error, fabs(expected)}));
}

/* The worst error; NaN where only one of the two numbers was that. */
static double worst_error(const struct kernel_check *k)
{
    double typical = sqrt(k->squares / (double)(k->result.compared ? k->result.compared : 1));
    double worst = 0;
    for (size_t i = 0; i < k->errors.count; i++) {
        double unit = fmax(typical, k->errors.items[i].expected);
        double error = k->errors.items[i].absolute / (unit > 0 ? unit : 1);
        worst = error <= worst || isnan(worst) ? worst : error;
    }
    return worst;
}

/* Random elements; of a result that changes its operand in place, also what was changed. */
static void compare_value(struct kernel_check *k, const struct value *value)
{
    int64_t count = type_elements(&value->type), samples = k->checker->samples;
    bool in_place = (op_info(value->node->op)->flags & OP_EFFECT) != 0;
    const struct value *before = in_place ? value->node->operands[0] : NULL;
    const char *now = check_memory_of(&k->checker->memory, value);
    int64_t changed = 0;
    for (int64_t i = 0; before && i < count && changed < samples; i++)
        if (read_element(value->type.dtype, now, i) !=
            read_element(value->type.dtype, k->inputs[before->id].bytes, i)) {
            compare_element(k, value, i);
            changed++;
        }
    for (int64_t i = 0; i < count && i < samples; i++)
        compare_element(k, value, count <= samples ? i : draw_below(&k->checker->random, count));
}

static void for_each_result(struct kernel_check *k,
                            void (*visit)(struct kernel_check *, const struct value *))
{
    for (size_t i = 0; i < k->function->nodes.count; i++) {
        const struct node *node = k->function->nodes.items[i];
        for (int r = 0; node->kernel == k->kernel && r < op_info(node->op)->results; r++)
            if (node->results[r].place.kind == PLACE_ARENA)
                visit(k, &node->results[r]);
    }
}

/* What a kernel leaves out shall not look right because an earlier one had written it. */
static void spoil_result(struct kernel_check *k, const struct value *value)
{
    memset(check_memory_of(&k->checker->memory, value), 0xff, type_bytes(&value->type));
}

static bool uses_half(const struct kernel_check *k)
{
    for (size_t i = 0; i < k->function->nodes.count; i++) {
        const struct node *node = k->function->nodes.items[i];
        if (node->kernel != k->kernel)
            continue;
        if (dtype_bits(node->results[0].type.dtype) == 16)
            return true;
        for (int o = 0; o < node->operand_count; o++)
            if (dtype_bits(node->operands[o]->type.dtype) == 16)
                return true;
    }
    return false;
}

static struct check_result check_kernel(struct checker *c, size_t f, size_t s)
{
    const struct function *function = c->module->functions.items[f];
    struct kernel_check k = {.checker = c,
                             .function = function,
                             .kernel = function->kernels.items[s],
                             .arena = arena_create()};
    k.inputs = calloc(c->module->next_value, sizeof *k.inputs);
    if (!k.inputs)
        fatal(OUT_OF_MEMORY, c->module->next_value * sizeof *k.inputs);
    k.result = (struct check_result){.function = function->name,
                                     .kernel = k.kernel->name,
                                     .skeleton = skeleton_name(k.kernel->skeleton)};
    for_each_result(&k, spoil_result); /* may share memory with inputs: first */
    for_each_input(&k, fill_input);
    for_each_input(&k, keep_input);
    run_step(c, &c->program->functions[f], &c->program->functions[f].steps[s]);
    for_each_result(&k, compare_value);
    for_each_input(&k, release_input);
    free(k.inputs);
    k.result.worst = worst_error(&k);
    arena_destroy(k.arena);
    k.result.limit = uses_half(&k) ? limit_bf16 : limit_f32;
    return k.result;
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
    c.program = load(module->arena, objects, object_count);
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
