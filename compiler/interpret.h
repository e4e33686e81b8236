/* The weights of a checkpoint in the interpreter. */
#ifndef SINTER_INTERPRET_H
#define SINTER_INTERPRET_H

#include "ir/interp.h"
#include "runtime/safetensors.h"

/* Sees the numbers of a tensor before they are bound, and may change them. */
typedef void interpret_change(void *context, const char *tensor, double *numbers, int64_t count);

/* Binds every weight of the module to its tensor, converted exactly. All must be in the checkpoint
 * in their sizes (bind_checkpoint). `change` may be NULL. */
void interpret_bind_weights(struct interp *interp, struct module *module,
                            const struct rt_checkpoint *checkpoint, interpret_change *change,
                            void *context);

#endif
