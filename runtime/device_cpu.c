/*
 * The CPU as a device (device.h): the arena is anonymous memory of this process, weights are
 * used where they are mapped, and kernels run on the thread pool.
 */
#include "runtime/cpu_features.h"
#include "runtime/device_host.h"
#include "runtime/pool.h"
#include "runtime/process.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    HUGE_PAGE = 2 << 20,
    SMALL_STEP = 32 << 10, /* flops + bytes of a step that takes no longer than fork and join */
};

struct cpu {
    struct rt_host_device host;
    struct rt_pool *pool;
    bool caller_works;
    const struct rt_program *program;
    size_t arena_bytes;
    void **operands;         /* of all functions, one after the other */
    size_t *first_operand;   /* of each function */
};

static struct cpu *cpu_of(struct rt_device *device)
{
    return (struct cpu *)device;
}

static rt_status cpu_choose(const struct rt_program *first, const struct rt_program **chosen)
{
    char names[256];
    *chosen = rt_cpu_program(first);
    return *chosen ? rt_cpu_check((*chosen)->cpu_features)
                   : rt_fail(DEVICE_NO_PROGRAM, "cpu",
                             rt_target_names(first, names, sizeof names), "cpu");
}

static rt_status cpu_open(struct rt_device **device, const struct rt_device_options *options)
{
    struct cpu *cpu = calloc(1, sizeof *cpu);
    *device = NULL;
    if (!cpu)
        return rt_fail(OUT_OF_MEMORY, sizeof *cpu);
    cpu->host.base.table = &rt_device_cpu;
    cpu->caller_works = options->caller_works;
    rt_status status = rt_pool_open(&cpu->pool, options->threads, options->caller_works);
    if (status) {
        free(cpu);
        return status;
    }
    *device = &cpu->host.base;
    return 0;
}

static void cpu_close(struct rt_device *device)
{
    struct cpu *cpu = cpu_of(device);
    rt_pool_close(cpu->pool);
    if (cpu->host.arena)
        munmap(cpu->host.arena, cpu->arena_bytes);
    free(cpu->operands);
    free(cpu->first_operand);
    rt_host_release(&cpu->host);
    free(cpu);
}

static void cpu_describe(struct rt_device *device, struct rt_device_facts *facts)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    *facts = (struct rt_device_facts){.threads = rt_pool_threads(cpu_of(device)->pool)};
    snprintf(facts->name, sizeof facts->name, "%s", rt_device_cpu.name);
    facts->memory_bytes = pages > 0 && page > 0 ? (rt_u64)pages * (rt_u64)page : 0;
}

