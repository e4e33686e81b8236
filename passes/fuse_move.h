/* Nodes that are better computed where they are read: the second half of fuse's grouping. */
#ifndef SINTER_FUSE_MOVE_H
#define SINTER_FUSE_MOVE_H

#include "passes/fuse_groups.h"

/*
 * Moves single nodes, and whole loops, into the one group that reads them, where that saves
 * writing a value and reading it back and repeats no work. Keeps the groups free of cycles, and
 * what reads a state where it is, since the state may be overwritten before the reader runs.
 */
void move_nodes_to_readers(struct groups *groups);

#endif
