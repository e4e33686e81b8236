/*
 * Device code by NVRTC, NVIDIA's compiler library, versions 12 and 13. It is found where a toolkit
 * or a Python package put it, and opened in worker processes only: it serialises inside one
 * process, and a fault of it must not be one of ours. Kernels that were compiled before are taken
 * from a cache (cache.h).
 */
#ifndef SINTER_TOOLCHAIN_NVRTC_H
#define SINTER_TOOLCHAIN_NVRTC_H

#include "compiler/toolchain/cubin.h"
#include "ir/base/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The library that will be used. */
struct nvrtc {
    const char *path;
    int major, minor; /* 13, 0 */
};

/*
 * Looks in `wanted` (the argument of --cuda: a toolkit, or the library itself; NULL if not given;
 * nothing else is tried then), CUDA_HOME, CUDA_PATH, the usual places of the system, and the
 * Python packages of the active environment and the user. Fatal (exit 5) naming all these places
 * if it is in none of them.
 */
struct nvrtc nvrtc_find(struct arena *arena, const char *wanted);

/* As nvrtc_find, by file names only; false where there is none, with the places in *out_places. */
bool nvrtc_look(struct arena *arena, const char *wanted, struct nvrtc *out,
                const char **out_places);

/* Asks the library in a process of its own for its version. False with a reason if it cannot be
 * opened. */
bool nvrtc_version(struct arena *arena, struct nvrtc *nvrtc, const char **out_reason);

struct device_source {
    const char *name; /* the kernel's, also in the text */
    const char *text;
    size_t length;
};

struct device_code {
    const void *cubin; /* in the arena, as all here */
    size_t cubin_length;
    const char *ptx; /* with its NUL; NULL unless asked for */
    size_t ptx_length;
    const char *log; /* what ptxas -v says */
    bool cached;
    struct cubin_facts facts;
};

struct device_options {
    const char *architecture; /* "sm_80", "sm_90a" */
    bool ptx;                 /* give PTX too */
    bool no_cache;
    unsigned threads; /* worker processes at most */
    void (*told)(size_t done, size_t total); /* called as kernels are done; may be NULL */
    const char *path; /* of the program: a source that is refused is kept as PATH.failed.cu */
};

/*
 * Compiles each source; out[i] is that of sources[i]. The result does not depend on the number of
 * workers. Fatal where NVRTC refuses a source or dies of it (exit 70): that is a defect of ours.
 */
void nvrtc_compile(struct arena *arena, const struct nvrtc *nvrtc,
                   const struct device_source *sources, size_t count,
                   const struct device_options *options, struct device_code *out);

#endif
