/*
 * One kernel as text. Kernels of equal text are one function: names in the text are made from
 * positions, never from the model's names, so equal structure gives equal text.
 */
#ifndef SINTER_BACKENDS_C_KERNEL_H
#define SINTER_BACKENDS_C_KERNEL_H

#include "backends/element/value.h"

struct kernel_text {
    const char *comment; /* of this use: IR lines, source, cost */
    const char *body;    /* from "(void *const *operands, ..." to the last brace */
    const struct value **operands;
    size_t operand_count;
};

struct kernel_text kernel_print(struct arena *arena, const struct module *module,
                                const struct target *target, const struct function *function,
                                const struct kernel *kernel);

#endif