/* Zeroed pages; large ones come as huge pages where the system has them. */
static rt_status map_arena(struct cpu *cpu, rt_u64 bytes)
{
    cpu->arena_bytes = bytes > 0 ? (size_t)bytes : 1;
    void *arena = mmap(NULL, cpu->arena_bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (arena == MAP_FAILED)
        return rt_fail(ARENA_MEMORY, (unsigned long long)bytes, strerror(errno));
    if (cpu->arena_bytes >= HUGE_PAGE)
        madvise(arena, cpu->arena_bytes, MADV_HUGEPAGE); /* advice only: may fail */
    cpu->host.arena = arena;
    return 0;
}

static void *resolve(const struct cpu *cpu, const struct rt_operand *operand,
                     const void *const *weights)
{
    switch (operand->space) {
    case RT_SPACE_ARENA:
        return cpu->host.arena + operand->offset;
    case RT_SPACE_WEIGHT:
        return (unsigned char *)weights[operand->index] + operand->offset;
    default:
        return (unsigned char *)cpu->program->constants[operand->index].bytes + operand->offset;
    }
}

static rt_status resolve_operands(struct cpu *cpu, const void *const *weights)
{
    const struct rt_program *program = cpu->program;
    size_t total = 0;
    for (rt_u32 f = 0; f < program->function_count; f++)
        total += program->functions[f].operand_count;
    cpu->operands = calloc(total + 1, sizeof *cpu->operands);
    cpu->first_operand = calloc(program->function_count + 1, sizeof *cpu->first_operand);
    if (!cpu->operands || !cpu->first_operand)
        return rt_fail(OUT_OF_MEMORY, total * sizeof *cpu->operands);
    size_t next = 0;
    for (rt_u32 f = 0; f < program->function_count; f++) {
        const struct rt_function *function = &program->functions[f];
        cpu->first_operand[f] = next;
        for (rt_u32 i = 0; i < function->operand_count; i++)
            cpu->operands[next++] = resolve(cpu, &function->operands[i], weights);
    }
    return 0;
}

static rt_status cpu_bind(struct rt_device *device, const struct rt_program *program,
                          const void *const *weights)
{
    struct cpu *cpu = cpu_of(device);
    struct rt_device_facts facts;
    cpu->program = program;
    cpu_describe(device, &facts);
    if (facts.memory_bytes && program->arena_bytes > facts.memory_bytes)
        return rt_fail(ARENA_MEMORY, (unsigned long long)program->arena_bytes,
                       "more than this machine has");
    rt_status status = rt_host_reserve(&cpu->host, program);
    if (!status)
        status = map_arena(cpu, program->arena_bytes);
    return status ? status : resolve_operands(cpu, weights);
}

static rt_status cpu_run_step(struct rt_device *device, rt_u32 function, rt_u32 number)
{
    struct cpu *cpu = cpu_of(device);
    const struct rt_step *step = &cpu->program->functions[function].steps[number];
    void **first = cpu->operands + cpu->first_operand[function] + step->first_operand;
    if (cpu->caller_works && step->flops + step->bytes <= SMALL_STEP && step->tiles > 0)
        step->kernel(first, 0, step->tiles);
    else
        rt_pool_run(cpu->pool, step->kernel, first, step->tiles);
    return 0;
}

static rt_status cpu_launch(struct rt_device *device, rt_u32 index)
{
    rt_u32 count = cpu_of(device)->program->functions[index].step_count;
    for (rt_u32 i = 0; i < count; i++)
        cpu_run_step(device, index, i);
    return 0;
}

static void cpu_run(struct rt_device *device, rt_kernel *kernel, void *const *operands,
                    rt_i64 tiles)
{
    rt_pool_run(cpu_of(device)->pool, kernel, operands, tiles);
}

/* The threads of the pool sleep before the first run, which does not count. */
static rt_status cpu_time_steps(struct rt_device *device, rt_u32 function, const rt_u32 *steps,
                                rt_u32 count, rt_u32 least, struct rt_step_time *out)
{
    struct cpu *cpu = cpu_of(device);
    const struct rt_function *f = &cpu->program->functions[function];
    void **operands = cpu->operands + cpu->first_operand[function];
    rt_u32 launches = count;
    rt_u64 begin = rt_now();
    while (launches < least && count > 0)
        launches += count;
    for (rt_u32 i = 0; i < launches + count; i++) {
        const struct rt_step *step = &f->steps[steps[i % count]];
        begin = i == count ? rt_now() : begin;
        rt_pool_run(cpu->pool, step->kernel, operands + step->first_operand, step->tiles);
    }
    *out = (struct rt_step_time){.launches = launches};
    if (launches > 0)
        out->microseconds = 1e-3 * (double)(rt_now() - begin) / launches;
    return 0;
}

const struct rt_device_table rt_device_cpu = {
    .name = "cpu",
    .choose = cpu_choose,
    .open = cpu_open,
    .close = cpu_close,
    .describe = cpu_describe,
    .bind = cpu_bind,
    .launch = cpu_launch,
    .run_step = cpu_run_step,
    RT_HOST_ENTRIES,
    .time_steps = cpu_time_steps,
    .run = cpu_run,
};
