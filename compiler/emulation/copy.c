/*
 * Asynchronous copies. Eager ones are done when they are issued; latest ones spoil their
 * destination then, and are done when the thread that issued them waits for their group.
 */
#include "compiler/emulation/machine.h"
#include "compiler/emulation/shadow.h"

#include <string.h>

void copies_clear(struct copies *copies)
{
    copies->count = 0;
    copies->group = 0;
}

static void perform(const struct machine *machine, const struct copy *copy)
{
    char *to = machine->shared + copy->to;
    memcpy(to, copy->from, (size_t)copy->valid);
    memset(to + copy->valid, 0, (size_t)(copy->bytes - copy->valid));
}

static void check(struct thread *thread, const struct copy *copy, struct place place)
{
    if (copy->valid < 0 || copy->valid > copy->bytes)
        machine_fail(thread, EMULATION_bad_copy, place, "%d bytes of %d", copy->valid,
                     copy->bytes);
    if (copy->to % (rt_u32)copy->bytes || (rt_u64)copy->from % (rt_u64)copy->bytes)
        machine_fail(thread, EMULATION_misaligned, place, "%d bytes to shared byte %u, from %p",
                     copy->bytes, copy->to, copy->from);
    if ((int64_t)copy->to + copy->bytes > thread->machine->launch->shared)
        machine_fail(thread, EMULATION_out_of_bounds, place, "shared byte %u of %lld", copy->to,
                     (long long)thread->machine->launch->shared);
}

void call_copy(int line, shared_t to, const void *from, int bytes, int valid)
{
    struct thread *thread = enter_primitive(EMULATED_copy_async, line);
    struct machine *machine = thread->machine;
    struct copies *copies = &thread->copies;
    struct place place = thread->place;
    struct copy copy = {to, bytes, valid, from, copies->group, line};
    check(thread, &copy, place);
    if (machine->shadow)
        shadow_copy_begin(thread, place, &copy);
    if (machine->options->latest)
        memset(machine->shared + to, 0xff, (size_t)bytes);
    else
        perform(machine, &copy);
    if (!machine->options->latest && !machine->shadow)
        return;
    copies->items = machine_grow(copies->items, copies->count, &copies->capacity, sizeof copy);
    copies->items[copies->count++] = copy;
}

void call_copy_commit(int line)
{
    enter_primitive(EMULATED_copy_async_commit, line)->copies.group++;
}

void call_copy_wait(int line, int pending)
{
    struct thread *thread = enter_primitive(EMULATED_copy_async_wait, line);
    struct machine *machine = thread->machine;
    struct copies *copies = &thread->copies;
    size_t done = 0;
    for (; done < copies->count && copies->items[done].group < copies->group - pending; done++) {
        if (machine->options->latest)
            perform(machine, &copies->items[done]);
        if (machine->shadow)
            shadow_copy_end(thread, &copies->items[done]);
    }
    if (done == 0)
        return;
    copies->count -= done;
    memmove(copies->items, copies->items + done, copies->count * sizeof *copies->items);
}
