/* Loops into their iterations: pass_unroll. */
#include "passes/unroll.h"

#include "ir/loop.h"
#include "passes/passes.h"

#include <string.h>

enum { MOST_NODES = 200000, PARTS = 64 };

/* Part i of axis 0, without the axis. */
static struct value *take_part(struct builder *b, struct value *x, int64_t i)
{
    struct value *part = build_slice(b, x, 0, i, 1);
    return build_reshape(b, part, x->type.rank - 1, x->type.dims + 1);
}

/* Values of one type along a new axis 0: concats of at most 64 operands. */
static struct value *stack(struct builder *b, struct value **parts, int64_t count,
                           const struct type *type)
{
    int64_t dims[MAX_RANK] = {1};
    if (count == 0)
        return build_broadcast(b, build_constant(b, type->dtype, 0), type->rank, type->dims);
    memcpy(dims + 1, type->dims + 1, (size_t)(type->rank - 1) * sizeof *dims);
    for (int64_t i = 0; i < count; i++)
        parts[i] = build_reshape(b, parts[i], type->rank, dims);
    while (count > 1) {
        int64_t joined = 0;
        for (int64_t i = 0; i < count; i += PARTS) {
            int most = count - i < PARTS ? (int)(count - i) : PARTS;
            parts[joined++] = most > 1 ? build_concat(b, parts + i, most, 0) : parts[i];
        }
        count = joined;
    }
    return parts[0];
}

/* The arguments of iteration i of the body. */
static void set_arguments(struct builder *b, const struct loop *loop, struct value *const *now,
                          int64_t i, struct value **arguments)
{
    arguments[0] = build_constant(b, DTYPE_i32, (double)i);
    for (int k = 0; k < loop->carried + loop->sliced + loop->others; k++) {
        bool sliced = k >= loop->carried && k < loop->carried + loop->sliced;
        arguments[k + 1] = sliced ? take_part(b, now[k], i) : now[k];
    }
}

void unroll_loop(struct builder *b, const struct node *node, struct value *const *operands,
                 struct value **out_results)
{
    const struct loop loop = loop_of(node);
    struct arena *arena = b->module->arena;
    struct value **map = arena_array(arena, struct value *, b->module->next_value);
    struct value **parts =
        arena_array(arena, struct value *, (size_t)loop.trips * (size_t)loop.stacked + 1);
    struct value *now[64], *arguments[65], *outputs[MAX_RESULTS];
    for (int k = 0; k < node->operand_count; k++)
        now[k] = operands[k];
    for (int64_t n = 0; n < loop.trips; n++) {
        int64_t i = loop.reverse ? loop.trips - 1 - n : n;
        set_arguments(b, &loop, now, i, arguments);
        inline_function(b, loop.body, arguments, i, map, outputs);
        memcpy(now, outputs, (size_t)loop.carried * sizeof *now);
        for (int k = 0; k < loop.stacked; k++)
            parts[k * loop.trips + i] = outputs[loop.carried + k];
    }
    memcpy(out_results, now, (size_t)loop.carried * sizeof *now);
    for (int k = 0; k < loop.stacked; k++)
        out_results[loop.carried + k] =
            stack(b, parts + k * loop.trips, loop.trips, &node->results[loop.carried + k].type);
}

/* Fatal before a loop becomes more nodes than anybody wants to compile. */
static void check_size(const struct node *node)
{
    const struct loop loop = loop_of(node);
    int64_t nodes = (int64_t)loop.body->nodes.count + loop.sliced + loop.stacked + 1, all;
    if (__builtin_mul_overflow(nodes, loop.trips, &all) || all > MOST_NODES)
        fatal_at(node->location, LOOP_LONG, (long long)loop.trips, (int)MOST_NODES);
}

static bool unroll_function(struct module *module, struct function *function)
{
    bool found = false;
    for (size_t i = 0; i < function->nodes.count; i++)
        found |= function->nodes.items[i]->op == OP_loop;
    if (!found)
        return false;
    struct rebuild rebuild = rebuild_begin(module, function);
    for (size_t i = 0; i < rebuild.old_count; i++) {
        const struct node *old = rebuild.old[i];
        struct value *operands[64], *results[MAX_RESULTS];
        if (old->op != OP_loop) {
            rebuild_copy(&rebuild, old);
            continue;
        }
        check_size(old);
        for (int k = 0; k < old->operand_count; k++)
            operands[k] = rebuild_get(&rebuild, old->operands[k]);
        rebuild_at(&rebuild, old);
        unroll_loop(&rebuild.builder, old, operands, results);
        for (int k = 0; k < old->result_count; k++)
            rebuild_set(&rebuild, &old->results[k], results[k]);
    }
    rebuild_end(&rebuild);
    return true;
}

/*
 * Requires: no kernels.
 * Preserves: all values that functions give, and their order of summation.
 * Adds: the nodes of every iteration, in the scope of the loop with the number of the iteration.
 *   Where there was a loop, the module is simplified again.
 * Breaks: there are no loops and no bodies of loops any more. Loops that would become more than
 *   200,000 nodes are refused.
 */
void pass_unroll(struct module *module)
{
    bool found = false;
    for (size_t i = 0; i < module->functions.count; i++) /* bodies stand before their users */
        found |= unroll_function(module, module->functions.items[i]);
    if (found)
        pass_simplify(module);
}
