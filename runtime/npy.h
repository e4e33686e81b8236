/* NumPy's .npy files (format version 1.0, numpy.lib.format): two-dimensional f32 out, int32
 * arrays in. */
#ifndef SINTER_NPY_H
#define SINTER_NPY_H

#include "runtime/program.h"
#include "runtime/status.h"

#include <stdio.h>

enum { RT_NPY_HEADER = 128 };

/* Writes the header of a little-endian f32 array [rows, columns]: RT_NPY_HEADER bytes. */
void rt_npy_header(FILE *file, rt_i64 rows, rt_i64 columns);

/* Reads an int32 array in C order, of any shape, into memory that the caller frees. Anything else
 * is EXIT_DATA. */
rt_status rt_npy_read_i32(const char *path, rt_i32 **values, rt_i64 *count);

#endif
