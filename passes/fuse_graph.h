/*
 * The graph that fuse groups: which computed values a node needs, seen through the nodes that
 * cost nothing (index maps, sources, decoded weights, a little integer arithmetic), which are
 * not grouped but copied into each kernel that uses them.
 */
#ifndef SINTER_FUSE_GRAPH_H
#define SINTER_FUSE_GRAPH_H

#include "ir/ir.h"

/* How a node's elements find those of a value that it needs. Ordered: a path is as bad as its
 * worst step. */
enum access {
    ACCESS_SAME,   /* same index */
    ACCESS_FLAT,   /* same flat index: a reshape is on the way */
    ACCESS_ROW,    /* broadcast along axes of extent 1, ranks equal */
    ACCESS_ONCE,   /* each element at most once: slice, concat, pad, transpose */
    ACCESS_REPEAT, /* anything */
};

struct need {
    struct value *value; /* of a computed node, or a state */
    enum access access;
};

struct fuse_graph {
    struct module *module;
    struct function *function;
    bool gpu; /* a little arithmetic on computed values belongs to their kernel */
    struct node **nodes; /* of the function, in dependency order */
    int count;
    int *index;                     /* by node id: position in nodes, -1 for leaves */
    bool *cheap;                    /* by position */
    bool *memory;                   /* by position: a structured op reads it from memory */
    bool *twice;                    /* by position: reaches some value along several paths */
    ARRAY_OF(struct need) * needs;  /* by position: computed values; empty for cheap nodes */
    ARRAY_OF(struct need) * states; /* by position: states read */
};

struct fuse_graph fuse_graph_create(struct module *module, struct function *function, bool gpu);

/* The position of a value's node, -1 for a leaf. */
int fuse_position(const struct fuse_graph *graph, const struct value *value);

#endif
