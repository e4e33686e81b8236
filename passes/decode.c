/* From a causal forward function to steps over a static cache: pass_decode. */
#include "ir/build.h"
#include "ir/program.h"
#include "passes/last_position.h"
#include "passes/passes.h"
#include "passes/positions.h"
#include "passes/sampling.h"

#include <string.h>

/* What all functions of the module share. */
struct decoder {
    struct module *module;
    const struct decode_options *options;
    ARRAY_OF(struct value *) caches; /* keys and values of each attention, in order */
    struct value *pos, *logits, *seen;
};

/* One function on its way. */
struct step {
    struct decoder *decoder;
    struct rebuild rebuild;
    struct value *tokens, *count; /* i32[B,C], i32[B] */
    size_t next_cache;
    ARRAY_OF(struct value *) seeds; /* values whose axis 1 is the sequence */
};

static bool is_role(const struct function *function, const char *role)
{
    const char *text = attributes_text(&function->attributes, ATTRIBUTE_role);
    return text && strcmp(text, role) == 0;
}

static bool is_step(const struct function *function)
{
    return is_role(function, "prefill") || is_role(function, "score") ||
           is_role(function, "decode");
}

/* Slots of a cache: all positions, or for a window the ring that holds the window of a chunk's
 * first query and the whole chunk, which is stored before attention reads. */
static int64_t slot_count(const struct decode_options *options, int64_t window)
{
    int64_t ring = window + options->max_chunk - 1;
    return window > 0 && ring < options->max_length ? ring : options->max_length;
}

static struct value *make_state(struct builder *b, const char *name, enum dtype dtype, int rank,
                                const int64_t *dims)
{
    return build_state(b, name, type_make(dtype, rank, dims), (struct attributes){0});
}

static struct value *make_cache(struct builder *b, const char *name, enum dtype dtype,
                                const int64_t dims[4])
{
    struct attributes attributes = {0};
    attributes_set_int(b->module->arena, &attributes, ATTRIBUTE_slots, dims[1]);
    return build_state(b, name, type_make(dtype, 4, dims), attributes);
}

/* The cache of the next attention: the same one for all functions of the module. */
static struct value *next_cache(struct step *s, const struct value *fresh, const char *what,
                                int64_t slots)
{
    struct decoder *d = s->decoder;
    struct builder *b = &s->rebuild.builder;
    if (s->next_cache == d->caches.count) {
        int64_t dims[4] = {fresh->type.dims[0], slots, fresh->type.dims[2], fresh->type.dims[3]};
        const char *scope =
            b->scope[0] ? arena_printf(d->module->arena, "%s.%s", b->scope, what) : what;
        struct value *state = make_cache(b, scope, fresh->type.dtype, dims);
        array_push(d->module->arena, &d->caches, state);
    }
    return d->caches.items[s->next_cache++];
}

/* Stores `fresh` [B,C,G,d] at pos and gives the cache as it then is. */
static struct value *store(struct step *s, struct value *fresh, const char *what, int64_t slots,
                           bool ring)
{
    struct builder *b = &s->rebuild.builder;
    struct value *cache = next_cache(s, fresh, what, slots);
    struct value *operands[4] = {cache, fresh, s->decoder->pos, s->count};
    struct attributes attributes = {0};
    attributes_set_int(b->module->arena, &attributes, ATTRIBUTE_ring, ring);
    struct value *stored = &build_node(b, OP_update, operands, 4, attributes, what)->results[0];
    build_store(b, cache, stored);
    return stored;
}

static void decode_attention(struct step *s, const struct node *old)
{
    if (!node_int(old, causal) || node_int(old, cached))
        fatal_at(old->location, ATTENTION_NOT_CAUSAL);
    rebuild_at(&s->rebuild, old);
    struct builder *b = &s->rebuild.builder;
    int64_t slots = slot_count(s->decoder->options, node_int(old, window));
    bool ring = slots < s->decoder->options->max_length;
    struct value *operands[5] = {rebuild_get(&s->rebuild, old->operands[0])};
    operands[1] = store(s, rebuild_get(&s->rebuild, old->operands[1]), "keys", slots, ring);
    operands[2] = store(s, rebuild_get(&s->rebuild, old->operands[2]), "values", slots, ring);
    operands[3] = s->decoder->pos;
    struct attributes attributes = attributes_copy(b->module->arena, &old->attributes);
    attributes_set_int(b->module->arena, &attributes, ATTRIBUTE_cached, 1);
    attributes_set_int(b->module->arena, &attributes, ATTRIBUTE_ring, ring);
    struct node *node = build_node(b, OP_attention, operands, 4, attributes, old->results[0].name);
    rebuild_set(&s->rebuild, &old->results[0], &node->results[0]);
}

/* Row b of positions: pos[b] + 0, 1, 2, ... */
static void decode_positions(struct step *s, const struct node *old)
{
    rebuild_at(&s->rebuild, old);
    struct builder *b = &s->rebuild.builder;
    const struct type *type = &old->results[0].type;
    int64_t column[2] = {type->dims[0], 1};
    struct value *first = build_reshape(b, s->decoder->pos, 2, column);
    struct value *index = build_iota(b, DTYPE_i32, 2, type->dims, 1);
    array_push(b->module->arena, &s->seeds, index);
    struct value *sum = build_binary(b, OP_add, build_broadcast(b, first, 2, type->dims), index);
    rebuild_set(&s->rebuild, &old->results[0], sum);
}

