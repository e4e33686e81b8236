/* From a planned module to the objects of a program: emission and compilation. */
#ifndef SINTER_PROGRAM_COMPILE_H
#define SINTER_PROGRAM_COMPILE_H

#include "compiler/job.h"

/*
 * Emits the job's module, planned before, and compiles it on options->threads threads. `path` is
 * the program to be made: a source that Clang refuses is kept beside it. The objects (malloc'd
 * array in the arena, contents freed by toolchain_free_objects) define rt_program.
 */
struct object *program_compile(struct job *job, const char *path, size_t *out_count);

#endif
