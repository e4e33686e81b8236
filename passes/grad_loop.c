/*
 * The gradient of a loop is a loop that runs the other way. Its body computes one iteration again,
 * from the carried values with which the iteration began, and then its reverse sweep. A second
 * forward loop stacks those values; after unrolling it is the same nodes as the first one, and
 * simplify merges them.
 */
#include "ir/loop.h"
#include "passes/grad.h"

#include <string.h>

enum { MOST_OPERANDS = 64 };

/* One loop on its way: what its gradient carries, reads and gives. */
struct reverse {
    struct gradient *g;
    const struct node *node;
    struct loop loop;
    struct value *saved[MAX_RESULTS]; /* stacked carried values, [trips, ...] */
    /* of the reverse loop, in order: carried, sliced, others */
    struct value *operands[MOST_OPERANDS];
    int count, carried, sliced;
};

/* --- the forward loop that keeps what it carries --- */

static struct function *saving_body(struct reverse *r)
{
    const struct loop *loop = &r->loop;
    struct builder *b = &r->g->b;
    struct module *module = b->module;
    struct value *arguments[MOST_OPERANDS + 1], *outputs[MAX_RESULTS];
    struct value **map = arena_array(module->arena, struct value *, module->next_value);
    struct function *body =
        loop_body(module, b->function, arena_printf(module->arena, "%s.saved", loop->body->name));
    struct builder inside = {module, body, b->location, ""};
    for (size_t i = 0; i < loop->body->params.count; i++) {
        const struct value *param = &loop->body->params.items[i]->results[0];
        arguments[i] = build_param(&inside, param->name, param->type);
    }
    inline_function(&inside, loop->body, arguments, -1, map, outputs);
    for (int i = 0; i < loop->carried; i++)
        build_output(&inside, arena_printf(module->arena, "next%d", i), outputs[i]);
    for (int i = 0; i < loop->carried; i++)
        build_output(&inside, arena_printf(module->arena, "kept%d", i), arguments[i + 1]);
    return body;
}

static void save_carried(struct reverse *r)
{
    struct loop loop = r->loop;
    if (loop.carried == 0)
        return;
    if (2 * loop.carried > MAX_RESULTS)
        fatal_at(r->node->location, GRAD_LOOP, loop.carried, MAX_RESULTS / 2);
    loop.body = saving_body(r);
    struct node *node =
        build_loop(&r->g->b, &loop, r->node->operands, r->node->operand_count, "saved");
    for (int i = 0; i < loop.carried; i++)
        r->saved[i] = &node->results[loop.carried + i];
}

/* --- what goes in and out of the reverse loop --- */

static struct value *zeros(struct builder *b, const struct type *type)
{
    struct value *zero = build_constant(b, type->dtype, 0);
    return type->rank ? build_broadcast(b, zero, type->rank, type->dims) : zero;
}

static bool is_float(const struct value *value)
{
    return dtype_is_float(value->type.dtype);
}

/* Whether operand i has a gradient to be given: carried ones always have one within the loop. */
static bool has_gradient(const struct reverse *r, int i)
{
    if (i < r->loop.carried)
        return is_float(r->node->operands[i]);
    return is_float(r->node->operands[i]) && gradient_wanted(r->g, r->node, i);
}

static bool is_sliced(const struct reverse *r, int i)
{
    return i >= r->loop.carried && i < r->loop.carried + r->loop.sliced;
}

static struct value *adjoint_of(const struct reverse *r, int result)
{
    return r->g->adjoint[r->node->results[result].id];
}

static void add_operand(struct reverse *r, struct value *value)
{
    if (r->count == MOST_OPERANDS)
        fatal_at(r->node->location, GRAD_LOOP_OPERANDS, (int)MOST_OPERANDS);
    r->operands[r->count++] = value;
}

/* Carried: gradients of the carried values, sums for the others. Sliced: the kept carried values,
 * the sliced operands, gradients of what was stacked. Then the other operands. */
static void collect_operands(struct reverse *r)
{
    const struct node *node = r->node;
    for (int i = 0; i < node->operand_count; i++) {
        if (!has_gradient(r, i) || is_sliced(r, i))
            continue;
        struct value *from = i < r->loop.carried ? adjoint_of(r, i) : NULL;
        add_operand(r, from ? from : zeros(&r->g->b, &node->operands[i]->type));
    }
    r->carried = r->count;
    for (int i = 0; i < r->loop.carried; i++)
        add_operand(r, r->saved[i]);
    for (int i = 0; i < r->loop.sliced; i++)
        add_operand(r, node->operands[r->loop.carried + i]);
    for (int k = r->loop.carried; k < node->result_count; k++)
        if (adjoint_of(r, k))
            add_operand(r, adjoint_of(r, k));
    r->sliced = r->count - r->carried;
    for (int i = r->loop.carried + r->loop.sliced; i < node->operand_count; i++)
        add_operand(r, node->operands[i]);
}

/* --- the reverse body --- */

