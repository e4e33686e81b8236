/* Reverse-mode gradients from the op table: pass_grad. */
#include "passes/grad.h"

#include "ir/names.h"
#include "passes/passes.h"
#include "passes/term.h"

#include <string.h>

static const char role_fit[] = "fit"; /* runtime/roles.h: RT_ROLE_FIT */

bool gradient_wanted(const struct gradient *g, const struct node *node, int i)
{
    return g->wanted[node->operands[i]->id];
}

void gradient_add(struct gradient *g, const struct node *node, int i, struct value *part)
{
    struct value **sum = &g->adjoint[node->operands[i]->id];
    *sum = *sum ? build_binary(&g->b, OP_add, *sum, part) : part;
}

struct value *gradient_reduce_to(struct gradient *g, struct value *value, const struct type *type)
{
    int64_t axes[MAX_RANK];
    int count = 0;
    if (type_same_dims(&value->type, type))
        return value;
    for (int i = 0; i < value->type.rank; i++)
        if (type->rank == 0 || (type->dims[i] == 1 && value->type.dims[i] != 1))
            axes[count++] = i;
    if (count)
        value = build_reduce(&g->b, OP_sum, value, axes, count);
    if (!type_same_dims(&value->type, type))
        value = build_reshape(&g->b, value, type->rank, type->dims);
    return value;
}

/* --- gradients as terms (EW and RED rows) --- */

static struct value *evaluate(struct gradient *g, const struct node *node, struct value *dy,
                              const struct term *term);

static struct value *named(const struct node *node, struct value *dy, const char *name)
{
    if (name[0] == 'g')
        return dy;
    if (name[0] == 'y')
        return &node->results[0];
    return node->operands[name[0] - 'a'];
}

static double reduced_elements(const struct node *node)
{
    int64_t kept = type_elements(&node->results[0].type);
    return kept ? (double)(type_elements(&node->operands[0]->type) / kept) : 0;
}

static struct value *mean_of(struct gradient *g, const struct node *node, struct value *x)
{
    int count;
    const int64_t *axes = node_list(node, axes, &count);
    struct value *sum = build_reduce(&g->b, OP_sum, x, axes, count);
    struct value *n = build_constant(&g->b, x->type.dtype, reduced_elements(node));
    return build_binary(&g->b, OP_div, sum, n);
}

/* What terms call besides ops; NULL if `name` is none of them. */
static struct value *evaluate_special(struct gradient *g, const struct node *node, const char *name,
                                      struct value *const *x)
{
    const struct type *type = &node->operands[0]->type;
    if (strcmp(name, "expand") == 0)
        return type_same_dims(&x[0]->type, type)
                   ? x[0]
                   : build_broadcast(&g->b, x[0], type->rank, type->dims);
    if (strcmp(name, "castas") == 0)
        return build_cast(&g->b, x[0], x[1]->type.dtype);
    if (strcmp(name, "mean") == 0)
        return mean_of(g, node, x[0]);
    if (strcmp(name, "extent") == 0)
        return build_constant(&g->b, type->dtype, reduced_elements(node));
    return NULL;
}

static struct value *evaluate_call(struct gradient *g, const struct node *node, struct value *dy,
                                   const struct term *term)
{
    struct value *x[TERM_ARGUMENTS];
    enum op op;
    for (int i = 0; i < term->count; i++)
        x[i] = evaluate(g, node, dy, term->arguments[i]);
    struct value *special = evaluate_special(g, node, term->name, x);
    if (special)
        return special;
    if (!op_parse(term->name, strlen(term->name), &op))
        fatal(INTERNAL, "a gradient names an unknown op", term->name);
    return &build_node(&g->b, op, x, term->count, (struct attributes){0}, NULL)->results[0];
}

static struct value *evaluate(struct gradient *g, const struct node *node, struct value *dy,
                              const struct term *term)
{
    if (term->kind == TERM_NAME)
        return named(node, dy, term->name);
    if (term->kind == TERM_NUMBER)
        return build_constant(&g->b, dy->type.dtype, term->number);
    return evaluate_call(g, node, dy, term);
}

/* A column "-" is a derivative of zero, or of nothing that has one. */
static void differentiate_row(struct gradient *g, const struct node *node, struct value *dy)
{
    const struct op_info *info = op_info(node->op);
    for (int i = 0; i < node->operand_count && i < 3; i++) {
        if (!gradient_wanted(g, node, i) || strcmp(info->gradient[i], "-") == 0)
            continue;
        const struct term *term = term_parse(g->b.module->arena, info->gradient[i]);
        struct value *part = evaluate(g, node, dy, term);
        gradient_add(g, node, i, gradient_reduce_to(g, part, &node->operands[i]->type));
    }
}

typedef void gradient_function(struct gradient *g, const struct node *node, struct value *dy);
static gradient_function *const structured_gradients[OP_COUNT] = {
#define OP(name, ...) [OP_##name] = gradient_##name,
#include "ir/ops.def"
};

/* --- the sweep --- */

