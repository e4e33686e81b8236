/* See fuse_graph.h. */
#include "passes/fuse_graph.h"

enum { SMALL = 4096 }; /* elements of integer arithmetic that is cheaper again than a kernel */

int fuse_position(const struct fuse_graph *graph, const struct value *value)
{
    return graph->index[value->node->id];
}

static bool is_leaf(const struct node *node)
{
    return (op_info(node->op)->flags & OP_LEAF) != 0;
}

/* Whether a value is (an index map of) weights alone, packed or not. */
static bool is_weight(const struct value *value)
{
    const struct node *node = value->node;
    if (node->op == OP_reshape || node->op == OP_slice || node->op == OP_transpose)
        return is_weight(node->operands[0]);
    if (node->op != OP_decode && node->op != OP_concat)
        return node->op == OP_weight;
    for (int i = 0; i < node->operand_count; i++)
        if (!is_weight(node->operands[i]))
            return false;
    return true;
}

/* Whether a value is (a view of) a state of floats. What computes with one is computed once: two
 * kernels that store states would otherwise each read what the other overwrites. */
static bool is_float_state(const struct value *value)
{
    while (op_info(value->node->op)->flags & OP_VIEW)
        value = value->node->operands[0];
    return value->node->op == OP_state && dtype_is_float(value->type.dtype);
}

/* Whether a value is made of leaves alone, by nodes that cost nothing. */
static bool is_made_of_leaves(const struct fuse_graph *graph, const struct value *value)
{
    int position = fuse_position(graph, value);
    if (position < 0)
        return true;
    for (int i = 0; graph->cheap[position] && i < value->node->operand_count; i++)
        if (!is_made_of_leaves(graph, value->node->operands[i]))
            return false;
    return graph->cheap[position];
}

static bool is_small_arithmetic(const struct fuse_graph *graph, const struct node *node)
{
    const struct op_info *info = op_info(node->op);
    if (info->kind != KIND_EW || info->flops > 1 || node->op == OP_copy ||
        type_elements(&node->results[0].type) > SMALL)
        return false;
    for (int i = 0; i < node->operand_count; i++) {
        int operand = fuse_position(graph, node->operands[i]);
        if ((operand >= 0 && !graph->cheap[operand]) || is_float_state(node->operands[i]))
            return false;
        if (graph->gpu && !is_made_of_leaves(graph, node->operands[i]))
            return false;
    }
    return true;
}

static bool is_cheap(const struct fuse_graph *graph, int position)
{
    const struct node *node = graph->nodes[position];
    if (op_info(node->op)->flags & (OP_VIEW | OP_INDEX | OP_SOURCE))
        return true;
    if (node->op == OP_cast && is_weight(node->operands[0]))
        return true;
    return !graph->memory[position] && is_small_arithmetic(graph, node);
}

/* Marks what a structured op reads from memory: under reshapes, and decoded weights excepted. */
static void mark_memory(struct fuse_graph *graph, const struct node *node)
{
    const struct op_info *info = op_info(node->op);
    if (info->kind != KIND_OP || info->flags != 0)
        return;
    for (int i = 0; i < node->operand_count; i++) {
        const struct value *value = node->operands[i];
        while (value->node->op == OP_reshape)
            value = value->node->operands[0];
        int position = fuse_position(graph, value);
        if (value->node->op == OP_cast)
            value = value->node->operands[0];
        if (position >= 0 && !is_weight(value))
            graph->memory[position] = true;
    }
}

static enum access worse(enum access a, enum access b)
{
    return a > b ? a : b;
}

/* The access through one cheap node, after `so_far`. */
static enum access through(const struct node *node, enum access so_far)
{
    switch (node->op) {
    case OP_reshape:
        return so_far == ACCESS_ROW ? ACCESS_REPEAT : worse(so_far, ACCESS_FLAT);
    case OP_broadcast:
        if (so_far == ACCESS_SAME && node->operands[0]->type.rank == node->results[0].type.rank)
            return ACCESS_ROW;
        return ACCESS_REPEAT;
    case OP_slice:
    case OP_concat:
    case OP_pad:
    case OP_transpose: return so_far == ACCESS_ROW ? ACCESS_REPEAT : worse(so_far, ACCESS_ONCE);
    case OP_gather: return ACCESS_REPEAT;
    default: return so_far;
    }
}

