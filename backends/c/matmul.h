/* What `matmul` and `gemv` share: the operands of matmul nodes. */
#ifndef SINTER_BACKENDS_C_MATMUL_H
#define SINTER_BACKENDS_C_MATMUL_H

#include "backends/element/operand.h"
#include "backends/c/product.h"

enum { SEGMENTS = 64 };

/* A right operand, or a part of one that is concatenated along the product's columns. */
struct side {
    const struct value *value;
    int64_t start, extent; /* columns of the product that it serves */
    struct matrix matrix;
};

struct matmul {
    struct product product; /* first: it is the skeleton's data for product.c */
    struct side sides[PRODUCTS][SEGMENTS];
    int side_counts[PRODUCTS];
};

/* Of the kernel of `g`, ready for emit_product. */
struct matmul *matmul_create(struct generator *g);

#endif
