/*
 * The inside of an emulation: one block of threads at a time.
 *
 * There is one way to wait: at a gate, which keeps the lanes that wait there until it opens. The
 * collectives of a warp, the barriers of a block and the count of published results are gates
 * that the last arriver opens. Nobody ready and somebody waiting is a deadlock.
 */
#ifndef SINTER_EMULATION_MACHINE_H
#define SINTER_EMULATION_MACHINE_H

#ifndef SINTER_EMULATED
#define SINTER_EMULATED
#endif
#include "backends/cuda/lib/core.cuh"
#include "compiler/emulation/emulation.h"
#include "compiler/emulation/fiber.h"

#include <time.h>

enum {
    LANES = 32,
    WARPS = 32,    /* of a block, at most */
    BARRIERS = 16, /* of a block; number 0 is the block's */
    WINDOW = 256 * 1024,
    TILE_PIECES = 64, /* 16 x 8 products along a side of a warp's tile, at most */
};

struct machine;

struct place { /* in the kernel's text */
    enum emulated_primitive primitive;
    int line;
};

struct gate {
    rt_u32 waiting[WARPS]; /* lanes */
};

struct barrier {
    struct gate gate;
    int arrived, expected;
    struct place place; /* of the first arrival */
};

struct warp {
    rt_u32 ready;       /* lanes that can go on */
    int arrived;        /* at the collective */
    struct place place; /* of its first arrival */
    int first;          /* the lane that arrived first */
    struct gate gate;
    void *lanes[LANES]; /* what each lane gives */
    /* For races, as vector clocks of warps: events before known[w] of warp w have happened before
     * what this warp does now. `clock` grows at each barrier. */
    rt_u32 clock, known[WARPS];
};

struct copy {
    rt_u32 to;
    int bytes, valid;
    const void *from;
    int group, line;
};

struct copies {
    struct copy *items; /* oldest first */
    size_t count, capacity;
    int group; /* that the next copy belongs to */
};

/* At the end of the thread's stack. */
struct thread {
    struct fiber fiber;
    struct machine *machine;
    struct warp *warp;
    int lane;
    bool finished;
    struct place place; /* its last primitive: where it waits; line 0 before the first */
    struct copies copies;
    struct emulated_self self; /* last */
};

struct published {
    float *to;
    float value;
};

struct stores { /* published; those of this block since `begin` */
    struct published *items;
    size_t count, capacity, begin;
};

struct counter { /* on which blocks count */
    rt_i32 *at;
    rt_u32 arrived; /* the last block that counted, by serial number */
    rt_u32 last;    /* the one that completed it; 0 before */
};

struct counters { /* of the launch */
    struct counter *items;
    size_t count, capacity;
};

struct arrival { /* of a block at a counter, by its number */
    rt_u32 serial, counter;
};

struct arrivals { /* of the launch; with shadow memory */
    struct arrival *items;
    size_t count, capacity;
};

struct order { /* an answer of publish_orders, as long as nobody arrives */
    rt_u32 earlier, later;
    size_t arrivals;
    bool ordered;
};
enum { ORDERS = 8 };

/* The time that blocks take. */
struct watch {
    double seconds; /* that a block may take */
    int most;       /* ticks in them */
    volatile int ticks, expired; /* of this block, by a signal; it has had them all */
    const char *code, *code_end;          /* of the kernels */
    bool set;
    timer_t timer;
};

struct machine {
    const struct emulation_launch *launch;
    const struct emulation_options *options;
    struct emulation_report *report;
    void (*entry)(void *const *operands);
    struct fiber host;
    char *stacks;     /* of 1024 threads */
    char *shared;     /* WINDOW bytes */
    int warp_count;
    int unfinished;   /* threads of the block */
    rt_u32 ready;     /* warps with ready lanes */
    rt_u32 serial;    /* number of the block among all that this machine has run */
    rt_u32 first_serial; /* of the launch */
    struct warp warps[WARPS];
    struct barrier barriers[BARRIERS];
    struct stores stores;
    struct counters counters;
    struct arrivals arrivals;
    struct order orders[ORDERS];
    rt_i32 *publish_counter; /* of the call in progress */
    int publish_expected, publish_result;
    struct shadow *shadow;
    struct conflicts *conflicts;
    struct watch watch;
};