static signed char *position_axes(struct step *s, int64_t chunk)
{
    struct module *module = s->decoder->module;
    signed char *axes = arena_array(module->arena, signed char, module->next_value);
    memset(axes, -1, module->next_value);
    for (size_t i = 0; i < s->seeds.count; i++)
        axes[s->seeds.items[i]->id] = 1;
    find_position_axes(s->rebuild.builder.function, chunk, axes);
    return axes;
}

/* The logits [B,V] of each row's last valid position. */
static struct value *last_logits(struct step *s, struct value *all, bool whole)
{
    struct builder *b = &s->rebuild.builder;
    int64_t chunk = all->type.dims[1];
    int64_t dims[2] = {all->type.dims[0], all->type.dims[2]}, column[2] = {dims[0], 1};
    const signed char *axes = position_axes(s, chunk);
    if (chunk == 1)
        return build_reshape(b, all, 2, dims);
    struct value *one = build_constant(b, DTYPE_i32, 1), *zero = build_constant(b, DTYPE_i32, 0);
    struct value *last = build_binary(b, OP_sub, s->count, one);
    last = build_reshape(b, build_binary(b, OP_max, last, zero), 2, column);
    struct value *row =
        whole ? build_gather(b, all, last, 1) : at_last_position(b, axes, all, last);
    return build_reshape(b, row, 2, dims);
}

/* Advances the states; a row without new positions keeps its logits. */
static void finish_step(struct step *s, struct value *all)
{
    struct builder *b = &s->rebuild.builder;
    struct decoder *d = s->decoder;
    bool score = is_role(b->function, "score");
    int64_t column[2] = {all->type.dims[0], 1};
    struct value *logits = last_logits(s, all, score);
    b->location = all->node->location;
    b->scope = "step";
    struct value *some = build_binary(b, OP_gt, s->count, build_constant(b, DTYPE_i32, 0));
    some = build_broadcast(b, build_reshape(b, some, 2, column), 2, d->logits->type.dims);
    build_store(b, d->logits, build_select(b, some, logits, d->logits));
    struct value *marked[3] = {d->seen, s->tokens, s->count};
    build_store(b, d->seen,
                &build_node(b, OP_mark, marked, 3, (struct attributes){0}, NULL)->results[0]);
    build_store(b, d->pos, build_binary(b, OP_add, d->pos, s->count));
    if (score)
        build_output(b, "all_logits", all);
}

/* The one input and the one output, checked. */
static struct value *check_ports(const struct function *function)
{
    size_t params = function->params.count, outputs = function->bindings.count;
    struct value *logits = outputs == 1 ? function->bindings.items[0].value : NULL;
    bool fits = params == 1 && logits && logits->type.rank == 3;
    if (fits) {
        const struct type *tokens = &function->params.items[0]->results[0].type;
        fits = tokens->dtype == DTYPE_i32 && tokens->rank == 2 &&
               tokens->dims[0] == logits->type.dims[0] && tokens->dims[1] == logits->type.dims[1];
    }
    if (!fits)
        fatal_at(function->location, GENERATE_INPUTS, function->name, (int)params, (int)outputs);
    return logits;
}

static void make_states(struct decoder *d, struct builder *b, const struct value *logits)
{
    if (d->pos)
        return;
    const int64_t dims[2] = {logits->type.dims[0], logits->type.dims[2]};
    d->pos = make_state(b, "pos", DTYPE_i32, 1, dims);
    d->logits = make_state(b, "logits", DTYPE_f32, 2, dims);
    d->seen = make_state(b, "seen", DTYPE_bool, 2, dims);
}

static void decode_function(struct decoder *d, struct function *function)
{
    struct value *old_logits = check_ports(function);
    struct step s = {.decoder = d, .rebuild = rebuild_begin(d->module, function)};
    struct builder *b = &s.rebuild.builder;
    b->location = function->location;
    b->scope = "";
    make_states(d, b, old_logits);
    s.tokens = &function->params.items[0]->results[0];
    s.tokens->name = "tokens";
    s.count = build_param(b, "count", type_make(DTYPE_i32, 1, s.tokens->type.dims));
    array_push(d->module->arena, &s.seeds, s.tokens);
    function->bindings.count = 0;
    for (size_t i = 0; i < s.rebuild.old_count; i++) {
        const struct node *old = s.rebuild.old[i];
        if (old->op == OP_attention)
            decode_attention(&s, old);
        else if (old->op == OP_positions)
            decode_positions(&s, old);
        else
            rebuild_copy(&s.rebuild, old);
    }
    finish_step(&s, rebuild_get(&s.rebuild, old_logits));
    rebuild_end(&s.rebuild);
}

/*
 * Requires: simplified functions of roles prefill, score and decode (chunk 1), each the causal
 *   forward of one text at [batch, chunk]; no kernels.
 * Preserves: the logits of every valid position (attention reads the cache instead of k and v).
 * Breaks: nothing; other functions are left alone. A program table is derived anew.
 */
void pass_decode(struct module *module, const struct decode_options *options)
{
    struct decoder decoder = {.module = module, .options = options};
    size_t count = module->functions.count;
    for (size_t i = 0; i < count; i++)
        if (is_step(module->functions.items[i]))
            decode_function(&decoder, module->functions.items[i]);
    if (decoder.pos)
        add_sampling_functions(module, decoder.logits, decoder.seen, decoder.pos);
    if (module->programs.count)
        programs_derive(module); /* tokens are drawn from now on */
    remove_dead(module);
}
