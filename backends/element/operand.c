/* See operand.h. */
#include "backends/element/operand.h"

#include <string.h>

struct matrix matrix_find(struct generator *g, const struct value *value, struct index index,
                          struct matrix_axes axes, bool through_casts)
{
    struct matrix matrix = {.kind = MATRIX_OTHER};
    struct memory memory;
    if (!value_memory(g, value, index, through_casts, &memory) || g->space.split.wanted)
        return matrix;
    enum dtype dtype = memory.value->type.dtype;
    if (!dtype_is_float(dtype) || dtype == DTYPE_f64)
        return matrix;
    matrix.value = memory.value;
    matrix.offset = memory.index.base;
    for (int i = 0; i < memory.index.count; i++) {
        int variable = g->space.atoms.items[memory.index.terms[i].atom].variable;
        int64_t scale = memory.index.terms[i].scale;
        if (variable < 0)
            return matrix;
        if (variable == axes.batch)
            matrix.batch = scale;
        else if (variable == axes.group)
            matrix.group = scale;
        else if (variable == axes.major)
            matrix.major = scale;
        else if (variable == axes.minor)
            matrix.minor = scale;
        else
            return matrix;
    }
    if (matrix.minor == 1 || g->variables[axes.minor].extent == 1)
        matrix.kind = MATRIX_ROWS;
    else if (matrix.major == 1)
        matrix.kind = MATRIX_COLUMNS;
    return matrix;
}

static void add_term(struct str *out, const char *text, int64_t scale)
{
    if (scale == 0 || strcmp(text, "0") == 0)
        return;
    str_printf(out, " + %s", text);
    if (scale != 1)
        str_printf(out, " * %lld", (long long)scale);
}

const char *matrix_pointer(struct generator *g, const struct matrix *matrix, const char *batch,
                           const char *group, const char *major, const char *minor)
{
    struct str out = str_create(g->arena);
    str_printf(&out, "%s", argument_name(g, matrix->value, false));
    add_term(&out, batch, matrix->batch);
    add_term(&out, group, matrix->group);
    add_term(&out, major, matrix->major);
    add_term(&out, minor, matrix->minor);
    if (matrix->offset)
        str_printf(&out, " + %lld", (long long)matrix->offset);
    return out.text;
}
