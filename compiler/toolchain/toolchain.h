/*
 * From emitted C to a program, in process: Clang compiles the text, LLD links it with the
 * runtime embedded in sinter. The result needs libc.so.6, libm.so.6 and the loader, and neither
 * a compiler nor libc6-dev is needed to make it. docs/architecture.md has the reasons.
 */
#ifndef SINTER_TOOLCHAIN_H
#define SINTER_TOOLCHAIN_H

#include "compiler/embedded.h"
#include "ir/base/arena.h"

#include <stdbool.h>
#include <stddef.h>

/* --- CPUs --- */

struct toolchain_target {
    const char *cpu;             /* LLVM's name, for rt_program.cpu */
    const char *const *features; /* what the code may use, by the names of
                                    runtime/cpu_features.def; for rt_program.cpu_features */
    const char *const *switches; /* the same as arguments of Clang's cc1 */
    size_t feature_count, switch_count;
};

/*
 * A CPU by LLVM's name (x86-64-v3, znver4...); "native" is this machine's, with the features
 * that it really has. Unknown names are fatal. Only features that an executable can check at its
 * start are used, so that a wrong CPU is always a message.
 */
const struct toolchain_target *toolchain_target(struct arena *arena, const char *cpu);

/* Whether code for the target may use a feature: "avx2", "avx512f", "avx512bf16", "f16c"... */
bool toolchain_target_has(const struct toolchain_target *target, const char *feature);

/* Calls visit(context, name) for each name that toolchain_target knows, "native" first. */
void toolchain_target_each(void (*visit)(void *context, const char *name), void *context);

/* --- compiling --- */

struct object {
    char *bytes; /* an ELF object, by malloc */
    size_t length;
};

enum toolchain_status {
    TOOLCHAIN_OK,
    TOOLCHAIN_REJECTED,      /* Clang or LLD refused the text: the errors say why */
    TOOLCHAIN_CRASHED,       /* Clang or LLD failed inside */
    TOOLCHAIN_OUT_OF_MEMORY,
};

/*
 * Compiles gnu17 C text, which can include nothing. *errors is the caller's, by malloc, "" if
 * there were none. Callable from several threads at once (8 MB of stack each). Floating point is
 * IEEE but for contraction (a*b+c of one expression is one fma); signed overflow is undefined; no
 * errno.
 */
enum toolchain_status toolchain_compile(const char *source, size_t length,
                                        const struct toolchain_target *cpu, struct object *out,
                                        char **errors);

struct toolchain_source {
    const char *name; /* identifies it in messages and names the kept file: "kernels.c" */
    const char *text;
    size_t length;
};

/*
 * Compiles `count` sources on up to `threads` threads into objects[]. A failure is fatal (exit
 * 70): its source is kept as PATH.failed.c beside the program that was to be made.
 */
void toolchain_compile_all(const struct toolchain_source *sources, size_t count,
                           const struct toolchain_target *cpu, unsigned threads,
                           const char *path, struct object *objects);

/* Frees what toolchain_compile or toolchain_compile_all gave. */
void toolchain_free_objects(struct object *objects, size_t count);

/* --- linking --- */

/*
 * Links the objects, which define `rt_program`, with the embedded runtime into an executable,
 * or into a shared library that exports the symbols sinter_*, whose soname is
 * the file's name. The file appears complete or not at all. Failures are fatal: exit 7 where
 * writing fails, 70 where linking does.
 */
void toolchain_link_executable(const struct object *objects, size_t count, const char *path);
void toolchain_link_shared(const struct object *objects, size_t count, const char *path);

/* A file of embedded_toolchain_files by name; it must be there. */
const struct embedded_file *toolchain_file(const char *name);

/* The objects alone as a shared library, for dlopen by the compiler: it exports rt_program, or the
 * table emulated_kernels of a unit for the emulation. */
void toolchain_link_kernels(const struct object *objects, size_t count, const char *path);

/* The same, mapped by dlopen, whose handle comes back. Its file is gone by then: it stood in
 * TMPDIR, /tmp or the current directory, the first where one can be made and mapped. Fatal without
 * (exit code 7). */
void *toolchain_load_kernels(const struct object *objects, size_t count);

/* "19.1.7": of the Clang, LLVM and LLD inside. */
const char *toolchain_llvm_version(void);

#endif