static inline struct thread *thread_of(const struct machine *machine, int index)
{
    return (struct thread *)(machine->stacks + (size_t)(index + 1) * EMULATED_STACK) - 1;
}

/* The running thread. */
static inline struct thread *this_thread(void)
{
    return (struct thread *)(emulated_self() + 1) - 1;
}

/* --- watch.c --- */

/* Watches the blocks of a launch, in the calling thread. */
void watch_begin(struct machine *machine, const struct emulation_unit *unit);
void watch_end(struct machine *machine);

/* Ends the launch: the block of this thread has had its time. */
_Noreturn void machine_expire(struct thread *thread);

/* The running thread, which uses a primitive: every call of a kernel begins so. */
static inline struct thread *enter_primitive(enum emulated_primitive primitive, int line)
{
    struct thread *thread = this_thread();
    thread->place = (struct place){primitive, line};
    if (thread->machine->watch.expired)
        machine_expire(thread);
    return thread;
}

/* --- schedule.c --- */

/* The running thread waits at a gate, and others run. */
void machine_wait(struct thread *thread, struct gate *gate, struct place place);
void machine_open(struct machine *machine, struct gate *gate);

/* Lets all that can run go first: the order of the schedule begins anew. */
void machine_restart(struct thread *thread);

/* Runs one block. Returns false if it ended with an error. */
bool machine_run_block(struct machine *machine, int block);

/* Ends the launch with an error of the running thread. */
_Noreturn void machine_fail(struct thread *thread, enum emulation_error error, struct place place,
                            const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Without a running thread. */
void machine_report(struct machine *machine, enum emulation_error error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

const char *machine_primitive(enum emulated_primitive primitive);

/* "threads 0-31 wait at line 7 (block_barrier)..." */
void machine_describe_waits(const struct machine *machine, char *text, size_t size);

/* --- what kernels call --- */

extern const struct emulated_calls machine_calls;

void call_collective(enum emulated_primitive primitive, int line, void *lane);
void call_barrier(enum emulated_primitive primitive, int line, int id, int threads);
void call_global(enum emulated_primitive primitive, int line, const void *address, int bytes);
void call_shared(enum emulated_primitive primitive, int line, shared_t address, int bytes);
void call_misaligned(enum emulated_primitive primitive, int line, const void *address, int bytes);
void call_copy(int line, shared_t to, const void *from, int bytes, int valid);
void call_copy_commit(int line);
void call_copy_wait(int line, int pending);
void call_publish(int line, float *to, const float *from, int count);
int call_publish_last(int line, rt_i32 *counter, int expected);

/* Computes a matrix product for the whole warp. Returns whether a TF32 operand was unrounded. */
bool tile_multiply(enum emulated_primitive primitive, void *const *lanes);

/* copy.c, publish.c */
void copies_clear(struct copies *copies);
void publish_begin_launch(struct machine *machine);
void publish_begin_block(struct machine *machine);
void publish_end_launch(struct machine *machine); /* without an error */
/* Whether all that block `earlier` did before it counted is behind what the present block does:
 * this one came last on that counter, or on one of a chain of counters from there. */
bool publish_orders(struct machine *machine, rt_u32 earlier);

/* Makes room for one more item of an array that grows. Fatal without memory. */
void *machine_grow(void *items, size_t count, size_t *capacity, size_t size);

/* The arrival of one thread at a barrier; the last one passes it on by opening the gate. Returns
 * whether the caller is the last: then it must call barrier_pass. */
bool barrier_arrive(struct thread *thread, struct barrier *barrier, struct place place,
                    int expected);
void barrier_pass(struct thread *thread, struct barrier *barrier);

#endif
