/*
 * The invariants of a module at its stage, checked after every pass: a broken one names the
 * pass that broke it. For IR text that a user wrote the same rules are the user's errors.
 */
#include "ir/verify.h"

#include "ir/build.h"
#include "ir/encoding.h"
#include "ir/loop.h"
#include "ir/names.h"
#include "ir/program.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

static struct location text_location(const struct verifier *v, const struct node *node)
{
    if (node && node->id < v->module->text_locations.count)
        return v->module->text_locations.items[node->id];
    return (struct location){0};
}

void verify_fail(const struct verifier *v, const struct value *value, const char *rule)
{
    const char *function = v->function ? v->function->name : "";
    const char *name = value && value->name ? value->name : "";
    char text[512];
    snprintf(text, sizeof text, "%s", rule);
    arena_destroy(v->arena); /* it may hold the rule, and a trap would leave it */
    if (v->user_text)
        fatal_at(text_location(v, value ? value->node : NULL), IR_INVALID, function, name, text);
    fatal(IR_BROKEN, v->after ? v->after : "none", function, name, text);
}

/* --- names and attributes --- */

static void check_name(const struct verifier *v, struct map *seen, const struct value *value)
{
    if (!value->name || !name_valid(value->name, strlen(value->name)))
        verify_fail(v, value, "a name is letters, digits and '_', parts joined by '.'");
    if (map_get(seen, value->name))
        verify_fail(v, value, "names are unique");
    map_set(seen, value->name, (void *)value);
}

static void check_attribute(const struct verifier *v, const struct node *node,
                            const struct attribute *attribute)
{
    const struct attribute_info *info = attribute_info(attribute->id);
    bool number = info->kind == KIND_INT || info->kind == KIND_FLAG || info->kind == KIND_TYPE;
    if (number && attribute->integer == (int64_t)info->fallback)
        verify_fail(v, &node->results[0], "attributes that have their default are absent");
    if (info->kind == KIND_TYPE && (attribute->integer < 0 || attribute->integer >= DTYPE_COUNT))
        verify_fail(v, &node->results[0], "attributes of types are types");
    if (info->kind == KIND_TEXT && !attribute->text)
        verify_fail(v, &node->results[0], "texts are there");
    if (info->kind == KIND_LIST && (!attribute->list || attribute->integer < 0))
        verify_fail(v, &node->results[0], "lists are there");
}

static void check_attributes(const struct verifier *v, const struct node *node)
{
    const struct attributes *a = &node->attributes;
    for (int i = 0; i < a->count; i++) {
        if (i && a->items[i].id <= a->items[i - 1].id)
            verify_fail(v, &node->results[0], "attributes stand in the order of the table, once");
        check_attribute(v, node, &a->items[i]);
    }
}

/* --- types --- */

/* Runs the shape rule; false with its message in diag_last_message if it refuses. */
static bool try_infer(const struct node *node, struct type *types)
{
    jmp_buf here;
    jmp_buf *outer = diag_set_trap(&here);
    bool good = setjmp(here) == 0;
    if (good)
        infer_types(node->op, node->operands, node->operand_count, &node->attributes,
                    node->location, types);
    diag_set_trap(outer);
    return good;
}

/* A stored value may have padded rows, once it has a place. */
static void check_pitch(const struct verifier *v, const struct value *value)
{
    const struct type *type = &value->type;
    bool fits = type->rank >= 2 && type->offset == 0 && type->strides[type->rank - 1] == 1 &&
                type->strides[type->rank - 2] >= type->dims[type->rank - 1] &&
                type->strides[type->rank - 2] < (int64_t)1 << 40;
    for (int k = type->rank - 2; fits && k > 0; k--)
        fits = type->strides[k - 1] == type->strides[k] * type->dims[k];
    if (!fits || !(value->place.kind == PLACE_ARENA || value->place.kind == PLACE_WEIGHT))
        verify_fail(v, value, "stored values are contiguous or have rows of one pitch");
}

/* A view of strides reads inside the value that it is a view of. */
static void check_strides(const struct verifier *v, const struct value *value)
{
    const struct value *base = value;
    while ((op_info(base->node->op)->flags & OP_VIEW) && base->type.strided)
        base = base->node->operands[0];
    if (base == value || base->type.strided)
        verify_fail(v, value, "only views have strides, and they start at a contiguous value");
    __int128 low = value->type.offset, high = low;
    for (int i = 0; i < value->type.rank; i++) {
        if (value->type.dims[i] == 0)
            return;
        __int128 reach = (__int128)value->type.strides[i] * (value->type.dims[i] - 1);
        low += reach < 0 ? reach : 0;
        high += reach > 0 ? reach : 0;
    }
    if (low < 0 || high >= type_elements(&base->type))
        verify_fail(v, value, "a view lies inside the value that it is a view of");
}

