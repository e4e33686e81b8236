/* See shadow.h. */
#include "compiler/emulation/shadow.h"

#include "ir/base/diag.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    SHARED_CELL = 2, /* bytes */
    SHARED_CELLS = WINDOW / SHARED_CELL,
    MANY_LANES = 255, /* in place of a lane */
    REGIONS = 64,
};

enum { PENDING = 1, PUBLISHED = 2, READ_BY_BLOCKS = 4 };

struct cell {
    rt_u32 write_block, write_clock; /* blocks by serial number, 0: none */
    rt_u32 read_block, read_clock;
    rt_u16 write_thread, read_thread;
    rt_u32 readers; /* number of a set, if several threads of read_block have read; else 0 */
    rt_u32 counter; /* that released what was published; 0: none */
    rt_u32 flags;
};

struct readers {
    rt_u32 clock[WARPS]; /* of the last read; 0: none */
    rt_u8 lane[WARPS];
};

struct region {
    const char *base;
    size_t bytes, cell_bytes;
    bool written, blank;
    struct cell *cells; /* NULL where nothing is stored */
};

struct shadow {
    struct cell *shared;
    struct region regions[REGIONS]; /* by address, without overlaps */
    size_t region_count;
    struct readers *readers; /* of the block; number 0 is not used */
    size_t reader_count, reader_capacity;
};

static void *map(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        fatal(OUT_OF_MEMORY, bytes);
    return memory;
}

struct shadow *shadow_create(void)
{
    struct shadow *shadow = calloc(1, sizeof *shadow);
    if (!shadow)
        fatal(OUT_OF_MEMORY, sizeof *shadow);
    shadow->shared = map(SHARED_CELLS * sizeof *shadow->shared);
    return shadow;
}

void shadow_destroy(struct shadow *shadow)
{
    if (!shadow)
        return;
    munmap(shadow->shared, SHARED_CELLS * sizeof *shadow->shared);
    free(shadow->readers);
    free(shadow);
}

/* --- regions --- */

static int by_address(const void *a, const void *b)
{
    const struct region *left = a, *right = b;
    return left->base < right->base ? -1 : left->base > right->base;
}

static size_t region_cells(const struct region *region)
{
    return region->bytes / region->cell_bytes + 1;
}

/* Regions that overlap become one. */
static void join_regions(struct shadow *shadow)
{
    size_t count = 0;
    for (size_t i = 0; i < shadow->region_count; i++) {
        struct region *next = &shadow->regions[i], *last = &shadow->regions[count - (count > 0)];
        if (count == 0 || next->base >= last->base + last->bytes) {
            shadow->regions[count++] = *next;
            continue;
        }
        size_t end = (size_t)(next->base - last->base) + next->bytes;
        last->bytes = end > last->bytes ? end : last->bytes;
        last->written |= next->written;
        last->blank &= next->blank;
        if (next->cell_bytes < last->cell_bytes)
            last->cell_bytes = next->cell_bytes;
    }
    shadow->region_count = count;
}

void shadow_begin_launch(struct machine *machine)
{
    const struct emulation_launch *launch = machine->launch;
    struct shadow *shadow = machine->shadow;
    shadow->region_count = launch->region_count;
    for (size_t i = 0; i < launch->region_count; i++) {
        const struct emulation_region *given = &launch->regions[i];
        shadow->regions[i] = (struct region){
            .base = given->base,
            .bytes = given->bytes,
            .cell_bytes = given->element == 1 || given->element == 2 ? (size_t)given->element : 4,
            .written = given->written,
            .blank = given->blank,
        };
    }
    qsort(shadow->regions, shadow->region_count, sizeof *shadow->regions, by_address);
    join_regions(shadow);
    for (size_t i = 0; i < shadow->region_count; i++)
        if (shadow->regions[i].written)
            shadow->regions[i].cells =
                map(region_cells(&shadow->regions[i]) * sizeof(struct cell));
    conflicts_begin_launch(machine);
}

void shadow_end_launch(struct machine *machine)
{
    struct shadow *shadow = machine->shadow;
    for (size_t i = 0; i < shadow->region_count; i++)
        if (shadow->regions[i].cells)
            munmap(shadow->regions[i].cells,
                   region_cells(&shadow->regions[i]) * sizeof(struct cell));
    shadow->region_count = 0;
}

