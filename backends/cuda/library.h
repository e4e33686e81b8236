/* The device library's texts, part of the compiler's binary (library.S), in the order in which
 * they stand in front of emitted kernels. */
#ifndef SINTER_BACKENDS_CUDA_LIBRARY_H
#define SINTER_BACKENDS_CUDA_LIBRARY_H

#include "backends/emit.h"

extern const struct library_file cuda_library_files[];
extern const size_t cuda_library_file_count;

#endif
