/* Finding the driver, the GPU and the program for it: see cuda.h. */
#include "runtime/cuda.h"

#include "runtime/device.h"
#include "runtime/report.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OLDEST_CUDA = 12000 };

/* --- the library --- */

static const struct symbol {
    const char *name;
    size_t place;
} symbols[] = {
#define CUDA(name, symbol, parameters) {#symbol, offsetof(struct cuda_driver, name)},
#include "runtime/cuda_symbols.def"
};

static bool seen;

bool rt_cuda_seen(void)
{
    return seen;
}

/* The oldest driver (its own version) for a CUDA version. */
static unsigned driver_for(unsigned cuda)
{
    return cuda >= 13000 ? 580 : 525;
}

static rt_status look_up(void *library, struct cuda_driver *driver)
{
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
        void *function = dlsym(library, symbols[i].name);
        if (!function)
            return rt_fail(CUDA_DRIVER_LACKS, symbols[i].name, driver_for(OLDEST_CUDA));
        memcpy((char *)driver + symbols[i].place, &function, sizeof function);
    }
    return 0;
}

static rt_status initialise(const struct cuda_driver *driver)
{
    cuda_result result = driver->init(0);
    seen = result != CUDA_NO_DEVICE && result != CUDA_STUB_LIBRARY;
    if (result == CUDA_NO_DEVICE)
        return rt_fail(CUDA_NO_GPU, "the driver finds none");
    if (result == CUDA_STUB_LIBRARY)
        return rt_fail(CUDA_NO_DRIVER, "the library is a stub");
    return rt_cuda_check(driver, result, "cuInit");
}