void shadow_end_block(struct machine *machine)
{
    machine->shadow->reader_count = 0;
    conflicts_end_block(machine);
}

/* --- the order of events --- */

/* Whether what `thread` of this block did at `clock` of its warp has happened before now. */
static bool happened_before(const struct thread *now, int thread, rt_u32 clock)
{
    int warp = thread / LANES;
    if (thread == now->self.thread)
        return true;
    return clock < (now->warp == &now->machine->warps[warp] ? now->warp->clock
                                                            : now->warp->known[warp]);
}

static bool readers_before(const struct thread *now, const struct readers *readers)
{
    const struct machine *machine = now->machine;
    for (int i = 0; i < machine->warp_count; i++) {
        bool own = now->warp == &machine->warps[i];
        rt_u32 limit = own ? now->warp->clock : now->warp->known[i];
        if (readers->clock[i] >= limit && readers->clock[i] &&
            !(own && readers->lane[i] == now->lane))
            return false;
    }
    return true;
}

static void add_reader(struct readers *readers, int thread, rt_u32 clock)
{
    int warp = thread / LANES, lane = thread % LANES;
    bool joins = readers->clock[warp] == clock && readers->lane[warp] != lane;
    readers->lane[warp] = joins ? MANY_LANES : (rt_u8)lane;
    readers->clock[warp] = clock;
}

static rt_u32 new_readers(struct shadow *shadow)
{
    if (shadow->reader_count == 0)
        shadow->reader_count = 1;
    shadow->readers = machine_grow(shadow->readers, shadow->reader_count,
                                   &shadow->reader_capacity, sizeof *shadow->readers);
    memset(&shadow->readers[shadow->reader_count], 0, sizeof *shadow->readers);
    return (rt_u32)shadow->reader_count++;
}

static void note_read(const struct thread *now, struct cell *cell)
{
    struct machine *machine = now->machine;
    struct shadow *shadow = machine->shadow;
    if (cell->read_block != machine->serial) {
        if (cell->read_block > machine->first_serial)
            cell->flags |= READ_BY_BLOCKS;
        cell->readers = 0;
    } else if (cell->readers) {
        add_reader(&shadow->readers[cell->readers], now->self.thread, now->warp->clock);
        return;
    } else if (!happened_before(now, cell->read_thread, cell->read_clock)) {
        cell->readers = new_readers(shadow);
        add_reader(&shadow->readers[cell->readers], cell->read_thread, cell->read_clock);
        add_reader(&shadow->readers[cell->readers], now->self.thread, now->warp->clock);
        return;
    }
    cell->read_block = machine->serial;
    cell->read_thread = (rt_u16)now->self.thread;
    cell->read_clock = now->warp->clock;
}

static void note_write(const struct thread *now, struct cell *cell)
{
    cell->write_block = now->machine->serial;
    cell->write_thread = (rt_u16)now->self.thread;
    cell->write_clock = now->warp->clock;
}

/* --- accesses of cells --- */

struct access {
    struct thread *thread;
    struct place place;
    const char *memory; /* "shared" or "global" */
    unsigned long at;   /* byte in it */
};

static void check_pending(const struct access *a, const struct cell *cell)
{
    if (cell->flags & PENDING && cell->write_block == a->thread->machine->serial)
        machine_fail(a->thread, EMULATION_copy_pending, a->place,
                     "%s byte %lu, copied by thread %d", a->memory, a->at, cell->write_thread);
}

static void check_read(const struct access *a, const struct cell *cell)
{
    check_pending(a, cell);
    if (cell->write_block == a->thread->machine->serial &&
        !happened_before(a->thread, cell->write_thread, cell->write_clock))
        machine_fail(a->thread, EMULATION_race, a->place, "%s byte %lu, stored by thread %d",
                     a->memory, a->at, cell->write_thread);
}

