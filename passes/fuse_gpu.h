/* What only kernels of GPUs hold: the third step of fuse's grouping. */
#ifndef SINTER_FUSE_GPU_H
#define SINTER_FUSE_GPU_H

#include "passes/fuse_groups.h"

/*
 * Products of one left operand become segments of one kernel; updates whose rows an epilogue
 * computes join it; what computes the left operand of products of few rows becomes their
 * prologue; small loops beside each other become one.
 */
void merge_for_gpu(struct groups *groups);

/* Whether a value that only exists in halves (fuse_pairs.h) would have to leave its kernel. */
bool leaves_in_halves(struct groups *groups);

#endif
