/* The device library's texts, part of the compiler's binary (library.S), in the order in which
 * they stand in front of emitted code. */
#ifndef SINTER_BACKENDS_C_LIBRARY_H
#define SINTER_BACKENDS_C_LIBRARY_H

#include "backends/emit.h"

extern const struct library_file library_files[];
extern const size_t library_file_count;

#endif
