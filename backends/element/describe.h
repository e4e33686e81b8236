/* What the backends say of a kernel in front of its text. */
#ifndef SINTER_BACKENDS_ELEMENT_DESCRIBE_H
#define SINTER_BACKENDS_ELEMENT_DESCRIBE_H

#include "backends/element/value.h"

/* Whether the live-outs have no elements: such a kernel does nothing. */
bool kernel_is_empty(struct generator *g);

/* A comment: skeleton, part of the model, cost, and the nodes with their lines in its source. */
const char *kernel_comment(struct generator *g);

#endif
