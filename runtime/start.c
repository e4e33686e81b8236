/*
 * Where an executable begins. The system's start files are not needed: glibc since 2.34 runs
 * the initialisers itself. At the entry the stack pointer is at argc (System V ABI, AMD64
 * supplement, 3.4.1) and rdx holds what the loader wants called at exit.
 */
#include "runtime/main.h"
#include "runtime/program.h"

__asm__(".text\n"
        ".globl _start\n"
        ".type _start, @function\n"
        "_start:\n"
        "    xorl %ebp, %ebp\n"
        "    movq %rdx, %r9\n"        /* the loader's exit function */
        "    popq %rsi\n"             /* argc */
        "    movq %rsp, %rdx\n"       /* argv */
        "    andq $-16, %rsp\n"
        "    pushq %rax\n"            /* keeps the stack aligned for the last argument */
        "    pushq %rsp\n"            /* the end of the stack */
        "    xorl %r8d, %r8d\n"       /* no init and fini functions of the old protocol */
        "    xorl %ecx, %ecx\n"
        "    leaq main(%rip), %rdi\n"
        "    call *__libc_start_main@GOTPCREL(%rip)\n"
        "    hlt\n"
        ".size _start, . - _start\n");

int main(int argc, char **argv)
{
    return rt_main(argc, argv, &rt_program);
}
