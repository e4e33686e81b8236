/*
 * Threads of execution that change only when asked to. A switch saves what a call would leave
 * untouched and goes on where the other fiber stopped: 13 instructions on 64-bit x86, ucontext
 * elsewhere or with SINTER_PORTABLE_FIBERS.
 */
#ifndef SINTER_EMULATION_FIBER_H
#define SINTER_EMULATION_FIBER_H

#include <stddef.h>

#if defined(__x86_64__) && !defined(SINTER_PORTABLE_FIBERS)
#define SINTER_FAST_FIBERS 1
struct fiber {
    void *stack; /* where the saved registers lie */
};
#else
#define SINTER_FAST_FIBERS 0
#include <ucontext.h>
struct fiber {
    ucontext_t context;
};
#endif

/* Makes a fiber that will call entry(), which never returns, on the stack of `bytes` bytes at
 * `bottom`; bottom + bytes is a multiple of 16. What an abandoned fiber had there is lost. */
void fiber_prepare(struct fiber *fiber, void *bottom, size_t bytes, void (*entry)(void));

/* Stops here, as `from`, and goes on in `to`. */
void fiber_switch(struct fiber *from, struct fiber *to);

#endif
