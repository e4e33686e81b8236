/* The skeletons of the C backend: each prints the body of one kernel into scope 0 of a
 * generator. What may stand in a kernel of each: ir/skeletons.def. */
#ifndef SINTER_BACKENDS_C_SKELETONS_H
#define SINTER_BACKENDS_C_SKELETONS_H

#include "backends/c/value.h"

#define SKELETON(name, ...) void emit_##name(struct generator *g);
#include "ir/skeletons.def"

/* Stands before a loop that is to become vector code. Without the second part short loops of
 * known length are unrolled before the vectoriser sees them. */
#define VECTOR_LOOP "#pragma clang loop vectorize(assume_safety) unroll(disable)"

/* Shared helpers (skeleton.c). */

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

/* Attribute of the kernel. */
#define kernel_int(g, name) attributes_int(&(g)->kernel->attributes, ATTRIBUTE_##name)

/* Lines "const rt_i64 first = ..., last = ...;" that give tiles begin..end-1 their share of
 * `count` blocks. */
void emit_share(struct generator *g, int64_t count);

/* Opens variables `from`..`to`-1 as digits of the running number `number` (row-major): lines in
 * the innermost scope. */
void emit_digits(struct generator *g, int from, int to, const char *number);

/* Runs `attempt` until no variable wants to be split; `prepare` makes the first variables. */
void emit_attempts(struct generator *g, void (*prepare)(struct generator *g),
                   void (*attempt)(struct generator *g));

/* Sum of open variables times their row-major strides: all variables of a role (-1: all). */
struct index linear_index(struct generator *g, int role);

/* Loops over variables from..count-1 in order, the innermost vectorised, cut in pieces where
 * asked; calls `body` inside. */
void emit_nest(struct generator *g, int from, void (*body)(struct generator *g));

#endif
