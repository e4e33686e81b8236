/*
 * Matmul and the convolutions as matrix products: the extents that passes/tile.c and the
 * backends must agree on. result[batch][m][n] = sum over k of a[batch][m][k] * b[batch][n][k].
 */
#ifndef SINTER_PRODUCT_H
#define SINTER_PRODUCT_H

#include "ir/ir.h"

struct product_extents {
    int64_t batch, m, n, k;
    bool shared_b; /* b is the same for all batches */
};

/*
 * Of a node matmul, conv2d, conv2d_input or conv2d_filter. Convolutions: the batch is the group;
 *   conv2d         m = pixels of the result,  n = channels out, k = (row, column, channel in)
 *   conv2d_input   m = pixels of the result,  n = channels in,  k = (row, column, channel out)
 *   conv2d_filter  m = channels out,  n = (row, column, channel in),  k = pixels of %dy
 */
struct product_extents product_extents(const struct node *node);

/* What a convolution's attributes and operands say. */
struct conv_extents {
    int64_t images, height, width, channels;      /* x */
    int64_t out_height, out_width, out_channels;  /* y or dy */
    int64_t rows, columns;                        /* of the filter */
    int64_t stride[2], top, left, groups;
};
struct conv_extents conv_extents(const struct node *node);

#endif
