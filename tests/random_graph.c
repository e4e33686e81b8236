/* See random_graph.h. Each step draws one kind of construction and adds its results to a pool. */
#include "tests/random_graph.h"

#include "ir/build.h"

#include <stdlib.h>
#include <string.h>

enum { POOL = 512, TRIES = 40 };

struct graph {
    struct builder b;
    uint64_t seed;
    const struct random_options *options;
    int64_t limit;
    struct value *pool[POOL]; /* floats that steps start from */
    int count;
};

uint64_t random_below(uint64_t *state, uint64_t bound)
{
    *state += 0x9e3779b97f4a7c15u; /* splitmix64 (Steele, Lea, Flood 2014) */
    uint64_t z = *state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (z ^ z >> 31) % bound;
}

double random_unit(uint64_t *state)
{
    return (double)random_below(state, (uint64_t)1 << 53) * 0x1p-53;
}

static int draw(struct graph *g, int bound)
{
    return (int)random_below(&g->seed, (uint64_t)bound);
}

/* --- the pool --- */

static struct value *keep(struct graph *g, struct value *value)
{
    if (g->count < POOL)
        g->pool[g->count++] = value;
    else
        g->pool[draw(g, POOL)] = value;
    return value;
}

/* Mostly late values, so that graphs get deep. */
static struct value *pick(struct graph *g)
{
    int window = draw(g, 2) ? 6 : g->count;
    window = window > g->count ? g->count : window;
    return g->pool[g->count - 1 - draw(g, window)];
}

static struct value *pick_rank(struct graph *g, int least)
{
    for (int i = 0; i < TRIES; i++) {
        struct value *value = pick(g);
        if (value->type.rank >= least)
            return value;
    }
    return NULL;
}

static struct value *unary(struct graph *g, enum op op, struct value *x)
{
    return build_unary(&g->b, op, x);
}

static struct value *binary(struct graph *g, enum op op, struct value *x, struct value *y)
{
    return build_binary(&g->b, op, x, y);
}

static struct value *number(struct graph *g, double value)
{
    return build_constant(&g->b, DTYPE_f32, value);
}

/* Another value of the same dims, a scalar, or one that is made for the purpose. */
static struct value *partner(struct graph *g, struct value *x)
{
    static const double numbers[] = {0, 1, -1, 0.5, 2, -0.75, 4};
    for (int i = 0; i < TRIES && draw(g, 4); i++) {
        struct value *y = pick(g);
        if (type_same_dims(&x->type, &y->type) || y->type.rank == 0)
            return y;
    }
    struct value *y = number(g, numbers[draw(g, 7)]);
    if (draw(g, 3) == 0)
        y = build_broadcast(&g->b, y, x->type.rank, x->type.dims);
    return y;
}

/* --- leaves --- */

static void random_dims(struct graph *g, struct type *type)
{
    static const int64_t extents[] = {1, 2, 3, 5, 7, 16, 17, 31, 33, 0};
    int64_t elements = 1;
    type->rank = draw(g, 5);
    for (int i = 0; i < type->rank; i++) {
        int64_t extent = extents[draw(g, draw(g, 8) ? 9 : 10)];
        if (elements * extent > g->limit)
            extent = 1;
        elements *= extent ? extent : 1;
        type->dims[i] = extent;
    }
}

static void add_leaves(struct graph *g)
{
    int count = 2 + draw(g, 3);
    for (int i = 0; i < count; i++) {
        struct type type = type_scalar(DTYPE_f32);
        random_dims(g, &type);
        bool weight = g->options->smooth ? i < 2 : draw(g, 2);
        keep(g, weight ? build_weight(&g->b, "w", type, (struct attributes){0})
                       : build_param(&g->b, "x", type));
    }
}

/* --- elementwise steps --- */

static struct value *bounded(struct graph *g, struct value *x)
{
    return unary(g, draw(g, 2) ? OP_tanh : OP_sin, x);
}