static void check_write(const struct access *a, const struct cell *cell)
{
    const struct machine *machine = a->thread->machine;
    check_read(a, cell);
    if (cell->read_block != machine->serial)
        return;
    if (cell->readers
            ? !readers_before(a->thread, &machine->shadow->readers[cell->readers])
            : !happened_before(a->thread, cell->read_thread, cell->read_clock))
        machine_fail(a->thread, EMULATION_race, a->place, "%s byte %lu, loaded by thread %d%s",
                     a->memory, a->at, cell->read_thread, cell->readers ? " and others" : "");
}

/* --- shared memory --- */

static void check_window(struct thread *thread, struct place place, shared_t address, int bytes)
{
    if ((int64_t)address + bytes > thread->machine->launch->shared)
        machine_fail(thread, EMULATION_out_of_bounds, place, "shared bytes %u to %lld of %lld",
                     address, (long long)address + bytes - 1,
                     (long long)thread->machine->launch->shared);
}

static void load_shared(struct thread *thread, struct place place, shared_t address, int bytes)
{
    struct access a = {thread, place, "shared", 0};
    for (rt_u32 i = address / SHARED_CELL; i * SHARED_CELL < address + (rt_u32)bytes; i++) {
        struct cell *cell = &thread->machine->shadow->shared[i];
        a.at = i * SHARED_CELL;
        if (cell->write_block != thread->machine->serial)
            machine_fail(thread, EMULATION_unwritten, place, "shared byte %lu", a.at);
        check_read(&a, cell);
        note_read(thread, cell);
    }
}

static void store_shared(struct thread *thread, struct place place, shared_t address, int bytes,
                         rt_u32 flags)
{
    struct access a = {thread, place, "shared", 0};
    for (rt_u32 i = address / SHARED_CELL; i * SHARED_CELL < address + (rt_u32)bytes; i++) {
        struct cell *cell = &thread->machine->shadow->shared[i];
        a.at = i * SHARED_CELL;
        check_write(&a, cell);
        note_write(thread, cell);
        cell->flags = flags;
    }
}

void shadow_shared(struct thread *thread, struct place place, shared_t address, int bytes)
{
    check_window(thread, place, address, bytes);
    if (place.primitive == EMULATED_shared_load)
        load_shared(thread, place, address, bytes);
    else
        store_shared(thread, place, address, bytes, 0);
    conflicts_access(thread, place, address, bytes);
}

void shadow_matrices(struct thread *thread, struct place place)
{
    struct emulated_matrices **lanes = (struct emulated_matrices **)(void *)thread->warp->lanes;
    int first = thread->self.thread - thread->lane;
    for (int i = 0; i < 8 * lanes[0]->count; i++)
        load_shared(thread_of(thread->machine, first + i), place, lanes[i]->row, 16);
    conflicts_matrices(thread, place);
}

/* --- global memory --- */

static struct region *find_region(struct thread *thread, struct place place, const char *address,
                                  int bytes)
{
    struct shadow *shadow = thread->machine->shadow;
    for (size_t i = 0; i < shadow->region_count; i++) {
        struct region *region = &shadow->regions[i];
        if (address >= region->base && address < region->base + region->bytes &&
            (size_t)(region->base + region->bytes - address) >= (size_t)bytes)
            return region;
    }
    const char *near = "no operand";
    long distance = 0;
    for (size_t i = 0; i < shadow->region_count; i++)
        if (address >= shadow->regions[i].base) {
            near = "the end of an operand";
            distance = address - (shadow->regions[i].base + shadow->regions[i].bytes);
        }
    machine_fail(thread, EMULATION_out_of_bounds, place, "%d bytes at %p, %ld behind %s", bytes,
                 (const void *)address, distance, near);
}

/* Whether the cell belongs to another block of this launch. */
static bool foreign(const struct machine *machine, rt_u32 block)
{
    return block != 0 && block != machine->serial;
}

/* What is foreign may be read only by the block that completed the counter which released it. */
static void check_foreign(const struct access *a, const struct cell *cell)
{
    struct machine *machine = a->thread->machine;
    if (!foreign(machine, cell->write_block))
        return;
    if (a->place.primitive != EMULATED_collect)
        machine_fail(a->thread, EMULATION_block_race, a->place,
                     "%s byte %lu, stored by another block", a->memory, a->at);
    bool released = cell->flags & PUBLISHED && cell->counter &&
                    machine->counters.items[cell->counter - 1].last == machine->serial;
    if (!released)
        machine_fail(a->thread, EMULATION_unpublished, a->place, "%s byte %lu, %s", a->memory,
                     a->at,
                     !(cell->flags & PUBLISHED) ? "stored by another block"
                     : cell->counter            ? "released on another counter"
                                                : "not released");
}

