/*
 * Random numbers while training. Each is a function of the seed, the step, the site in the program
 * and its place in the batch, so that it depends neither on the device nor on the threads. Seed and
 * step are inputs that the runtime gives (runtime/roles.h); their names hold a dot, so that no
 * input of a description has them.
 */
#include "lower.h"

#include <string.h>

static const char seed_name[] = "random.seed"; /* RT_INPUT_SEED */
static const char step_name[] = "random.step"; /* RT_INPUT_STEP */

static struct value *find_param(const struct function *function, const char *name)
{
    for (size_t i = 0; i < function->params.count; i++)
        if (strcmp(function->params.items[i]->results[0].name, name) == 0)
            return &function->params.items[i]->results[0];
    return NULL;
}

/* An input of the function of the entry, made at the first draw; in a loop, as its body sees it. */
static struct value *input(struct lowering *l, const char *name, int rank)
{
    const int64_t halves = 2;
    struct builder b = l->builder;
    b.function = entry_function(l);
    b.scope = "";
    struct value *found = find_param(b.function, name);
    if (!found)
        found = build_param(&b, name, type_make(DTYPE_i32, rank, &halves));
    return seen_in_loop(l, datum_tensor(found)).tensor;
}

/* One of the two words of the seed. */
static struct value *word(struct lowering *l, struct value *seed, int64_t at)
{
    return build_reshape(&l->builder, build_slice(&l->builder, seed, 0, at, 1), 0, NULL);
}

/* The number of the draw at one site: the step, and the iteration of the loops around. */
static struct value *draw_number(struct lowering *l)
{
    struct value *number = input(l, step_name, 0), *iteration = loop_number(l);
    if (!iteration)
        return number;
    struct value *all = build_constant(&l->builder, DTYPE_i32, (double)loop_count(l));
    number = build_binary(&l->builder, OP_mul, number, all);
    return build_binary(&l->builder, OP_add, number, iteration);
}

/* uniform(dims): f32 in [0, 1). */
struct datum run_uniform(struct lowering *l, const struct call *call)
{
    struct type type = {.dtype = DTYPE_f32};
    struct attributes attributes = {0};
    need_function(l, call->location);
    if (!l->options->training)
        fatal_at(place_of(l, call->location), LANGUAGE_DRAW);
    type.rank = argument_dims(l, call, 0, type.dims);
    int64_t count = type_elements(&type);
    if (count > INT32_MAX)
        argument_wrong(l, call, 0, "fewer than 2^31 elements");
    l->builder.location = place_of(l, call->location);
    struct value *seed = input(l, seed_name, 1);
    struct value *index = build_iota(&l->builder, DTYPE_i32, 1, &count, 0);
    struct value *operands[] = {word(l, seed, 0), word(l, seed, 1), draw_number(l),
                                build_reshape(&l->builder, index, type.rank, type.dims)};
    attributes_set_int(l->arena, &attributes, ATTRIBUTE_site, ++l->sites);
    return emit(l, call->location, OP_philox, operands, 4, attributes, call->hint);
}