static void step_smooth_unary(struct graph *g)
{
    struct value *x = pick(g), *one = number(g, 1.5);
    switch (draw(g, 12)) {
    case 0: keep(g, unary(g, OP_neg, x)); break;
    case 1: keep(g, unary(g, OP_exp, bounded(g, x))); break;
    case 2: keep(g, unary(g, OP_log, binary(g, OP_add, bounded(g, x), one))); break;
    case 3: keep(g, unary(g, OP_sqrt, binary(g, OP_add, bounded(g, x), one))); break;
    case 4: keep(g, unary(g, OP_rsqrt, binary(g, OP_add, bounded(g, x), one))); break;
    case 5: keep(g, unary(g, OP_recip, binary(g, OP_add, bounded(g, x), one))); break;
    case 6: keep(g, unary(g, OP_sin, x)); break;
    case 7: keep(g, unary(g, OP_cos, x)); break;
    case 8: keep(g, unary(g, OP_erf, x)); break;
    case 9: keep(g, unary(g, OP_sigmoid, x)); break;
    case 10: keep(g, unary(g, OP_square, bounded(g, x))); break;
    case 11: keep(g, unary(g, OP_neg, unary(g, OP_neg, x))); break;
    }
}

static void step_smooth_binary(struct graph *g)
{
    struct value *x = pick(g), *y = partner(g, x);
    struct value *positive;
    if (draw(g, 2)) {
        struct value *swap = x;
        x = y;
        y = swap;
    }
    switch (draw(g, 6)) {
    case 0:
    case 1: keep(g, binary(g, OP_add, x, y)); break;
    case 2: keep(g, binary(g, OP_sub, x, y)); break;
    case 3: keep(g, binary(g, OP_mul, bounded(g, x), bounded(g, y))); break;
    case 4:
        positive = binary(g, OP_add, bounded(g, y), number(g, draw(g, 2) ? 2 : 3));
        keep(g, binary(g, OP_div, bounded(g, x), positive));
        break;
    case 5:
        positive = binary(g, OP_add, bounded(g, x), number(g, 2));
        keep(g, binary(g, OP_pow, positive, draw(g, 2) ? bounded(g, y) : number(g, 2)));
        break;
    }
}

static void step_rough(struct graph *g)
{
    static const enum op unaries[] = {OP_abs, OP_sign, OP_relu, OP_floor, OP_round};
    static const enum op binaries[] = {OP_max, OP_min};
    static const enum op tests[] = {OP_eq, OP_ne, OP_lt, OP_le, OP_gt, OP_ge};
    struct value *x = pick(g), *y = partner(g, x);
    struct value *c = binary(g, tests[draw(g, 6)], x, y);
    switch (draw(g, 6)) {
    case 0: keep(g, unary(g, unaries[draw(g, 5)], x)); break;
    case 1: keep(g, binary(g, binaries[draw(g, 2)], x, y)); break;
    case 2: keep(g, build_select(&g->b, c, x, y)); break;
    case 3: keep(g, build_select(&g->b, unary(g, OP_not, c), x, number(g, draw(g, 2)))); break;
    case 4:
        c = binary(g, draw(g, 2) ? OP_and : OP_or, c, unary(g, OP_isfinite, x));
        keep(g, build_select(&g->b, c, y, x));
        break;
    case 5: keep(g, build_cast(&g->b, build_cast(&g->b, c, DTYPE_i32), DTYPE_f32)); break;
    }
}

/* --- index maps --- */

static void step_reshape(struct graph *g)
{
    struct value *x = pick(g);
    int64_t rest = type_elements(&x->type), dims[MAX_RANK];
    int rank = 0;
    static const int64_t factors[] = {2, 3, 5, 7, 31};
    if (rest == 0)
        return;
    while (rank < 4 && rest > 1 && draw(g, 4)) {
        int64_t factor = factors[draw(g, 5)];
        if (rest % factor == 0) {
            dims[rank++] = factor;
            rest /= factor;
        } else if (draw(g, 3) == 0) {
            dims[rank++] = 1;
        }
    }
    dims[rank++] = rest;
    keep(g, build_reshape(&g->b, x, rank, dims));
}

static void step_transpose(struct graph *g)
{
    struct value *x = pick(g);
    int64_t perm[MAX_RANK];
    for (int i = 0; i < x->type.rank; i++)
        perm[i] = i;
    for (int i = x->type.rank - 1; i > 0; i--) {
        int k = draw(g, i + 1);
        int64_t swap = perm[i];
        perm[i] = perm[k];
        perm[k] = swap;
    }
    keep(g, build_transpose(&g->b, x, perm));
}

