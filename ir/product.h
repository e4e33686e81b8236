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
    bool transb;   /* b stands as [n][k]: matmul {transb}, and the filter of conv2d */
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

/*
 * Kernels of several products (skeletons.def): products that meet in one result are partners and
 * form a segment; each segment has column tiles of its own, numbered through the kernel. A
 * result is a value that leaves the kernel, or an effect.
 */
enum { PRODUCTS_MOST = 8 };

struct product_segment {
    const struct node *anchors[PRODUCTS_MOST]; /* partners, in the order of the nodes */
    int count;
    int64_t n; /* columns of each */
    int64_t distance; /* of the columns that a result joins; 0: none, -1: no single one */
    /* Set by product_tile. */
    int64_t tiles, first_tile;
    int64_t width; /* of a run of neighbouring columns in a tile that holds pairs; 0: no pairs */
};

struct product_layout {
    struct product_extents e; /* of the first product: batch, m and k are those of all */
    struct product_segment segments[PRODUCTS_MOST];
    int count;
    int64_t cols, pair, tiles; /* set by product_tile; tiles: of all segments */
    struct node **nodes;       /* of the kernel */
    unsigned char *reach;      /* by node: a bit for each segment that it depends on */
    int node_count;
};

/*
 * Finds the segments of a kernel with 1 to PRODUCTS_MOST products (conv2d counts as one), and
 * tiles them as its attributes `cols` and `pair` say, if cols > 0. False if the kernel breaks the
 * contract: products of different %a, M, K or batch, partners of unequal N, a product that
 * feeds another, too many, or columns that the attributes do not tile.
 */
bool product_segments(struct arena *arena, const struct function *function,
                      const struct kernel *kernel, struct product_layout *out);

/*
 * Column tiles of `cols` for every segment. A segment whose results join columns has tiles of
 * whole pairs, see product_column: cols / 2 is a multiple of their distance, or, where `pair` is
 * that distance, divides it, and N is a multiple of twice the distance. False where a segment can
 * have no such tiles and is not one tile.
 */
bool product_tile(struct product_layout *layout, int64_t cols, int64_t pair);

/* The segment that a value of the kernel depends on; -1: none (it belongs to the prologue). */
int product_segment_of(const struct product_layout *layout, const struct value *value);

/* The segment of a column tile. */
int product_segment_at(const struct product_layout *layout, int64_t tile);

/*
 * The pair map: the column, in its segment, that local column `local` of tile `tile` (counted in
 * the segment) is. A tile holds units of 2 * width columns: width neighbours, and the width
 * columns `distance` further. May be >= n in the last tile of a segment without pairs.
 */
int64_t product_column(const struct product_layout *layout, const struct product_segment *segment,
                       int64_t tile, int64_t local);

#endif
