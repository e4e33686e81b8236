/*
 * What stands in a cubin about one kernel, read without a disassembler. A cubin is an ELF file:
 * `.text.NAME` holds instructions of 16 bytes, `.nv.info` attributes of kernels by symbol,
 * `.nv.shared.NAME` static shared memory. NVRTC 12 and 13 differ in the header. Bytes may come
 * from a cache, so every length is checked.
 */
#ifndef SINTER_TOOLCHAIN_CUBIN_H
#define SINTER_TOOLCHAIN_CUBIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Instructions that are counted; see cubin_instructions.def. */
enum cubin_instruction {
#define INSTRUCTION(name, ...) CUBIN_##name,
#include "compiler/toolchain/cubin_instructions.def"
    CUBIN_INSTRUCTIONS
};

struct cubin_facts {
    unsigned sm;   /* 80, 90 */
    unsigned cuda; /* version that made it, as the driver counts: 13000 */
    unsigned driver; /* oldest driver that loads it: 580, 525 */
    int registers, frame;  /* of a thread; frame: bytes of its stack */
    int64_t shared;        /* static shared memory of a block, with what the system takes */
    int64_t instructions;  /* those that can do something */
    int64_t counts[CUBIN_INSTRUCTIONS];
    int64_t spill_stores, spill_loads; /* bytes to and from the stack in the text */
};

const char *cubin_instruction_name(enum cubin_instruction instruction);

/* Reads the facts of kernel `name`; false if these bytes are no cubin that holds it. */
bool cubin_read(const void *bytes, size_t length, const char *name, struct cubin_facts *out);

/* The oldest driver for a CUDA version (13000: 580). */
unsigned cubin_driver(unsigned cuda);

/* What the maker of a kernel declared of it. */
struct cubin_limits {
    int registers;   /* at most */
    int64_t shared;  /* static and dynamic, at most; `dynamic` is what launches ask for */
    int64_t dynamic;
    int mma_count;   /* HMMA instructions exactly; -1: not known */
};

/* Why the kernel is to be rejected, NULL if it is not: spills, a stack frame, too many registers,
 * too much shared memory, another number of tensor-core instructions. */
const char *cubin_lint(const struct cubin_facts *facts, const struct cubin_limits *limits);

#endif
