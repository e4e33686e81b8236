/*
 * Values as strided views of the memory that they are read from: index maps of a kernel
 * (reshape, transpose, slice, broadcast) folded into extents and strides, where these can
 * say it.
 */
#ifndef SINTER_STORED_VIEW_H
#define SINTER_STORED_VIEW_H

#include "ir/ir.h"

/* Element (i0, i1, ...) stands at offset + sum(i[k] * strides[k]) elements from the first of
 * `base`. */
struct stored_view {
    const struct value *base; /* made outside of the kernel */
    int rank;
    int64_t dims[MAX_RANK], strides[MAX_RANK], offset;
};

/*
 * The view that `value` is of memory for the nodes of `kernel`. With `padded`, as if pass_plan
 * had given the rows of every contiguous float tensor whose rows are no multiple of 16 bytes a
 * pitch. False if the value is computed or constant, or its elements do not lie by strides.
 */
bool stored_view(const struct kernel *kernel, const struct value *value, bool padded,
                 struct stored_view *out);

/* As a view of a tensor itself, as its type says. */
struct stored_view stored_view_of(const struct value *value, bool padded);

/* Other extents over the same elements in row-major order; false if strides cannot say it. */
bool stored_view_reshape(struct stored_view *view, int rank, const int64_t *dims);

#endif
