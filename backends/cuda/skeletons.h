/*
 * The skeletons of the CUDA backend: each prints the body of one kernel into scope 0 of a
 * generator, the body of one thread. What may stand in a kernel of each: ir/skeletons.def.
 */
#ifndef SINTER_BACKENDS_CUDA_SKELETONS_H
#define SINTER_BACKENDS_CUDA_SKELETONS_H

#include "backends/cuda/kernel.h"
#include "backends/cuda/nest.h"
#include "backends/element/parts.h"

#define CUDA_SKELETON_C(name)
#define CUDA_SKELETON_BOTH(name) void cuda_emit_##name(struct generator *g);
#define CUDA_SKELETON_CUDA(name) CUDA_SKELETON_BOTH(name)
#define SKELETON(name, anchor, where, ...) CUDA_SKELETON_##where(name)
#include "ir/skeletons.def"

#endif