static void step_broadcast(struct graph *g)
{
    struct value *x = pick(g);
    struct type type = x->type;
    if (type.rank == 0)
        random_dims(g, &type);
    for (int i = 0; i < type.rank; i++)
        if (x->type.rank && type.dims[i] == 1 && draw(g, 2) && type_elements(&type) * 5 <= g->limit)
            type.dims[i] = 1 + draw(g, 5);
    keep(g, build_broadcast(&g->b, x, type.rank, type.dims));
}

static void step_slice(struct graph *g)
{
    struct value *x = pick_rank(g, 1);
    struct attributes attributes = {0};
    if (!x)
        return;
    int axis = draw(g, x->type.rank), extent = (int)x->type.dims[axis];
    if (extent == 0)
        return;
    int at = draw(g, extent), step = 1 + draw(g, 3), most = (extent - 1 - at) / step + 1;
    attributes_set_int(g->b.module->arena, &attributes, ATTRIBUTE_axis, axis);
    attributes_set_int(g->b.module->arena, &attributes, ATTRIBUTE_at, at);
    attributes_set_int(g->b.module->arena, &attributes, ATTRIBUTE_len, draw(g, most + 1));
    attributes_set_int(g->b.module->arena, &attributes, ATTRIBUTE_step, step);
    keep(g, &build_node(&g->b, OP_slice, &x, 1, attributes, "part")->results[0]);
}

static void step_concat(struct graph *g)
{
    struct value *x = pick_rank(g, 1), *parts[3];
    if (!x || type_elements(&x->type) * 3 > g->limit)
        return;
    int axis = draw(g, x->type.rank), count = 2 + draw(g, 2);
    parts[0] = x;
    for (int i = 1; i < count; i++) {
        parts[i] = partner(g, x);
        if (parts[i]->type.rank == 0)
            parts[i] = build_broadcast(&g->b, parts[i], x->type.rank, x->type.dims);
    }
    keep(g, build_concat(&g->b, parts, count, axis));
}

static void step_pad(struct graph *g)
{
    struct value *x = pick(g);
    struct attributes attributes = {0};
    int64_t low[MAX_RANK] = {0}, high[MAX_RANK] = {0};
    struct arena *arena = g->b.module->arena;
    if (type_elements(&x->type) * 4 > g->limit)
        return;
    for (int i = 0; i < x->type.rank && i < 2; i++) {
        low[i] = draw(g, 2);
        high[i] = draw(g, 2);
    }
    attributes_set_list(arena, &attributes, ATTRIBUTE_low, low, x->type.rank);
    attributes_set_list(arena, &attributes, ATTRIBUTE_high, high, x->type.rank);
    attributes_set_real(arena, &attributes, ATTRIBUTE_value, draw(g, 2) * 0.5);
    keep(g, &build_node(&g->b, OP_pad, &x, 1, attributes, NULL)->results[0]);
}

/* Indices below `extent`, of `count` items: a folded ramp. */
static struct value *indices(struct graph *g, int64_t count, int64_t extent)
{
    struct value *ramp = build_iota(&g->b, DTYPE_i32, 1, &count, 0);
    struct value *three = build_constant(&g->b, DTYPE_i32, 1 + draw(g, 4));
    struct value *size = build_constant(&g->b, DTYPE_i32, (double)extent);
    return binary(g, OP_mod, binary(g, OP_mul, ramp, three), size);
}

static void step_gather(struct graph *g)
{
    struct value *x = pick_rank(g, 1);
    if (!x || x->type.dims[0] == 0 || type_elements(&x->type) * 5 > g->limit)
        return;
    int64_t count = 1 + draw(g, 5);
    struct value *ids = indices(g, count, x->type.dims[0]);
    struct value *rows = keep(g, build_gather(&g->b, x, ids, 0));
    if (draw(g, 2))
        return;
    struct attributes attributes = {0};
    struct value *operands[] = {ids, rows};
    attributes_set_list(g->b.module->arena, &attributes, ATTRIBUTE_dims, x->type.dims,
                        x->type.rank);
    keep(g, &build_node(&g->b, OP_scatter_add, operands, 2, attributes, NULL)->results[0]);
}

