/*
 * Conflicts of banks. Shared memory has 32 banks of 4 bytes; an instruction of a warp takes as
 * many steps (wavefronts) as one bank has different words to give. Accesses of 8 bytes go in
 * halves of the warp, of 16 bytes in quarters, and each matrix of an ldmatrix is a step.
 */
#include "compiler/emulation/shadow.h"

#include "ir/base/diag.h"

#include <stdlib.h>
#include <string.h>

enum {
    BANKS = 32,
    WAITING_MOST = 4096, /* instructions that some lanes have not reached */
};

struct instruction {
    rt_u32 lanes; /* that have reached it */
    shared_t at[LANES];
};

/* One line of the kernel, as one warp sees it. */
struct site {
    struct place place;
    int bytes;
    rt_u32 reached[LANES]; /* instructions that each lane has executed here */
    rt_u32 begin;          /* number of items[0] */
    struct instruction *items;
    size_t count, capacity;
};

struct sites {
    struct site *items;
    size_t count, capacity, last;
};

struct conflicts {
    struct sites warps[WARPS];
};

struct conflicts *conflicts_create(void)
{
    struct conflicts *conflicts = calloc(1, sizeof *conflicts);
    if (!conflicts)
        fatal(OUT_OF_MEMORY, sizeof *conflicts);
    return conflicts;
}

void conflicts_destroy(struct conflicts *conflicts)
{
    for (int w = 0; conflicts && w < WARPS; w++) {
        for (size_t i = 0; i < conflicts->warps[w].count; i++)
            free(conflicts->warps[w].items[i].items);
        free(conflicts->warps[w].items);
    }
    free(conflicts);
}

void conflicts_begin_launch(struct machine *machine)
{
    for (int w = 0; w < WARPS; w++) {
        struct sites *sites = &machine->conflicts->warps[w];
        for (size_t i = 0; i < sites->count; i++)
            free(sites->items[i].items);
        sites->count = sites->last = 0;
    }
}

/* --- counting --- */

/* Steps of the lanes first..first + count - 1 that are in `set`. */
static int group_steps(const shared_t *at, rt_u32 set, int first, int count, int bytes)
{
    rt_u32 words[BANKS][BANKS * 4];
    int used[BANKS] = {0}, most = 0;
    for (int lane = first; lane < first + count; lane++)
        for (rt_u32 word = at[lane] / 4; set >> lane & 1 && word * 4 < at[lane] + (rt_u32)bytes;
             word++) {
            int bank = (int)(word % BANKS), i = 0;
            while (i < used[bank] && words[bank][i] != word)
                i++;
            if (i == used[bank])
                words[bank][used[bank]++] = word;
            most = used[bank] > most ? used[bank] : most;
        }
    return most;
}

/* Adds an instruction; returns how many steps it takes beyond the least. */
static int count_steps(struct emulation_accesses *accesses, const shared_t *at, rt_u32 set,
                       int bytes)
{
    int group = bytes <= 4 ? LANES : bytes == 8 ? LANES / 2 : LANES / 4;
    int steps = 0, least = 0;
    for (int first = 0; first < LANES; first += group) {
        int own = group_steps(at, set, first, group, bytes);
        steps += own;
        least += own > 0;
    }
    accesses->count++;
    accesses->wavefronts += (uint64_t)steps;
    accesses->minimum += (uint64_t)least;
    return steps - least;
}

static void refuse(struct machine *machine, struct thread *thread, struct place place, int excess)
{
    if (thread)
        machine_fail(thread, EMULATION_bank_conflict, place, "%d steps too many", excess);
    machine_report(machine, EMULATION_bank_conflict, "line %d (%s): %d steps too many", place.line,
                   machine_primitive(place.primitive), excess);
}

