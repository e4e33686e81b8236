/*
 * Where a matrix operand stands in memory: found by following views from the operand's element
 * at free (batch, group, major, minor) to a load whose index is affine in them.
 */
#ifndef SINTER_BACKENDS_ELEMENT_OPERAND_H
#define SINTER_BACKENDS_ELEMENT_OPERAND_H

#include "backends/element/value.h"

enum matrix_kind {
    MATRIX_OTHER,   /* computed, or scattered */
    MATRIX_ROWS,    /* neighbours along minor are neighbours in memory */
    MATRIX_COLUMNS, /* neighbours along major are */
};

struct matrix {
    enum matrix_kind kind;
    const struct value *value; /* the tensor in memory */
    int64_t offset, batch, group, major, minor; /* elements: base and strides */
};

/* The variables that are the operand's axes; -1 where there is none. */
struct matrix_axes {
    int batch, group, major, minor;
};

/* `index` is the operand's row-major index in terms of the open variables. */
struct matrix matrix_find(struct generator *g, const struct value *value, struct index index,
                          struct matrix_axes axes, bool through_casts);

/* "x1 + 3 * 4096 + n * 128": the address of element (batch, group, major, minor), given as text. */
const char *matrix_pointer(struct generator *g, const struct matrix *matrix, const char *batch,
                           const char *group, const char *major, const char *minor);

#endif
