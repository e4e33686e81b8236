/* Decode attention in f32 (split_attention_scalar.c). */
#ifndef SINTER_BACKENDS_CUDA_SPLIT_ATTENTION_H
#define SINTER_BACKENDS_CUDA_SPLIT_ATTENTION_H

#include "backends/cuda/attention.h"

/* Prints the loop over the keys of begin..end-1 and leaves each warp's partial results in shared
 * memory: rows of result_pitch bytes, and their maximum and sum in "marks". */
void split_attention_scalar(struct generator *g, struct attention *a);

#endif
