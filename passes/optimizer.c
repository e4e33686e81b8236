/* Stochastic gradient descent with momentum on the gradients of pass_grad: pass_optimizer. */
#include "ir/build.h"
#include "passes/passes.h"

#include <string.h>

static const char role_fit[] = "fit"; /* runtime/roles.h: RT_ROLE_FIT */
static const char output_finite[] = "finite"; /* runtime/roles.h: RT_OUTPUT_FINITE */

struct trained {
    struct node *weight;
    struct value *state, *moment, *gradient;
};

struct optimizer {
    struct module *module;
    struct builder b;
    struct value *rate, *momentum, *good; /* good: bool[], the step may be taken */
    ARRAY_OF(struct trained) trained;
};

/* --- states --- */

static struct value *make_state(struct optimizer *o, const struct node *weight, const char *suffix,
                                const char *source)
{
    struct arena *arena = o->module->arena;
    const struct value *value = &weight->results[0];
    struct attributes attributes = {0};
    if (source)
        attributes_set_text(arena, &attributes, ATTRIBUTE_source, source);
    struct builder b = {o->module, NULL, weight->location, weight->scope};
    return build_state(&b, arena_printf(arena, "%s.%s", value->name, suffix), value->type,
                       attributes);
}

static struct trained *find_trained(const struct optimizer *o, const struct node *weight)
{
    for (size_t i = 0; i < o->trained.count; i++)
        if (o->trained.items[i].weight == weight)
            return &o->trained.items[i];
    return NULL;
}

/* Takes the outputs "d.NAME" out of the bindings. */
static void take_gradients(struct optimizer *o, struct function *function)
{
    size_t kept = 0;
    for (size_t i = 0; i < function->bindings.count; i++) {
        const struct binding *binding = &function->bindings.items[i];
        bool gradient = !binding->state && strncmp(binding->name, "d.", 2) == 0;
        struct node *weight = gradient ? module_find_leaf(o->module, binding->name + 2) : NULL;
        if (!weight || weight->op != OP_weight) {
            function->bindings.items[kept++] = *binding;
            continue;
        }
        struct trained *known = find_trained(o, weight);
        if (!known) {
            struct trained trained = {.weight = weight};
            trained.state = make_state(o, weight, "value", weight->results[0].name);
            trained.moment = make_state(o, weight, "moment", NULL);
            array_push(o->module->arena, &o->trained, trained);
            known = &o->trained.items[o->trained.count - 1];
        }
        known->gradient = binding->value;
    }
    function->bindings.count = kept;
}

/* Reads of trained weights become reads of their states. */
static void read_states(struct optimizer *o, struct function *function)
{
    struct value **state = arena_array(o->module->arena, struct value *, o->module->next_value);
    for (size_t i = 0; i < o->trained.count; i++)
        state[o->trained.items[i].weight->results[0].id] = o->trained.items[i].state;
    for (size_t n = 0; n < function->nodes.count; n++)
        for (int i = 0; i < function->nodes.items[n]->operand_count; i++) {
            struct value **operand = &function->nodes.items[n]->operands[i];
            *operand = state[(*operand)->id] ? state[(*operand)->id] : *operand;
        }
    for (size_t i = 0; i < function->bindings.count; i++) {
        struct value **value = &function->bindings.items[i].value;
        *value = state[(*value)->id] ? state[(*value)->id] : *value;
    }
}

/* --- the step --- */

static struct value *sum_of_squares(struct builder *b, struct value *x)
{
    int64_t axes[MAX_RANK];
    for (int i = 0; i < x->type.rank; i++)
        axes[i] = i;
    x = build_unary(b, OP_square, x);
    if (x->type.rank)
        x = build_reshape(b, build_reduce(b, OP_sum, x, axes, x->type.rank), 0, NULL);
    return x;
}

