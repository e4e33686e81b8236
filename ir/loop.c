/* Loops: their parts, their shape rule, and how they are made. See loop.h. */
#include "ir/loop.h"

#include "ir/names.h"
#include "ir/shape.h"

#include <inttypes.h>
#include <string.h>

enum { MOST_TRIPS = INT32_MAX };

bool is_loop_body(const struct function *function)
{
    const char *role = attributes_text(&function->attributes, ATTRIBUTE_role);
    return role && strcmp(role, LOOP_ROLE) == 0;
}

static struct function *body_of(const struct attributes *attributes)
{
    const struct attribute *body = attributes_find(attributes, ATTRIBUTE_body);
    return body ? body->function : NULL;
}

static struct loop read_loop(const struct attributes *attributes, int operands)
{
    struct loop loop = {.body = body_of(attributes)};
    loop.trips = attributes_int(attributes, ATTRIBUTE_trips);
    loop.carried = (int)attributes_int(attributes, ATTRIBUTE_carried);
    loop.sliced = (int)attributes_int(attributes, ATTRIBUTE_sliced);
    loop.others = operands - loop.carried - loop.sliced;
    loop.stacked = (int)loop.body->bindings.count - loop.carried;
    loop.reverse = attributes_int(attributes, ATTRIBUTE_reverse);
    return loop;
}

struct loop loop_of(const struct node *node)
{
    return read_loop(&node->attributes, node->operand_count);
}

int result_count_of(enum op op, const struct attributes *attributes)
{
    const struct function *body = op == OP_loop ? body_of(attributes) : NULL;
    return op != OP_loop                                 ? op_info(op)->results
           : !body || body->bindings.count > MAX_RESULTS ? 0
                                                         : (int)body->bindings.count;
}

/* --- the shape rule --- */

_Noreturn static void refuse(const struct shape_call *call, const char *why)
{
    const char *name = attributes_text(call->attributes, ATTRIBUTE_body);
    fatal_at(call->location, SHAPE_LOOP, name ? name : "", why);
}

static bool same_type(const struct type *a, const struct type *b)
{
    return a->dtype == b->dtype && type_same_dims(a, b);
}

/* What the body sees of a sliced operand. */
static bool slice_type(const struct type *type, int64_t trips, struct type *out)
{
    if (type->rank < 1 || type->dims[0] != trips)
        return false;
    *out = type_make(type->dtype, type->rank - 1, type->dims + 1);
    return true;
}

static void check_params(const struct shape_call *call, const struct loop *loop)
{
    const struct type *index = &loop->body->params.items[0]->results[0].type;
    if (index->dtype != DTYPE_i32 || index->rank != 0)
        refuse(call, "its first param is the number of the iteration, i32[]");
    for (int i = 0; i < call->count; i++) {
        struct type seen = *operand_type(call, i);
        const struct type *param = &loop->body->params.items[i + 1]->results[0].type;
        bool sliced = i >= loop->carried && i < loop->carried + loop->sliced;
        if (sliced && !slice_type(operand_type(call, i), loop->trips, &seen))
            refuse(call, "axis 0 of a sliced operand has one part for each iteration");
        if (!same_type(&seen, param))
            refuse(call, "its params have the types of the operands, sliced ones without axis 0");
    }
}

static void check_counts(const struct shape_call *call)
{
    int64_t trips = call_int(call, trips), carried = call_int(call, carried);
    int64_t sliced = call_int(call, sliced);
    const struct function *body = body_of(call->attributes);
    if (!body)
        refuse(call, "there is no such function before this one");
    if (trips < 0 || trips > MOST_TRIPS)
        refuse(call, "the number of trips must be at least 0 and below 2^31");
    if (carried < 0 || sliced < 0 || carried > call->count || sliced > call->count - carried)
        refuse(call, "it has fewer operands than are carried and sliced");
    if (body->params.count != (size_t)call->count + 1)
        refuse(call, "it has a param for the number of the iteration and for each operand");
    if (body->bindings.count < 1 || body->bindings.count > MAX_RESULTS ||
        (int64_t)body->bindings.count < carried)
        refuse(call, "it has an output for each carried value, and 1 to 24 in all");
}

