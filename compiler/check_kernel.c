/* See check_kernel.h. */
#include "compiler/check_kernel.h"

#include "ir/interp.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/*
 * What rounding may do, in units of the expected value. f32 sums of thousands of terms
 * in another order stay below the first; one operand or intermediate value in bf16 that rounds
 * the other way moves a result by up to a few of its units.
 */
static const double limit_f32 = 1e-4, limit_tf32 = 2e-3, limit_bf16 = 3e-2;

struct error {
    double absolute, expected;
};

struct kernel_state {
    struct arena *arena;
    struct snapshot *inputs; /* by value id: bytes before the kernel ran */
    struct interp_elements *expected;
    struct check_result result;
    ARRAY_OF(struct error) errors;
    double squares; /* of the expected values */
};

/* --- elements in memory --- */

static double read_stored(const struct type *type, const char *bytes, int64_t element)
{
    return read_element(type->dtype, bytes, type_place(type, element));
}

/* --- the kernel's values --- */

void kernel_each_input(const struct function *function, const struct kernel *kernel,
                       void (*visit)(void *context, const struct value *value), void *context)
{
    for (size_t i = 0; i < function->nodes.count; i++) {
        const struct node *node = function->nodes.items[i];
        for (int o = 0; node->kernel == kernel && o < node->operand_count; o++)
            if (node->operands[o]->node->kernel != kernel)
                visit(context, node->operands[o]);
    }
}

void kernel_each_result(const struct function *function, const struct kernel *kernel,
                        void (*visit)(void *context, const struct value *value), void *context)
{
    for (size_t i = 0; i < function->nodes.count; i++) {
        const struct node *node = function->nodes.items[i];
        for (int r = 0; node->kernel == kernel && r < op_info(node->op)->results; r++)
            if (node->results[r].place.kind == PLACE_ARENA)
                visit(context, &node->results[r]);
    }
}

static char *memory_of(const struct kernel_check *check, const struct value *value)
{
    return check->memory(check->context, value);
}

/* --- before --- */

/* What a kernel leaves out shall not look right because an earlier one had written it. */
static void spoil_result(void *context, const struct value *value)
{
    memset(memory_of(context, value), 0xff, type_storage_bytes(&value->type));
}

/* Padding of rows keeps what it had: nothing may depend on it. */
static void fill_strided(struct kernel_check *check, const struct value *value, int64_t bound)
{
    size_t size = (size_t)dtype_bits(value->type.dtype) / 8;
    int64_t count = type_elements(&value->type);
    char *to = memory_of(check, value), *dense = malloc(type_bytes(&value->type) + 1);
    if (!dense)
        fatal(OUT_OF_MEMORY, (size_t)type_bytes(&value->type));
    fill_random(check->random, &value->type, dense, bound);
    for (int64_t i = 0; i < count; i++)
        memcpy(to + (size_t)type_place(&value->type, i) * size, dense + (size_t)i * size, size);
    free(dense);
}

/* Of a batch the first always stores its rows, so that there is something to compare. */
static void fill_count(struct kernel_check *check, const struct value *value)
{
    double rows = (double)count_bound(check->function, check->kernel, value) - 1;
    if (rows > 0 && type_elements(&value->type) > 0)
        write_elements(value->type.dtype, memory_of(check, value), &rows, 1);
}

static void fill_input(void *context, const struct value *value)
{
    struct kernel_check *check = context;
    int64_t bound = index_bound(check->function, check->kernel, value);
    if (value->place.kind == PLACE_CONSTANT)
        return;
    if (value->type.strided)
        fill_strided(check, value, bound);
    else
        fill_random(check->random, &value->type, memory_of(check, value), bound);
    fill_count(check, value);
}

static void keep_input(void *context, const struct value *value)
{
    struct kernel_check *check = context;
    struct snapshot *snapshot = &check->state->inputs[value->id];
    if (!snapshot->bytes)
        *snapshot = snapshot_take(memory_of(check, value), type_storage_bytes(&value->type),
                                  value->place.kind == PLACE_ARENA);
}

/* What the interpreter takes from memory, as it was before the kernel ran. */
static bool provide(void *context, const struct value *value, int64_t element, double *out_number)
{
    const struct kernel_check *check = context;
    if (value->node->kernel == check->kernel || !check->state->inputs[value->id].bytes)
        return false;
    *out_number = read_stored(&value->type, check->state->inputs[value->id].bytes, element);
    return true;
}

void kernel_check_begin(struct kernel_check *check)
{
    struct arena *arena = arena_create();
    struct kernel_state *state = arena_new(arena, struct kernel_state);
    check->state = state;
    state->arena = arena;
    state->inputs = calloc(check->module->next_value, sizeof *state->inputs);
    if (!state->inputs)
        fatal(OUT_OF_MEMORY, check->module->next_value * sizeof *state->inputs);
    state->result = (struct check_result){.function = check->function->name,
                                          .kernel = check->kernel->name,
                                          .skeleton = skeleton_name(check->kernel->skeleton)};
    /* Results first: they may share memory with inputs. */
    kernel_each_result(check->function, check->kernel, spoil_result, check);
    kernel_each_input(check->function, check->kernel, fill_input, check);
    kernel_each_input(check->function, check->kernel, keep_input, check);
    state->expected = interp_elements_create(check->module, INTERP_ROUNDED, provide, check);
}

