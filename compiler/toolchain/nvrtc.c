/*
 * The parent's side of compiling kernels: cache, worker processes, results, failures. See nvrtc.h.
 */
#include "compiler/toolchain/nvrtc.h"

#include "compiler/toolchain/cache.h"
#include "compiler/toolchain/nvrtc_worker.h"
#include "compiler/toolchain/output.h"
#include "ir/base/diag.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PIECE = 1 << 18 };
static const uint64_t cache_bytes = 256 << 20;

/* A worker as the parent sees it: what its pipe gave so far. */
struct worker {
    pid_t id;
    int pipe;
    char *bytes; /* by malloc */
    size_t length, capacity;
};

struct compilation {
    struct arena *arena;
    const struct nvrtc *nvrtc;
    const struct device_source *sources;
    const struct device_options *options;
    struct device_code *out;
    struct cache cache;
    struct cache_key *keys;
    struct nvrtc_work work;
    struct worker workers[NVRTC_WORKERS];
    unsigned worker_count;
    size_t done;
};

/* --- switches and the cache --- */

static void add_switch(struct compilation *c, const char *text)
{
    const char **switches = (const char **)(uintptr_t)c->work.switches;
    switches[c->work.switch_count++] = text;
}

/* The same whatever the kernel: contraction as in the C backend's text, no fast math; ptxas tells
 * registers and spills in the log. */
static void choose_switches(struct compilation *c)
{
    c->work.switches = arena_array(c->arena, const char *, NVRTC_SWITCHES);
    add_switch(c, arena_printf(c->arena, "--gpu-architecture=%s", c->options->architecture));
    add_switch(c, "--std=c++17");
    add_switch(c, "--ptxas-options=-v");
    add_switch(c, "--disable-warnings");
}

static struct cache_key key_of(struct compilation *c, const struct device_source *source)
{
    const void *parts[NVRTC_SWITCHES + 2];
    size_t lengths[NVRTC_SWITCHES + 2], count = 0;
    const char *facts = arena_printf(c->arena, "nvrtc %d.%d ptx %d", c->nvrtc->major,
                                     c->nvrtc->minor, c->options->ptx);
    parts[count] = source->text;
    lengths[count++] = source->length;
    parts[count] = facts;
    lengths[count++] = strlen(facts);
    for (int i = 0; i < c->work.switch_count; i++) {
        parts[count] = c->work.switches[i];
        lengths[count++] = strlen(c->work.switches[i]);
    }
    return cache_key(c->arena, parts, lengths, count);
}

/* An entry is the head of a worker's result and its bytes. */
static bool take_result(struct compilation *c, size_t index, const char *bytes, size_t length)
{
    struct nvrtc_result head;
    struct device_code *code = &c->out[index];
    if (length < sizeof head)
        return false;
    memcpy(&head, bytes, sizeof head);
    size_t left = length - sizeof head;
    if (head.cubin_length > left || head.ptx_length > left - head.cubin_length
        || head.log_length != left - head.cubin_length - head.ptx_length)
        return false;
    const char *at = bytes + sizeof head;
    *code = (struct device_code){
        .cubin = at, .cubin_length = head.cubin_length, .ptx_length = head.ptx_length};
    code->ptx = head.ptx_length ? arena_copy(c->arena, at + head.cubin_length, head.ptx_length)
                                : NULL;
    code->log = arena_copy(c->arena, at + head.cubin_length + head.ptx_length, head.log_length);
    return cubin_read(code->cubin, code->cubin_length, c->sources[index].name, &code->facts);
}

/* Takes what the cache has; the others become the work. */
static void ask_cache(struct compilation *c, size_t count)
{
    size_t *order = arena_array(c->arena, size_t, count + 1), length;
    c->keys = arena_array(c->arena, struct cache_key, count + 1);
    for (size_t i = 0; i < count; i++) {
        c->keys[i] = key_of(c, &c->sources[i]);
        const char *entry = cache_get(&c->cache, &c->keys[i], &length);
        c->out[i].cached = entry && take_result(c, i, entry, length);
        if (c->out[i].cached)
            continue;
        order[c->work.count++] = i;
    }
    c->work.order = order;
}

/* --- failures --- */

static void stop_workers(struct compilation *c)
{
    for (unsigned i = 0; i < c->worker_count; i++) {
        struct worker *worker = &c->workers[i];
        if (worker->pipe >= 0)
            close(worker->pipe);
        if (worker->id > 0) {
            kill(worker->id, SIGKILL);
            while (waitpid(worker->id, NULL, 0) < 0 && errno == EINTR)
                ;
        }
    }
}

static const char *keep_source(struct compilation *c, size_t index)
{
    const char *path = arena_printf(c->arena, "%s.failed.cu", c->options->path);
    output_write(path, c->sources[index].text, c->sources[index].length, 0666);
    return path;
}

static _Noreturn void fail_kernel(struct compilation *c, size_t index, const char *log)
{
    stop_workers(c);
    const char *kept = keep_source(c, index);
    if (!log)
        fatal(NVRTC_CRASHED, c->sources[index].name, kept);
    fprintf(stderr, "%s", log);
    fatal(NVRTC_REJECTED, c->sources[index].name, kept);
}

