/* What `sort` and `cumsum` share: lines along one axis, each worked on by `pieces` blocks. */
#ifndef SINTER_BACKENDS_CUDA_LINES_H
#define SINTER_BACKENDS_CUDA_LINES_H

#include "backends/cuda/skeletons.h"
#include "ir/gpu_rows.h"

enum { LINE_BEFORE, LINE_ALONG, LINE_AFTER }; /* roles of variables */

/* The lines of the kernel; sets the launch. Fatal if the attributes do not fit together. */
struct gpu_lines lines_create(struct generator *g);

/* Adds the three variables. */
void lines_variables(struct generator *g, const struct gpu_lines *lines);

/* Names "line" and "piece" and opens the variables before and after the axis. */
void lines_open(struct generator *g, const struct gpu_lines *lines);

/* The row-major index at `along`. */
struct index lines_index(struct generator *g, const struct gpu_lines *lines, struct index along);

#endif
