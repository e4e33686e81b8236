/* See memory.h. */
#include "compiler/memory.h"

#include "ir/gpu.h"
#include "passes/lifetimes.h"

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void count_exchange(const struct function *function, struct memory *memory)
{
    for (size_t k = 0; k < function->kernels.count; k++) {
        const struct attributes *a = &function->kernels.items[k]->attributes;
        uint64_t bytes = (uint64_t)attributes_int(a, ATTRIBUTE_workspace);
        uint64_t counters = 4 * (uint64_t)attributes_int(a, ATTRIBUTE_counters);
        memory->workspace = larger(memory->workspace, bytes);
        memory->counters = larger(memory->counters, counters);
    }
}

struct memory memory_count(const struct module *module)
{
    struct memory memory = {.states = module->state_bytes, .arena = module->arena_bytes};
    for (size_t i = 0; i < module->weights.count; i++)
        memory.weights += type_storage_bytes(&module->weights.items[i]->results[0].type);
    for (size_t i = 0; i < module->blobs.count; i++)
        memory.constants += module->blobs.items[i].size;
    for (size_t f = 0; f < module->functions.count; f++) {
        for (size_t i = 0; i < module->functions.items[f]->params.count; i++)
            memory.inputs += arena_round(
                type_bytes(&module->functions.items[f]->params.items[i]->results[0].type));
        count_exchange(module->functions.items[f], &memory);
    }
    memory.scratch = memory.arena - memory.states - memory.inputs;
    memory.device = memory.weights + memory.constants + memory.arena + memory.workspace +
                    memory.counters;
    return memory;
}

void memory_warn(const struct module *planned, const struct target *target)
{
    if (!target->gpu)
        return;
    double needed = (double)memory_count(planned).device;
    if (needed > target->gpu->memory_bytes)
        warn(MEMORY_EXCEEDED, needed / 1e9, target->name, target->gpu->memory_bytes / 1e9);
}
