/* See against.h. */
#include "compiler/against.h"

#include "compiler/interpret.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct comparison {
    struct job *job;
    const struct npz *npz;
    const struct function *function;
    struct interp *interp;
};

static const struct function *find_function(const struct module *module)
{
    for (size_t i = 0; i < module->functions.count; i++) {
        const struct function *function = module->functions.items[i];
        const char *role = attributes_text(&function->attributes, ATTRIBUTE_role);
        if (role && strcmp(role, "predict") == 0)
            return function;
    }
    fatal(AGAINST_NO_FUNCTION, module->name);
}

static const struct npz_array *array_of(const struct comparison *c, const struct value *value,
                                        const char *name)
{
    const struct npz_array *array = npz_find(c->npz, name);
    if (array && !type_same_dims(&array->type, &value->type))
        fatal(AGAINST_SHAPE, name, c->npz->path, type_text(c->job->arena, &array->type),
              type_text(c->job->arena, &value->type));
    return array;
}

/* An element that is no whole number would silently become another id. */
static double input_number(const struct comparison *c, const struct npz_array *array,
                           const struct value *leaf, int64_t i)
{
    double number = dtype_load(array->type.dtype, array->bytes, i);
    if (!dtype_is_float(leaf->type.dtype) && number != trunc(number))
        fatal(AGAINST_SHAPE, array->name, c->npz->path, type_text(c->job->arena, &array->type),
              type_text(c->job->arena, &leaf->type));
    return number;
}

static void bind_array(struct comparison *c, const struct npz_array *array,
                       const struct value *leaf)
{
    int64_t count = type_elements(&leaf->type);
    double *numbers = calloc((size_t)count, sizeof *numbers);
    if (!numbers)
        fatal(OUT_OF_MEMORY, (size_t)count * sizeof *numbers);
    for (int64_t i = 0; i < count; i++)
        numbers[i] = input_number(c, array, leaf, i);
    interp_bind(c->interp, leaf, numbers);
    free(numbers);
}

static void bind_weights(struct comparison *c)
{
    struct module *module = c->job->module;
    bool has_files = c->job->directory && !c->job->random_weights;
    if (has_files)
        interpret_bind_weights(c->interp, module, model_directory_checkpoint(c->job->directory),
                               NULL, NULL);
    for (size_t i = 0; i < module->weights.count; i++) {
        const struct value *weight = &module->weights.items[i]->results[0];
        const struct npz_array *array = array_of(c, weight, weight->name);
        if (array)
            bind_array(c, array, weight);
        else if (!has_files)
            fatal(AGAINST_MISSING, "weight", weight->name, c->npz->path);
    }
}

static void bind_inputs(struct comparison *c)
{
    for (size_t i = 0; i < c->function->params.count; i++) {
        const struct value *input = &c->function->params.items[i]->results[0];
        const struct npz_array *array = array_of(c, input, input->name);
        if (!array)
            fatal(AGAINST_MISSING, "input", input->name, c->npz->path);
        bind_array(c, array, input);
    }
}

static const struct value *find_leaf(const struct comparison *c, const char *name)
{
    const struct module *module = c->job->module;
    for (size_t i = 0; i < c->function->params.count; i++)
        if (strcmp(c->function->params.items[i]->results[0].name, name) == 0)
            return &c->function->params.items[i]->results[0];
    for (size_t i = 0; i < module->weights.count; i++)
        if (strcmp(module->weights.items[i]->results[0].name, name) == 0)
            return &module->weights.items[i]->results[0];
    return NULL;
}

/* An output by the name that it is returned as, else a value by its own. */
static const struct value *find_value(const struct comparison *c, const char *name)
{
    for (size_t i = 0; i < c->function->bindings.count; i++)
        if (strcmp(c->function->bindings.items[i].name, name) == 0)
            return c->function->bindings.items[i].value;
    for (size_t i = 0; i < c->function->nodes.count; i++) {
        const struct node *node = c->function->nodes.items[i];
        for (int r = 0; r < op_info(node->op)->results; r++)
            if (strcmp(node->results[r].name, name) == 0)
                return &node->results[r];
    }
    fatal(AGAINST_UNKNOWN, name, c->npz->path);
}

static struct against_result compare(const struct comparison *c, const struct npz_array *array)
{
    const struct value *value = find_value(c, array->name);
    array_of(c, value, array->name);
    const double *got = interp_value(c->interp, value);
    int64_t count = type_elements(&value->type);
    double squares = 0, worst = 0;
    if (!got)
        fatal(INTERNAL, "the interpreter has no such value", array->name);
    for (int64_t i = 0; i < count; i++) {
        double expected = dtype_load(array->type.dtype, array->bytes, i);
        double error = expected == got[i] || (isnan(expected) && isnan(got[i]))
                           ? 0 : fabs(expected - got[i]);
        if (isfinite(expected))
            squares += expected * expected;
        if (!(error <= worst)) /* also where it is no number */
            worst = error;
    }
    double rms = sqrt(squares / (double)count);
    return (struct against_result){array->name, value->type, rms > 0 ? worst / rms : worst, rms};
}

struct against_result *against_compare(struct job *job, const struct npz *npz, size_t *out_count)
{
    struct comparison c = {.job = job, .npz = npz, .function = find_function(job->module)};
    struct against_result *results =
        arena_array(job->arena, struct against_result, npz->count + 1);
    c.interp = interp_create(job->module, INTERP_EXACT);
    bind_weights(&c);
    bind_inputs(&c);
    for (size_t i = 0; i < npz->count; i++) /* before the work */
        if (!find_leaf(&c, npz->items[i].name))
            array_of(&c, find_value(&c, npz->items[i].name), npz->items[i].name);
    interp_function(c.interp, c.function);
    *out_count = 0;
    for (size_t i = 0; i < npz->count; i++)
        if (!find_leaf(&c, npz->items[i].name))
            results[(*out_count)++] = compare(&c, &npz->items[i]);
    interp_destroy(c.interp);
    return results;
}
