/*
 * Repetition penalty (Keskar et al. 2019), temperature, top-k, top-p (Holtzman et al. 2020),
 * min-p, in this order, then the arg-max of logit + Gumbel noise (Gumbel 1954), which draws from
 * the softmax. Every step is elementwise on sorted logits, so that it is the same everywhere.
 * A token that is drawn from logits that are not all finite would mean nothing: it is -1.
 * Nodes are made one a statement: C leaves the order of arguments open, and names follow it.
 */
#include "passes/sampling.h"

#include "ir/build.h"

struct sampler {
    struct builder builder;
    int64_t dims[2]; /* B, V */
};

static struct value *wide(struct sampler *s, struct value *value)
{
    return build_broadcast(&s->builder, value, 2, s->dims);
}

static struct value *real(struct sampler *s, double value)
{
    return build_constant(&s->builder, DTYPE_f32, value);
}

static struct value *integer(struct sampler *s, double value)
{
    return build_constant(&s->builder, DTYPE_i32, value);
}

static struct value *scalar_param(struct sampler *s, const char *name, enum dtype dtype)
{
    return build_param(&s->builder, name, type_scalar(dtype));
}

/* Tokens that stand in the row already: positive logits divided, negative ones multiplied. */
static struct value *penalise(struct sampler *s, struct value *logits, struct value *seen)
{
    struct builder *b = &s->builder;
    struct value *penalty = scalar_param(s, "penalty", DTYPE_f32);
    struct value *positive = build_binary(b, OP_gt, logits, real(s, 0));
    struct value *divided = build_binary(b, OP_div, logits, penalty);
    struct value *multiplied = build_binary(b, OP_mul, logits, penalty);
    return build_select(b, seen, build_select(b, positive, divided, multiplied), logits);
}

static struct node *sort_descending(struct sampler *s, struct value *logits)
{
    struct attributes attributes = {0};
    attributes_set_int(s->builder.module->arena, &attributes, ATTRIBUTE_axis, 1);
    attributes_set_int(s->builder.module->arena, &attributes, ATTRIBUTE_descending, 1);
    return build_node(&s->builder, OP_sort, &logits, 1, attributes, "sorted");
}

static struct value *running_sum(struct sampler *s, struct value *value)
{
    struct attributes attributes = {0};
    attributes_set_int(s->builder.module->arena, &attributes, ATTRIBUTE_axis, 1);
    attributes_set_int(s->builder.module->arena, &attributes, ATTRIBUTE_exclusive, 1);
    return &build_node(&s->builder, OP_cumsum, &value, 1, attributes, "before")->results[0];
}

/* Which of the sorted logits may be drawn. */
static struct value *keep(struct sampler *s, struct value *sorted)
{
    struct builder *b = &s->builder;
    struct value *top_k = scalar_param(s, "top_k", DTYPE_i32);
    struct value *top_p = scalar_param(s, "top_p", DTYPE_f32);
    struct value *min_p = scalar_param(s, "min_p", DTYPE_f32);
    struct value *rank = build_iota(b, DTYPE_i32, 2, s->dims, 1);
    struct value *among = build_binary(b, OP_lt, rank, top_k);
    struct value *off = wide(s, build_binary(b, OP_le, top_k, integer(s, 0)));
    struct value *kept = build_binary(b, OP_or, among, off);
    struct value *largest = wide(s, build_slice(b, sorted, 1, 0, 1));
    struct value *weight = build_unary(b, OP_exp, build_binary(b, OP_sub, sorted, largest));
    weight = build_select(b, kept, weight, real(s, 0));
    struct value *total = wide(s, build_reduce(b, OP_sum, weight, (int64_t[]){1}, 1));
    struct value *limit = build_binary(b, OP_mul, total, top_p);
    struct value *first = build_binary(b, OP_eq, rank, integer(s, 0));
    struct value *inside = build_binary(b, OP_lt, running_sum(s, weight), limit);
    kept = build_binary(b, OP_and, kept, build_binary(b, OP_or, inside, first));
    return build_binary(b, OP_and, kept, build_binary(b, OP_ge, weight, min_p));
}

/* Noise that depends on (seed, row, position, token id) alone: key (low, high + row), counter
 * (position, id). u stays away from 0 so that both logarithms are finite. */