/* --- reductions and products --- */

static void step_reduce(struct graph *g)
{
    static const enum op smooth[] = {OP_sum, OP_variance, OP_logsumexp, OP_sum};
    static const enum op rough[] = {OP_maximum, OP_minimum, OP_prod, OP_argmax};
    struct value *x = pick_rank(g, 1);
    int64_t axes[MAX_RANK];
    int count = 0;
    if (!x || type_elements(&x->type) == 0)
        return;
    for (int i = 0; i < x->type.rank; i++)
        if (draw(g, 2) || (i == x->type.rank - 1 && count == 0))
            axes[count++] = i;
    enum op op = g->options->smooth || draw(g, 2) ? smooth[draw(g, 4)] : rough[draw(g, 4)];
    struct value *source = op == OP_prod ? bounded(g, x) : x;
    struct value *y = build_reduce(&g->b, op, source, axes, count);
    if (op == OP_argmax)
        y = build_cast(&g->b, y, DTYPE_f32);
    if (op == OP_sum)
        y = binary(g, OP_mul, y, number(g, 1.0 / 32));
    keep(g, y);
    if (draw(g, 2)) /* next to its broadcast, as in every norm */
        keep(g, binary(g, OP_sub, x, build_broadcast(&g->b, y, x->type.rank, x->type.dims)));
}

static void step_matmul(struct graph *g)
{
    struct value *x = pick_rank(g, 2), *y = pick_rank(g, 2);
    if (!x || !y)
        return;
    int64_t k = x->type.dims[x->type.rank - 1], flat[2] = {0, k};
    if (k == 0 || type_elements(&y->type) % k || k > 64)
        y = x;
    if (k == 0 || type_elements(&y->type) % k)
        return;
    flat[0] = type_elements(&y->type) / k;
    if (flat[0] > 40 || type_elements(&x->type) / k * flat[0] > g->limit)
        return;
    y = build_reshape(&g->b, y, 2, flat);
    bool transb = draw(g, 2);
    if (!transb)
        y = build_transpose(&g->b, y, (int64_t[]){1, 0});
    x = build_matmul(&g->b, bounded(g, x), y, false, transb);
    keep(g, binary(g, OP_mul, x, number(g, 0.25)));
}

/* --- structured ops --- */

/* A tensor of these dims from the elements of x, repeated or cut. */
static struct value *refill(struct graph *g, struct value *x, int rank, const int64_t *dims)
{
    struct type type = type_make(DTYPE_f32, rank, dims);
    int64_t wanted = type_elements(&type), have = type_elements(&x->type);
    struct value *flat = build_reshape(&g->b, x, 1, &have);
    struct value *ids = build_iota(&g->b, DTYPE_i32, 1, &wanted, 0);
    ids = binary(g, OP_mod, ids, build_constant(&g->b, DTYPE_i32, (double)have));
    return build_reshape(&g->b, build_gather(&g->b, flat, ids, 0), rank, dims);
}

static struct value *pick_filled(struct graph *g)
{
    for (int i = 0; i < TRIES; i++) {
        struct value *x = pick(g);
        if (type_elements(&x->type) > 0)
            return x;
    }
    return number(g, 0.5);
}

static void step_conv(struct graph *g)
{
    struct arena *arena = g->b.module->arena;
    struct attributes attributes = {0};
    int64_t groups = 1 + draw(g, 2), in = groups * (1 + draw(g, 2)),
            out = groups * (1 + draw(g, 3));
    int64_t x[] = {1 + draw(g, 2), 5 + draw(g, 3), 4 + draw(g, 4), in};
    int64_t w[] = {out, 1 + draw(g, 3), 1 + draw(g, 3), in / groups};
    int64_t stride[] = {1 + draw(g, 2), 1 + draw(g, 2)};
    int64_t pad[] = {draw(g, 2), draw(g, 2), draw(g, 2), draw(g, 2)};
    attributes_set_list(arena, &attributes, ATTRIBUTE_stride, stride, 2);
    attributes_set_list(arena, &attributes, ATTRIBUTE_pad, pad, 4);
    attributes_set_int(arena, &attributes, ATTRIBUTE_groups, groups);
    struct value *operands[] = {refill(g, pick_filled(g), 4, x), refill(g, pick_filled(g), 4, w)};
    struct value *y = &build_node(&g->b, OP_conv2d, operands, 2, attributes, NULL)->results[0];
    keep(g, binary(g, OP_mul, y, number(g, 0.25)));
}

