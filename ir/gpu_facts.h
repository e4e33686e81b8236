/* What a kernel asks of its GPU, whatever its skeleton. */
#ifndef SINTER_GPU_FACTS_H
#define SINTER_GPU_FACTS_H

#include "ir/gpu.h"
#include "ir/ir.h"

/* By the owner of the skeleton; zeros of a kernel that a library computes. False if the kernel's
 * attributes make no kernel. */
bool gpu_facts(const struct function *function, const struct kernel *kernel,
               struct gpu_facts *out);

/* Bytes and counters through which its blocks hand over partial results; 0 where they do not,
 * and of a library's kernels, which take what their GPU's row of gpus.def says. */
void gpu_workspace(const struct function *function, const struct kernel *kernel,
                   int64_t *out_bytes, int64_t *out_counters);

/* Blocks of the grid as they follow from the other attributes; 0 where any number will do. */
int64_t gpu_blocks(const struct function *function, const struct kernel *kernel);

#endif