static struct value *gumbel(struct sampler *s, struct value *ids, struct value *pos)
{
    struct builder *b = &s->builder;
    int64_t batch[2] = {s->dims[0], 1};
    struct value *seed = build_param(b, "seed", type_make(DTYPE_i32, 1, (int64_t[]){2}));
    struct value *row = build_param(b, "row", type_make(DTYPE_i32, 1, s->dims));
    struct value *low = build_reshape(b, build_slice(b, seed, 0, 0, 1), 0, NULL);
    struct value *high = build_reshape(b, build_slice(b, seed, 0, 1, 1), 0, NULL);
    struct value *key = build_binary(b, OP_add, build_reshape(b, row, 2, batch), high);
    low = wide(s, low);
    key = wide(s, key);
    struct value *position = wide(s, build_reshape(b, pos, 2, batch));
    struct value *operands[4] = {low, key, position, ids};
    struct value *u =
        &build_node(b, OP_philox, operands, 4, (struct attributes){0}, "u")->results[0];
    u = build_binary(b, OP_max, u, real(s, 0x1p-25));
    struct value *exponential = build_unary(b, OP_neg, build_unary(b, OP_log, u));
    return build_unary(b, OP_neg, build_unary(b, OP_log, exponential));
}

static struct sampler begin(struct module *module, const char *name, struct value *logits)
{
    struct function *function = module_add_function(module, name);
    attributes_set_text(module->arena, &function->attributes, ATTRIBUTE_role, name);
    return (struct sampler){{module, function, logits->node->location, "sampling"},
                            {logits->type.dims[0], logits->type.dims[1]}};
}

/* Of [B, 1]: [B]. */
static struct value *flat(struct sampler *s, struct value *value)
{
    return build_reshape(&s->builder, value, 1, s->dims);
}

static struct value *arg_max(struct sampler *s, struct value *value)
{
    return flat(s, build_reduce(&s->builder, OP_argmax, value, (int64_t[]){1}, 1));
}

/* Whether the logits of these ids, one of each row, are finite. */
static struct value *finite_at(struct sampler *s, struct value *logits, struct value *id)
{
    return build_unary(&s->builder, OP_isfinite, build_gather(&s->builder, logits, id, 1));
}

static void output_token(struct sampler *s, struct value *token, struct value *finite)
{
    struct builder *b = &s->builder;
    build_output(b, "token", build_select(b, finite, token, integer(s, -1)));
}

/* The arg-max is a logit that is not finite, if there is one. */
static void add_greedy(struct sampler *s, struct value *logits)
{
    struct builder *b = &s->builder;
    struct value *sound = build_unary(b, OP_isfinite, logits);
    struct value *token = arg_max(s, build_select(b, sound, logits, real(s, __builtin_inf())));
    output_token(s, token, finite_at(s, logits, token));
}

/* Sorted logits that are not finite stand at one of the ends. */
static struct value *finite_ends(struct sampler *s, struct value *logits, struct value *ids)
{
    struct builder *b = &s->builder;
    struct value *first = flat(s, build_slice(b, ids, 1, 0, 1));
    struct value *last = flat(s, build_slice(b, ids, 1, s->dims[1] - 1, 1));
    first = finite_at(s, logits, first);
    last = finite_at(s, logits, last);
    return build_binary(b, OP_and, first, last);
}

void add_sampling_functions(struct module *module, struct value *logits, struct value *seen,
                            struct value *pos)
{
    struct sampler greedy = begin(module, "greedy", logits);
    add_greedy(&greedy, logits);

    struct sampler s = begin(module, "sample", logits);
    struct value *temperature = scalar_param(&s, "temperature", DTYPE_f32);
    struct value *scaled =
        build_binary(&s.builder, OP_div, penalise(&s, logits, seen), temperature);
    struct node *sorted = sort_descending(&s, scaled);
    struct value *values = &sorted->results[0], *ids = &sorted->results[1];
    struct value *noisy = build_binary(&s.builder, OP_add, values, gumbel(&s, ids, pos));
    struct value *kept = keep(&s, values), *never = real(&s, -__builtin_inf());
    noisy = build_select(&s.builder, kept, noisy, never);
    struct value *token = build_gather(&s.builder, ids, arg_max(&s, noisy), 1);
    output_token(&s, token, finite_ends(&s, logits, ids));
}
