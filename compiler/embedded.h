/*
 * Files that are part of the compiler's binary: the shipped model descriptions and whatever
 * emitted programs need. The list is made by CMake; the bytes are read by the assembler.
 */
#ifndef SINTER_EMBEDDED_H
#define SINTER_EMBEDDED_H

#include <stddef.h>

struct embedded_file {
    const char *name; /* base name: "some.model" */
    const char *text; /* not terminated */
    size_t length;
};

/* The embedded model descriptions, in the order of their list. */
extern const struct embedded_file embedded_models[];
extern const size_t embedded_model_count;

/* The files of compiler/toolchain, by name: runtime.o and start.o, which are linked into programs;
 * the stubs libc.so.6 and libm.so.6; program.h, the head of every emitted source; library.h, the
 * interface of models built as libraries. */
extern const struct embedded_file embedded_toolchain_files[];
extern const size_t embedded_toolchain_file_count;

/* What `build --emit-only` copies, by path in the repository. */
extern const struct embedded_file embedded_project_files[];
extern const size_t embedded_project_file_count;

#endif
