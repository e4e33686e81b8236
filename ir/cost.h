/* Floating-point operations and bytes of nodes and kernels. */
#ifndef SINTER_COST_H
#define SINTER_COST_H

#include "ir/ir.h"

struct cost {
    double flops; /* a multiply-add counts 2 */
    double bytes; /* compulsory traffic: each operand from outside read once, live-outs written */
};

struct cost node_cost(const struct node *node);
/* Of a kernel: flops of its nodes; bytes of what enters and leaves it. */
struct cost kernel_cost(const struct function *function, const struct kernel *kernel);

/* Of the bytes of kernel_cost, those that are beyond a cache which keeps values of up to `near`
 * bytes from one kernel to the next: weights, states and larger values. */
double kernel_far_bytes(const struct function *function, const struct kernel *kernel, double near);

#endif
