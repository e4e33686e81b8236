/*
 * The frame of all matrix products: tiles of rows and columns, panels packed into a buffer on
 * the stack, register blocks, and an epilogue over the finished elements. Matmul and the three
 * convolutions differ in how they fill the buffers.
 */
#ifndef SINTER_BACKENDS_C_PRODUCT_H
#define SINTER_BACKENDS_C_PRODUCT_H

#include "backends/c/skeletons.h"
#include "ir/product.h"

enum { PRODUCTS = 2 }; /* at most, sharing the left operand */

struct product {
    struct product_extents e;
    int64_t rows, cols, kc; /* of a tile; steps packed at once */
    int64_t row_tiles, col_tiles;
    int64_t pitch;   /* of the block of results */
    bool pairs;      /* bf16 pair products */
    bool deep;       /* K in several parts: the block holds the whole tile */
    bool whole_cols; /* every tile has `cols` columns */
    bool batch_inside; /* the result is [m, batch, n], not [batch, m, n] */
    const struct node *anchors[PRODUCTS];
    int count;
    const char *left;        /* the left operand where it stands: pointer text, or NULL: packed */
    const char *left_origin; /* the same of its first row */
    const char *left_stride; /* its row stride */
    const char *left_step;   /* between steps of a row; NULL: 1, and so for pairs */
    const char *first_step, *steps; /* of the part of K that is packed: texts */
    bool keep_rows; /* the left rows must be runs of memory (gemv) */
    /* Emits code that fills left[(row - from_row) * left_stride + i], rows from_row..to_row-1,
     * with steps first_step + i, i < steps. */
    void (*pack_left)(struct generator *g, struct product *p);
    /* Emits code that fills `target`, a panel of product `which`: `columns` columns from n. */
    void (*pack_right)(struct generator *g, struct product *p, int which);
    /* Emits the prefetch of column i of the next panel; NULL: none. */
    void (*prefetch_right)(struct generator *g, struct product *p, int which);
    /* Not NULL: computes all rows of the tile's columns into the blocks in its own way, from
     * rows that stream_left makes known as `left` before the first tile. */
    void (*stream)(struct generator *g, struct product *p);
    void (*stream_left)(struct generator *g, struct product *p);
    int batch, row, tile, column; /* variables */
};

/* Prints the kernel whose skeleton data `p` is complete but for the derived fields. */
void emit_product(struct generator *g, struct product *p);

/* Sets extents and tiles from the anchors and the kernel's attributes. */
void product_prepare(struct generator *g, struct product *p);

/* "f32" or "pairs". */
const char *product_form(const struct product *p);
/* Steps, rounded up to whole words. */
int64_t product_depth(const struct product *p, int64_t depth);

#endif
