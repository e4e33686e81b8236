/* See cuda_rotate.h. */
#include "runtime/cuda_rotate.h"

#include <stdlib.h>

enum {
    TIMES_CACHE = 2,     /* what a run reads, in caches */
    COPIES_CACHE = 8,    /* most memory of the copies, in caches */
    MOST_LAUNCHES = 1024 /* of a run */
};

/* --- what is read --- */

static bool weight_range(const struct cuda *cuda, const struct rt_operand *operand,
                         struct cuda_range *out)
{
    const struct rt_weight *weight = &cuda->program->weights[operand->index];
    rt_u64 bytes = weight->pitch ? weight->rows * weight->pitch : weight->bytes;
    *out = (struct cuda_range){.from = cuda->weights[operand->index], .bytes = bytes};
    return true;
}

static bool cache_range(const struct cuda *cuda, const struct rt_operand *operand,
                        struct cuda_range *out)
{
    for (rt_u32 i = 0; i < cuda->program->state_count; i++) {
        const struct rt_state *state = &cuda->program->states[i];
        if (state->slots > 0 && operand->offset >= state->port.offset &&
            operand->offset - state->port.offset < state->port.bytes) {
            *out = (struct cuda_range){.from = cuda->memory + state->port.offset,
                                       .bytes = state->port.bytes};
            return true;
        }
    }
    return false;
}

/* The range that holds an operand; false for what was computed just before. */
static bool range_of(const struct cuda *cuda, const struct rt_operand *operand,
                     struct cuda_range *out)
{
    return operand->space == RT_SPACE_WEIGHT  ? weight_range(cuda, operand, out)
           : operand->space == RT_SPACE_ARENA ? cache_range(cuda, operand, out)
                                              : false;
}

/* Adds a range where it is new; its bytes, else 0. */
static rt_u64 add_range(struct cuda_rotation *r, struct cuda_range range)
{
    for (rt_u32 i = 0; i < r->range_count; i++)
        if (r->ranges[i].from == range.from)
            return 0;
    range.offset = r->set_bytes;
    r->ranges[r->range_count++] = range;
    r->set_bytes += (range.bytes + CUDA_ALIGNMENT - 1) / CUDA_ALIGNMENT * CUDA_ALIGNMENT;
    return range.bytes;
}

/* A step reads all of its ranges, or what it reads in all if that is less (a gather). */
static void add_step(struct cuda_rotation *r, const struct rt_function *function,
                     const struct rt_step *step)
{
    rt_u64 bytes = 0;
    for (rt_u32 i = 0; i < step->operand_count; i++) {
        struct cuda_range range;
        if (range_of(r->cuda, &function->operands[step->first_operand + i], &range))
            bytes += add_range(r, range);
    }
    r->round_bytes += bytes < step->bytes ? bytes : step->bytes;
}

/* --- copies --- */

static void plan(struct cuda_rotation *r, rt_u32 count, rt_u32 least)
{
    rt_u64 cache = r->cuda->gpu.cache_bytes, wanted = 1, room = 0;
    rt_u64 most = MOST_LAUNCHES / count, rounds = (least + count - 1) / count;
    if (r->round_bytes > 0)
        wanted = (TIMES_CACHE * cache + r->round_bytes - 1) / r->round_bytes;
    if (r->set_bytes > 0)
        room = COPIES_CACHE * cache / r->set_bytes;
    wanted = wanted > most ? most : wanted;
    rounds = rounds < wanted ? wanted : rounds;
    r->rounds = (rt_u32)(rounds > 0 ? rounds : 1);
    r->sets = (rt_u32)(wanted < 1 ? 0 : wanted - 1 < room ? wanted - 1 : room);
}

static rt_status make_copies(struct cuda_rotation *r)
{
    const struct cuda_driver *driver = r->cuda->driver;
    cuda_result result = driver->memory_allocate(&r->memory, (size_t)(r->sets * r->set_bytes));
    if (result)
        r->memory = 0;
    if (result == CUDA_NO_MEMORY) {
        r->sets = 0;
        return 0;
    }
    for (rt_u32 set = 0; set < r->sets && !result; set++)
        for (rt_u32 i = 0; i < r->range_count && !result; i++) {
            const struct cuda_range *range = &r->ranges[i];
            result = driver->copy_inside(r->memory + set * r->set_bytes + range->offset,
                                         range->from, (size_t)range->bytes, r->cuda->stream);
        }
    return cuda_check(r->cuda, result, "copying weights");
}

rt_status cuda_rotation_open(struct cuda_rotation *rotation, struct cuda *cuda, rt_u32 function,
                             const rt_u32 *steps, rt_u32 count, rt_u32 least)
{
    const struct rt_function *f = &cuda->program->functions[function];
    rt_u32 operands = 1;
    *rotation = (struct cuda_rotation){.cuda = cuda};
    for (rt_u32 i = 0; i < count; i++)
        operands += f->steps[steps[i]].operand_count;
    rotation->ranges = calloc(operands, sizeof *rotation->ranges);
    rotation->values = calloc(operands, sizeof *rotation->values);
    rotation->parameters = calloc(operands, sizeof *rotation->parameters);
    if (!rotation->ranges || !rotation->values || !rotation->parameters)
        return rt_fail(OUT_OF_MEMORY, operands * sizeof *rotation->ranges);
    for (rt_u32 i = 0; i < count; i++)
        add_step(rotation, f, &f->steps[steps[i]]);
    if (count > 0)
        plan(rotation, count, least);
    return rotation->sets > 0 ? make_copies(rotation) : 0;
}

void cuda_rotation_close(struct cuda_rotation *rotation)
{
    if (rotation->memory)
        rotation->cuda->driver->memory_free(rotation->memory);
    free(rotation->ranges);
    free(rotation->values);
    free(rotation->parameters);
    *rotation = (struct cuda_rotation){0};
}

/* --- use --- */

static cuda_pointer moved(const struct cuda_rotation *r, rt_u32 set, cuda_pointer at)
{
    for (rt_u32 i = 0; i < r->range_count; i++) {
        const struct cuda_range *range = &r->ranges[i];
        if (at >= range->from && at - range->from < range->bytes)
            return r->memory + (set - 1) * r->set_bytes + range->offset + (at - range->from);
    }
    return at;
}

void **cuda_rotated(struct cuda_rotation *rotation, rt_u32 round, const struct rt_step *step,
                    void **parameters)
{
    rt_u32 set = round % (rotation->sets + 1);
    if (set == 0)
        return parameters;
    for (rt_u32 i = 0; i < step->operand_count; i++) {
        rotation->values[i] = moved(rotation, set, *(const cuda_pointer *)parameters[i]);
        rotation->parameters[i] = &rotation->values[i];
    }
    return rotation->parameters;
}

rt_u64 cuda_rotated_bytes(const struct cuda_rotation *rotation)
{
    return rotation->round_bytes * (rotation->sets + 1);
}
