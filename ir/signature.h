/* Which kernels are the same. */
#ifndef SINTER_SIGNATURE_H
#define SINTER_SIGNATURE_H

#include "ir/base/str.h"
#include "ir/ir.h"

/* A text that two kernels share if the same code computes both. */
struct str kernel_signature(struct arena *arena, const struct function *function,
                            const struct kernel *kernel);

/* As kernel_signature, with the values that the text speaks of, in its order: where two kernels
 * share the text, values at the same place of these lists serve the same end. */
struct signature {
    struct str text;
    const struct value *const *values;
    size_t count;
};
struct signature kernel_signature_values(struct arena *arena, const struct function *function,
                                         const struct kernel *kernel);

/* A number for what a kernel computes, whatever its attributes and wherever its values stand: the
 * same before tile and after plan. */
uint64_t kernel_key(struct arena *arena, const struct function *function,
                    const struct kernel *kernel);

#endif