static void load_global(struct access *a, const struct region *region, struct cell *cell)
{
    bool collects = a->place.primitive == EMULATED_collect;
    if (region->blank && !cell->write_block)
        machine_fail(a->thread, collects ? EMULATION_unpublished : EMULATION_unwritten, a->place,
                     "%s byte %lu, which nothing has stored", a->memory, a->at);
    check_foreign(a, cell);
    check_read(a, cell);
    note_read(a->thread, cell);
}

/* Whether another block may still be at what it did to the cell. */
static bool unordered(struct machine *machine, rt_u32 block)
{
    return foreign(machine, block) && !publish_orders(machine, block);
}

static void store_global(struct access *a, struct cell *cell)
{
    struct machine *machine = a->thread->machine;
    bool read = unordered(machine, cell->read_block) || cell->flags & READ_BY_BLOCKS;
    if (unordered(machine, cell->write_block) || read)
        machine_fail(a->thread, EMULATION_block_race, a->place,
                     "%s byte %lu, %s by another block", a->memory, a->at,
                     read ? "loaded" : "stored");
    check_write(a, cell);
    note_write(a->thread, cell);
    cell->read_block = 0; /* all reads came before */
    cell->flags = (cell->flags & READ_BY_BLOCKS) |
                  (a->place.primitive == EMULATED_publish ? PUBLISHED : 0);
    cell->counter = 0;
}

void shadow_global(struct thread *thread, struct place place, const void *address, int bytes)
{
    struct region *region = find_region(thread, place, address, bytes);
    bool store = place.primitive == EMULATED_store || place.primitive == EMULATED_publish;
    if (store && !region->written)
        machine_fail(thread, EMULATION_read_only, place, "%d bytes at %p", bytes, address);
    if (!region->cells)
        return;
    size_t begin = (size_t)((const char *)address - region->base);
    struct access a = {thread, place, "global", 0};
    for (size_t i = begin / region->cell_bytes; i * region->cell_bytes < begin + (size_t)bytes;
         i++) {
        a.at = i * region->cell_bytes;
        if (store)
            store_global(&a, &region->cells[i]);
        else
            load_global(&a, region, &region->cells[i]);
    }
}

void shadow_counter(struct thread *thread, struct place place, const rt_i32 *at)
{
    if (!find_region(thread, place, (const char *)at, sizeof *at)->written)
        machine_fail(thread, EMULATION_read_only, place, "counter at %p", (const void *)at);
}

void shadow_release(struct machine *machine, rt_u32 counter)
{
    const struct stores *stores = &machine->stores;
    struct shadow *shadow = machine->shadow;
    for (size_t i = stores->begin; i < stores->count; i++) {
        const char *at = (const char *)stores->items[i].to;
        for (size_t r = 0; r < shadow->region_count; r++) {
            struct region *region = &shadow->regions[r];
            if (at >= region->base && at < region->base + region->bytes && region->cells)
                region->cells[(size_t)(at - region->base) / region->cell_bytes].counter = counter;
        }
    }
}

/* --- asynchronous copies --- */

void shadow_copy_begin(struct thread *thread, struct place place, const struct copy *copy)
{
    struct place load = {EMULATED_copy_async, place.line};
    if (copy->valid)
        shadow_global(thread, load, copy->from, copy->valid);
    store_shared(thread, place, copy->to, copy->bytes, PENDING);
    conflicts_access(thread, place, copy->to, copy->bytes);
}

/* The data counts as stored now, by the thread that has waited. */
void shadow_copy_end(struct thread *thread, const struct copy *copy)
{
    struct shadow *shadow = thread->machine->shadow;
    for (rt_u32 i = copy->to / SHARED_CELL; i * SHARED_CELL < copy->to + (rt_u32)copy->bytes;
         i++) {
        note_write(thread, &shadow->shared[i]);
        shadow->shared[i].flags = 0;
    }
}
