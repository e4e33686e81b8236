/* Launches: see emulation.h. */
#include "compiler/emulation/machine.h"
#include "compiler/emulation/shadow.h"
#include "compiler/emulation/unit.h"

#include "ir/base/diag.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { THREADS = LANES * WARPS, GUARD = 4096, REGIONS_MOST = 64 };

struct emulation {
    struct machine machine;
    struct shadow *shadow; /* made when first used */
    struct conflicts *conflicts;
};

#define EMULATION_ERROR(name, text) {#name, text},
static const struct {
    const char *name, *text;
} errors[] = {
#include "compiler/emulation/errors.def"
};

const char *emulation_error_name(enum emulation_error error)
{
    return errors[error].name;
}

const char *emulation_error_text(enum emulation_error error)
{
    return errors[error].text;
}

const struct emulated_calls machine_calls = {
    .collective = call_collective,
    .barrier = call_barrier,
    .global = call_global,
    .shared = call_shared,
    .misaligned = call_misaligned,
    .copy = call_copy,
    .copy_commit = call_copy_commit,
    .copy_wait = call_copy_wait,
    .publish = call_publish,
    .publish_last = call_publish_last,
};

void *machine_grow(void *items, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return items;
    *capacity = *capacity ? *capacity * 2 : 64;
    items = realloc(items, *capacity * size);
    if (!items)
        fatal(OUT_OF_MEMORY, *capacity * size);
    return items;
}

/* --- single accesses --- */

static _Noreturn void fail_misaligned(struct thread *thread, struct place place,
                                      const void *address, int bytes)
{
    machine_fail(thread, EMULATION_misaligned, place, "%d bytes at %p", bytes, address);
}

void call_misaligned(enum emulated_primitive primitive, int line, const void *address, int bytes)
{
    struct thread *thread = enter_primitive(primitive, line);
    fail_misaligned(thread, thread->place, address, bytes);
}

void call_global(enum emulated_primitive primitive, int line, const void *address, int bytes)
{
    struct thread *thread = enter_primitive(primitive, line);
    struct place place = thread->place;
    if ((rt_u64)address % (rt_u64)bytes)
        fail_misaligned(thread, place, address, bytes);
    if (thread->machine->shadow)
        shadow_global(thread, place, address, bytes);
}

void call_shared(enum emulated_primitive primitive, int line, shared_t address, int bytes)
{
    struct thread *thread = enter_primitive(primitive, line);
    struct place place = thread->place;
    if (address % (rt_u32)bytes)
        fail_misaligned(thread, place, (const void *)(rt_u64)address, bytes);
    if (thread->machine->shadow)
        shadow_shared(thread, place, address, bytes);
}

/* --- the machine --- */

/* Stacks at multiples of their size: the next power of two after the mapping's start. */
static char *map_stacks(void)
{
    size_t bytes = (size_t)(THREADS + 1) * EMULATED_STACK;
    char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        fatal(OUT_OF_MEMORY, bytes);
    size_t before = EMULATED_STACK - (uintptr_t)memory % EMULATED_STACK;
    munmap(memory, before);
    char *stacks = memory + before;
    if (before < EMULATED_STACK)
        munmap(stacks + bytes - EMULATED_STACK, EMULATED_STACK - before);
    for (int i = 0; i < THREADS; i++)
        mprotect(stacks + (size_t)i * EMULATED_STACK, GUARD, PROT_NONE);
    return stacks;
}

struct emulation *emulation_create(void)
{
    struct emulation *emulation = calloc(1, sizeof *emulation);
    char *shared = aligned_alloc(1024, WINDOW);
    if (!emulation || !shared)
        fatal(OUT_OF_MEMORY, sizeof *emulation + WINDOW);
    emulation->machine.stacks = map_stacks();
    emulation->machine.shared = shared;
    return emulation;
}

void emulation_destroy(struct emulation *emulation)
{
    struct machine *machine = &emulation->machine;
    for (int i = 0; i < THREADS; i++)
        free(thread_of(machine, i)->copies.items);
    munmap(machine->stacks, (size_t)THREADS * EMULATED_STACK);
    free(machine->shared);
    free(machine->stores.items);
    free(machine->counters.items);
    free(machine->arrivals.items);
    shadow_destroy(emulation->shadow);
    conflicts_destroy(emulation->conflicts);
    free(emulation);
}

/* --- launches --- */

static bool chosen_fit(const struct emulation_launch *launch)
{
    for (size_t i = 0; launch->chosen && i < launch->chosen_count; i++)
        if (launch->chosen[i] < 0 || launch->chosen[i] >= launch->blocks)
            return false;
    return true;
}

static void check_launch(struct machine *machine, const struct emulation_unit *unit)
{
    const struct emulation_launch *launch = machine->launch;
    int64_t limit = machine->options->shared_limit ? machine->options->shared_limit
                                                   : EMULATION_SHARED_SM80;
    if (launch->threads < LANES || launch->threads > THREADS || launch->threads % LANES)
        machine_report(machine, EMULATION_bad_launch, "%d threads", launch->threads);
    else if (launch->blocks < 1 || !chosen_fit(launch))
        machine_report(machine, EMULATION_bad_launch, "%d blocks", launch->blocks);
    else if (launch->shared < 0 || launch->shared > limit || launch->shared > WINDOW)
        machine_report(machine, EMULATION_shared_limit, "%lld bytes of at most %lld",
                       (long long)launch->shared, (long long)limit);
    else if (machine->options->shadow && !emulation_unit_has_shadow(unit))
        machine_report(machine, EMULATION_bad_launch, "not compiled for shadow memory");
    else if (launch->region_count > REGIONS_MOST)
        machine_report(machine, EMULATION_bad_launch, "%zu operands", launch->region_count);
    else if (!machine->entry)
        machine_report(machine, EMULATION_bad_launch, "no such kernel");
}

static void run_blocks(struct machine *machine)
{
    const struct emulation_launch *launch = machine->launch;
    size_t count = launch->chosen ? launch->chosen_count : (size_t)launch->blocks;
    for (size_t i = 0; i < count; i++) {
        size_t number = machine->options->reverse ? count - 1 - i : i;
        if (!machine_run_block(machine, launch->chosen ? launch->chosen[number] : (int)number))
            return;
    }
    publish_end_launch(machine);
}

static void use_shadow(struct emulation *emulation)
{
    if (!emulation->shadow) {
        emulation->shadow = shadow_create();
        emulation->conflicts = conflicts_create();
    }
    emulation->machine.shadow = emulation->shadow;
    emulation->machine.conflicts = emulation->conflicts;
    shadow_begin_launch(&emulation->machine);
}

enum emulation_error emulation_run(struct emulation *emulation, const struct emulation_unit *unit,
                                   const struct emulation_launch *launch,
                                   const struct emulation_options *options,
                                   struct emulation_report *report)
{
    struct machine *machine = &emulation->machine;
    *report = (struct emulation_report){.block = -1, .thread = -1, .line = -1};
    machine->launch = launch;
    machine->options = options;
    machine->report = report;
    machine->entry = emulation_unit_entry(unit, launch->kernel);
    machine->first_serial = machine->serial;
    machine->shadow = NULL;
    check_launch(machine, unit);
    if (report->error != EMULATION_none)
        return report->error;
    publish_begin_launch(machine);
    if (options->shadow)
        use_shadow(emulation);
    watch_begin(machine, unit);
    run_blocks(machine);
    watch_end(machine);
    if (machine->shadow)
        shadow_end_launch(machine);
    return report->error;
}
