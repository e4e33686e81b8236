/*
 * The host compiler and linker, in process: a thin C interface to Clang, LLVM and LLD. Only
 * toolchain.c uses it. Nothing here prints or ends the process: a failure or crash inside LLVM
 * becomes a status and a text. Texts are made by malloc and are the caller's.
 */
#ifndef SINTER_TOOLCHAIN_HOST_H
#define SINTER_TOOLCHAIN_HOST_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum host_status {
    HOST_OK,
    HOST_REJECTED,      /* the input was refused: the text says why */
    HOST_CRASHED,       /* a defect inside the library stopped it */
    HOST_OUT_OF_MEMORY, /* an allocation failed inside the library */
};

/* The CPU of this machine by LLVM's name ("znver4"), and its features as LLVM names them. */
const char *host_cpu_name(void);
bool host_cpu_has(const char *feature);

/* Whether LLVM knows a 64-bit x86 CPU by this name, and whether that CPU has a feature. */
bool host_cpu_known(const char *cpu);
bool host_cpu_named_has(const char *cpu, const char *feature);

/* Makes a choice of features consistent, as Clang would: whatever needs an absent feature is
 * switched off too. */
void host_cpu_settle(const char *const *names, bool *on, size_t count);

/* Calls visit(context, name) for each 64-bit x86 CPU, or each feature of a CPU. */
void host_cpu_each(void (*visit)(void *context, const char *name), void *context);
void host_cpu_features_each(const char *cpu, void (*visit)(void *context, const char *name),
                            void *context);

/*
 * Compiles one C source, whose errors name it `name`, to an ELF object. `arguments` are Clang's
 * cc1 options. The source can include nothing. On success *object is the caller's, by malloc.
 * Callable from several threads at once, each with 8 MB of stack or more.
 */
enum host_status host_compile(const char *name, const char *source, size_t length,
                              const char *const *arguments, size_t argument_count, char **object,
                              size_t *object_length, char **text);

/* Runs ld.lld with these arguments (without its own name). Once in a process: LLD 19 does not
 * clear all that a link leaves behind. */
enum host_status host_link(const char *const *arguments, size_t argument_count, char **text);

/* "19.1.7" */
const char *host_llvm_version(void);

#ifdef __cplusplus
}
#endif

#endif
