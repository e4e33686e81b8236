/*
 * What the skeletons of all backends share: the parts of a kernel, and how its loop variables
 * become indices.
 */
#ifndef SINTER_BACKENDS_ELEMENT_PARTS_H
#define SINTER_BACKENDS_ELEMENT_PARTS_H

#include "backends/element/value.h"

/* The nodes of the kernel, in order. */
struct node_list {
    struct node **items;
    int count;
};
struct node_list kernel_nodes(struct generator *g);
struct node *kernel_anchor(struct generator *g, enum op op); /* fatal if it is missing */

/* Live-outs of the kernel, in order of their nodes. */
struct value_list {
    const struct value **items;
    int count;
};
struct value_list kernel_live_outs(struct generator *g);

/* Live-outs of one extent: a first variable over all their elements, and all of them computed and
 * then stored where the variables stand. */
void live_outs_variable(struct generator *g);
void live_outs_store(struct generator *g);

/* Attribute of the kernel. */
#define kernel_int(g, name) attributes_int(&(g)->kernel->attributes, ATTRIBUTE_##name)

/* Opens variables `from`..`to`-1 as digits of the running number `number` (row-major): lines in
 * the innermost scope. */
void emit_digits(struct generator *g, int from, int to, const char *number);

/* Runs `attempt` until no variable wants to be split; `prepare` makes the first variables. */
void emit_attempts(struct generator *g, void (*prepare)(struct generator *g),
                   void (*attempt)(struct generator *g));

/* Sum of open variables times their row-major strides: all variables of a role (-1: all). */
struct index linear_index(struct generator *g, int role);

#endif
