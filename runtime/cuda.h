/*
 * NVIDIA's driver interface without its headers: the types and numbers that we use, and the table
 * of functions found in libcuda.so.1 when a program looks for a GPU. Nothing is linked: an
 * executable starts on machines without the library.
 */
#ifndef SINTER_CUDA_H
#define SINTER_CUDA_H

#include "runtime/program.h"
#include "runtime/status.h"

#include <stdbool.h>
#include <stddef.h>

typedef int cuda_result, cuda_ordinal;
typedef rt_u64 cuda_pointer;
typedef struct cuda_context_object *cuda_context;
typedef struct cuda_stream_object *cuda_stream;
typedef struct cuda_event_object *cuda_event;
typedef struct cuda_module_object *cuda_module;
typedef struct cuda_function_object *cuda_function;
typedef struct cuda_graph_object *cuda_graph;
typedef struct cuda_executable_object *cuda_executable;

/* Results that we tell apart, and the enumerators that we pass, as cuda.h numbers them. */
enum {
    CUDA_OK = 0,
    CUDA_NO_MEMORY = 2,
    CUDA_STUB_LIBRARY = 34,
    CUDA_NO_DEVICE = 100,
    CUDA_ATTRIBUTE_MULTIPROCESSORS = 16,
    CUDA_ATTRIBUTE_L2_BYTES = 38,
    CUDA_ATTRIBUTE_MAJOR = 75,
    CUDA_ATTRIBUTE_MINOR = 76,
    CUDA_FUNCTION_SHARED = 8, /* most dynamic shared memory of a function */
    CUDA_STREAM_OWN = 1,      /* does not wait for the default stream */
    CUDA_EVENT_PLAIN = 2,     /* without time */
    CUDA_EVENT_TIMED = 0,
    CUDA_CAPTURE_THREAD = 1,
    CUDA_MEMORY_HOST = 1,
    CUDA_MEMORY_DEVICE = 2,
    CUDA_SHARED_ALWAYS = 48 << 10, /* shared memory that needs no asking */
};

/* CUDA_MEMCPY2D of the driver's interface: `rows` rows of `bytes` between two pitches. */
struct cuda_copy_rows {
    size_t from_x, from_y;
    int from_kind;
    const void *from_host;
    cuda_pointer from_device;
    void *from_array;
    size_t from_pitch;
    size_t to_x, to_y;
    int to_kind;
    void *to_host;
    cuda_pointer to_device;
    void *to_array;
    size_t to_pitch, bytes, rows;
};

struct cuda_driver {
#define CUDA(name, symbol, parameters) cuda_result(*name) parameters;
#include "runtime/cuda_symbols.def"
};

/* The GPU that programs run on: number 0 of those that the driver shows (CUDA_VISIBLE_DEVICES). */
struct cuda_gpu {
    cuda_ordinal ordinal;
    char name[64];
    unsigned sm; /* 80 for compute capability 8.0 */
    int multiprocessors, driver; /* the CUDA version that the driver supports: 12040 */
    rt_u64 memory_bytes, cache_bytes; /* cache: the L2 */
};

/*
 * Loads the driver at the first call; *driver then stays valid. The environment variable
 * SINTER_CUDA_LIBRARY names another library than libcuda.so.1. A failure has exit code 5.
 */
rt_status rt_cuda_load(const struct cuda_driver **driver);

/* Facts about the GPU. Failures have exit code 5. */
rt_status rt_cuda_find(const struct cuda_driver *driver, struct cuda_gpu *gpu);

/* Whether a GPU was found, or a driver that cannot tell: a program that then uses none should say
 * so. */
bool rt_cuda_seen(void);

/* 0 for CUDA_OK; else the failure of doing `what`, exit code 6 where memory ran out. */
rt_status rt_cuda_check(const struct cuda_driver *driver, cuda_result result, const char *what);

/* How a GPU can run a program. */
enum cuda_fit { CUDA_FIT_NONE, CUDA_FIT_DRIVER, CUDA_FIT_PTX, CUDA_FIT_CUBIN };

/* CUDA_FIT_DRIVER: only with a driver for CUDA version *needed or later. */
enum cuda_fit rt_cuda_fit(const struct rt_program *program, const struct cuda_gpu *gpu,
                          rt_u32 *needed);

/* The program for the GPU, as rt_device_table.choose says. Warns where only PTX fits. */
rt_status rt_cuda_choose(const struct rt_program *first, const struct rt_program **chosen);

#endif