/* Loss and gradient norm are finite: one NaN or infinity anywhere makes the sum none. */
static struct value *check_finite(struct optimizer *o, const struct function *function)
{
    struct value *sum = NULL, *good = NULL;
    for (size_t i = 0; i < o->trained.count; i++) {
        struct value *gradient = o->trained.items[i].gradient;
        struct value *squares = gradient ? sum_of_squares(&o->b, gradient) : NULL;
        if (squares)
            sum = sum ? build_binary(&o->b, OP_add, sum, squares) : squares;
    }
    good = build_unary(&o->b, OP_isfinite, sum);
    for (size_t i = 0; i < function->bindings.count; i++) {
        const struct binding *binding = &function->bindings.items[i];
        if (binding->state || strcmp(binding->name, "loss") != 0)
            continue;
        struct value *loss = build_reshape(&o->b, binding->value, 0, NULL);
        good = build_binary(&o->b, OP_and, good, build_unary(&o->b, OP_isfinite, loss));
    }
    return good;
}

/* Tells the runtime whether the step was taken; a model's own output of that name gives way. */
static void report_finite(struct optimizer *o, struct function *function)
{
    size_t kept = 0;
    for (size_t i = 0; i < function->bindings.count; i++) {
        const struct binding *binding = &function->bindings.items[i];
        if (binding->state || strcmp(binding->name, output_finite) != 0)
            function->bindings.items[kept++] = *binding;
    }
    function->bindings.count = kept;
    build_output(&o->b, output_finite, o->good);
}

/* v' = momentum v + g, w' = w - rate v' (Sutskever et al. 2013 as PyTorch writes it). */
static void build_step(struct optimizer *o, const struct trained *t)
{
    struct builder *b = &o->b;
    b->location = t->weight->location;
    b->scope = t->weight->scope;
    struct value *v = build_binary(b, OP_mul, t->moment, o->momentum);
    v = build_binary(b, OP_add, v, t->gradient);
    struct value *w = build_binary(b, OP_sub, t->state, build_binary(b, OP_mul, v, o->rate));
    build_store(b, t->moment, build_select(b, o->good, v, t->moment));
    build_store(b, t->state, build_select(b, o->good, w, t->state));
}

/* A bad step changes nothing else either: running statistics keep their values. */
static void gate_stores(struct optimizer *o, struct function *function)
{
    for (size_t i = 0; i < function->bindings.count; i++) {
        struct binding *binding = &function->bindings.items[i];
        if (!binding->state)
            continue;
        o->b.location = binding->location;
        binding->value = build_select(&o->b, o->good, binding->value, binding->state);
    }
}

static void optimize_function(struct optimizer *o, struct function *function)
{
    o->b = (struct builder){o->module, function, function->location, ""};
    for (size_t i = 0; i < o->trained.count; i++)
        o->trained.items[i].gradient = NULL;
    take_gradients(o, function);
    if (o->trained.count == 0)
        return;
    o->rate = build_param(&o->b, "learning_rate", type_scalar(DTYPE_f32));
    o->momentum = build_param(&o->b, "momentum", type_scalar(DTYPE_f32));
    o->good = check_finite(o, function);
    report_finite(o, function);
    gate_stores(o, function);
    for (size_t i = 0; i < o->trained.count; i++)
        if (o->trained.items[i].gradient)
            build_step(o, &o->trained.items[i]);
}

/*
 * Requires: pass_grad ran; no kernels. Weights are f32.
 * Preserves: the outputs of all functions, but for one named "finite" in functions of role fit.
 * Adds: for each weight W with a gradient, states "W.value" (attribute source) and "W.moment", and
 *   their next values in functions of role fit; inputs learning_rate and momentum, f32[]; output
 *   "finite", bool[]. Where the loss or the sum of the squared gradients is not finite, it is false
 *   and no state changes.
 * Breaks: the outputs "d.NAME" are gone; every function reads the states instead of the weights.
 */
void pass_optimizer(struct module *module)
{
    struct optimizer o = {.module = module};
    for (size_t i = 0; i < module->functions.count; i++) {
        struct function *function = module->functions.items[i];
        const char *role = attributes_text(&function->attributes, ATTRIBUTE_role);
        if (role && strcmp(role, role_fit) == 0)
            optimize_function(&o, function);
    }
    for (size_t i = 0; i < module->functions.count; i++)
        read_states(&o, module->functions.items[i]);
    remove_dead(module);
}
