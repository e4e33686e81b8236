/*
 * Kernels that do not end. A timer of the thread's CPU time ticks while a launch runs. A block
 * that has used up its time ends at its next primitive or, where its code uses none, by the tick
 * itself: if that finds the thread in the kernel's code, which holds nothing of the host's, it
 * leaves the thread for good, as any other error does.
 */
#include "compiler/emulation/machine.h"
#include "compiler/emulation/unit.h"

#include <signal.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static const double standard_seconds = 60, tick_seconds = 0.05;
enum { TICKS_LEAST = 4 };

/* The machine whose launch runs in this host thread. */
static _Thread_local struct machine *volatile watched;

static const char *interrupted_at(const void *context)
{
    const ucontext_t *state = context;
#if defined(__x86_64__)
    return (const char *)state->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return (const char *)state->uc_mcontext.pc;
#else
    (void)state;
    return NULL; /* there only primitives end a block */
#endif
}

void machine_expire(struct thread *thread)
{
    machine_fail(thread, EMULATION_endless, thread->place, "the block has run for %.3g s",
                 thread->machine->watch.seconds);
}

/* Runs on the stack of the thread that it interrupts. */
static void tick(int signal, siginfo_t *info, void *context)
{
    struct machine *machine = watched;
    const char *at = interrupted_at(context);
    (void)signal;
    (void)info;
    if (!machine || ++machine->watch.ticks < machine->watch.most)
        return;
    machine->watch.expired = 1;
    if (at >= machine->watch.code && at < machine->watch.code_end)
        machine_expire(this_thread());
}

/* Not blocked while it is handled: the handler may never return. */
static void handle_ticks(void)
{
    struct sigaction action = {.sa_sigaction = tick,
                               .sa_flags = SA_SIGINFO | SA_RESTART | SA_NODEFER};
    sigaction(SIGVTALRM, &action, NULL);
}

static struct timespec duration(double seconds)
{
    time_t whole = (time_t)seconds;
    return (struct timespec){whole, (long)((seconds - (double)whole) * 1e9)};
}

void watch_begin(struct machine *machine, const struct emulation_unit *unit)
{
    struct watch *watch = &machine->watch;
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGVTALRM};
    double seconds = machine->options->seconds > 0 ? machine->options->seconds : standard_seconds;
    double tick_time = seconds < TICKS_LEAST * tick_seconds ? seconds / TICKS_LEAST : tick_seconds;
    struct itimerspec times = {duration(tick_time), duration(tick_time)};
    *watch = (struct watch){.seconds = seconds, .most = (int)(seconds / tick_time)};
    emulation_unit_code(unit, &watch->code, &watch->code_end);
    handle_ticks();
    event.sigev_notify_thread_id = gettid();
    watch->set = timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &watch->timer) == 0;
    watched = machine;
    if (watch->set)
        timer_settime(watch->timer, 0, &times, NULL);
}

void watch_end(struct machine *machine)
{
    watched = NULL;
    if (machine->watch.set)
        timer_delete(machine->watch.timer);
    machine->watch.set = false;
}
