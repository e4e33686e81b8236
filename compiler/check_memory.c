/* See check_memory.h. */
#include "compiler/check_memory.h"

#include "runtime/convert.h"
#include "runtime/philox.h"

#include <stdlib.h>
#include <string.h>

static uint32_t draw(struct random *random)
{
    uint32_t key[2] = {(uint32_t)random->seed, (uint32_t)(random->seed >> 32)};
    uint32_t counter[4] = {(uint32_t)random->drawn, (uint32_t)(random->drawn >> 32), 0, 0}, out[4];
    random->drawn++;
    rt_philox(counter, key, out);
    return out[0];
}

int64_t draw_below(struct random *random, int64_t bound)
{
    return bound < 1 ? 0 : (int64_t)(((uint64_t)draw(random) << 31 | draw(random) >> 1) %
                                     (uint64_t)bound);
}

/* rt_dtype counts as enum dtype. */
static void write_element(enum dtype dtype, char *bytes, int64_t i, double value)
{
    rt_write_number(dtype, bytes + i * (dtype_bits(dtype) / 8), value);
}

void write_elements(enum dtype dtype, char *bytes, const double *numbers, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        write_element(dtype, bytes, i, numbers[i]);
}

double read_element(enum dtype dtype, const char *bytes, int64_t i)
{
    return rt_read_number(dtype, bytes + i * (dtype_bits(dtype) / 8));
}

static double draw_element(struct random *random, const struct type *type, int64_t bound)
{
    double unit = (double)draw(random) * 0x1p-32;
    if (dtype_is_float(type->dtype))
        return type->rank == 0 ? 0.1 + unit : 2 * unit - 1;
    if (type->dtype == DTYPE_bool)
        return type->rank == 0 ? 1 : (double)draw_below(random, 2);
    return (double)draw_below(random, bound);
}

/* Large tensors repeat after a prime number of elements: a wrong row or column still shows, and
 * the weights of a large model take no time. */
void fill_random(struct random *random, const struct type *type, char *bytes, int64_t bound)
{
    enum { PERIOD = 1048583 };
    size_t size = (size_t)dtype_bits(type->dtype) / 8;
    int64_t count = type_elements(type), drawn = count < PERIOD ? count : PERIOD;
    for (int64_t i = 0; i < drawn; i++)
        write_element(type->dtype, bytes, i, draw_element(random, type, bound));
    for (int64_t i = drawn; i < count; i += PERIOD) {
        int64_t some = count - i < PERIOD ? count - i : PERIOD;
        memcpy(bytes + (size_t)i * size, bytes, (size_t)some * size);
    }
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t count_bound(const struct function *function, const struct kernel *kernel,
                    const struct value *value)
{
    int64_t bound = 0;
    for (size_t i = 0; i < function->nodes.count; i++) {
        const struct node *node = function->nodes.items[i];
        if (node->kernel == kernel && node->op == OP_update && node->operands[3] == value)
            bound = node->operands[1]->type.dims[1] + 1;
    }
    return bound;
}

/* Positions in a cache: in a ring several rounds; else all that leave room for `most` rows, or so
 * that rows of an update fall outside, too. */
static int64_t place_bound(const struct node *node, int64_t slots, int64_t most)
{
    enum { ROUNDS = 3 };
    return node_int(node, ring) ? ROUNDS * slots + 1 : slots - most + 1;
}

int64_t index_bound(const struct function *function, const struct kernel *kernel,
                    const struct value *value)
{
    int64_t bound = count_bound(function, kernel, value);
    if (bound > 0)
        return bound;
    bound = 1 << 16;
    for (size_t i = 0; i < function->nodes.count; i++) {
        const struct node *node = function->nodes.items[i];
        const struct type *first = node->operand_count ? &node->operands[0]->type : NULL;
        if (node->kernel != kernel)
            continue;
        if (node->op == OP_gather)
            bound = least(bound, first->dims[node_int(node, batch)]);
        if (node->op == OP_mark)
            bound = least(bound, least(first->dims[1], node->operands[1]->type.dims[1] + 1));
        if (node->op == OP_scatter_add)
            bound = least(bound, node->results[0].type.dims[0]);
        if (node->op == OP_update)
            bound = least(bound, place_bound(node, first->dims[1], 0));
        if (node->op == OP_attention)
            bound = least(bound, place_bound(node, node->operands[1]->type.dims[1],
                                             first->dims[1]));
    }
    return bound < 1 ? 1 : bound;
}

static char *allocate(uint64_t size)
{
    char *bytes = aligned_alloc(64, (size + 127) / 64 * 64);
    if (!bytes)
        fatal(OUT_OF_MEMORY, (size_t)size);
    return bytes;
}

struct snapshot snapshot_take(const char *bytes, uint64_t size, bool copy)
{
    if (!copy)
        return (struct snapshot){bytes, false};
    char *kept = allocate(size);
    memcpy(kept, bytes, size);
    return (struct snapshot){kept, true};
}

void snapshot_drop(struct snapshot *snapshot)
{
    if (snapshot->copied)
        free((char *)(uintptr_t)snapshot->bytes);
    *snapshot = (struct snapshot){0};
}

struct check_memory check_memory_create(struct module *module)
{
    return (struct check_memory){module, allocate(module->arena_bytes),
                                 arena_array(module->arena, char *, module->weights.count + 1)};
}

void check_memory_destroy(struct check_memory *memory)
{
    for (size_t i = 0; i < memory->module->weights.count; i++)
        free(memory->weights[i]);
    free(memory->arena);
}

char *check_memory_weight(struct check_memory *memory, size_t number)
{
    const struct type *type = &memory->module->weights.items[number]->results[0].type;
    if (!memory->weights[number])
        memory->weights[number] = allocate(type_bytes(type));
    return memory->weights[number];
}

char *check_memory_of(struct check_memory *memory, const struct value *value)
{
    if (value->place.kind == PLACE_ARENA)
        return memory->arena + value->place.offset;
    if (value->place.kind == PLACE_CONSTANT) /* nothing writes there */
        return (char *)(uintptr_t)module_find_blob(memory->module,
                                                   node_text(value->node, blob))->bytes;
    for (size_t i = 0; i < memory->module->weights.count; i++)
        if (memory->module->weights.items[i] == value->node)
            return check_memory_weight(memory, i);
    fatal(INTERNAL, "a value without memory", value->name);
}
