/* Order of kernels, for peak memory: pass_schedule. */
#include "passes/lifetimes.h"
#include "passes/passes.h"

#include <string.h>

struct indices {
    int *items;
    size_t count, capacity;
};

/* The kernels of one function as a graph. */
struct schedule {
    struct module *module;
    struct function *function;
    int count;
    struct indices *after;  /* by kernel: those that must run before it */
    struct indices *reads;  /* by kernel: lifetimes that it reads, each once */
    struct indices *writes; /* by kernel: lifetimes that begin in it */
    struct lifetimes lifetimes;
    int *readers; /* by lifetime: kernels that still have to read it */
};

static void add_once(struct arena *arena, struct indices *array, int item)
{
    for (size_t i = 0; i < array->count; i++)
        if (array->items[i] == item)
            return;
    array_push(arena, array, item);
}

static void add_value_edges(struct schedule *s, const int *lifetime_of)
{
    for (size_t i = 0; i < s->function->nodes.count; i++) {
        const struct node *node = s->function->nodes.items[i];
        int kernel = s->lifetimes.kernel_of[node->id];
        for (int o = 0; o < node->operand_count; o++) {
            const struct value *operand = node->operands[o];
            bool leaf = (op_info(operand->node->op)->flags & OP_LEAF) != 0;
            if (leaf || operand->node->kernel == node->kernel)
                continue;
            add_once(s->module->arena, &s->after[kernel],
                     s->lifetimes.kernel_of[operand->node->id]);
            if (lifetime_of[operand->id])
                add_once(s->module->arena, &s->reads[kernel], lifetime_of[operand->id] - 1);
        }
    }
}

/* Who reads a state's old value runs before the kernel that overwrites it. */
static void add_state_edges(struct schedule *s, const struct binding *binding)
{
    if (!binding->state)
        return;
    int writer = s->lifetimes.kernel_of[binding->value->node->id];
    for (size_t i = 0; i < s->function->nodes.count; i++) {
        const struct node *node = s->function->nodes.items[i];
        int kernel = s->lifetimes.kernel_of[node->id];
        for (int o = 0; o < node->operand_count; o++)
            if (node->operands[o] == binding->state && kernel != writer)
                add_once(s->module->arena, &s->after[writer], kernel);
    }
}

static struct schedule schedule_create(struct module *module, struct function *function)
{
    struct schedule s = {
        .module = module, .function = function, .count = (int)function->kernels.count};
    size_t kernels = function->kernels.count + 1;
    s.after = arena_alloc(module->arena, kernels, sizeof *s.after);
    s.reads = arena_alloc(module->arena, kernels, sizeof *s.reads);
    s.writes = arena_alloc(module->arena, kernels, sizeof *s.writes);
    s.lifetimes = find_lifetimes(module, function);
    s.readers = arena_array(module->arena, int, s.lifetimes.list.count + 1);
    int *lifetime_of = arena_array(module->arena, int, module->next_value);
    for (size_t i = 0; i < s.lifetimes.list.count; i++) {
        lifetime_of[s.lifetimes.list.items[i].value->id] = (int)i + 1;
        array_push(module->arena, &s.writes[s.lifetimes.list.items[i].first], (int)i);
    }
    add_value_edges(&s, lifetime_of);
    for (size_t i = 0; i < function->bindings.count; i++)
        add_state_edges(&s, &function->bindings.items[i]);
    return s;
}

static bool is_output(const struct schedule *s, int lifetime)
{
    return s->lifetimes.list.items[lifetime].last == s->count;
}

static void count_readers(struct schedule *s)
{
    memset(s->readers, 0, s->lifetimes.list.count * sizeof *s->readers);
    for (int k = 0; k < s->count; k++)
        for (size_t i = 0; i < s->reads[k].count; i++)
            s->readers[s->reads[k].items[i]]++;
}

static int64_t written_bytes(const struct schedule *s, int kernel)
{
    int64_t bytes = 0;
    for (size_t i = 0; i < s->writes[kernel].count; i++)
        bytes += (int64_t)s->lifetimes.list.items[s->writes[kernel].items[i]].bytes;
    return bytes;
}

/* Bytes that nobody needs once this kernel has run, of those alive before it. */
static int64_t freed_bytes(const struct schedule *s, int kernel)
{
    int64_t bytes = 0;
    for (size_t i = 0; i < s->reads[kernel].count; i++) {
        int lifetime = s->reads[kernel].items[i];
        if (s->readers[lifetime] == 1 && !is_output(s, lifetime))
            bytes += (int64_t)s->lifetimes.list.items[lifetime].bytes;
    }
    return bytes;
}

