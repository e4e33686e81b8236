/*
 * See mapping.h. The guard's handler may run in any thread at any time, so it reads a fixed
 * table of ranges, published with atomics, and uses async-signal-safe calls only.
 */
#include "runtime/mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RANGES = 4160 }; /* every shard of the largest checkpoint, and some; more go unguarded */

/* A range is free while its address is 0; `size` and `path` are valid while it is not. */
struct range {
    _Atomic uintptr_t address;
    _Atomic uint64_t size;
    const char *_Atomic path;
};

static struct range ranges[RANGES];
static const char *guarded_program = "";

static void remember(const uint8_t *address, uint64_t size, const char *path)
{
    for (int i = 0; i < RANGES; i++) {
        uintptr_t empty = 0;
        if (!atomic_compare_exchange_strong(&ranges[i].address, &empty, UINTPTR_MAX))
            continue;
        atomic_store(&ranges[i].size, size);
        atomic_store(&ranges[i].path, path);
        atomic_store(&ranges[i].address, (uintptr_t)address);
        return;
    }
}

static void forget(const uint8_t *address)
{
    for (int i = 0; i < RANGES; i++) {
        uintptr_t expected = (uintptr_t)address;
        if (atomic_compare_exchange_strong(&ranges[i].address, &expected, 0))
            return;
    }
}

/* The path of the mapped file that holds an address, or NULL. */
static const char *path_of(uintptr_t address)
{
    for (int i = 0; i < RANGES; i++) {
        uintptr_t start = atomic_load(&ranges[i].address);
        if (start && start <= address && address - start < atomic_load(&ranges[i].size))
            return atomic_load(&ranges[i].path);
    }
    return NULL;
}

static rt_status map_descriptor(const char *path, int descriptor, const uint8_t **address,
                                uint64_t *size)
{
    struct stat info;
    if (fstat(descriptor, &info) != 0)
        return rt_fail(FILE_READ, path, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return rt_fail(FILE_READ, path,
                       S_ISDIR(info.st_mode) ? "it is a directory" : "not a regular file");
    *size = (uint64_t)info.st_size;
    if (*size == 0)
        return EXIT_OK;
    void *map = mmap(NULL, *size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (map == MAP_FAILED)
        return rt_fail(FILE_READ, path, strerror(errno));
    *address = map;
    remember(map, *size, path);
    return EXIT_OK;
}

rt_status rt_map_file(const char *path, const uint8_t **address, uint64_t *size)
{
    *address = NULL;
    *size = 0;
    /* O_NONBLOCK: a named pipe without a writer must not hang the program. */
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0)
        return rt_fail(FILE_OPEN, path, strerror(errno));
    rt_status status = map_descriptor(path, descriptor, address, size);
    close(descriptor);
    return status;
}

void rt_unmap_file(const uint8_t *address, uint64_t size)
{
    if (!address)
        return;
    forget(address);
    munmap((void *)address, size);
}

static void say(const char *text, size_t length)
{
    ssize_t written = write(STDERR_FILENO, text, length);
    (void)written; /* nothing is left to be done about it here */
}

static void on_bus_error(int signal_number, siginfo_t *info, void *context)
{
    static const char before[] = ": error: ";
    const char *format = message_format_WEIGHTS_SHRANK, *place = strstr(format, "%s");
    const char *path = path_of((uintptr_t)info->si_addr);
    (void)context;
    if (!path) {
        signal(signal_number, SIG_DFL); /* the access is repeated on return, and kills */
        return;
    }
    say(guarded_program, strlen(guarded_program));
    say(before, sizeof before - 1);
    say(format, (size_t)(place - format));
    say(path, strlen(path));
    say(place + 2, strlen(place + 2));
    say("\n", 1);
    _exit(EXIT_DATA);
}

void rt_map_guard(const char *program)
{
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};
    guarded_program = program;
    sigaction(SIGBUS, &action, NULL);
}