/* A worker's pipe has ended: whether all is well with it. */
static void check_end(struct compilation *c, unsigned number)
{
    size_t current = atomic_load(&c->work.shared->current[number]);
    if (current > 0)
        fail_kernel(c, current - 1, NULL);
    if (c->workers[number].length > 0) {
        stop_workers(c);
        fatal(NVRTC_UNUSABLE, c->nvrtc->path, "a worker ended early");
    }
}

/* --- workers --- */

static void start_worker(struct compilation *c)
{
    int ends[2];
    struct worker *worker = &c->workers[c->worker_count];
    if (pipe(ends) != 0) {
        stop_workers(c);
        fatal(FILE_OPEN, "a pipe", strerror(errno));
    }
    worker->id = fork();
    if (worker->id == 0) {
        close(ends[0]);
        nvrtc_worker(&c->work, (int)c->worker_count, ends[1]);
    }
    close(ends[1]);
    *worker = (struct worker){.id = worker->id, .pipe = ends[0]};
    c->worker_count++;
    if (worker->id < 0) {
        int error = errno;
        stop_workers(c);
        fatal(FILE_OPEN, "a process", strerror(error));
    }
}

static void reserve(struct worker *worker)
{
    if (worker->capacity - worker->length >= PIECE)
        return;
    size_t capacity = worker->capacity * 2 + PIECE;
    char *larger = realloc(worker->bytes, capacity);
    if (!larger)
        fatal(OUT_OF_MEMORY, capacity);
    worker->bytes = larger;
    worker->capacity = capacity;
}

/* The result at the front of a worker's bytes, if it is whole; false else. */
static bool finish_result(struct compilation *c, struct worker *worker)
{
    struct nvrtc_result head;
    if (worker->length < sizeof head)
        return false;
    memcpy(&head, worker->bytes, sizeof head);
    size_t length = sizeof head + head.cubin_length + head.ptx_length + head.log_length;
    if (worker->length < length)
        return false;
    const char *bytes = arena_copy(c->arena, worker->bytes, length);
    worker->length -= length;
    memmove(worker->bytes, worker->bytes + length, worker->length);
    const char *log = bytes + sizeof head + head.cubin_length + head.ptx_length;
    if (head.index == NVRTC_NO_KERNEL) {
        stop_workers(c);
        fatal(NVRTC_UNUSABLE, c->nvrtc->path, log);
    }
    if (head.status != 0)
        fail_kernel(c, head.index, log);
    if (!take_result(c, head.index, bytes, length))
        fail_kernel(c, head.index, "the cubin cannot be read\n");
    cache_put(&c->cache, &c->keys[head.index], bytes, length);
    c->done++;
    if (c->options->told)
        c->options->told(c->done, c->work.count);
    return true;
}

/* Reads what is there; false at the end of the pipe. */
static bool read_some(struct compilation *c, struct worker *worker)
{
    reserve(worker);
    ssize_t got = read(worker->pipe, worker->bytes + worker->length, PIECE);
    if (got < 0)
        return errno == EINTR;
    worker->length += (size_t)got;
    while (finish_result(c, worker))
        ;
    return got > 0;
}

static void collect(struct compilation *c)
{
    struct pollfd polled[NVRTC_WORKERS];
    unsigned running = c->worker_count;
    for (unsigned i = 0; i < c->worker_count; i++)
        polled[i] = (struct pollfd){.fd = c->workers[i].pipe, .events = POLLIN};
    while (running > 0) {
        if (poll(polled, c->worker_count, -1) < 0)
            continue;
        for (unsigned i = 0; i < c->worker_count; i++) {
            struct worker *worker = &c->workers[i];
            if (polled[i].revents == 0 || read_some(c, worker))
                continue;
            check_end(c, i);
            close(worker->pipe);
            worker->pipe = polled[i].fd = -1;
            running--;
        }
    }
    for (unsigned i = 0; i < c->worker_count; i++) {
        while (waitpid(c->workers[i].id, NULL, 0) < 0 && errno == EINTR)
            ;
        free(c->workers[i].bytes);
    }
}

static void run_workers(struct compilation *c)
{
    size_t bytes = sizeof(struct nvrtc_shared);
    unsigned most = c->options->threads < NVRTC_WORKERS ? c->options->threads : NVRTC_WORKERS;
    c->work.shared = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (c->work.shared == MAP_FAILED)
        fatal(OUT_OF_MEMORY, bytes);
    fflush(NULL);
    do
        start_worker(c);
    while (c->worker_count < most && c->worker_count < c->work.count);
    collect(c);
    munmap(c->work.shared, bytes);
    cache_trim(&c->cache, cache_bytes);
}

void nvrtc_compile(struct arena *arena, const struct nvrtc *nvrtc,
                   const struct device_source *sources, size_t count,
                   const struct device_options *options, struct device_code *out)
{
    struct compilation *c = arena_new(arena, struct compilation);
    *c = (struct compilation){
        .arena = arena,
        .nvrtc = nvrtc,
        .sources = sources,
        .options = options,
        .out = out,
        .work = {.nvrtc = nvrtc, .sources = sources, .ptx = options->ptx},
    };
    c->cache = options->no_cache ? (struct cache){.arena = arena} : cache_open(arena);
    choose_switches(c);
    ask_cache(c, count);
    if (c->work.count > 0)
        run_workers(c);
}