static void step_attention(struct graph *g)
{
    struct arena *arena = g->b.module->arena;
    struct attributes attributes = {0};
    int64_t groups = 1 + draw(g, 2), slots = 2 + draw(g, 7), size = 1 + draw(g, 5);
    int64_t q[] = {1 + draw(g, 2), slots, groups * (1 + draw(g, 2)), size};
    int64_t k[] = {q[0], slots, groups, size}, bias[] = {1, 1, q[1], slots};
    bool biased = draw(g, 3) == 0;
    attributes_set_int(arena, &attributes, ATTRIBUTE_causal, draw(g, 2));
    attributes_set_int(arena, &attributes, ATTRIBUTE_window, draw(g, 2) * (1 + draw(g, 4)));
    attributes_set_real(arena, &attributes, ATTRIBUTE_scale, 0.5);
    attributes_set_int(arena, &attributes, ATTRIBUTE_biased, biased);
    struct value *operands[4] = {refill(g, pick_filled(g), 4, q), refill(g, pick_filled(g), 4, k),
                                 refill(g, pick_filled(g), 4, k), NULL};
    if (biased)
        operands[3] = refill(g, pick_filled(g), 4, bias);
    keep(g, &build_node(&g->b, OP_attention, operands, 3 + biased, attributes, NULL)->results[0]);
}

static void step_along_axis(struct graph *g)
{
    struct arena *arena = g->b.module->arena;
    struct attributes attributes = {0};
    struct value *x = pick_rank(g, 1);
    if (!x)
        return;
    attributes_set_int(arena, &attributes, ATTRIBUTE_axis, draw(g, x->type.rank));
    if (draw(g, 2)) {
        attributes_set_int(arena, &attributes, ATTRIBUTE_exclusive, draw(g, 2));
        x = bounded(g, x);
        keep(g, &build_node(&g->b, OP_cumsum, &x, 1, attributes, NULL)->results[0]);
        return;
    }
    attributes_set_int(arena, &attributes, ATTRIBUTE_descending, draw(g, 2));
    struct node *sort = build_node(&g->b, OP_sort, &x, 1, attributes, "sorted");
    keep(g, &sort->results[0]);
    keep(g, build_cast(&g->b, &sort->results[1], DTYPE_f32));
}

static void step_update(struct graph *g)
{
    struct attributes attributes = {0};
    int64_t cache[] = {1 + draw(g, 2), 3 + draw(g, 4), 1 + draw(g, 3)};
    int64_t rows[] = {cache[0], 1 + draw(g, 3), cache[2]};
    bool ring = draw(g, 2);
    struct value *state = build_state(&g->b, "cache", type_make(DTYPE_f32, 3, cache), attributes);
    struct value *pos = build_iota(&g->b, DTYPE_i32, 1, cache, 0);
    struct value *count = build_constant(&g->b, DTYPE_i32, draw(g, 4));
    count = build_broadcast(&g->b, count, 1, cache);
    attributes_set_int(g->b.module->arena, &attributes, ATTRIBUTE_ring, ring);
    struct value *operands[] = {state, refill(g, pick_filled(g), 3, rows), pos, count};
    struct value *next = &build_node(&g->b, OP_update, operands, 4, attributes, NULL)->results[0];
    build_store(&g->b, state, next);
    keep(g, next);
}

/* The same step twice: the results are equal, and passes may find that out. */
static void step_twice(struct graph *g)
{
    struct value *x = pick(g);
    keep(g, binary(g, OP_sub, unary(g, OP_sigmoid, x), number(g, 0.5)));
    keep(g, binary(g, OP_sub, unary(g, OP_sigmoid, x), number(g, 0.5)));
}

