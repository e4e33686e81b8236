/* See outputs.h. */
#include "tests/outputs.h"

#include "tests/random_graph.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct outputs outputs_of(struct module *module, const struct function *function,
                          enum interp_mode mode, uint64_t seed, bool planned)
{
    struct interp *interp = interp_create(module, mode);
    random_bind(interp, module, function, seed);
    if (planned)
        interp_function_planned(interp, function);
    else
        interp_function(interp, function);
    struct outputs outputs = {calloc(function->bindings.count + 1, sizeof *outputs.items), 0};
    for (size_t i = 0; i < function->bindings.count; i++) {
        const struct binding *binding = &function->bindings.items[i];
        const struct value *value = binding->state ? binding->state : binding->value;
        struct output *output = &outputs.items[outputs.count++];
        output->name = strdup(binding->name);
        output->count = type_elements(&value->type);
        output->numbers = calloc((size_t)output->count + 1, sizeof(double));
        if (output->count)
            memcpy(output->numbers, interp_value(interp, value),
                   (size_t)output->count * sizeof(double));
    }
    interp_destroy(interp);
    return outputs;
}

void outputs_free(struct outputs *outputs)
{
    for (size_t i = 0; i < outputs->count; i++) {
        free(outputs->items[i].name);
        free(outputs->items[i].numbers);
    }
    free(outputs->items);
    *outputs = (struct outputs){0};
}

static bool close_enough(double a, double b, double tolerance)
{
    if (a == b || (isnan(a) && isnan(b)))
        return true;
    return fabs(a - b) <= tolerance * fmax(1, fmax(fabs(a), fabs(b)));
}

static const char *compare(const struct output *a, const struct output *b, double tolerance)
{
    static char text[256];
    if (a->count != b->count) {
        snprintf(text, sizeof text, "%s: %" PRId64 " elements, not %" PRId64, a->name, b->count,
                 a->count);
        return text;
    }
    for (int64_t i = 0; i < a->count; i++) {
        if (close_enough(a->numbers[i], b->numbers[i], tolerance))
            continue;
        snprintf(text, sizeof text, "%s[%" PRId64 "]: %.17g, not %.17g", a->name, i, b->numbers[i],
                 a->numbers[i]);
        return text;
    }
    return NULL;
}

const char *outputs_differ(const struct outputs *expected, const struct outputs *actual,
                           double tolerance)
{
    for (size_t i = 0; i < expected->count; i++) {
        const struct output *found = NULL;
        for (size_t k = 0; k < actual->count; k++)
            if (strcmp(expected->items[i].name, actual->items[k].name) == 0)
                found = &actual->items[k];
        const char *difference =
            found ? compare(&expected->items[i], found, tolerance) : expected->items[i].name;
        if (difference)
            return difference;
    }
    return NULL;
}