void gradient_find_wanted(struct gradient *g)
{
    const struct function *function = g->b.function;
    for (size_t n = 0; n < function->nodes.count; n++) {
        const struct node *node = function->nodes.items[n];
        for (int i = 0; i < node->operand_count; i++)
            for (int k = 0; g->wanted[node->operands[i]->id] && k < node->result_count; k++)
                g->wanted[node->results[k].id] = dtype_is_float(node->results[k].type.dtype);
    }
}

/* All float weights are trained. */
static void want_weights(struct gradient *g, const struct module *module)
{
    for (size_t i = 0; i < module->weights.count; i++) {
        const struct value *weight = &module->weights.items[i]->results[0];
        g->wanted[weight->id] = dtype_is_float(weight->type.dtype);
    }
}

/* "d.NAME" for the whole gradient of a value, if it was made for it. */
static void name_adjoint(struct gradient *g, const struct value *value, struct value *adjoint)
{
    bool made_here = adjoint->id >= g->count && strncmp(adjoint->name, "d.", 2) != 0;
    if (made_here)
        name_value(g->b.module, g->b.function, adjoint,
                   arena_printf(g->b.module->arena, "d.%s", value->name));
}

/* Only results of loops have gradients beside the first: sort's indices are no floats. */
static bool is_reached(const struct gradient *g, const struct node *node)
{
    for (int i = 0; i < node->result_count; i++)
        if (g->adjoint[node->results[i].id] && g->wanted[node->results[i].id])
            return true;
    return false;
}

static void differentiate(struct gradient *g, const struct node *node)
{
    struct value *dy = g->adjoint[node->results[0].id];
    if (!is_reached(g, node))
        return;
    g->b.location = node->location;
    g->b.scope = node->scope;
    if (dy)
        name_adjoint(g, &node->results[0], dy);
    if (op_info(node->op)->kind == KIND_OP)
        structured_gradients[node->op](g, node, dy);
    else
        differentiate_row(g, node, dy);
}

void gradient_sweep(struct gradient *g, size_t forward)
{
    for (size_t n = forward; n-- > 0;)
        differentiate(g, g->b.function->nodes.items[n]);
}

static const struct binding *find_loss(const struct function *function)
{
    for (size_t i = 0; i < function->bindings.count; i++)
        if (!function->bindings.items[i].state &&
            strcmp(function->bindings.items[i].name, "loss") == 0)
            return &function->bindings.items[i];
    fatal_at(function->location, GRAD_NO_LOSS, function->name);
}

static void differentiate_function(struct module *module, struct function *function)
{
    const struct binding loss = *find_loss(function);
    struct gradient g = {.b = {module, function, loss.location, ""}, .count = module->next_value};
    size_t forward = function->nodes.count;
    g.adjoint = arena_array(module->arena, struct value *, g.count);
    g.wanted = arena_array(module->arena, bool, g.count);
    want_weights(&g, module);
    gradient_find_wanted(&g);
    if (type_elements(&loss.value->type) != 1 || !dtype_is_float(loss.value->type.dtype))
        fatal_at(loss.location, GRAD_LOSS_SHAPE, type_text(module->arena, &loss.value->type));
    if (!g.wanted[loss.value->id])
        fatal_at(loss.location, GRAD_NOTHING, function->name);
    struct value *one = build_constant(&g.b, loss.value->type.dtype, 1);
    if (loss.value->type.rank)
        one = build_broadcast(&g.b, one, loss.value->type.rank, loss.value->type.dims);
    g.adjoint[loss.value->id] = one;
    gradient_sweep(&g, forward);
    for (size_t i = 0; i < module->weights.count; i++) {
        const struct node *weight = module->weights.items[i];
        struct value *adjoint = g.adjoint[weight->results[0].id];
        if (!adjoint)
            continue;
        g.b.location = weight->location;
        name_adjoint(&g, &weight->results[0], adjoint);
        build_output(&g.b, arena_printf(module->arena, "d.%s", weight->results[0].name), adjoint);
    }
    names_refresh(module, function);
}

/*
 * Requires: no kernels; each function of role fit gives an output `loss` of one element that
 *   depends on a weight.
 * Preserves: all values and results of all functions.
 * Adds: to functions of role fit, an output "d.NAME" for each float weight NAME that the loss
 *   depends on: the gradient, of the weight's type. Refuses ops without a gradient on the way.
 * Breaks: nothing; gradients of unused branches are left for simplify to drop.
 */
void pass_grad(struct module *module)
{
    ARRAY_OF(struct function *) trained = {0}; /* bodies of loops are put between functions */
    for (size_t i = 0; i < module->functions.count; i++) {
        struct function *function = module->functions.items[i];
        const char *role = attributes_text(&function->attributes, ATTRIBUTE_role);
        if (role && strcmp(role, role_fit) == 0)
            array_push(module->arena, &trained, function);
    }
    for (size_t i = 0; i < trained.count; i++)
        differentiate_function(module, trained.items[i]);
    remove_dead(module);
}
