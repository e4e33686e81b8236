/* The C header of a model built as a shared library: its tensors, then the common interface. */
#ifndef SINTER_HEADER_H
#define SINTER_HEADER_H

#include "compiler/job.h"

/* "dir/name.h" of the library "dir/libname.so". */
const char *header_path(struct arena *arena, const char *library);

/* Writes the header beside the library of a planned module. Fatal if it cannot be written. */
void header_write(const struct job *job, const char *library);

#endif
