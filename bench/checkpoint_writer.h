/*
 * Writing a checkpoint of random weights as a Hugging Face directory holds it: safetensors
 * shards and their index. For benchmarks that need real files of real size; the values are those
 * of --init random with the same seed (runtime/philox.h).
 */
#ifndef SINTER_CHECKPOINT_WRITER_H
#define SINTER_CHECKPOINT_WRITER_H

#include "runtime/program.h"
#include "runtime/status.h"

struct rt_pool;

/*
 * Writes the tensors (`name`, `dtype`, `rank`, `dims`, `initializer`, `constant` and `ordinal`
 * are given; `offset` and `bytes` are filled in) to the directory, a new shard before
 * the one that would pass shard_bytes. Fails with EXIT_FILE before anything is written if the
 * disk has too little room.
 */
rt_status checkpoint_write(const char *directory, struct rt_weight *tensors, rt_u32 count,
                           rt_u64 shard_bytes, rt_u64 seed, struct rt_pool *pool);

#endif