static void count_instruction(struct machine *machine, struct thread *thread,
                              const struct site *site, const struct instruction *instruction)
{
    struct emulation_report *report = machine->report;
    enum emulated_primitive primitive = site->place.primitive;
    struct emulation_accesses *accesses = primitive == EMULATED_copy_async ? &report->copy
                                          : primitive == EMULATED_shared_load
                                              ? &report->shared_load
                                              : &report->shared_store;
    int excess = count_steps(accesses, instruction->at, instruction->lanes, site->bytes);
    bool declared = site->bytes == 16 && primitive != EMULATED_copy_async;
    if (excess && declared && machine->options->refuse_conflicts)
        refuse(machine, thread, site->place, excess);
}

void conflicts_matrices(struct thread *thread, struct place place)
{
    struct emulated_matrices **lanes = (struct emulated_matrices **)(void *)thread->warp->lanes;
    struct machine *machine = thread->machine;
    int used = 8 * lanes[0]->count;
    shared_t at[LANES] = {0};
    for (int i = 0; i < used; i++)
        at[i] = lanes[i]->row;
    int excess = count_steps(&machine->report->ldmatrix, at, used == LANES ? ~0u : (1u << used) - 1,
                             16);
    if (excess && machine->options->refuse_conflicts)
        refuse(machine, thread, place, excess);
}

/* --- which accesses are one instruction --- */

static struct site *find_site(struct sites *sites, struct place place, int bytes)
{
    for (size_t n = 0; n < sites->count; n++) {
        size_t i = (sites->last + n) % sites->count;
        struct site *site = &sites->items[i];
        if (site->place.line == place.line && site->place.primitive == place.primitive &&
            site->bytes == bytes) {
            sites->last = i;
            return site;
        }
    }
    sites->items = machine_grow(sites->items, sites->count, &sites->capacity,
                                sizeof *sites->items);
    sites->last = sites->count;
    sites->items[sites->count] = (struct site){.place = place, .bytes = bytes};
    return &sites->items[sites->count++];
}

/* Counts the instructions before item `count`, and forgets them. */
static void count_items(struct machine *machine, struct thread *thread, struct site *site,
                        size_t count)
{
    struct instruction done[16];
    for (size_t begin = 0; begin < count;) {
        size_t some = count - begin < 16 ? count - begin : 16;
        memcpy(done, site->items, some * sizeof *done);
        site->count -= some;
        site->begin += (rt_u32)some;
        memmove(site->items, site->items + some, site->count * sizeof *site->items);
        for (size_t i = 0; i < some; i++)
            if (done[i].lanes)
                count_instruction(machine, thread, site, &done[i]);
        begin += some;
    }
}

void conflicts_access(struct thread *thread, struct place place, shared_t address, int bytes)
{
    struct machine *machine = thread->machine;
    struct sites *sites = &machine->conflicts->warps[thread->warp - machine->warps];
    struct site *site = find_site(sites, place, bytes);
    rt_u32 number = site->reached[thread->lane]++;
    if (number < site->begin) /* counted without this lane, which came too late */
        return;
    if (number - site->begin >= WAITING_MOST)
        count_items(machine, thread, site, WAITING_MOST / 2);
    while (site->begin + site->count <= number) {
        site->items = machine_grow(site->items, site->count, &site->capacity,
                                   sizeof *site->items);
        site->items[site->count++] = (struct instruction){0};
    }
    struct instruction *instruction = &site->items[number - site->begin];
    instruction->lanes |= 1u << thread->lane;
    instruction->at[thread->lane] = address;
    size_t full = 0;
    while (full < site->count && site->items[full].lanes == ~0u)
        full++;
    if (full)
        count_items(machine, thread, site, full);
}

void conflicts_end_block(struct machine *machine)
{
    for (int w = 0; w < machine->warp_count; w++) {
        struct sites *sites = &machine->conflicts->warps[w];
        for (size_t i = 0; i < sites->count; i++) {
            struct site *site = &sites->items[i];
            count_items(machine, NULL, site, site->count);
            memset(site->reached, 0, sizeof site->reached);
            site->begin = 0;
        }
    }
}
