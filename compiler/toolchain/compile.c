/*
 * Emitted C to objects, on several threads, and what happens when Clang refuses a text: that is
 * a defect of ours, so the text is kept for the report.
 */
#include "compiler/toolchain/host.h"
#include "compiler/toolchain/output.h"
#include "compiler/toolchain/toolchain.h"
#include "ir/base/diag.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * The options of Clang's cc1, which has none of the driver's defaults: position independent for
 * executables and libraries alike, nothing exported (so that no symbol goes through the GOT),
 * no strict aliasing (the arena is reused with other types), no unwind tables, no file system.
 */
static const char *const common_switches[] = {
    "-triple", "x86_64-pc-linux-gnu", "-emit-obj", "-std=gnu17", "-O3",
    "-mrelocation-model", "pic", "-pic-level", "2", "-fvisibility=hidden",
    "-vectorize-loops", "-vectorize-slp", "-funroll-loops", "-ffp-contract=on",
    "-relaxed-aliasing", "-mframe-pointer=none", "-ffunction-sections", "-fdata-sections",
    "-fno-rounding-math", "-nostdsysteminc", "-nobuiltininc", "-w",
    "-disable-llvm-verifier", "-discard-value-names",
    "-ferror-limit", "5", "-main-file-name", "program.c", "-x", "c",
};

enum {
    COMMON_SWITCHES = sizeof common_switches / sizeof *common_switches,
    THREADS_MAX = 64,
    STACK_BYTES = 64 << 20,
};

static const char source_name[] = "program.c";

static enum toolchain_status status_of(enum host_status status)
{
    switch (status) {
    case HOST_OK: return TOOLCHAIN_OK;
    case HOST_REJECTED: return TOOLCHAIN_REJECTED;
    case HOST_OUT_OF_MEMORY: return TOOLCHAIN_OUT_OF_MEMORY;
    case HOST_CRASHED: break;
    }
    return TOOLCHAIN_CRASHED;
}

enum toolchain_status toolchain_compile(const char *source, size_t length,
                                        const struct toolchain_target *cpu, struct object *out,
                                        char **errors)
{
    *out = (struct object){0};
    *errors = NULL;
    size_t count = cpu->switch_count + COMMON_SWITCHES;
    const char **arguments = calloc(count, sizeof *arguments);
    if (!arguments)
        return TOOLCHAIN_OUT_OF_MEMORY;
    memcpy(arguments, cpu->switches, cpu->switch_count * sizeof *arguments);
    memcpy(arguments + cpu->switch_count, common_switches, sizeof common_switches);
    enum host_status status = host_compile(source_name, source, length, arguments, count,
                                           &out->bytes, &out->length, errors);
    free(arguments);
    return status_of(status);
}

/* The work of all threads: sources are taken in order; the first failure stops the taking. */
struct work {
    const struct toolchain_source *sources;
    const struct toolchain_target *cpu;
    struct object *objects;
    size_t count;
    atomic_size_t next;
    pthread_mutex_t lock; /* guards what follows */
    const struct toolchain_source *failed;
    enum toolchain_status status;
    char *errors;
};

static void record_failure(struct work *work, const struct toolchain_source *source,
                           enum toolchain_status status, char *errors)
{
    pthread_mutex_lock(&work->lock);
    if (!work->failed) {
        work->failed = source;
        work->status = status;
        work->errors = errors;
        errors = NULL;
    }
    pthread_mutex_unlock(&work->lock);
    free(errors);
    atomic_store(&work->next, work->count);
}

static void *run_worker(void *context)
{
    struct work *work = context;
    for (size_t i; (i = atomic_fetch_add(&work->next, 1)) < work->count;) {
        const struct toolchain_source *source = &work->sources[i];
        char *errors;
        enum toolchain_status status = toolchain_compile(source->text, source->length, work->cpu,
                                                         &work->objects[i], &errors);
        if (status != TOOLCHAIN_OK)
            record_failure(work, source, status, errors);
        else
            free(errors);
    }
    return NULL;
}

/* Ends the process for a source that Clang did not take, keeping it beside `path`. */
static _Noreturn void fail(const struct work *work, const char *path)
{
    if (work->status == TOOLCHAIN_OUT_OF_MEMORY)
        fatal(OUT_OF_MEMORY, work->failed->length);
    char kept[4096];
    snprintf(kept, sizeof kept, "%s.failed.c", path);
    output_write(kept, work->failed->text, work->failed->length, 0666);
    fprintf(stderr, "%s", work->errors ? work->errors : "");
    if (work->status == TOOLCHAIN_CRASHED)
        fatal(CLANG_CRASHED, work->failed->name, kept);
    fatal(CLANG_REJECTED, work->failed->name, kept);
}

/* Runs the worker on `threads` threads of its own; as many as start are enough. */
static void run_threads(struct work *work, unsigned threads)
{
    pthread_t ids[THREADS_MAX];
    unsigned started = 0;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    while (started < threads
           && pthread_create(&ids[started], &attributes, run_worker, work) == 0)
        started++;
    pthread_attr_destroy(&attributes);
    if (started == 0)
        run_worker(work);
    for (unsigned i = 0; i < started; i++)
        pthread_join(ids[i], NULL);
}

void toolchain_compile_all(const struct toolchain_source *sources, size_t count,
                           const struct toolchain_target *cpu, unsigned threads,
                           const char *path, struct object *objects)
{
    struct work work = {
        .sources = sources,
        .cpu = cpu,
        .objects = objects,
        .count = count,
        .lock = PTHREAD_MUTEX_INITIALIZER,
    };
    if (threads > count)
        threads = (unsigned)count;
    run_threads(&work, threads > THREADS_MAX ? THREADS_MAX : threads);
    if (work.failed)
        fail(&work, path);
}

void toolchain_free_objects(struct object *objects, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(objects[i].bytes);
        objects[i] = (struct object){0};
    }
}
