/* Single elements on demand: memory, elementwise ops, reductions and index maps. */
#include "ir/interp_demand.h"

#include "ir/philox.h"

#include <stdlib.h>
#include <string.h>

enum { DEEPEST = 2000 };

struct memo_entry {
    int64_t element;
    double number;
    uint32_t value; /* id + 1; 0 = free */
};

/* --- memory --- */

static struct memo_entry *memo_slot(const struct memo *memo, uint32_t value, int64_t element)
{
    uint64_t hash = ((uint64_t)element + value * 0x9e3779b97f4a7c15u) * 0xbf58476d1ce4e5b9u;
    size_t at = (hash ^ hash >> 29) & (memo->capacity - 1);
    while (memo->entries[at].value &&
           (memo->entries[at].value != value || memo->entries[at].element != element))
        at = (at + 1) & (memo->capacity - 1);
    return &memo->entries[at];
}

static void memo_grow(struct memo *memo)
{
    struct memo old = *memo;
    memo->capacity = old.capacity ? old.capacity * 2 : 256;
    memo->entries = calloc(memo->capacity, sizeof *memo->entries);
    if (!memo->entries)
        fatal(OUT_OF_MEMORY, memo->capacity * sizeof *memo->entries);
    for (size_t i = 0; i < old.capacity; i++)
        if (old.entries[i].value)
            *memo_slot(memo, old.entries[i].value, old.entries[i].element) = old.entries[i];
    free(old.entries);
}

static void memo_store(struct memo *memo, uint32_t value, int64_t element, double number)
{
    if (memo->count * 2 >= memo->capacity)
        memo_grow(memo);
    *memo_slot(memo, value, element) = (struct memo_entry){element, number, value};
    memo->count++;
}

/* --- indices --- */

void split_index(const struct type *type, int64_t flat, int64_t *out_index)
{
    for (int i = type->rank - 1; i >= 0; i--) {
        out_index[i] = flat % type->dims[i];
        flat /= type->dims[i];
    }
}

int64_t join_index(const struct type *type, const int64_t *index)
{
    int64_t flat = 0;
    for (int i = 0; i < type->rank; i++)
        flat = flat * type->dims[i] + index[i];
    return flat;
}

/* --- elementwise and reductions --- */

static double element_ew(struct demand *d, const struct node *node, int64_t index)
{
    double x[4] = {0};
    for (int i = 0; i < node->operand_count; i++)
        x[i] = demand_operand(d, node, i, node->operands[i]->type.rank ? index : 0);
    if (op_info(node->op)->rule == RULE_DRAW)
        return philox_uniform(x[0], x[1], x[2], x[3], (uint32_t)node_int(node, site));
    return op_info(node->op)->reference(x[0], x[1], x[2], x[3]);
}

/* Steps through the reduced axes in row-major order; false after the last. */
static bool next_reduced(const struct type *type, const int64_t *axes, int count, int64_t *index)
{
    for (int i = count - 1; i >= 0; i--) {
        if (++index[axes[i]] < type->dims[axes[i]])
            return true;
        index[axes[i]] = 0;
    }
    return false;
}

static double element_red(struct demand *d, const struct node *node, int64_t flat)
{
    const struct op_info *info = op_info(node->op);
    const struct type *type = &node->operands[0]->type;
    double p[4] = {0}, q[4] = {0}, number = 0;
    int64_t index[MAX_RANK];
    int count;
    const int64_t *axes = node_list(node, axes, &count);
    split_index(&node->results[0].type, flat, index);
    info->red_identity(p);
    if (type_elements(type) == 0)
        return info->red_finish(p);
    do {
        info->red_lift(q, demand_operand(d, node, 0, join_index(type, index)), number++);
        info->red_combine(p, q);
    } while (next_reduced(type, axes, count, index));
    return info->red_finish(p);
}

/* --- sources and index maps --- */

#define LEAF(op)                                                                              \
    double element_##op(struct demand *d, const struct node *node, int result, int64_t index) \
    {                                                                                         \
        (void)d, (void)result, (void)index;                                                   \
        fatal(INTERNAL, "a leaf was not provided", node->results[0].name);                    \
    }
LEAF(param)
LEAF(weight)
LEAF(state)

double element_const(struct demand *d, const struct node *node, int result, int64_t index)
{
    (void)result;
    return constant_element(d->module, node, index);
}

double element_iota(struct demand *d, const struct node *node, int result, int64_t flat)
{
    int64_t index[MAX_RANK];
    (void)d;
    split_index(&node->results[result].type, flat, index);
    return (double)index[node_int(node, axis)];
}

double element_positions(struct demand *d, const struct node *node, int result, int64_t flat)
{
    (void)d;
    return (double)(flat % node->results[result].type.dims[1]);
}

double element_reshape(struct demand *d, const struct node *node, int result, int64_t flat)
{
    (void)result;
    return demand_operand(d, node, 0, flat);
}

double element_transpose(struct demand *d, const struct node *node, int result, int64_t flat)
{
    int count;
    int64_t index[MAX_RANK], from[MAX_RANK];
    const int64_t *perm = node_list(node, perm, &count);
    split_index(&node->results[result].type, flat, index);
    for (int i = 0; i < count; i++)
        from[perm[i]] = index[i];
    return demand_operand(d, node, 0, join_index(&node->operands[0]->type, from));
}