/* Runs a kernel in the simulation: the bytes alive afterwards; raises *peak. */
static int64_t simulate(struct schedule *s, int kernel, int64_t alive, int64_t *peak)
{
    alive += written_bytes(s, kernel);
    *peak = alive > *peak ? alive : *peak;
    alive -= freed_bytes(s, kernel);
    for (size_t i = 0; i < s->reads[kernel].count; i++)
        s->readers[s->reads[kernel].items[i]]--;
    return alive;
}

static int64_t peak_of(struct schedule *s, const int *order)
{
    int64_t alive = 0, peak = 0;
    count_readers(s);
    for (int i = 0; i < s->count; i++)
        alive = simulate(s, order[i], alive, &peak);
    return peak;
}

static bool is_ready(const struct schedule *s, int kernel, const bool *done)
{
    for (size_t i = 0; i < s->after[kernel].count; i++)
        if (!done[s->after[kernel].items[i]])
            return false;
    return !done[kernel];
}

/* Whether every kernel comes after those that must run before it. */
static bool is_order(const struct schedule *s, const int *order)
{
    bool *done = arena_array(s->module->arena, bool, (size_t)s->count + 1);
    for (int i = 0; i < s->count; i++) {
        if (!is_ready(s, order[i], done))
            return false;
        done[order[i]] = true;
    }
    return true;
}

/*
 * List scheduling: of the kernels that can run, the one that leaves the least memory alive; the
 * earliest of equals. Looks at a bounded number of kernels ahead, so that it stays linear. False
 * if none of those can run.
 */
static bool order_greedily(struct schedule *s, int *order)
{
    enum { AHEAD = 64 };
    bool *done = arena_array(s->module->arena, bool, (size_t)s->count + 1);
    int64_t alive = 0, peak = 0;
    int first = 0;
    count_readers(s);
    for (int i = 0; i < s->count; i++) {
        int best = -1;
        int64_t best_growth = INT64_MAX;
        while (first < s->count && done[first])
            first++;
        for (int k = first; k < s->count && k < first + AHEAD; k++) {
            if (!is_ready(s, k, done))
                continue;
            int64_t growth = written_bytes(s, k) - freed_bytes(s, k);
            if (growth < best_growth) {
                best = k;
                best_growth = growth;
            }
        }
        if (best < 0)
            return false;
        order[i] = best;
        done[best] = true;
        alive = simulate(s, best, alive, &peak);
    }
    return true;
}

static void apply(struct schedule *s, const int *order)
{
    struct function *function = s->function;
    struct kernel **kernels = arena_array(s->module->arena, struct kernel *, (size_t)s->count + 1);
    struct node **nodes = arena_array(s->module->arena, struct node *, function->nodes.count + 1);
    size_t *start = arena_array(s->module->arena, size_t, (size_t)s->count + 2);
    size_t filled = 0;
    for (size_t i = 0; i < function->nodes.count; i++)
        start[s->lifetimes.kernel_of[function->nodes.items[i]->id] + 1] = i + 1;
    for (int i = 0; i < s->count; i++) {
        int kernel = order[i];
        kernels[i] = function->kernels.items[kernel];
        for (size_t n = start[kernel]; n < start[kernel + 1]; n++)
            nodes[filled++] = function->nodes.items[n];
    }
    memcpy(function->kernels.items, kernels, (size_t)s->count * sizeof *kernels);
    memcpy(function->nodes.items, nodes, function->nodes.count * sizeof *nodes);
}

/*
 * Requires: kernels in some order of dependence.
 * Preserves: every value, bit for bit; a valid order whose peak is as low is left as it is.
 * Breaks: nothing.
 */
void pass_schedule(struct module *module)
{
    for (size_t f = 0; f < module->functions.count; f++) {
        struct schedule s = schedule_create(module, module->functions.items[f]);
        int *plain = arena_array(module->arena, int, (size_t)s.count + 1);
        int *greedy = arena_array(module->arena, int, (size_t)s.count + 1);
        for (int i = 0; i < s.count; i++)
            plain[i] = i;
        if (!order_greedily(&s, greedy))
            continue;
        if (!is_order(&s, plain) || peak_of(&s, greedy) < peak_of(&s, plain))
            apply(&s, greedy);
    }
}
