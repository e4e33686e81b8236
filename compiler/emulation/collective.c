/*
 * What the threads of a warp or of a block do together. The last one that arrives does the work
 * for all, by what the others have given, and opens the gate at which they wait.
 */
#include "compiler/emulation/machine.h"
#include "compiler/emulation/shadow.h"

#include <string.h>

/* --- shuffles --- */

static float value_of(const void *lane)
{
    return f32_of_bits((rt_u32)((const struct emulated_shuffle *)lane)->bits);
}

/* Every lane gets the value of the lane that it names. */
static void exchange(struct thread *thread, struct place place, bool flip)
{
    struct emulated_shuffle **lanes = (struct emulated_shuffle **)(void *)thread->warp->lanes;
    rt_u64 given[LANES];
    for (int i = 0; i < LANES; i++)
        given[i] = lanes[i]->bits;
    for (int i = 0; i < LANES; i++) {
        int from = flip ? i ^ lanes[i]->lane : lanes[i]->lane;
        if (from < 0 || from >= LANES)
            machine_fail(thread, EMULATION_divergence, place, "lane %d asks for lane %d", i, from);
        lanes[i]->bits = given[from];
    }
}

static void count_lanes(struct thread *thread)
{
    struct emulated_shuffle **lanes = (struct emulated_shuffle **)(void *)thread->warp->lanes;
    rt_u64 set = 0;
    for (int i = 0; i < LANES; i++)
        set |= (rt_u64)(lanes[i]->bits != 0) << i;
    for (int i = 0; i < LANES; i++)
        lanes[i]->bits = set;
}

/* In the order of the device: distances 16, 8, 4, 2, 1. */
static void reduce(struct thread *thread, bool greatest)
{
    float values[LANES], next[LANES];
    for (int i = 0; i < LANES; i++)
        values[i] = value_of(thread->warp->lanes[i]);
    for (int distance = LANES / 2; distance > 0; distance /= 2) {
        for (int i = 0; i < LANES; i++) {
            float other = values[i ^ distance];
            next[i] = greatest ? __builtin_fmaxf(values[i], other) : values[i] + other;
        }
        memcpy(values, next, sizeof values);
    }
    for (int i = 0; i < LANES; i++)
        ((struct emulated_shuffle *)thread->warp->lanes[i])->bits = bits_of_f32(values[i]);
}

/* --- matrices --- */

static void load_matrices(struct thread *thread, struct place place)
{
    struct emulated_matrices **lanes = (struct emulated_matrices **)(void *)thread->warp->lanes;
    struct machine *machine = thread->machine;
    bool turned = place.primitive == EMULATED_ldmatrix_trans;
    int count = lanes[0]->count;
    for (int i = 0; i < LANES; i++) {
        if (lanes[i]->count != count)
            machine_fail(thread, EMULATION_divergence, place, "x%d in lane %d, x%d in lane 0",
                         lanes[i]->count, i, count);
        if (i < 8 * count && lanes[i]->row % 16)
            machine_fail(thread, EMULATION_misaligned, place, "row of lane %d at byte %u", i,
                         lanes[i]->row);
        if (i < 8 * count && (int64_t)lanes[i]->row + 16 > machine->launch->shared)
            machine_fail(thread, EMULATION_out_of_bounds, place,
                         "row of lane %d at byte %u of %lld", i, lanes[i]->row,
                         (long long)machine->launch->shared);
    }
    if (machine->shadow)
        shadow_matrices(thread, place);
    for (int matrix = 0; matrix < count; matrix++) {
        const rt_u16 *rows[8];
        for (int i = 0; i < 8; i++)
            rows[i] = (const rt_u16 *)(void *)(machine->shared + lanes[matrix * 8 + i]->row);
        for (int i = 0; i < LANES; i++)
            lanes[i]->to[matrix] =
                turned ? rows[i % 4 * 2][i / 4] | (rt_u32)rows[i % 4 * 2 + 1][i / 4] << 16
                       : rows[i / 4][i % 4 * 2] | (rt_u32)rows[i / 4][i % 4 * 2 + 1] << 16;
    }
}

static void multiply(struct thread *thread, struct place place)
{
    struct emulated_tile **lanes = (struct emulated_tile **)(void *)thread->warp->lanes;
    for (int i = 1; i < LANES; i++)
        if (lanes[i]->mt != lanes[0]->mt || lanes[i]->nt != lanes[0]->nt)
            machine_fail(thread, EMULATION_divergence, place, "%d x %d in lane %d, %d x %d in 0",
                         lanes[i]->mt, lanes[i]->nt, i, lanes[0]->mt, lanes[0]->nt);
    if (lanes[0]->mt < 1 || lanes[0]->mt > TILE_PIECES || lanes[0]->nt < 1 ||
        lanes[0]->nt > TILE_PIECES)
        machine_fail(thread, EMULATION_bad_launch, place, "a tile of %d x %d products",
                     lanes[0]->mt, lanes[0]->nt);
    if (tile_multiply(place.primitive, thread->warp->lanes))
        machine_fail(thread, EMULATION_unrounded, place, "an operand was not rounded before");
}

