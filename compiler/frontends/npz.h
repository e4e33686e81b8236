/*
 * Arrays of another framework: .npz files as numpy.savez and savez_compressed write them, which
 * are ZIP archives (PKWARE APPNOTE 6.3, sections 4.3.7, 4.3.12 and 4.3.16) of .npy files (NumPy
 * Enhancement Proposal 1). Read strictly by the central directory; checksums are verified.
 */
#ifndef SINTER_NPZ_H
#define SINTER_NPZ_H

#include "ir/ir.h"

struct npz_array {
    const char *name; /* without ".npy" */
    struct type type;
    const void *bytes; /* row-major */
};

struct npz {
    const char *path;
    struct npz_array *items;
    size_t count;
};

/* Reads a file with at most 4 GB of arrays. Fatal (EXIT_DATA) if anything in it is invalid, or of
 * an element type other than f16, f32, f64, i32, i64, u8 and bool. */
struct npz npz_open(struct arena *arena, const char *path);

/* The same from memory; `path` is for messages. */
struct npz npz_parse(struct arena *arena, const char *path, const char *bytes, size_t length);

/* NULL if there is none of that name. */
const struct npz_array *npz_find(const struct npz *npz, const char *name);

#endif
