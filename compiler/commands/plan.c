/* `sinter plan`: the memory that a program will need, by class, before anything runs. */
#include "compiler/job.h"
#include "compiler/memory.h"
#include "ir/gpu.h"
#include "passes/lifetimes.h"
#include "runtime/json_write.h"

#include <stdio.h>

/* What a function's values would take side by side, and the most that is alive at once. */
static void function_memory(struct module *module, const struct function *function,
                            uint64_t *out_sum, uint64_t *out_alive)
{
    struct lifetimes lifetimes = find_lifetimes(module, function);
    *out_sum = *out_alive = 0;
    for (int kernel = 0; kernel < (int)function->kernels.count; kernel++) {
        uint64_t alive = 0;
        for (size_t i = 0; i < lifetimes.list.count; i++) {
            const struct lifetime *lifetime = &lifetimes.list.items[i];
            if (lifetime->first <= kernel && kernel <= lifetime->last)
                alive += lifetime->bytes;
        }
        *out_alive = alive > *out_alive ? alive : *out_alive;
    }
    for (size_t i = 0; i < lifetimes.list.count; i++)
        *out_sum += lifetimes.list.items[i].bytes;
}

static void print_bytes(const char *what, uint64_t bytes, const char *remark)
{
    printf("%-10s %12.3f MB  %s\n", what, (double)bytes / 1e6, remark);
}

static void print_device(const struct memory *memory, const struct gpu *gpu)
{
    print_bytes("constants", memory->constants, "copied to the device");
    print_bytes("workspace", memory->workspace, "parts of results, of the largest kernel");
    print_bytes("counters", memory->counters, "of finished blocks, of the largest kernel");
    print_bytes("device", memory->device,
                "weights + arena + constants + workspace + counters");
    printf("%-10s %11.1f %%   of the memory of %s\n", "",
           100 * (double)memory->device / gpu->memory_bytes, gpu->name);
}

static void print_plan(struct module *module, const struct memory *memory, const struct gpu *gpu)
{
    print_bytes("weights", memory->weights,
                gpu ? "copied to the device, rows on 16 bytes"
                    : "in the checkpoint's file, mapped, not copied");
    print_bytes("states", memory->states, "kept between calls: caches, parameters, moments");
    print_bytes("inputs", memory->inputs, "of all functions");
    print_bytes("scratch", memory->scratch, "of the largest function; the others overlay it");
    print_bytes("arena", memory->arena, "states + inputs + scratch, allocated once");
    if (gpu)
        print_device(memory, gpu);
    printf("\n%-16s %8s %14s %14s\n", "function", "kernels", "side by side", "alive at once");
    for (size_t f = 0; f < module->functions.count; f++) {
        const struct function *function = module->functions.items[f];
        uint64_t sum, alive;
        function_memory(module, function, &sum, &alive);
        printf("%-16s %8zu %11.3f MB %11.3f MB\n", function->name, function->kernels.count,
               (double)sum / 1e6, (double)alive / 1e6);
    }
}

static void write_function(struct rt_json_writer *json, struct module *module,
                           const struct function *function)
{
    uint64_t sum, alive;
    function_memory(module, function, &sum, &alive);
    rt_json_write_object(json, NULL);
    rt_json_write_text(json, "function", function->name);
    rt_json_write_unsigned(json, "kernels", function->kernels.count);
    rt_json_write_unsigned(json, "side_by_side", sum);
    rt_json_write_unsigned(json, "alive_at_once", alive);
    rt_json_write_end(json);
}

static void write_plan(struct module *module, const struct memory *memory, const struct gpu *gpu)
{
    struct rt_json_writer json;
    rt_json_write_open(&json, stdout, true);
    rt_json_write_object(&json, NULL);
    rt_json_write_unsigned(&json, "weights", memory->weights);
    rt_json_write_unsigned(&json, "states", memory->states);
    rt_json_write_unsigned(&json, "inputs", memory->inputs);
    rt_json_write_unsigned(&json, "scratch", memory->scratch);
    rt_json_write_unsigned(&json, "arena", memory->arena);
    if (gpu) {
        rt_json_write_unsigned(&json, "workspace", memory->workspace);
        rt_json_write_unsigned(&json, "counters", memory->counters);
        rt_json_write_unsigned(&json, "constants", memory->constants);
        rt_json_write_unsigned(&json, "device", memory->device);
    }
    rt_json_write_array(&json, "functions");
    for (size_t f = 0; f < module->functions.count; f++)
        write_function(&json, module, module->functions.items[f]);
    rt_json_write_end(&json);
    rt_json_write_end(&json);
}

int command_plan(const struct options *options)
{
    struct arena *arena = arena_create();
    struct job job = job_open(arena, options);
    job_run(&job);
    job_check_kernels(&job);
    memory_warn(job.module, job.pipeline.target);
    struct memory memory = memory_count(job.module);
    if (options->json)
        write_plan(job.module, &memory, job.pipeline.target->gpu);
    else
        print_plan(job.module, &memory, job.pipeline.target->gpu);
    arena_destroy(arena);
    return EXIT_OK;
}