void shape_loop(const struct shape_call *call)
{
    check_counts(call);
    const struct loop loop = read_loop(call->attributes, call->count);
    check_params(call, &loop);
    for (int k = 0; k < loop.carried + loop.stacked; k++) {
        const struct binding *output = &loop.body->bindings.items[k];
        const struct type *type = &output->value->type;
        int64_t dims[MAX_RANK + 1] = {loop.trips};
        if (output->state)
            refuse(call, "it stores to no state");
        if (k < loop.carried && !same_type(type, operand_type(call, k)))
            refuse(call, "its first outputs have the types of the carried operands");
        if (k < loop.carried) {
            shape_result(call, k, type->dtype, type->rank, type->dims);
            continue;
        }
        if (type->rank == MAX_RANK)
            refuse(call, "what is stacked has at most 7 dimensions");
        memcpy(dims + 1, type->dims, (size_t)type->rank * sizeof *dims);
        shape_result(call, k, type->dtype, type->rank + 1, dims);
    }
}

/* --- making --- */

struct function *loop_body(struct module *module, const struct function *user, const char *name)
{
    struct function *body = module_insert_function(module, user, name);
    attributes_set_text(module->arena, &body->attributes, ATTRIBUTE_role, LOOP_ROLE);
    body->location = user->location;
    return body;
}

struct node *build_loop(struct builder *b, const struct loop *like, struct value *const *operands,
                        int count, const char *name)
{
    struct arena *arena = b->module->arena;
    struct attributes attributes = {0};
    attributes_set_body(arena, &attributes, like->body);
    attributes_set_int(arena, &attributes, ATTRIBUTE_trips, like->trips);
    attributes_set_int(arena, &attributes, ATTRIBUTE_carried, like->carried);
    attributes_set_int(arena, &attributes, ATTRIBUTE_sliced, like->sliced);
    attributes_set_int(arena, &attributes, ATTRIBUTE_reverse, like->reverse);
    return build_node(b, OP_loop, operands, count, attributes, name);
}

static const char *inlined_scope(struct arena *arena, const char *outer, const char *scope,
                                 int64_t iteration)
{
    const char *whole = *scope ? scope : outer;
    return iteration < 0 ? whole
                         : arena_printf(arena, "%s%s%" PRId64, whole, *whole ? "." : "", iteration);
}

static void inline_node(struct builder *b, const struct node *old, struct value **map)
{
    struct value *operands[64];
    for (int i = 0; i < old->operand_count; i++)
        operands[i] = map[old->operands[i]->id];
    b->location = old->location;
    struct node *node =
        build_node(b, old->op, operands, old->operand_count, old->attributes, old->results[0].name);
    for (int i = 0; i < old->result_count; i++)
        map[old->results[i].id] = &node->results[i];
}

void inline_function(struct builder *b, const struct function *function,
                     struct value *const *arguments, int64_t iteration, struct value **map,
                     struct value **out_outputs)
{
    const struct builder before = *b;
    for (size_t i = 0; i < function->params.count; i++)
        map[function->params.items[i]->results[0].id] = arguments[i];
    const char *last = NULL;
    for (size_t i = 0; i < function->nodes.count; i++) {
        const char *scope = function->nodes.items[i]->scope;
        if (!last || strcmp(last, scope) != 0)
            b->scope = inlined_scope(b->module->arena, before.scope, scope, iteration);
        last = scope;
        inline_node(b, function->nodes.items[i], map);
    }
    for (size_t i = 0; i < function->bindings.count; i++)
        out_outputs[i] = map[function->bindings.items[i].value->id];
    *b = before;
}