static struct value **make_params(struct reverse *r, struct builder *b)
{
    struct value **params = arena_array(b->module->arena, struct value *, (size_t)r->count);
    for (int i = 0; i < r->count; i++) {
        struct type type = r->operands[i]->type;
        if (i >= r->carried && i < r->carried + r->sliced)
            type = type_make(type.dtype, type.rank - 1, type.dims + 1);
        params[i] = build_param(b, i < r->carried ? "d" : "x", type);
    }
    return params;
}

/* The forward body's arguments among the reverse body's params. */
static void find_arguments(const struct reverse *r, struct value *const *params,
                           struct value **arguments)
{
    int at = r->carried, others = r->carried + r->sliced;
    for (int i = 0; i < r->node->operand_count; i++)
        arguments[i] = i < r->loop.carried + r->loop.sliced ? params[at++] : params[others++];
}

static void seed(struct gradient *inner, const struct value *value, struct value *adjoint)
{
    if (value->id >= inner->count || !inner->wanted[value->id])
        return;
    struct value **sum = &inner->adjoint[value->id];
    *sum = *sum ? build_binary(&inner->b, OP_add, *sum, adjoint) : adjoint;
}

static void seed_outputs(struct reverse *r, struct gradient *inner, struct value *const *params,
                         struct value *const *outputs)
{
    int carried = 0, stacked = r->carried + r->loop.carried + r->loop.sliced;
    for (int i = 0; i < r->loop.carried; i++)
        if (has_gradient(r, i))
            seed(inner, outputs[i], params[carried++]);
    for (int k = r->loop.carried; k < r->node->result_count; k++)
        if (adjoint_of(r, k))
            seed(inner, outputs[k], params[stacked++]);
}

static void give(struct gradient *inner, struct value *value)
{
    size_t number = inner->b.function->bindings.count;
    build_output(&inner->b, arena_printf(inner->b.module->arena, "d%zu", number), value);
}

/* First what is carried: for the others, their sum; then the parts for sliced operands. */
static void give_gradients(struct reverse *r, struct gradient *inner, struct value *const *params,
                           struct value *const *arguments)
{
    int at = 0;
    for (int sliced = 0; sliced < 2; sliced++)
        for (int i = 0; i < r->node->operand_count; i++) {
            struct value *part = inner->adjoint[arguments[i]->id];
            if (!has_gradient(r, i) || is_sliced(r, i) != (sliced == 1))
                continue;
            if (i >= r->loop.carried && !sliced)
                part = part ? build_binary(&inner->b, OP_add, params[at], part) : params[at];
            give(inner, part ? part : zeros(&inner->b, &arguments[i]->type));
            at++;
        }
}

static struct function *reverse_body(struct reverse *r)
{
    struct builder *outer = &r->g->b;
    struct module *module = outer->module;
    struct value *arguments[MOST_OPERANDS + 1], *outputs[MAX_RESULTS];
    struct value **map = arena_array(module->arena, struct value *, module->next_value);
    const char *name = arena_printf(module->arena, "%s.gradient", r->loop.body->name);
    struct function *body = loop_body(module, outer->function, name);
    struct gradient inner = {.b = {module, body, outer->location, ""}};
    arguments[0] = build_param(&inner.b, "i", type_scalar(DTYPE_i32));
    struct value **params = make_params(r, &inner.b);
    find_arguments(r, params, arguments + 1);
    inline_function(&inner.b, r->loop.body, arguments, -1, map, outputs);
    inner.count = module->next_value;
    inner.adjoint = arena_array(module->arena, struct value *, inner.count);
    inner.wanted = arena_array(module->arena, bool, inner.count);
    for (int i = 0; i < r->node->operand_count; i++)
        inner.wanted[arguments[i + 1]->id] = has_gradient(r, i);
    gradient_find_wanted(&inner);
    size_t forward = body->nodes.count;
    seed_outputs(r, &inner, params, outputs);
    gradient_sweep(&inner, forward);
    give_gradients(r, &inner, params, arguments + 1);
    return body;
}

/* --- all --- */

/* `dy` is the adjoint of the first result and may be NULL; others are looked up. */
void gradient_loop(struct gradient *g, const struct node *node, struct value *dy)
{
    struct reverse r = {.g = g, .node = node, .loop = loop_of(node)};
    (void)dy;
    save_carried(&r);
    collect_operands(&r);
    struct loop back = {.trips = r.loop.trips,
                        .carried = r.carried,
                        .sliced = r.sliced,
                        .reverse = !r.loop.reverse};
    back.body = reverse_body(&r);
    if (back.body->bindings.count > MAX_RESULTS)
        fatal_at(node->location, GRAD_LOOP_OPERANDS, MAX_RESULTS);
    struct node *loop = build_loop(&g->b, &back, r.operands, r.count, "back");
    int at = 0;
    for (int sliced = 0; sliced < 2; sliced++)
        for (int i = 0; i < node->operand_count; i++) {
            if (!has_gradient(&r, i) || is_sliced(&r, i) != (sliced == 1))
                continue;
            if (gradient_wanted(g, node, i))
                gradient_add(g, node, i, &loop->results[at]);
            at++;
        }
}
