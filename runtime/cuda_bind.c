/*
 * The memory of a program on the GPU: one allocation holds the arena, then the constants, then
 * the weights that kernels read, their rows padded where the program says so. Its size is known
 * from the tables before anything is allocated.
 */
#include "runtime/cuda_device.h"
#include "runtime/process.h"
#include "runtime/progress.h"

#include <stdio.h>
#include <stdlib.h>

enum { MEGABYTE = 1000000 };

/* Adds a part to a size; false on overflow. */
static bool add_part(rt_u64 *size, rt_u64 bytes)
{
    rt_u64 sum;
    return !__builtin_add_overflow(*size, bytes, size)
           && !__builtin_add_overflow(*size, (rt_u64)CUDA_ALIGNMENT - 1, &sum)
           && (*size = sum / CUDA_ALIGNMENT * CUDA_ALIGNMENT, true);
}

static bool device_bytes(const struct rt_weight *weight, rt_u64 *bytes)
{
    *bytes = weight->bytes;
    return weight->pitch == 0 || !__builtin_mul_overflow(weight->rows, weight->pitch, bytes);
}

/* Marks the weights that kernels read by the address 1: those that only fill states stay away. */
static void mark_used(struct cuda *cuda)
{
    const struct rt_program *program = cuda->program;
    for (rt_u32 f = 0; f < program->function_count; f++) {
        const struct rt_function *function = &program->functions[f];
        for (rt_u32 i = 0; i < function->operand_count; i++)
            if (function->operands[i].space == RT_SPACE_WEIGHT)
                cuda->weights[function->operands[i].index] = 1;
    }
}

/* Offsets of constants and weights behind the arena; *size is that of the whole. */
static rt_status plan_memory(struct cuda *cuda, rt_u64 *size)
{
    const struct rt_program *program = cuda->program;
    bool fits = true;
    *size = 0;
    fits = add_part(size, program->arena_bytes + 1);
    for (rt_u32 i = 0; i < program->constant_count && fits; i++) {
        cuda->constants[i] = *size;
        fits = add_part(size, program->constants[i].size);
    }
    for (rt_u32 i = 0; i < program->weight_count && fits; i++) {
        rt_u64 bytes = 0;
        if (!cuda->weights[i])
            continue;
        cuda->weights[i] = *size;
        fits = device_bytes(&program->weights[i], &bytes) && add_part(size, bytes);
    }
    return fits ? 0 : rt_fail(SIZE_OVERFLOW, "the weights of the program");
}

/* Whether the plan fits into what is free; `refused`: it does not, whatever the numbers say. */
static rt_status check_memory(struct cuda *cuda, bool refused)
{
    size_t available = 0, total = 0;
    cuda_result result = cuda->driver->memory_info(&available, &total);
    if (result)
        return cuda_check(cuda, result, "asking for its free memory");
    if (cuda->planned <= available && !refused)
        return 0;
    return rt_fail(CUDA_MEMORY, (unsigned long long)cuda->planned, cuda->gpu.name,
                   (unsigned long long)available);
}

static rt_status allocate(struct cuda *cuda)
{
    cuda_result result = cuda->driver->memory_allocate(&cuda->memory, (size_t)cuda->planned);
    if (result == CUDA_NO_MEMORY) {
        cuda->memory = 0;
        return check_memory(cuda, true);
    }
    if (!result)
        result = cuda->driver->set_8(cuda->memory, 0, (size_t)cuda->program->arena_bytes + 1,
                                     cuda->stream);
    return cuda_check(cuda, result, "allocating memory");
}

/* --- content --- */

static rt_status upload_weight(struct cuda *cuda, const struct rt_weight *weight, cuda_pointer to,
                               const void *from)
{
    if (weight->pitch == 0)
        return cuda_upload(cuda, to, from, weight->bytes, 1, 0);
    rt_status status =
        cuda_check(cuda,
                   cuda->driver->set_8(to, 0, (size_t)(weight->rows * weight->pitch),
                                       cuda->stream),
                   "clearing the padding of weights");
    return status ? status
                  : cuda_upload(cuda, to, from, weight->row_bytes, weight->rows, weight->pitch);
}