struct walk {
    struct fuse_graph *graph;
    int consumer;
    int *visitor;           /* by position: the consumer that saw this cheap node last, + 1 */
    unsigned char *visited; /* by position: with which kinds of access, as bits */
};

static void add_need(struct walk *walk, struct value *value, enum access access)
{
    struct fuse_graph *graph = walk->graph;
    bool state = value->node->op == OP_state;
    if (is_leaf(value->node) && !state)
        return;
    struct need need = {value, access};
    if (state)
        array_push(graph->module->arena, &graph->states[walk->consumer], need);
    else
        array_push(graph->module->arena, &graph->needs[walk->consumer], need);
}

static void follow(struct walk *walk, struct value *value, enum access access)
{
    struct fuse_graph *graph = walk->graph;
    int position = fuse_position(graph, value);
    if (position < 0 || !graph->cheap[position]) {
        add_need(walk, value, access);
        return;
    }
    if (walk->visitor[position] != walk->consumer + 1)
        walk->visited[position] = 0;
    else
        graph->twice[walk->consumer] = true;
    walk->visitor[position] = walk->consumer + 1;
    if (walk->visited[position] & 1u << access)
        return; /* its needs are noted */
    walk->visited[position] |= (unsigned char)(1u << access);
    struct node *node = value->node;
    for (int i = 0; i < node->operand_count; i++)
        follow(walk, node->operands[i], through(node, access));
}

static void find_needs(struct fuse_graph *graph)
{
    size_t count = (size_t)graph->count + 1;
    struct walk walk = {graph, 0, arena_array(graph->module->arena, int, count),
                        arena_array(graph->module->arena, unsigned char, count)};
    for (int i = 0; i < graph->count; i++) {
        if (graph->cheap[i])
            continue;
        walk.consumer = i;
        for (int o = 0; o < graph->nodes[i]->operand_count; o++)
            follow(&walk, graph->nodes[i]->operands[o], ACCESS_SAME);
    }
}

/* By position: a result of the function, which must be computed by a kernel. */
static bool *find_bound(const struct fuse_graph *graph)
{
    const struct function *function = graph->function;
    bool *bound = arena_array(graph->module->arena, bool, (size_t)graph->count + 1);
    for (size_t i = 0; i < function->bindings.count; i++) {
        int position = fuse_position(graph, function->bindings.items[i].value);
        if (position >= 0)
            bound[position] = true;
    }
    return bound;
}

struct fuse_graph fuse_graph_create(struct module *module, struct function *function, bool gpu)
{
    struct arena *arena = module->arena;
    struct fuse_graph graph = {.module = module,
                               .function = function,
                               .gpu = gpu,
                               .nodes = function->nodes.items,
                               .count = (int)function->nodes.count};
    size_t count = function->nodes.count + 1;
    graph.index = arena_array(arena, int, module->next_node);
    graph.cheap = arena_array(arena, bool, count);
    graph.memory = arena_array(arena, bool, count);
    graph.twice = arena_array(arena, bool, count);
    graph.needs = arena_alloc(arena, count, sizeof *graph.needs);
    graph.states = arena_alloc(arena, count, sizeof *graph.states);
    for (uint32_t i = 0; i < module->next_node; i++)
        graph.index[i] = -1;
    for (int i = 0; i < graph.count; i++)
        graph.index[graph.nodes[i]->id] = i;
    for (int i = 0; i < graph.count; i++)
        mark_memory(&graph, graph.nodes[i]);
    const bool *bound = find_bound(&graph);
    for (int i = 0; i < graph.count; i++)
        graph.cheap[i] = !bound[i] && is_cheap(&graph, i);
    find_needs(&graph);
    return graph;
}
