/*
 * The order of training samples as a pure function of (seed, epoch, position): nothing to store,
 * nothing to replay when a run is resumed, the same on every machine.
 */
#ifndef SINTER_SHUFFLE_H
#define SINTER_SHUFFLE_H

#include "runtime/program.h"

/* The sample at `position` (0 .. count - 1, count >= 1) of an epoch: a permutation. */
rt_i64 rt_shuffled(rt_u64 seed, rt_i64 epoch, rt_i64 position, rt_i64 count);

#endif
