/* Who runs next: see machine.h. */
#include "compiler/emulation/machine.h"

#include "compiler/emulation/shadow.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define PRIMITIVE_NAME(name) #name,
static const char *const primitive_names[] = {EMULATED_PRIMITIVES(PRIMITIVE_NAME)};

const char *machine_primitive(enum emulated_primitive primitive)
{
    return primitive_names[primitive];
}

/* --- errors --- */

static void report_text(struct machine *machine, enum emulation_error error, const char *place,
                        const char *format, va_list values)
{
    struct emulation_report *report = machine->report;
    if (report->error != EMULATION_none)
        return;
    report->error = error;
    int used = snprintf(report->text, sizeof report->text, "%s: %s: %s", machine->launch->kernel,
                        emulation_error_name(error), place);
    if (used > 0 && (size_t)used < sizeof report->text)
        vsnprintf(report->text + used, sizeof report->text - (size_t)used, format, values);
}

void machine_report(struct machine *machine, enum emulation_error error, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    report_text(machine, error, "", format, values);
    va_end(values);
}

void machine_fail(struct thread *thread, enum emulation_error error, struct place place,
                  const char *format, ...)
{
    struct machine *machine = thread->machine;
    char where[120];
    va_list values;
    snprintf(where, sizeof where, "block %d, thread %d, line %d (%s): ", thread->self.block,
             thread->self.thread, place.line,
             place.line ? machine_primitive(place.primitive) : "before any primitive");
    machine->report->block = thread->self.block;
    machine->report->thread = thread->self.thread;
    machine->report->line = place.line;
    va_start(values, format);
    report_text(machine, error, where, format, values);
    va_end(values);
    fiber_switch(&thread->fiber, &machine->host);
    __builtin_unreachable(); /* nobody goes on with a thread of a launch that failed */
}

/* A text that ends where its memory does. */
struct words {
    char *text;
    size_t size, used;
};

/* Whether two threads are described by the same words. */
static bool same_wait(const struct thread *a, const struct thread *b)
{
    return a->finished == b->finished &&
           (a->finished || (a->place.line == b->place.line &&
                            a->place.primitive == b->place.primitive));
}

/* Whether a thread before it waits at the same place. */
static bool known_wait(const struct machine *machine, int index)
{
    for (int i = 0; i < index; i++)
        if (same_wait(thread_of(machine, i), thread_of(machine, index)))
            return true;
    return false;
}

static void add_words(struct words *words, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    int length = vsnprintf(words->text + words->used, words->size - words->used, format, values);
    va_end(values);
    words->used += (size_t)length;
    if (words->used >= words->size)
        words->used = words->size - 1;
}

/* "threads 0-31, 64-95": all that wait where the first of them does. */
static void add_threads(struct words *words, const struct machine *machine, int first)
{
    int threads = machine->launch->threads;
    const char *before = "threads ";
    for (int begin = first, end; begin < threads; begin = end) {
        bool same = same_wait(thread_of(machine, first), thread_of(machine, begin));
        end = begin + 1;
        while (end < threads &&
               same_wait(thread_of(machine, begin), thread_of(machine, end)))
            end++;
        if (!same)
            continue;
        add_words(words, "%s%d-%d", before, begin, end - 1);
        before = ", ";
    }
}

void machine_describe_waits(const struct machine *machine, char *text, size_t size)
{
    struct words words = {text, size, 0};
    text[0] = '\0';
    for (int first = 0; first < machine->launch->threads; first++) {
        const struct thread *thread = thread_of(machine, first);
        if (known_wait(machine, first))
            continue;
        add_words(&words, first ? "; " : "");
        add_threads(&words, machine, first);
        if (thread->finished)
            add_words(&words, " have ended");
        else
            add_words(&words, " wait at line %d (%s)", thread->place.line,
                      machine_primitive(thread->place.primitive));
    }
}

static _Noreturn void fail_deadlock(struct thread *thread)
{
    char waits[sizeof thread->machine->report->text];
    machine_describe_waits(thread->machine, waits, sizeof waits);
    machine_fail(thread, EMULATION_deadlock, thread->place, "%s", waits);
}

/* --- the order of threads --- */

/* The set bit behind `at`, around the end; backward if `reverse`. `set` is not 0. */
static int next_bit(rt_u32 set, int at, bool reverse)
{
    if (reverse) {
        rt_u32 before = set & ((1u << at) - 1);
        return 31 - __builtin_clz(before ? before : set);
    }
    rt_u32 behind = set & ~(((1u << at) << 1) - 1);
    return __builtin_ctz(behind ? behind : set);
}

