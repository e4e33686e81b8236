/* The C backend: planned IR to C17 without headers. */
#ifndef SINTER_BACKENDS_C_EMIT_H
#define SINTER_BACKENDS_C_EMIT_H

#include "backends/program.h"
#include "ir/target.h"

/* What the program's table says beside the module. Texts may hold any bytes. */
struct emit_options {
    struct program_facts facts;
    const struct target *target;
    int units; /* translation units to spread the kernels over; at least 1 */
};

struct emit_text {
    const char *text;
    size_t length;
};

struct emit_result {
    struct emit_text *units; /* the last one defines rt_program */
    int count;
    int kernels; /* distinct ones */
};

/*
 * Prints a planned module. The same module and options give the same bytes. Each unit is whole:
 * the program table's types, the device library, kernels. With one unit kernels are static;
 * with several they are hidden symbols. To be compiled for target->level with target->extra
 * features, target->tune, -O3, -fno-math-errno and -ffp-contract=on: "on" and not "fast", so
 * that what is contracted is decided by the text and not by how a loop was vectorised.
 */
struct emit_result backend_c_emit(struct module *planned, const struct emit_options *options);

#endif
