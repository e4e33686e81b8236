/* `sinter build --emit-only DIR`: instead of a program, the sources of one. */
#ifndef SINTER_EMIT_ONLY_H
#define SINTER_EMIT_ONLY_H

#include "compiler/job.h"

/*
 * Writes a CMake project that needs a C compiler, CMake and nvcc: DIR/CMakeLists.txt, for each
 * target a folder with one .cu file for each kernel and the tables, and the runtime's sources. The
 * jobs are those of program_compile, planned, all for GPUs. Makes the folders that are missing.
 */
void emit_only(struct job *jobs, size_t job_count, const char *folder);

/* Fatal if the folder holds anything but an earlier project, which is written over. */
void emit_only_check(const char *folder);

#endif
