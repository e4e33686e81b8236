/*
 * Groups of computed nodes: the kernels to be. fuse.c decides which nodes join; this file knows
 * what a group may hold and keeps the graph of groups free of cycles.
 */
#ifndef SINTER_FUSE_GROUPS_H
#define SINTER_FUSE_GROUPS_H

#include "passes/fuse_graph.h"

struct group {
    enum skeleton skeleton;
    struct node *anchor;  /* NULL for loop and rows */
    int products;         /* that share the anchor's left operand; 0 if it is none */
    struct type domain;   /* loop, rows: dims of the iteration; else of the anchor's result */
    unsigned reduced;     /* rows: bit k set if axis k is reduced */
    int first, last;      /* positions of its first and last node */
    int merged;           /* the group that took its nodes, -1 if it lives */
    unsigned mark;        /* of the search that saw it last */
    ARRAY_OF(int) nodes;  /* positions */
    ARRAY_OF(int) after;  /* groups that must run before, beyond the values needed */
};

struct groups {
    struct fuse_graph *graph;
    bool pairs; /* epilogues may join columns */
    ARRAY_OF(struct group) list;
    int *of; /* by position: its group, -1 */
    unsigned search;
};

struct groups groups_create(struct fuse_graph *graph, bool pairs);

/* The living group of a node or of a group number. */
int groups_of(struct groups *groups, int position);
int groups_find(struct groups *groups, int group);

/* A new group for one node, with the skeleton that its op asks for. */
int groups_add(struct groups *groups, int position);

/* Whether the group could compute `node` at its own indices, given every value of the group
 * that the node needs. */
bool groups_accept(struct groups *groups, int group, int position);

/* Whether `node` can join without a cycle: nothing else it needs comes after the group. */
bool groups_can_join(struct groups *groups, int group, int position);
void groups_join(struct groups *groups, int group, int position);

/* Merges group `from` into `into` if their kinds allow and no cycle arises. */
bool groups_merge(struct groups *groups, int into, int from);

/* The same for an effect that stores what the group computes. */
bool groups_merge_effect(struct groups *groups, int into, int from);

/* Whether it reduces few long rows on a GPU: what goes over these again is another group. */
bool groups_share_rows(const struct groups *groups, const struct group *group);

/* Whether it is built around products of one left operand. */
bool groups_is_product(const struct group *group);

/* Takes over all nodes of `from`, unconditionally. */
void groups_take(struct groups *groups, int into, int from);

/* Whether `group` runs after `target` by needs or by order. */
bool groups_depends(struct groups *groups, int group, int target);

#endif