rt_status rt_cuda_load(const struct cuda_driver **driver)
{
    static struct cuda_driver loaded;
    static bool ready;
    const char *name = getenv("SINTER_CUDA_LIBRARY");
    *driver = &loaded;
    if (ready)
        return 0;
    void *library = dlopen(name && *name ? name : "libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return rt_fail(CUDA_NO_DRIVER, dlerror());
    seen = true;
    rt_status status = look_up(library, &loaded);
    if (!status)
        status = initialise(&loaded);
    ready = !status;
    return status; /* the library stays: drivers do not like to be unloaded */
}

rt_status rt_cuda_check(const struct cuda_driver *driver, cuda_result result, const char *what)
{
    const char *name = NULL, *text = NULL;
    if (result == CUDA_OK)
        return 0;
    if (result == CUDA_NO_MEMORY)
        return rt_fail(CUDA_MEMORY_LEFT, what);
    if (driver->error_name(result, &name) != CUDA_OK || !name)
        name = "unknown error";
    if (driver->error_string(result, &text) != CUDA_OK || !text)
        text = "";
    return rt_fail(CUDA_FAILED, what, name, result, text);
}

/* --- the GPU --- */

static rt_status read_facts(const struct cuda_driver *driver, struct cuda_gpu *gpu)
{
    int major = 0, minor = 0, cache = 0;
    size_t bytes = 0;
    cuda_result result = driver->device_get(&gpu->ordinal, 0);
    if (!result)
        result = driver->device_name(gpu->name, sizeof gpu->name, gpu->ordinal);
    if (!result)
        result = driver->device_attribute(&major, CUDA_ATTRIBUTE_MAJOR, gpu->ordinal);
    if (!result)
        result = driver->device_attribute(&minor, CUDA_ATTRIBUTE_MINOR, gpu->ordinal);
    if (!result)
        result = driver->device_attribute(&gpu->multiprocessors, CUDA_ATTRIBUTE_MULTIPROCESSORS,
                                          gpu->ordinal);
    if (!result)
        result = driver->device_attribute(&cache, CUDA_ATTRIBUTE_L2_BYTES, gpu->ordinal);
    if (!result)
        result = driver->device_memory(&bytes, gpu->ordinal);
    gpu->cache_bytes = cache > 0 ? (rt_u64)cache : 0;
    gpu->sm = (unsigned)(major * 10 + minor);
    gpu->memory_bytes = bytes;
    return rt_cuda_check(driver, result, "asking the GPU what it is");
}

rt_status rt_cuda_find(const struct cuda_driver *driver, struct cuda_gpu *gpu)
{
    int count = 0;
    *gpu = (struct cuda_gpu){0};
    cuda_result result = driver->driver_version(&gpu->driver);
    if (!result)
        result = driver->device_count(&count);
    if (result && result != CUDA_NO_DEVICE)
        return rt_cuda_check(driver, result, "counting the GPUs");
    seen = count > 0;
    if (!seen)
        return rt_fail(CUDA_NO_GPU, "the driver shows none");
    return read_facts(driver, gpu);
}

/* --- the program --- */

static bool has_ptx(const struct rt_program *program)
{
    for (rt_u32 i = 0; i < program->launch_count; i++)
        if (program->launches[i].ptx == RT_NO_IMAGE && !program->launches[i].product)
            return false;
    return program->launch_count > 0;
}

static rt_u32 made_by(const struct rt_program *program)
{
    rt_u32 newest = OLDEST_CUDA;
    for (rt_u32 i = 0; i < program->image_count; i++)
        if (program->images[i].cuda > newest)
            newest = program->images[i].cuda;
    return newest;
}

/* A cubin runs on later architectures of its generation, and with every driver of the major CUDA
 * version that made it; PTX on every later architecture, with a driver of that very version. */
enum cuda_fit rt_cuda_fit(const struct rt_program *program, const struct cuda_gpu *gpu,
                          rt_u32 *needed)
{
    rt_u32 sm = program->gpu->sm, cuda = made_by(program);
    bool same = program->gpu->exact ? gpu->sm == sm : gpu->sm / 10 == sm / 10 && gpu->sm >= sm;
    *needed = cuda;
    if (same)
        return (rt_u32)gpu->driver / 1000 >= cuda / 1000 ? CUDA_FIT_CUBIN : CUDA_FIT_DRIVER;
    if (program->gpu->exact || gpu->sm < sm || !has_ptx(program))
        return CUDA_FIT_NONE;
    return (rt_u32)gpu->driver >= cuda ? CUDA_FIT_PTX : CUDA_FIT_DRIVER;
}

static rt_u64 distance(rt_u64 a, rt_u64 b)
{
    return a > b ? a - b : b - a;
}

/* Whether `a` suits the GPU better than `b`: made for it, for more of it, for that memory. */
static bool better(const struct rt_program *a, enum cuda_fit fit_a, const struct rt_program *b,
                   enum cuda_fit fit_b, const struct cuda_gpu *gpu)
{
    if (fit_a != fit_b)
        return fit_a > fit_b;
    if (a->gpu->sm != b->gpu->sm)
        return a->gpu->sm > b->gpu->sm;
    return distance(a->gpu->memory_bytes, gpu->memory_bytes) <
           distance(b->gpu->memory_bytes, gpu->memory_bytes);
}

/* What to do about a GPU without kernels of its own. */
static const char *remedy(unsigned sm, bool runs)
{
    enum { AMPERE = 8, HOPPER = 90, OLDEST = 80 };
    if (sm < OLDEST)
        return "there is no --target for it: sm_80 is the oldest";
    if (sm / 10 == AMPERE)
        return "build it again with --target sm_80";
    if (sm == HOPPER)
        return "build it again with --target sm_90a";
    return runs ? "there is no --target for it" : "build it again with --target sm_80, whose "
                                                  "kernels the driver translates";
}

static rt_status explain_none(const struct rt_program *first, const struct cuda_gpu *gpu,
                              enum cuda_fit fit, rt_u32 needed)
{
    char names[256];
    if (fit == CUDA_FIT_DRIVER)
        return rt_fail(CUDA_DRIVER_OLD, gpu->driver / 1000, gpu->driver % 1000 / 10,
                       needed / 1000, needed % 1000 / 10, driver_for(needed));
    return rt_fail(CUDA_NO_CODE, gpu->name, gpu->sm, rt_target_names(first, names, sizeof names),
                   remedy(gpu->sm, false));
}

rt_status rt_cuda_choose(const struct rt_program *first, const struct rt_program **chosen)
{
    const struct cuda_driver *driver;
    struct cuda_gpu gpu;
    enum cuda_fit best = CUDA_FIT_NONE;
    char names[256];
    rt_u32 needed = 0;
    const struct rt_program *program = first;
    *chosen = NULL;
    while (program && !program->gpu)
        program = program->other;
    if (!program)
        return rt_fail(DEVICE_NO_PROGRAM, "cuda", rt_target_names(first, names, sizeof names),
                       "a100");
    rt_status status = rt_cuda_load(&driver);
    if (!status)
        status = rt_cuda_find(driver, &gpu);
    if (status)
        return status;
    for (; program; program = program->other) {
        rt_u32 asks = 0;
        enum cuda_fit fit = program->gpu ? rt_cuda_fit(program, &gpu, &asks) : CUDA_FIT_NONE;
        if (fit == CUDA_FIT_NONE || (*chosen && !better(program, fit, *chosen, best, &gpu)))
            continue;
        *chosen = program;
        best = fit;
        needed = asks;
    }
    if (best < CUDA_FIT_PTX)
        return explain_none(first, &gpu, best, needed);
    if (best == CUDA_FIT_PTX)
        rt_warn(CUDA_PTX, gpu.name, gpu.sm, (*chosen)->gpu->name, remedy(gpu.sm, true));
    return 0;
}