static rt_status upload_weights(struct cuda *cuda, const void *const *weights)
{
    const struct rt_program *program = cuda->program;
    struct rt_progress progress;
    rt_u64 done = 0, total = 0;
    rt_status status = 0;
    for (rt_u32 i = 0; i < program->weight_count; i++)
        total += cuda->weights[i] ? program->weights[i].bytes : 0;
    rt_progress_open(&progress, "weights to the GPU, MB", (rt_i64)(total / MEGABYTE));
    for (rt_u32 i = 0; i < program->weight_count && !status; i++) {
        if (!cuda->weights[i])
            continue;
        cuda->weights[i] += cuda->memory;
        status = upload_weight(cuda, &program->weights[i], cuda->weights[i], weights[i]);
        done += program->weights[i].bytes;
        rt_progress_show(&progress, (rt_i64)(done / MEGABYTE), "");
        if (!status)
            status = rt_process_interrupted();
    }
    rt_progress_close(&progress);
    return status;
}

static rt_status upload_constants(struct cuda *cuda)
{
    rt_status status = 0;
    for (rt_u32 i = 0; i < cuda->program->constant_count && !status; i++) {
        const struct rt_constant *constant = &cuda->program->constants[i];
        cuda->constants[i] += cuda->memory;
        status = cuda_upload(cuda, cuda->constants[i], constant->bytes, constant->size, 1, 0);
    }
    return status;
}

/* --- operands --- */

static cuda_pointer resolve(const struct cuda *cuda, const struct rt_operand *operand)
{
    switch (operand->space) {
    case RT_SPACE_ARENA: return cuda->memory + operand->offset;
    case RT_SPACE_WEIGHT: return cuda->weights[operand->index] + operand->offset;
    case RT_SPACE_CONSTANT: return cuda->constants[operand->index] + operand->offset;
    case RT_SPACE_WORKSPACE:
        return cuda->memory + cuda->program->workspace_offset + operand->offset;
    default: return cuda->memory + cuda->program->counters_offset + operand->offset;
    }
}

static void resolve_operands(struct cuda *cuda)
{
    size_t next = 0;
    for (rt_u32 f = 0; f < cuda->program->function_count; f++) {
        const struct rt_function *function = &cuda->program->functions[f];
        cuda->sequences[f].first_operand = next;
        for (rt_u32 i = 0; i < function->operand_count; i++, next++) {
            cuda->operands[next] = resolve(cuda, &function->operands[i]);
            cuda->parameters[next] = &cuda->operands[next];
        }
    }
}

static rt_status make_tables(struct cuda *cuda)
{
    const struct rt_program *program = cuda->program;
    size_t operands = 1;
    for (rt_u32 f = 0; f < program->function_count; f++)
        operands += program->functions[f].operand_count;
    cuda->weights = calloc(program->weight_count + 1u, sizeof *cuda->weights);
    cuda->constants = calloc(program->constant_count + 1u, sizeof *cuda->constants);
    cuda->operands = calloc(operands, sizeof *cuda->operands);
    cuda->parameters = calloc(operands, sizeof *cuda->parameters);
    cuda->sequences = calloc(program->function_count + 1u, sizeof *cuda->sequences);
    if (!cuda->weights || !cuda->constants || !cuda->operands || !cuda->parameters
        || !cuda->sequences)
        return rt_fail(OUT_OF_MEMORY, operands * sizeof *cuda->operands);
    return 0;
}

rt_status cuda_plan(struct cuda *cuda)
{
    rt_status status = make_tables(cuda);
    if (status)
        return status;
    mark_used(cuda);
    status = plan_memory(cuda, &cuda->planned);
    return status ? status : check_memory(cuda, false);
}

rt_status cuda_place(struct cuda *cuda, const void *const *weights)
{
    rt_status status = allocate(cuda);
    if (!status)
        status = upload_constants(cuda);
    if (!status)
        status = upload_weights(cuda, weights);
    if (!status)
        resolve_operands(cuda);
    return status;
}
