/* The part that runs in worker processes: see nvrtc_worker.h. Nothing here is shared with the
 * parent's streams: only the pipe is written, and the end is _exit. */
#include "compiler/toolchain/nvrtc_worker.h"

#include "compiler/toolchain/output.h"
#include "ir/base/diag.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The library's interface, by its documented names; results are 0 for success. */
typedef struct nvrtc_program_object *nvrtc_program;
struct interface {
    int (*version)(int *major, int *minor);
    int (*create)(nvrtc_program *program, const char *text, const char *name, int header_count,
                  const char *const *headers, const char *const *names);
    int (*destroy)(nvrtc_program *program);
    int (*compile)(nvrtc_program program, int count, const char *const *switches);
    int (*cubin_size)(nvrtc_program program, size_t *size);
    int (*cubin)(nvrtc_program program, char *bytes);
    int (*ptx_size)(nvrtc_program program, size_t *size);
    int (*ptx)(nvrtc_program program, char *text);
    int (*log_size)(nvrtc_program program, size_t *size);
    int (*log)(nvrtc_program program, char *text);
};

static bool find(void *library, const char *name, void *place)
{
    void *function = dlsym(library, name);
    memcpy(place, &function, sizeof function);
    return function != NULL;
}

static bool open_library(const char *path, struct interface *nvrtc)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    return library && find(library, "nvrtcVersion", &nvrtc->version)
           && find(library, "nvrtcCreateProgram", &nvrtc->create)
           && find(library, "nvrtcDestroyProgram", &nvrtc->destroy)
           && find(library, "nvrtcCompileProgram", &nvrtc->compile)
           && find(library, "nvrtcGetCUBINSize", &nvrtc->cubin_size)
           && find(library, "nvrtcGetCUBIN", &nvrtc->cubin)
           && find(library, "nvrtcGetPTXSize", &nvrtc->ptx_size)
           && find(library, "nvrtcGetPTX", &nvrtc->ptx)
           && find(library, "nvrtcGetProgramLogSize", &nvrtc->log_size)
           && find(library, "nvrtcGetProgramLog", &nvrtc->log);
}

struct result {
    struct nvrtc_result head;
    char *cubin, *ptx, *log;
};

/* What one of the library's pairs of functions gives, by malloc; NULL if it gives nothing. */
static char *take(nvrtc_program program, int (*size)(nvrtc_program, size_t *),
                  int (*get)(nvrtc_program, char *), uint64_t *out_length)
{
    size_t length = 0;
    char *bytes = NULL;
    if (size(program, &length) == 0 && length > 0)
        bytes = malloc(length);
    if (bytes && get(program, bytes) != 0) {
        free(bytes);
        bytes = NULL;
    }
    *out_length = bytes ? length : 0;
    return bytes;
}

static struct result compile(const struct interface *nvrtc, const struct nvrtc_work *work,
                             size_t index)
{
    const struct device_source *source = &work->sources[index];
    struct result result = {.head.index = index};
    nvrtc_program program = NULL;
    int status = nvrtc->create(&program, source->text, "kernel.cu", 0, NULL, NULL);
    if (status == 0)
        status = nvrtc->compile(program, work->switch_count, work->switches);
    if (program)
        result.log = take(program, nvrtc->log_size, nvrtc->log, &result.head.log_length);
    if (status == 0) {
        result.cubin = take(program, nvrtc->cubin_size, nvrtc->cubin, &result.head.cubin_length);
        if (work->ptx)
            result.ptx = take(program, nvrtc->ptx_size, nvrtc->ptx, &result.head.ptx_length);
        if (!result.cubin || (work->ptx && !result.ptx))
            status = -1;
    }
    result.head.status = (uint64_t)status;
    if (program)
        nvrtc->destroy(&program);
    return result;
}

static void send(const struct result *result, int pipe)
{
    int error = output_write_all(pipe, &result->head, sizeof result->head);
    if (!error)
        error = output_write_all(pipe, result->cubin, result->head.cubin_length);
    if (!error)
        error = output_write_all(pipe, result->ptx, result->head.ptx_length);
    if (!error)
        error = output_write_all(pipe, result->log, result->head.log_length);
    if (error)
        _exit(1);
}

static _Noreturn void send_reason(const char *reason, int pipe)
{
    struct result result = {.head.index = NVRTC_NO_KERNEL, .log = (char *)(uintptr_t)reason};
    result.head.log_length = strlen(reason);
    send(&result, pipe);
    _exit(1);
}

void nvrtc_worker(const struct nvrtc_work *work, int number, int pipe)
{
    struct interface nvrtc = {0};
    if (!open_library(work->nvrtc->path, &nvrtc)) {
        const char *reason = dlerror();
        send_reason(reason ? reason : "it lacks a function", pipe);
    }
    for (size_t i; (i = atomic_fetch_add(&work->shared->next, 1)) < work->count;) {
        atomic_store(&work->shared->current[number], work->order[i] + 1);
        struct result result = compile(&nvrtc, work, work->order[i]);
        send(&result, pipe);
        atomic_store(&work->shared->current[number], 0);
        free(result.cubin);
        free(result.ptx);
        free(result.log);
        if (result.head.status != 0)
            break;
    }
    _exit(0);
}

/* --- the version --- */

static _Noreturn void tell_version(const char *path, int pipe)
{
    struct interface nvrtc = {0};
    int version[2] = {0};
    if (!open_library(path, &nvrtc) || nvrtc.version(&version[0], &version[1]) != 0) {
        const char *reason = dlerror();
        output_write_all(pipe, version, sizeof version);
        output_write_all(pipe, reason ? reason : "it lacks a function",
                         strlen(reason ? reason : "it lacks a function"));
        _exit(1);
    }
    output_write_all(pipe, version, sizeof version);
    _exit(0);
}

static size_t read_all(int pipe, char *bytes, size_t capacity)
{
    size_t length = 0;
    while (length < capacity) {
        ssize_t got = read(pipe, bytes + length, capacity - length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        length += (size_t)got;
    }
    return length;
}

bool nvrtc_version(struct arena *arena, struct nvrtc *nvrtc, const char **out_reason)
{
    int ends[2], version[2] = {0};
    char answer[1024] = {0};
    if (pipe(ends) != 0)
        fatal(FILE_OPEN, "a pipe", strerror(errno));
    pid_t child = fork();
    if (child < 0)
        fatal(FILE_OPEN, "a process", strerror(errno));
    if (child == 0) {
        close(ends[0]);
        tell_version(nvrtc->path, ends[1]);
    }
    close(ends[1]);
    size_t length = read_all(ends[0], answer, sizeof answer - 1);
    close(ends[0]);
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
        ;
    memcpy(version, answer, sizeof version);
    nvrtc->major = version[0];
    nvrtc->minor = version[1];
    *out_reason = length > sizeof version
                      ? arena_copy(arena, answer + sizeof version, length - sizeof version)
                      : "it crashed";
    return length >= sizeof version && version[0] > 0;
}
