/* The functions that turn logits into tokens; the same IR for every device. */
#ifndef SINTER_SAMPLING_H
#define SINTER_SAMPLING_H

#include "ir/ir.h"

/*
 * Adds the functions `greedy` and `sample` (ports: runtime/roles.h) over the states logits
 * f32[B,V], seen bool[B,V] and pos i32[B].
 */
void add_sampling_functions(struct module *module, struct value *logits, struct value *seen,
                            struct value *pos);

#endif