/* --- after --- */

static void compare_element(struct kernel_check *check, const struct value *value,
                            int64_t element)
{
    struct kernel_state *state = check->state;
    double expected = interp_elements_at(state->expected, value, element);
    double got = read_stored(&value->type, memory_of(check, value), element);
    state->result.compared++;
    if (isnan(expected) && isnan(got))
        return;
    double error = expected == got ? 0 : fabs(expected - got);
    if (isfinite(expected))
        state->squares += expected * expected;
    if (error != 0)
        array_push(state->arena, &state->errors, ((struct error){error, fabs(expected)}));
}

/* The worst error; NaN where only one of the two numbers was that. */
static double worst_error(const struct kernel_state *state)
{
    int64_t compared = state->result.compared ? state->result.compared : 1;
    double typical = sqrt(state->squares / (double)compared), worst = 0;
    for (size_t i = 0; i < state->errors.count; i++) {
        double unit = fmax(typical, state->errors.items[i].expected);
        double error = state->errors.items[i].absolute / (unit > 0 ? unit : 1);
        worst = error <= worst || isnan(worst) ? worst : error;
    }
    return worst;
}

/* Of a result that changes its operand in place: what was changed. */
static void compare_changes(struct kernel_check *check, const struct value *value)
{
    int64_t count = type_elements(&value->type), changed = 0;
    const struct value *before = value->node->operands[0];
    const char *now = memory_of(check, value), *then = check->state->inputs[before->id].bytes;
    for (int64_t i = 0; then && i < count && changed < check->samples; i++)
        if (read_stored(&value->type, now, i) != read_stored(&before->type, then, i)) {
            compare_element(check, value, i);
            changed++;
        }
}

static bool is_written(const struct type *type, const char *bytes, int64_t element)
{
    size_t size = (size_t)dtype_bits(type->dtype) / 8;
    const char *at = bytes + (size_t)type_place(type, element) * size;
    for (size_t i = 0; i < size; i++)
        if (at[i] != (char)0xff)
            return true;
    return false;
}

/* Of a kernel that has run in part: random ones of the elements that are no longer spoilt. */
static void compare_written(struct kernel_check *check, const struct value *value)
{
    int64_t count = type_elements(&value->type), found = 0;
    int64_t *chosen = arena_array(check->state->arena, int64_t, (size_t)check->samples);
    const char *bytes = memory_of(check, value);
    for (int64_t i = 0; i < count; i++) {
        if (!is_written(&value->type, bytes, i))
            continue;
        int64_t place = found < check->samples ? found : draw_below(check->random, found + 1);
        if (place < check->samples)
            chosen[place] = i;
        found++;
    }
    for (int64_t i = 0; i < found && i < check->samples; i++)
        compare_element(check, value, chosen[i]);
}

static void compare_value(void *context, const struct value *value)
{
    struct kernel_check *check = context;
    int64_t count = type_elements(&value->type), samples = check->samples;
    bool in_place = (op_info(value->node->op)->flags & OP_EFFECT) != 0;
    if (in_place)
        compare_changes(check, value);
    if (check->partial && in_place)
        return;
    if (check->partial) {
        compare_written(check, value);
        return;
    }
    for (int64_t i = 0; i < count && i < samples; i++)
        compare_element(check, value, count <= samples ? i : draw_below(check->random, count));
}

static void release_input(void *context, const struct value *value)
{
    struct kernel_check *check = context;
    snapshot_drop(&check->state->inputs[value->id]);
}

static double limit_of(enum dtype dtype)
{
    if (dtype_bits(dtype) == 16)
        return limit_bf16;
    return dtype == DTYPE_tf32 ? limit_tf32 : limit_f32;
}

double kernel_check_limit(const struct function *function, const struct kernel *kernel)
{
    double limit = limit_f32;
    for (size_t i = 0; i < function->nodes.count; i++) {
        const struct node *node = function->nodes.items[i];
        if (node->kernel != kernel)
            continue;
        limit = fmax(limit, limit_of(node->results[0].type.dtype));
        for (int o = 0; o < node->operand_count; o++)
            limit = fmax(limit, limit_of(node->operands[o]->type.dtype));
    }
    return limit;
}

struct check_result kernel_check_compare(struct kernel_check *check)
{
    struct kernel_state *state = check->state;
    state->errors.count = 0;
    state->squares = 0;
    state->result.compared = 0;
    kernel_each_result(check->function, check->kernel, compare_value, check);
    struct check_result result = state->result;
    result.worst = worst_error(state);
    result.limit = kernel_check_limit(check->function, check->kernel);
    return result;
}

void kernel_check_end(struct kernel_check *check)
{
    struct kernel_state *state = check->state;
    kernel_each_input(check->function, check->kernel, release_input, check);
    interp_elements_destroy(state->expected);
    free(state->inputs);
    check->state = NULL;
    arena_destroy(state->arena);
}
