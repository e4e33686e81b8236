/*
 * IDX files (the format of the MNIST files, http://yann.lecun.com/exdb/mnist): two zero bytes, a
 * type, a rank, big-endian sizes, big-endian values. Plain or gzip (RFC 1952), told apart by
 * their first bytes. A file is read and checked as a whole: the size must be exactly what the
 * header says.
 */
#ifndef SINTER_IDX_H
#define SINTER_IDX_H

#include "runtime/program.h"
#include "runtime/status.h"

#include <stdbool.h>

enum rt_idx_type {
    RT_IDX_U8 = 0x08,
    RT_IDX_I8 = 0x09,
    RT_IDX_I16 = 0x0b,
    RT_IDX_I32 = 0x0c,
    RT_IDX_F32 = 0x0d,
    RT_IDX_F64 = 0x0e,
};

struct rt_idx {
    unsigned char *values; /* as in the file */
    enum rt_idx_type type;
    unsigned rank;
    rt_i64 dims[RT_MAX_RANK];
    rt_i64 count;  /* of samples: dims[0] */
    rt_i64 sample; /* values of one sample */
};

/* On failure nothing is kept. EXIT_FILE, EXIT_DATA or EXIT_MEMORY. */
rt_status rt_idx_open(struct rt_idx *idx, const char *path);
void rt_idx_close(struct rt_idx *idx);

bool rt_idx_is_whole(const struct rt_idx *idx); /* the type has no fractions */

/* Value `index` (of all samples, in file order) as a number; exact for every type. */
double rt_idx_value(const struct rt_idx *idx, rt_i64 index);

#endif
