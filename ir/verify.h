/* Shared by verify*.c: where a check stands and how it reports. */
#ifndef SINTER_VERIFY_H
#define SINTER_VERIFY_H

#include "ir/ir.h"

struct verifier {
    const struct module *module;
    const struct function *function; /* NULL for leaves */
    const char *after;               /* the pass */
    bool user_text;
    bool *defined;       /* by value id: stands before the current node */
    struct arena *arena; /* of this check */
};

/* Fatal: the rule that a value (NULL: the function) breaks. */
_Noreturn void verify_fail(const struct verifier *v, const struct value *value, const char *rule);

/* verify_kernel.c: kernels of a function, and what places its values may have. */
void verify_kernels(const struct verifier *v);
void verify_places(const struct verifier *v);

#endif
