/*
 * What blocks hand to each other. With latest arrival a published number reaches memory only at
 * the fence inside publish_last, or after the launch.
 */
#include "compiler/emulation/machine.h"
#include "compiler/emulation/shadow.h"

#include <string.h>

void publish_begin_launch(struct machine *machine)
{
    machine->stores.count = 0;
    machine->counters.count = 0;
    machine->arrivals.count = 0;
    memset(machine->orders, 0, sizeof machine->orders);
}

void publish_begin_block(struct machine *machine)
{
    machine->stores.begin = machine->stores.count;
}

static void store_all(struct machine *machine)
{
    for (size_t i = machine->stores.begin; i < machine->stores.count; i++)
        *machine->stores.items[i].to = machine->stores.items[i].value;
}

void publish_end_launch(struct machine *machine)
{
    machine->stores.begin = 0;
    store_all(machine);
    for (size_t i = 0; i < machine->counters.count && !machine->launch->chosen; i++)
        if (!machine->counters.items[i].last)
            machine_report(machine, EMULATION_counter_left, "counter at %p is %d",
                           (void *)machine->counters.items[i].at, *machine->counters.items[i].at);
}

static void keep(struct machine *machine, float *to, float value)
{
    struct stores *stores = &machine->stores;
    stores->items = machine_grow(stores->items, stores->count, &stores->capacity,
                                 sizeof *stores->items);
    stores->items[stores->count++] = (struct published){to, value};
}

void call_publish(int line, float *to, const float *from, int count)
{
    struct thread *thread = enter_primitive(EMULATED_publish, line);
    struct machine *machine = thread->machine;
    struct place place = thread->place;
    if ((rt_u64)to % (sizeof *to * (size_t)count))
        machine_fail(thread, EMULATION_misaligned, place, "%d numbers to %p", count, (void *)to);
    if (machine->shadow)
        shadow_global(thread, place, to, (int)sizeof *to * count);
    for (int i = 0; i < count; i++) {
        if (!machine->options->latest)
            to[i] = from[i];
        if (machine->options->latest || machine->shadow)
            keep(machine, to + i, from[i]);
    }
}

static struct counter *counter_at(struct machine *machine, rt_i32 *at)
{
    struct counters *counters = &machine->counters;
    for (size_t i = counters->count; i-- > 0;)
        if (counters->items[i].at == at)
            return &counters->items[i];
    counters->items = machine_grow(counters->items, counters->count, &counters->capacity,
                                   sizeof *counters->items);
    counters->items[counters->count] = (struct counter){.at = at};
    return &counters->items[counters->count++];
}

static bool comes_before(const struct machine *machine, rt_u32 earlier, rt_u32 later)
{
    for (size_t i = 0; i < machine->arrivals.count; i++) {
        const struct arrival *arrival = &machine->arrivals.items[i];
        if (arrival->serial == later || machine->counters.items[arrival->counter].last != later)
            continue;
        if (arrival->serial == earlier || comes_before(machine, earlier, arrival->serial))
            return true;
    }
    return false;
}

bool publish_orders(struct machine *machine, rt_u32 earlier)
{
    struct order *known = &machine->orders[earlier % ORDERS];
    if (known->earlier != earlier || known->later != machine->serial ||
        known->arrivals != machine->arrivals.count)
        *known = (struct order){earlier, machine->serial, machine->arrivals.count,
                                comes_before(machine, earlier, machine->serial)};
    return known->ordered;
}

static void note_arrival(struct machine *machine, rt_u32 counter)
{
    struct arrivals *arrivals = &machine->arrivals;
    arrivals->items = machine_grow(arrivals->items, arrivals->count, &arrivals->capacity,
                                   sizeof *arrivals->items);
    arrivals->items[arrivals->count++] = (struct arrival){machine->serial, counter};
}

/* By the last thread of the block: fence and count. */
static void count_block(struct thread *thread, struct place place)
{
    struct machine *machine = thread->machine;
    rt_i32 *at = machine->publish_counter;
    if (machine->shadow)
        shadow_counter(thread, place, at);
    struct counter *counter = counter_at(machine, at);
    if (machine->options->latest)
        store_all(machine);
    if (machine->shadow) {
        rt_u32 number = (rt_u32)(counter - machine->counters.items);
        shadow_release(machine, number + 1);
        note_arrival(machine, number);
    }
    machine->stores.count = machine->stores.begin;
    if (counter->last || counter->arrived == machine->serial)
        machine_fail(thread, EMULATION_double_arrival, place, "counter at %p", (void *)at);
    counter->arrived = machine->serial;
    machine->publish_result = ++*at == machine->publish_expected;
    if (machine->publish_result) {
        counter->last = machine->serial;
        *at = 0;
    }
}

int call_publish_last(int line, rt_i32 *counter, int expected)
{
    struct thread *thread = enter_primitive(EMULATED_publish_last, line);
    struct machine *machine = thread->machine;
    struct barrier *barrier = &machine->barriers[0];
    struct place place = thread->place;
    if ((rt_u64)counter % sizeof *counter)
        machine_fail(thread, EMULATION_misaligned, place, "counter at %p", (void *)counter);
    if (barrier->arrived == 0) {
        machine->publish_counter = counter;
        machine->publish_expected = expected;
    } else if (machine->publish_counter != counter || machine->publish_expected != expected) {
        machine_fail(thread, EMULATION_divergence, place, "threads name different counters");
    }
    if (barrier_arrive(thread, barrier, place, machine->launch->threads)) {
        count_block(thread, place);
        barrier_pass(thread, barrier);
    }
    return machine->publish_result;
}