double element_broadcast(struct demand *d, const struct node *node, int result, int64_t flat)
{
    const struct type *type = &node->operands[0]->type;
    int64_t index[MAX_RANK];
    split_index(&node->results[result].type, flat, index);
    for (int i = 0; i < type->rank; i++)
        index[i] = type->dims[i] == 1 ? 0 : index[i];
    return demand_operand(d, node, 0, join_index(type, index));
}

double element_slice(struct demand *d, const struct node *node, int result, int64_t flat)
{
    int64_t index[MAX_RANK], axis = node_int(node, axis);
    split_index(&node->results[result].type, flat, index);
    index[axis] = node_int(node, at) + index[axis] * node_int(node, step);
    return demand_operand(d, node, 0, join_index(&node->operands[0]->type, index));
}

double element_concat(struct demand *d, const struct node *node, int result, int64_t flat)
{
    int64_t index[MAX_RANK], axis = node_int(node, axis);
    int part = 0;
    split_index(&node->results[result].type, flat, index);
    int64_t granule = node_int(node, granule), turn = granule * node->operand_count;
    if (granule) {
        part = (int)(index[axis] % turn / granule);
        index[axis] = index[axis] / turn * granule + index[axis] % granule;
    }
    for (; !granule && index[axis] >= node->operands[part]->type.dims[axis]; part++)
        index[axis] -= node->operands[part]->type.dims[axis];
    return demand_operand(d, node, part, join_index(&node->operands[part]->type, index));
}

double element_pad(struct demand *d, const struct node *node, int result, int64_t flat)
{
    int rank;
    const struct type *type = &node->operands[0]->type;
    const int64_t *low = node_list(node, low, &rank);
    int64_t index[MAX_RANK];
    split_index(&node->results[result].type, flat, index);
    for (int i = 0; i < rank; i++) {
        index[i] -= low[i];
        if (index[i] < 0 || index[i] >= type->dims[i])
            return node_real(node, value);
    }
    return demand_operand(d, node, 0, join_index(type, index));
}

double element_gather(struct demand *d, const struct node *node, int result, int64_t flat)
{
    const struct type *table = &node->operands[0]->type, *ids = &node->operands[1]->type;
    int64_t index[2 * MAX_RANK], from[MAX_RANK], batch = node_int(node, batch);
    split_index(&node->results[result].type, flat, index);
    if (table->dims[batch] == 0)
        return 0;
    for (int i = 0; i < batch; i++)
        from[i] = index[i];
    double id = demand_operand(d, node, 1, join_index(ids, index));
    from[batch] = clamp_index(id, table->dims[batch]);
    for (int i = (int)batch + 1; i < table->rank; i++)
        from[i] = index[ids->rank + i - batch - 1];
    return demand_operand(d, node, 0, join_index(table, from));
}

/* --- all --- */

typedef double element_function(struct demand *d, const struct node *node, int result,
                                int64_t index);
static element_function *const structured[OP_COUNT] = {
#define OP(name, ...) [OP_##name] = element_##name,
#include "ir/ops.def"
};

/* What follows from one element of one operand is quicker computed again than kept. */
static bool is_kept(const struct node *node)
{
    const struct op_info *info = op_info(node->op);
    bool one = info->kind == KIND_EW || info->flags & OP_VIEW;
    return !one || node->operand_count != 1;
}

double demand(struct demand *d, const struct value *value, int64_t index)
{
    double number;
    uint32_t key = value->id + 1;
    if (d->provide && d->provide(d->context, value, index, &number))
        return number;
    bool kept = is_kept(value->node);
    const struct memo_entry *known =
        kept && d->memo.capacity ? memo_slot(&d->memo, key, index) : NULL;
    if (known && known->value)
        return known->number;
    if (++d->depth > DEEPEST)
        fatal(INTERNAL, "an expression is too deep to evaluate by element", value->name);
    const struct node *node = value->node;
    if (op_info(node->op)->kind == KIND_EW)
        number = element_ew(d, node, index);
    else if (op_info(node->op)->kind == KIND_RED)
        number = element_red(d, node, index);
    else
        number = structured[node->op](d, node, value->result, index);
    d->depth--;
    interp_round(d->mode, value->type.dtype, &number, 1);
    if (kept)
        memo_store(&d->memo, key, index, number);
    return number;
}

/* --- callers --- */

struct interp_elements {
    struct demand demand;
};

struct interp_elements *interp_elements_create(struct module *module, enum interp_mode mode,
                                               interp_provide *provide, void *context)
{
    struct interp_elements *elements = calloc(1, sizeof *elements);
    if (!elements)
        fatal(OUT_OF_MEMORY, sizeof *elements);
    elements->demand =
        (struct demand){.module = module, .mode = mode, .provide = provide, .context = context};
    return elements;
}

void interp_elements_destroy(struct interp_elements *elements)
{
    if (elements)
        free(elements->demand.memo.entries);
    free(elements);
}

/* The memory stays about as small as a cache: beyond, computing again is quicker. */
double interp_elements_at(struct interp_elements *elements, const struct value *value,
                          int64_t element)
{
    enum { KEPT = 1 << 16 };
    struct memo *memo = &elements->demand.memo;
    if (memo->count > KEPT) {
        memset(memo->entries, 0, memo->capacity * sizeof *memo->entries);
        memo->count = 0;
    }
    return demand(&elements->demand, value, element);
}

double interp_element(struct module *module, enum interp_mode mode, const struct value *value,
                      int64_t element, interp_provide *provide, void *context)
{
    struct interp_elements *elements = interp_elements_create(module, mode, provide, context);
    double number = interp_elements_at(elements, value, element);
    interp_elements_destroy(elements);
    return number;
}