static void perform(struct thread *thread, struct place place)
{
    switch (place.primitive) {
    case EMULATED_shuffle: exchange(thread, place, false); break;
    case EMULATED_shuffle_xor: exchange(thread, place, true); break;
    case EMULATED_ballot: count_lanes(thread); break;
    case EMULATED_warp_sum: reduce(thread, false); break;
    case EMULATED_warp_max: reduce(thread, true); break;
    case EMULATED_ldmatrix:
    case EMULATED_ldmatrix_trans: load_matrices(thread, place); break;
    case EMULATED_mma_bf16:
    case EMULATED_mma_f16:
    case EMULATED_mma_tf32: multiply(thread, place); break;
    default: thread->warp->clock++; break; /* a barrier of the warp */
    }
}

static _Noreturn void fail_divergence(struct thread *thread, struct place place)
{
    const struct warp *warp = thread->warp;
    machine_fail(thread, EMULATION_divergence, place,
                 "lane %d of the warp is at line %d (%s)", warp->first, warp->place.line,
                 machine_primitive(warp->place.primitive));
}

void call_collective(enum emulated_primitive primitive, int line, void *lane)
{
    struct thread *thread = enter_primitive(primitive, line);
    struct warp *warp = thread->warp;
    struct place place = thread->place;
    if (warp->arrived == 0) {
        warp->place = place;
        warp->first = thread->lane;
    } else if (warp->place.line != line || warp->place.primitive != primitive) {
        fail_divergence(thread, place);
    }
    warp->lanes[thread->lane] = lane;
    if (++warp->arrived < LANES) {
        machine_wait(thread, &warp->gate, place);
        return;
    }
    perform(thread, place);
    thread->machine->report->collectives++;
    warp->arrived = 0;
    machine_open(thread->machine, &warp->gate);
}

/* --- barriers --- */

bool barrier_arrive(struct thread *thread, struct barrier *barrier, struct place place,
                    int expected)
{
    if (barrier->arrived == 0) {
        barrier->expected = expected;
        barrier->place = place;
    } else if (barrier->expected != expected) {
        machine_fail(thread, EMULATION_bad_barrier, place, "for %d threads, but line %d has %d",
                     expected, barrier->place.line, barrier->expected);
    } else if (place.primitive != EMULATED_named_barrier &&
               (barrier->place.line != place.line ||
                barrier->place.primitive != place.primitive)) {
        machine_fail(thread, EMULATION_divergence, place, "other threads are at line %d (%s)",
                     barrier->place.line, machine_primitive(barrier->place.primitive));
    }
    if (++barrier->arrived < expected) {
        machine_wait(thread, &barrier->gate, place);
        return false;
    }
    return true;
}

/* All warps that were there know what each of them did before. */
static void join_clocks(struct machine *machine, const struct barrier *barrier,
                        const struct warp *last)
{
    rt_u32 known[WARPS] = {0};
    rt_u32 there = 1u << (last - machine->warps);
    for (int i = 0; i < machine->warp_count; i++)
        there |= (rt_u32)(barrier->gate.waiting[i] != 0) << i;
    for (int i = 0; i < machine->warp_count; i++)
        if (there >> i & 1) {
            struct warp *warp = &machine->warps[i];
            warp->known[i] = ++warp->clock;
            for (int j = 0; j < machine->warp_count; j++)
                known[j] = known[j] > warp->known[j] ? known[j] : warp->known[j];
        }
    for (int i = 0; i < machine->warp_count; i++)
        if (there >> i & 1)
            memcpy(machine->warps[i].known, known, sizeof known);
}

void barrier_pass(struct thread *thread, struct barrier *barrier)
{
    struct machine *machine = thread->machine;
    if (machine->shadow)
        join_clocks(machine, barrier, thread->warp);
    machine->report->barriers++;
    barrier->arrived = 0;
    machine_open(machine, &barrier->gate);
    machine_restart(thread);
}

void call_barrier(enum emulated_primitive primitive, int line, int id, int threads)
{
    struct thread *thread = enter_primitive(primitive, line);
    struct machine *machine = thread->machine;
    struct place place = thread->place;
    int all = machine->launch->threads, expected = threads ? threads : all;
    if (id < 0 || id >= BARRIERS || expected < LANES || expected > all || expected % LANES)
        machine_fail(thread, EMULATION_bad_barrier, place, "barrier %d for %d threads of %d", id,
                     expected, all);
    struct barrier *barrier = &machine->barriers[id];
    if (barrier_arrive(thread, barrier, place, expected))
        barrier_pass(thread, barrier);
}