/* --- whole graphs --- */

typedef void graph_step(struct graph *g);
static graph_step *const smooth_steps[] = {
    step_smooth_unary, step_smooth_unary, step_smooth_binary, step_smooth_binary, step_reshape,
    step_transpose,    step_broadcast,    step_slice,         step_concat,        step_pad,
    step_gather,       step_reduce,       step_reduce,        step_matmul,        step_twice};
static graph_step *const structured_steps[] = {step_conv, step_attention, step_along_axis,
                                               step_update};

static void take_step(struct graph *g)
{
    g->b.scope = draw(g, 3) ? "" : "layers.0";
    g->b.location.line = (uint32_t)draw(g, 100) + 1;
    if (!g->options->smooth && draw(g, 6) == 0)
        step_rough(g);
    else if (!g->options->smooth && g->options->structured && draw(g, 8) == 0)
        structured_steps[draw(g, 4)](g);
    else
        smooth_steps[draw(g, sizeof smooth_steps / sizeof smooth_steps[0])](g);
}

/* A scalar that every late value has a part in. */
static void add_loss(struct graph *g)
{
    struct value *loss = number(g, 0.25);
    for (int i = g->count - 1; i >= 0 && i >= g->count - 5; i--) {
        struct value *x = bounded(g, g->pool[i]);
        int64_t axes[MAX_RANK];
        for (int k = 0; k < x->type.rank; k++)
            axes[k] = k;
        if (x->type.rank)
            x = build_reduce(&g->b, OP_sum, x, axes, x->type.rank);
        loss = binary(g, OP_add, loss, build_reshape(&g->b, x, 0, NULL));
    }
    build_output(&g->b, "loss", loss);
}

struct module *random_graph(struct arena *arena, uint64_t seed,
                            const struct random_options *options)
{
    struct module *module = module_create(arena, "random");
    struct function *function = module_add_function(module, "main");
    struct graph g = {.b = {.module = module, .function = function, .scope = ""},
                      .seed = seed * 2654435761u + 1,
                      .options = options,
                      .limit = options->elements ? options->elements : 2000};
    g.b.location = (struct location){diag_add_source("random.model", NULL, 0), 1, 1};
    attributes_set_text(arena, &function->attributes, ATTRIBUTE_role,
                        options->smooth ? "fit" : "predict");
    add_leaves(&g);
    for (int i = 0; i < options->nodes; i++)
        take_step(&g);
    if (options->smooth) {
        add_loss(&g);
        return module;
    }
    for (int i = 0; i < 3; i++) {
        static const char *const names[] = {"first", "second", "third"};
        build_output(&g.b, names[i],
                     g.pool[(g.count + g.count - 1 - 3 * i - draw(&g, 3)) % g.count]);
    }
    return module;
}

/* --- numbers --- */

double *random_numbers(const struct value *leaf, uint64_t seed)
{
    int64_t count = type_elements(&leaf->type);
    double *numbers = calloc((size_t)count + 1, sizeof *numbers);
    uint64_t state = hash_bytes(seed, leaf->name, strlen(leaf->name));
    for (int64_t i = 0; numbers && i < count; i++) {
        double unit = random_unit(&state);
        if (leaf->type.dtype == DTYPE_bool)
            numbers[i] = unit < 0.5;
        else if (dtype_is_integer(leaf->type.dtype))
            numbers[i] = (double)(int)(unit * 4);
        else
            numbers[i] = dtype_round(leaf->type.dtype, (float)(unit * 3 - 1.5));
    }
    return numbers;
}

static void bind_all(struct interp *interp, struct node *const *leaves, size_t count, uint64_t seed)
{
    for (size_t i = 0; i < count; i++) {
        double *numbers = random_numbers(&leaves[i]->results[0], seed);
        interp_bind(interp, &leaves[i]->results[0], numbers);
        free(numbers);
    }
}

void random_bind(struct interp *interp, const struct module *module,
                 const struct function *function, uint64_t seed)
{
    bind_all(interp, module->weights.items, module->weights.count, seed);
    bind_all(interp, module->states.items, module->states.count, seed);
    bind_all(interp, function->params.items, function->params.count, seed);
}
