/* See gpu.h. */
#include "ir/gpu.h"

#include <string.h>

static const char *const family_names[] = {
#define GPU(...)
#define FAMILY(name, ...) #name,
#include "ir/gpus.def"
};

static const struct gpu_rate ampere[] = {
#define GPU(...)
#define FAMILY(name, peak, attainable, ...) {peak, attainable},
#include "ir/gpus.def"
};

static const struct gpu_rate hopper[] = {
#define GPU(...)
#define FAMILY(name, ampere_peak, ampere_attainable, peak, attainable) {peak, attainable},
#include "ir/gpus.def"
};

static const struct gpu rows[] = {
#define GPU(name, aliases, architecture, generation, ...) \
    {name, aliases, architecture, generation, __VA_ARGS__},
#include "ir/gpus.def"
};

const struct gpu *gpu_row(size_t index)
{
    return index < sizeof rows / sizeof *rows ? &rows[index] : NULL;
}

static bool has_word(const char *words, const char *name)
{
    size_t length = strlen(name);
    const char *at = length ? strstr(words, name) : NULL;
    return at && (at == words || at[-1] == ' ') && (at[length] == ' ' || !at[length]);
}

const struct gpu *gpu_find(const char *name)
{
    const struct gpu *row;
    for (size_t i = 0; (row = gpu_row(i)); i++)
        if (strcmp(row->name, name) == 0 || has_word(row->aliases, name))
            return row;
    return NULL;
}

const char *gpu_family_name(enum gpu_family family)
{
    return family_names[family];
}

static int at_most(int a, int64_t b)
{
    return b < a ? (int)b : a;
}

/* Registers are given to warps in units of 256, at least 8 a thread at a time. */
int gpu_residency(const struct gpu *gpu, const struct gpu_facts *facts, int threads)
{
    if (threads < 1 || threads > GPU_BLOCK_THREADS || facts->shared_bytes > gpu->shared_block)
        return 0;
    int warps = (threads + GPU_WARP - 1) / GPU_WARP;
    int registers = (at_most(facts->registers, GPU_THREAD_REGISTERS) + 7) / 8 * 8;
    int64_t shared = (facts->shared_bytes + GPU_SHARED_RESERVED + 127) / 128 * 128;
    int blocks = at_most(GPU_BLOCKS, GPU_THREADS / (warps * GPU_WARP));
    blocks = at_most(blocks, gpu->shared_multiprocessor / shared);
    if (registers > 0)
        blocks = at_most(blocks, GPU_REGISTERS / GPU_WARP / registers / warps);
    return blocks;
}
