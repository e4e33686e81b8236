/* See fiber.h. */
#include "compiler/emulation/fiber.h"

#include <stdint.h>

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

#ifdef SANITIZED
void __asan_unpoison_memory_region(const volatile void *address, size_t bytes);
#endif

/* An abandoned fiber leaves the marks of its frames. */
static void forget_frames(void *bottom, size_t bytes)
{
#ifdef SANITIZED
    __asan_unpoison_memory_region(bottom, bytes);
#else
    (void)bottom;
    (void)bytes;
#endif
}

#if SINTER_FAST_FIBERS

/* fiber_exchange(void **save, void *load): the registers that a callee keeps (System V ABI) go to
 * the stack, its address to *save; then the same from `load`. */
void fiber_exchange(void **save, void *load);
__asm__(".text\n"
        ".type fiber_exchange, @function\n"
        "fiber_exchange:\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    ret\n"
        ".size fiber_exchange, . - fiber_exchange\n");

enum { SAVED_REGISTERS = 6 };

void fiber_prepare(struct fiber *fiber, void *bottom, size_t bytes, void (*entry)(void))
{
    forget_frames(bottom, bytes);
    uintptr_t *stack = (uintptr_t *)((char *)bottom + bytes);
    *--stack = 0; /* in the place of a return address */
    *--stack = (uintptr_t)entry;
    for (int i = 0; i < SAVED_REGISTERS; i++)
        *--stack = 0;
    fiber->stack = stack;
}

void fiber_switch(struct fiber *from, struct fiber *to)
{
    fiber_exchange(&from->stack, to->stack);
}

#else

void fiber_prepare(struct fiber *fiber, void *bottom, size_t bytes, void (*entry)(void))
{
    forget_frames(bottom, bytes);
    getcontext(&fiber->context);
    fiber->context.uc_stack.ss_sp = bottom;
    fiber->context.uc_stack.ss_size = bytes;
    fiber->context.uc_link = NULL;
    makecontext(&fiber->context, entry, 0);
}

void fiber_switch(struct fiber *from, struct fiber *to)
{
    swapcontext(&from->context, &to->context);
}

#endif