static void check_types(const struct verifier *v, const struct node *node)
{
    struct type types[MAX_RESULTS];
    if (!try_infer(node, types))
        verify_fail(v, &node->results[0], diag_last_message());
    for (int i = 0; i < node->result_count; i++) {
        const struct type *type = &node->results[i].type;
        if (type->dtype != types[i].dtype || !type_same_dims(type, &types[i]))
            verify_fail(v, &node->results[i], "the type is what the shape rule gives");
        if (type->strided && op_info(node->op)->flags & OP_VIEW)
            check_strides(v, &node->results[i]);
        else if (type->strided)
            check_pitch(v, &node->results[i]);
    }
}

static void check_blob(const struct verifier *v, const struct node *node)
{
    const char *name = node_text(node, blob);
    const struct blob *blob = name ? module_find_blob(v->module, name) : NULL;
    if (name && (!blob || blob->size != type_bytes(&node->results[0].type)))
        verify_fail(v, &node->results[0], "the blob is there and has the size of the constant");
}

/* --- leaves --- */

static void check_leaf(const struct verifier *v, const struct node *node, enum op op)
{
    const struct type *type = &node->results[0].type;
    if (node->op != op)
        verify_fail(v, &node->results[0], "leaves stand in the list of their kind");
    if (!type_dims_valid(type->dtype, type->rank, type->dims))
        verify_fail(v, &node->results[0], "leaves have valid dimensions");
    if (type->strided)
        check_pitch(v, &node->results[0]);
    if (node->kernel)
        verify_fail(v, &node->results[0], "leaves are in no kernel");
    check_attributes(v, node);
    v->defined[node->results[0].id] = true;
}

static void check_source(const struct verifier *v, const struct node *state)
{
    const char *name = node_text(state, source);
    const struct node *weight = name ? module_find_leaf(v->module, name) : NULL;
    if (name && (!weight || weight->op != OP_weight ||
                 !type_same_dims(&weight->results[0].type, &state->results[0].type)))
        verify_fail(v, &state->results[0], "a state's source is a weight of its dimensions");
}

static void check_leaves(const struct verifier *v, struct map *seen)
{
    const struct module *module = v->module;
    for (size_t i = 0; i < module->weights.count; i++) {
        check_leaf(v, module->weights.items[i], OP_weight);
        const char *rule = encoding_rule(module, module->weights.items[i]);
        if (rule)
            verify_fail(v, &module->weights.items[i]->results[0], rule);
        check_name(v, seen, &module->weights.items[i]->results[0]);
    }
    for (size_t i = 0; i < module->states.count; i++) {
        check_leaf(v, module->states.items[i], OP_state);
        check_name(v, seen, &module->states.items[i]->results[0]);
        check_source(v, module->states.items[i]);
    }
}

/* --- functions --- */

static void check_operands(const struct verifier *v, const struct node *node)
{
    const struct op_info *info = op_info(node->op);
    if (info->flags & OP_LEAF)
        verify_fail(v, &node->results[0], "leaves are not in a body");
    if (node->operand_count < info->operands_min || node->operand_count > info->operands_max)
        verify_fail(v, &node->results[0], "the number of operands is the op's");
    for (int i = 0; i < node->operand_count; i++)
        if (!node->operands[i] || node->operands[i]->id >= v->module->next_value ||
            !v->defined[node->operands[i]->id])
            verify_fail(v, &node->results[0], "operands stand before their uses");
}

/* The body of a loop is a function of that role, before this one. */
static void check_loop(const struct verifier *v, const struct node *node)
{
    const struct attribute *body = attributes_find(&node->attributes, ATTRIBUTE_body);
    bool before = false;
    for (size_t i = 0; body && v->module->functions.items[i] != v->function; i++)
        before |= v->module->functions.items[i] == body->function;
    if (!before || !is_loop_body(body->function) || strcmp(body->function->name, body->text) != 0)
        verify_fail(v, &node->results[0],
                    "the body of a loop is a function of role body before it");
    if (node->kernel)
        verify_fail(v, &node->results[0], "loops are in no kernel");
    if (node->result_count != (int)body->function->bindings.count)
        verify_fail(v, &node->results[0], "a loop has the results of its body");
}

