/*
 * An NVRTC whose kernels spill where a test wants it: everything goes to the library that
 * FAKE_NVRTC_REAL names, but texts that hold what FAKE_NVRTC_SPILLS says are compiled for blocks
 * of 1024 threads, two at a time, which leaves 32 registers to each.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORTED __attribute__((visibility("default")))

typedef struct nvrtc_program_object *program;

static void *find(const char *name)
{
    static void *library;
    if (!library)
        library = dlopen(getenv("FAKE_NVRTC_REAL"), RTLD_NOW | RTLD_LOCAL);
    void *function = library ? dlsym(library, name) : NULL;
    if (!function) {
        fprintf(stderr, "fake NVRTC: no %s\n", name);
        abort();
    }
    return function;
}

/* A function that is called with the same arguments. */
#define FORWARD(name, parameters, ...)                                                             \
    EXPORTED int name parameters;                                                                  \
    EXPORTED int name parameters                                                                   \
    {                                                                                              \
        int(*function) parameters = (int(*) parameters)find(#name);                                \
        return function(__VA_ARGS__);                                                              \
    }
FORWARD(nvrtcVersion, (int *major, int *minor), major, minor)
FORWARD(nvrtcDestroyProgram, (program * p), p)
FORWARD(nvrtcCompileProgram, (program p, int count, const char *const *switches), p, count,
        switches)
FORWARD(nvrtcGetCUBINSize, (program p, size_t *size), p, size)
FORWARD(nvrtcGetCUBIN, (program p, char *bytes), p, bytes)
FORWARD(nvrtcGetPTXSize, (program p, size_t *size), p, size)
FORWARD(nvrtcGetPTX, (program p, char *text), p, text)
FORWARD(nvrtcGetProgramLogSize, (program p, size_t *size), p, size)
FORWARD(nvrtcGetProgramLog, (program p, char *text), p, text)

EXPORTED int nvrtcCreateProgram(program *p, const char *text, const char *name, int count,
                                const char *const *headers, const char *const *names);
EXPORTED int nvrtcCreateProgram(program *p, const char *text, const char *name, int count,
                                const char *const *headers, const char *const *names)
{
    static const char bounds[] = "__launch_bounds__(threads, residency)",
                      tight[] = "__launch_bounds__(1024, 2)           ";
    int (*create)(program *, const char *, const char *, int, const char *const *,
                  const char *const *) =
        (int (*)(program *, const char *, const char *, int, const char *const *,
                 const char *const *))find("nvrtcCreateProgram");
    const char *mark = getenv("FAKE_NVRTC_SPILLS");
    char *changed = strdup(text), *at = strstr(changed, bounds);
    if (mark && *mark && strstr(text, mark) && at)
        memcpy(at, tight, sizeof bounds - 1);
    int status = create(p, changed, name, count, headers, names);
    free(changed);
    return status;
}
