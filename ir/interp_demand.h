/* Shared by interp_element*.c: one element at a time, with a memory of what was computed. */
#ifndef SINTER_INTERP_DEMAND_H
#define SINTER_INTERP_DEMAND_H

#include "ir/interp_internal.h"

struct memo {
    struct memo_entry *entries;
    size_t count, capacity; /* a power of two */
};

struct demand {
    struct module *module;
    enum interp_mode mode;
    interp_provide *provide;
    void *context;
    struct memo memo;
    int depth;
};

/* Element `index` of a value; of operand i of a node. */
double demand(struct demand *d, const struct value *value, int64_t index);
#define demand_operand(d, node, i, index) demand((d), (node)->operands[i], (index))

/* element_NAME of every OP row: element `index` of result `result`, not yet rounded. */
#define OP(name, ...) \
    double element_##name(struct demand *d, const struct node *node, int result, int64_t index);
#include "ir/ops.def"

/* A flat row-major index over dims, split and joined. */
void split_index(const struct type *type, int64_t flat, int64_t *out_index);
int64_t join_index(const struct type *type, const int64_t *index);

#endif