/* What a body uses comes in as an operand of the loop. */
static void check_body_operands(const struct verifier *v, const struct node *node)
{
    for (int i = 0; i < node->operand_count; i++)
        if (node->operands[i]->node->op == OP_weight || node->operands[i]->node->op == OP_state)
            verify_fail(v, &node->results[0], "the body of a loop uses no weights and states");
}

static void check_nodes(const struct verifier *v, struct map *seen)
{
    const struct function *function = v->function;
    for (size_t i = 0; i < function->params.count; i++) {
        check_leaf(v, function->params.items[i], OP_param);
        check_name(v, seen, &function->params.items[i]->results[0]);
    }
    for (size_t i = 0; i < function->nodes.count; i++) {
        const struct node *node = function->nodes.items[i];
        check_operands(v, node);
        check_attributes(v, node);
        if (node->op == OP_loop)
            check_loop(v, node);
        if (is_loop_body(function))
            check_body_operands(v, node);
        check_types(v, node);
        if (node->op == OP_const)
            check_blob(v, node);
        for (int k = 0; k < node->result_count; k++) {
            check_name(v, seen, &node->results[k]);
            v->defined[node->results[k].id] = true;
        }
    }
}

static void check_binding(const struct verifier *v, const struct binding *binding,
                          struct map *outputs, struct map *stores)
{
    struct map *names = binding->state ? stores : outputs;
    if (!binding->value || !v->defined[binding->value->id])
        verify_fail(v, binding->value, "a result is a value of its function");
    if (map_get(names, binding->name))
        verify_fail(v, binding->value, "each output and each state is given once");
    map_set(names, binding->name, binding->value);
    if (is_loop_body(v->function) && (binding->state || binding->value->node->op == OP_weight ||
                                      binding->value->node->op == OP_state))
        verify_fail(v, binding->value, "the body of a loop gives values of its own");
    if (!binding->state)
        return;
    if (binding->state->node->op != OP_state || !v->defined[binding->state->id])
        verify_fail(v, binding->state, "what is stored to is a state of the module");
    const struct type *state = &binding->state->type, *value = &binding->value->type;
    if (state->dtype != value->dtype || !type_same_dims(state, value))
        verify_fail(v, binding->value, "a state's next value has the state's type");
}

static void leave_function(const struct verifier *v)
{
    const struct function *function = v->function;
    for (size_t i = 0; i < function->params.count; i++)
        v->defined[function->params.items[i]->results[0].id] = false;
    for (size_t i = 0; i < function->nodes.count; i++)
        for (int k = 0; k < function->nodes.items[i]->result_count; k++)
            v->defined[function->nodes.items[i]->results[k].id] = false;
}

static void check_function(const struct verifier *v)
{
    struct map seen = map_create(v->arena), outputs = map_create(v->arena);
    struct map stores = map_create(v->arena);
    check_nodes(v, &seen);
    for (size_t i = 0; i < seen.count; i++)
        if (map_get(&v->module->names, seen.entries[i].key))
            verify_fail(v, seen.entries[i].value, "no value has the name of a weight or state");
    for (size_t i = 0; i < v->function->bindings.count; i++)
        check_binding(v, &v->function->bindings.items[i], &outputs, &stores);
    verify_kernels(v);
    verify_places(v);
    leave_function(v);
}

/* A text's stage says whether it has kernels; the passes that come next rely on it. */
static void check_stage(const struct verifier *v)
{
    static const char *const early[] = {"lower",  "simplify", "grad",  "optimizer", "unroll",
                                        "decode", "cast",     "clean", "layout"};
    const struct function *function = v->function;
    const struct value *first =
        function->nodes.count ? &function->nodes.items[0]->results[0] : NULL;
    bool expected = true;
    for (size_t i = 0; i < sizeof early / sizeof early[0]; i++)
        expected = expected && strcmp(v->module->stage, early[i]) != 0;
    if (function->kernels.count > 0 && !expected)
        verify_fail(v, first, "there are no kernels at this stage");
    if (function->kernels.count == 0 && first && expected)
        verify_fail(v, first, "from fuse on all nodes stand in kernels");
}

void ir_verify(const struct module *module, const char *after, bool user_text)
{
    struct arena *arena = arena_create(); /* side tables of this check only */
    struct map seen = map_create(arena);
    struct verifier v = {module, NULL, after, user_text, NULL, arena};
    v.defined = arena_array(arena, bool, (size_t)module->next_value + 1);
    check_leaves(&v, &seen);
    for (size_t i = 0; i < module->functions.count; i++) {
        v.function = module->functions.items[i];
        check_function(&v);
        if (user_text)
            check_stage(&v);
    }
    v.function = NULL;
    verify_programs(&v);
    arena_destroy(arena);
}