/* A thread that can go on, in the order of the schedule: of the same warp if there is one. */
static struct thread *next_thread(struct thread *thread)
{
    struct machine *machine = thread->machine;
    bool reverse = machine->options->reverse;
    int warp = (int)(thread->warp - machine->warps);
    if (thread->warp->ready)
        return thread_of(machine,
                         warp * LANES + next_bit(thread->warp->ready, thread->lane, reverse));
    if (!machine->ready)
        return NULL;
    warp = next_bit(machine->ready, warp, reverse);
    return thread_of(machine, warp * LANES + next_bit(machine->warps[warp].ready,
                                                      reverse ? 0 : LANES - 1, reverse));
}

static struct thread *first_thread(struct machine *machine)
{
    bool reverse = machine->options->reverse;
    int before = reverse ? 0 : LANES - 1;
    int warp = next_bit(machine->ready, before, reverse);
    return thread_of(machine, warp * LANES + next_bit(machine->warps[warp].ready, before, reverse));
}

static void go_on(struct thread *from, struct thread *to)
{
    if (from != to)
        fiber_switch(&from->fiber, &to->fiber);
}

static void set_waiting(struct thread *thread)
{
    struct machine *machine = thread->machine;
    thread->warp->ready &= ~(1u << thread->lane);
    if (!thread->warp->ready)
        machine->ready &= ~(1u << (thread->warp - machine->warps));
}

void machine_wait(struct thread *thread, struct gate *gate, struct place place)
{
    gate->waiting[thread->warp - thread->machine->warps] |= 1u << thread->lane;
    thread->place = place;
    set_waiting(thread);
    struct thread *next = next_thread(thread);
    if (!next)
        fail_deadlock(thread);
    go_on(thread, next);
}

void machine_open(struct machine *machine, struct gate *gate)
{
    for (int warp = 0; warp < machine->warp_count; warp++)
        if (gate->waiting[warp]) {
            machine->warps[warp].ready |= gate->waiting[warp];
            machine->ready |= 1u << warp;
            gate->waiting[warp] = 0;
        }
}

void machine_restart(struct thread *thread)
{
    go_on(thread, first_thread(thread->machine));
}

/* --- blocks --- */

static void run_thread(void)
{
    struct thread *thread = this_thread();
    struct machine *machine = thread->machine;
    machine->entry(machine->launch->operands);
    thread->finished = true;
    set_waiting(thread);
    machine->unfinished--;
    struct thread *next = next_thread(thread);
    if (!next && machine->unfinished)
        fail_deadlock(thread);
    fiber_switch(&thread->fiber, next ? &next->fiber : &machine->host);
    __builtin_unreachable();
}

/* Stacks are a multiple of 4 KB apart, so frames of equal depth would share a set of the cache:
 * each begins at another line. */
static size_t stack_bytes(int index)
{
    enum { STEP = 832, PERIOD = 4096 };
    size_t usable = EMULATED_STACK - sizeof(struct thread) - PERIOD;
    return (usable - (size_t)index * STEP % PERIOD) & ~(size_t)63;
}

static void begin_thread(struct machine *machine, int block, int index)
{
    struct thread *thread = thread_of(machine, index);
    thread->machine = machine;
    thread->warp = &machine->warps[index / LANES];
    thread->lane = index % LANES;
    thread->finished = false;
    thread->place = (struct place){0};
    copies_clear(&thread->copies);
    thread->self = (struct emulated_self){&machine_calls, machine->shared, index, block};
    fiber_prepare(&thread->fiber, machine->stacks + (size_t)index * EMULATED_STACK,
                  stack_bytes(index), run_thread);
}

static void begin_warp(struct machine *machine, int index)
{
    struct warp *warp = &machine->warps[index];
    warp->ready = ~0u;
    warp->arrived = 0;
    warp->clock = 1;
    memset(&warp->gate, 0, sizeof warp->gate);
    memset(warp->known, 0, sizeof warp->known);
    machine->ready |= 1u << index;
}

bool machine_run_block(struct machine *machine, int block)
{
    machine->ready = 0;
    machine->serial++;
    machine->watch.ticks = 0;
    machine->unfinished = machine->launch->threads;
    machine->warp_count = machine->launch->threads / LANES;
    memset(machine->barriers, 0, sizeof machine->barriers);
    publish_begin_block(machine);
    memset(machine->shared, 0xff, (size_t)machine->launch->shared); /* NaN */
    for (int i = 0; i < machine->warp_count; i++)
        begin_warp(machine, i);
    for (int i = 0; i < machine->launch->threads; i++)
        begin_thread(machine, block, i);
    fiber_switch(&machine->host, &first_thread(machine)->fiber);
    if (machine->shadow)
        shadow_end_block(machine);
    return machine->report->error == EMULATION_none;
}
