/*
 * Measured times of candidates: the files backends/cuda/tune/NAME.tbl, which travel in the
 * compiler. A row of a file, after lines of '#':
 *
 *     KEY NAME=VALUE ... us=TIME
 *
 * KEY is kernel_key (ir/signature.h) in 16 hexadecimal digits, NAME an attribute of the kernel,
 * absent if it has its default, TIME microseconds; attributes that follow from the candidate's
 * count for nothing. What is not such a row is passed over.
 */
#ifndef SINTER_TILE_TUNING_H
#define SINTER_TILE_TUNING_H

#include "ir/gpu.h"
#include "passes/tile_gpu.h"

/* The table that travels for a GPU. */
struct tile_tuning tile_tuning_of(const struct gpu *gpu);

/* Replaces predicted times of the candidates of kernel `key` by measured ones, and scales the
 * others by what the best measured one was off. */
void tile_tune(struct tile_tuning tuning, uint64_t key, struct tile_list *list);

#endif
