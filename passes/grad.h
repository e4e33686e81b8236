/* Shared by grad.c and grad_ops.c: the reverse sweep over one function. */
#ifndef SINTER_GRAD_H
#define SINTER_GRAD_H

#include "ir/build.h"

struct gradient {
    struct builder b;       /* location and scope: of the node that is differentiated */
    struct value **adjoint; /* by id of a value of the forward body: d loss / d value, or NULL */
    bool *wanted;           /* by id: a float that depends on a trained weight */
    uint32_t count;         /* of ids in both */
};

/* The gradient with respect to operand i of a node is needed. */
bool gradient_wanted(const struct gradient *g, const struct node *node, int i);

/* Adds a contribution, of the operand's dims, to the adjoint of operand i of a node. */
void gradient_add(struct gradient *g, const struct node *node, int i, struct value *part);

/* The sum over all axes where `dims` has 1 (rank 0: over all), in the shape of `type`. */
struct value *gradient_reduce_to(struct gradient *g, struct value *value, const struct type *type);

/* Marks the floats of the function's body that depend on what is wanted. */
void gradient_find_wanted(struct gradient *g);

/* The sweep over the first `forward` nodes of the function, from adjoints that are set. */
void gradient_sweep(struct gradient *g, size_t forward);

/* gradient_NAME of every OP row: adds to the adjoints of the operands that are wanted. dy is the
 * adjoint of the first result. */
#define OP(name, ...) \
    void gradient_##name(struct gradient *g, const struct node *node, struct value *dy);
#include "ir/ops.def"

#endif
