/* See device_emulated.h. One thread, and every launch is done when it returns. */
#include "compiler/emulation/device_emulated.h"

#include "compiler/emulation/product.h"
#include "runtime/device_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 256, REGIONS_MOST = 48 };

struct emulated_device {
    struct rt_host_device host;
    const struct emulated_program *offered;
    const struct rt_program *program;
    struct emulation *emulation;
    unsigned char **weights;
};

static struct emulated_program *programs;

void emulated_device_offer(struct emulated_program *offered)
{
    offered->next = programs;
    programs = offered;
}

void emulated_device_withdraw(struct emulated_program *offered)
{
    struct emulated_program **link = &programs;
    while (*link && *link != offered)
        link = &(*link)->next;
    if (*link)
        *link = offered->next;
}

static const struct emulated_program *find(const struct rt_program *program)
{
    const struct emulated_program *at = programs;
    while (at && at->program != program)
        at = at->next;
    return at;
}

static struct emulated_device *device_of(struct rt_device *device)
{
    return (struct emulated_device *)device;
}

/* --- opening --- */

static rt_status device_choose(const struct rt_program *first, const struct rt_program **chosen)
{
    char names[256];
    *chosen = first;
    while (*chosen && !find(*chosen))
        *chosen = (*chosen)->other;
    return *chosen ? 0
                   : rt_fail(DEVICE_NO_PROGRAM, rt_device_emulated.name,
                             rt_target_names(first, names, sizeof names), "cpu");
}

static rt_status device_open(struct rt_device **device, const struct rt_device_options *options)
{
    struct emulated_device *emulated = calloc(1, sizeof *emulated);
    (void)options;
    *device = NULL;
    if (!emulated)
        return rt_fail(OUT_OF_MEMORY, sizeof *emulated);
    emulated->host.base.table = &rt_device_emulated;
    emulated->emulation = emulation_create();
    *device = &emulated->host.base;
    return 0;
}

static void device_close(struct rt_device *device)
{
    struct emulated_device *emulated = device_of(device);
    for (rt_u32 i = 0; emulated->weights && i < emulated->program->weight_count; i++)
        free(emulated->weights[i]);
    emulation_destroy(emulated->emulation);
    free(emulated->weights);
    free(emulated->host.arena);
    rt_host_release(&emulated->host);
    free(emulated);
}

static void device_describe(struct rt_device *device, struct rt_device_facts *facts)
{
    const struct emulated_device *emulated = device_of(device);
    *facts = (struct rt_device_facts){0};
    snprintf(facts->name, sizeof facts->name, "%s", rt_device_emulated.name);
    if (emulated->program && emulated->program->gpu)
        facts->memory_bytes = emulated->program->gpu->memory_bytes;
}

/* --- memory --- */

static size_t aligned_bytes(rt_u64 bytes)
{
    return ((size_t)bytes + ALIGNMENT) / ALIGNMENT * ALIGNMENT;
}

/* A copy at an aligned address, with the padding that kernels want; files promise neither. */
static rt_status place_weight(struct emulated_device *emulated, rt_u32 number, const void *from)
{
    const struct rt_weight *weight = &emulated->program->weights[number];
    bool pads = weight->pitch != 0;
    rt_u64 rows = pads ? weight->rows : 1, bytes = pads ? weight->row_bytes : weight->bytes;
    rt_u64 pitch = pads ? weight->pitch : weight->bytes;
    unsigned char *to = aligned_alloc(ALIGNMENT, aligned_bytes(rows * pitch));
    if (!to)
        return rt_fail(OUT_OF_MEMORY, aligned_bytes(rows * pitch));
    emulated->weights[number] = to;
    memset(to, 0, (size_t)(rows * pitch));
    for (rt_u64 row = 0; row < rows; row++)
        memcpy(to + row * pitch, (const char *)from + row * bytes, (size_t)bytes);
    return 0;
}

