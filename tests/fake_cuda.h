/*
 * A driver library without a GPU (fake_cuda.c, a shared object), for tests of the CUDA device: the
 * symbols of runtime/cuda_symbols.def and runtime/cublas_symbols.def over host memory. Work is
 * queued and done as late as the rules allow, when something waits for it, so that bytes that are
 * reused too early show. Every call is checked: a fault is recorded and returned as an error. A
 * "cubin" is a struct fake_image whose kernels are C functions.
 *
 * What it pretends is read from the environment at each call: FAKE_CUDA_SM (80),
 * FAKE_CUDA_VERSION (13000), FAKE_CUDA_DEVICES (1), FAKE_CUDA_MEMORY (bytes, 64 MB),
 * FAKE_CUDA_CACHE (bytes of the last cache, 0), FAKE_CUDA_IDLE (1: takes any image, whose kernels
 * then do nothing; 0), FAKE_CUDA_FAIL ("cuSymbol:N:CODE": the N-th call from now returns CODE; see
 * fake_cuda_reset).
 */
#ifndef SINTER_FAKE_CUDA_H
#define SINTER_FAKE_CUDA_H

#include <stddef.h>

#define FAKE_MAGIC "FAKECUB"

struct fake_kernel {
    const char *name;
    int parameters;
    void (*run)(void *const *operands, int blocks); /* operands: addresses */
};

struct fake_image {
    char magic[8];
    const struct fake_kernel *kernels; /* ends with a row without a name */
};

/* Runs kernels of images that the library does not know. */
struct fake_server {
    void *context;
    /* How many parameters the kernel has; negative if the image has no such kernel. */
    int (*find)(void *context, const void *image, const char *name);
    void (*run)(void *context, const char *name, void *const *operands, int blocks, int threads,
                int shared);
};

/* Looked up by name in the library. */
typedef void fake_cuda_use(const struct fake_server *server); /* "fake_cuda_serve"; NULL: none */
typedef int fake_cuda_count(void);          /* "fake_cuda_live": objects not given back */
typedef const char *fake_cuda_words(void);  /* "fake_cuda_faults", "fake_cuda_log" */
typedef void fake_cuda_act(void);           /* "fake_cuda_reset": forgets log, faults, counts */

#endif