static rt_status device_bind(struct rt_device *device, const struct rt_program *program,
                             const void *const *weights)
{
    struct emulated_device *emulated = device_of(device);
    size_t bytes = aligned_bytes(program->arena_bytes);
    emulated->program = program;
    emulated->offered = find(program);
    if (!emulated->offered)
        return rt_fail(INTERNAL, "a program without kernels for the emulation", program->model);
    emulated->host.arena = aligned_alloc(ALIGNMENT, bytes);
    emulated->weights = calloc(program->weight_count + 1, sizeof *emulated->weights);
    if (!emulated->host.arena || !emulated->weights)
        return rt_fail(OUT_OF_MEMORY, bytes);
    memset(emulated->host.arena, 0, bytes);
    rt_status status = rt_host_reserve(&emulated->host, program);
    for (rt_u32 i = 0; i < program->weight_count && !status; i++)
        status = place_weight(emulated, i, weights[i]);
    return status;
}

/* --- launches --- */

/* An operand, and the memory that the kernel may use by it: operands have no sizes, so it is the
 * whole arena, or the whole weight or constant. */
static void *resolve(const struct emulated_device *emulated, const struct rt_operand *operand,
                     struct emulation_region *region)
{
    const struct rt_program *program = emulated->program;
    rt_u64 offset = operand->offset;
    *region = (struct emulation_region){.base = emulated->host.arena,
                                        .bytes = (size_t)program->arena_bytes,
                                        .written = true,
                                        .element = 1};
    switch (operand->space) {
    case RT_SPACE_ARENA: return emulated->host.arena + offset;
    case RT_SPACE_WORKSPACE: return emulated->host.arena + program->workspace_offset + offset;
    case RT_SPACE_COUNTERS: return emulated->host.arena + program->counters_offset + offset;
    case RT_SPACE_WEIGHT: {
        const struct rt_weight *weight = &program->weights[operand->index];
        region->base = emulated->weights[operand->index];
        region->bytes = (size_t)(weight->pitch ? weight->rows * weight->pitch : weight->bytes);
        break;
    }
    default:
        region->base = (void *)(uintptr_t)program->constants[operand->index].bytes;
        region->bytes = (size_t)program->constants[operand->index].size;
        break;
    }
    region->written = false;
    return (char *)region->base + offset;
}

static rt_status run_step(struct emulated_device *emulated, const struct rt_function *function,
                          const struct rt_step *step)
{
    const struct rt_launch *launch = &emulated->program->launches[step->launch];
    const struct emulation_options *options = &emulated->offered->options;
    struct emulation_region regions[REGIONS_MOST];
    struct emulation_report report;
    void *operands[REGIONS_MOST];
    if (step->operand_count > REGIONS_MOST)
        return rt_fail(INTERNAL, "a kernel with too many operands", launch->symbol);
    for (rt_u32 i = 0; i < step->operand_count; i++)
        operands[i] =
            resolve(emulated, &function->operands[step->first_operand + i], &regions[i]);
    struct emulation_launch run = {.kernel = launch->symbol,
                                   .blocks = (int)launch->blocks,
                                   .threads = (int)launch->threads,
                                   .shared = launch->shared,
                                   .operands = operands,
                                   .regions = regions,
                                   .region_count = step->operand_count};
    if (launch->product)
        emulation_product(launch->product, &run, &report);
    else
        emulation_run(emulated->emulation, emulated->offered->unit, &run, options, &report);
    return report.error ? rt_fail(INTERNAL, "an emulated kernel failed", report.text) : 0;
}

static rt_status device_launch(struct rt_device *device, rt_u32 index)
{
    struct emulated_device *emulated = device_of(device);
    const struct rt_function *function = &emulated->program->functions[index];
    rt_status status = 0;
    for (rt_u32 i = 0; i < function->step_count && !status; i++)
        status = run_step(emulated, function, &function->steps[i]);
    return status;
}

static rt_status device_run_step(struct rt_device *device, rt_u32 function, rt_u32 step)
{
    struct emulated_device *emulated = device_of(device);
    const struct rt_function *of = &emulated->program->functions[function];
    return run_step(emulated, of, &of->steps[step]);
}

static void device_run(struct rt_device *device, rt_kernel *kernel, void *const *operands,
                       rt_i64 tiles)
{
    (void)device;
    kernel(operands, 0, tiles);
}

const struct rt_device_table rt_device_emulated = {
    .name = "emulated",
    .choose = device_choose,
    .open = device_open,
    .close = device_close,
    .describe = device_describe,
    .bind = device_bind,
    .launch = device_launch,
    .run_step = device_run_step,
    .run = device_run,
    RT_HOST_ENTRIES,
};
