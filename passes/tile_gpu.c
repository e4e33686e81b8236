/* See tile_gpu.h. */
#include "passes/tile_gpu.h"

#include "ir/gpu_facts.h"
#include "ir/gpu_predict.h"
#include "ir/signature.h"
#include "passes/tile_tuning.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* --- attributes --- */

static void set(const struct tile_subject *s, enum attribute_id id, int64_t value)
{
    attributes_set_int(s->arena, &s->kernel->attributes, id, value);
}

/* 0 stands for 1 where that is the default. */
static void set_count(const struct tile_subject *s, enum attribute_id id, int64_t value)
{
    set(s, id, value > 1 ? value : 1);
}

static void set_choice(const struct tile_subject *s, const struct tile_candidate *c)
{
    set(s, ATTRIBUTE_tiles, c->tiles);
    set(s, ATTRIBUTE_rows, c->rows);
    set(s, ATTRIBUTE_cols, c->cols);
    set(s, ATTRIBUTE_nr, c->nr);
    set(s, ATTRIBUTE_kc, c->kc);
    set(s, ATTRIBUTE_keys, c->keys);
    set(s, ATTRIBUTE_threads, c->threads);
    set(s, ATTRIBUTE_warps_m, c->warps_m);
    set(s, ATTRIBUTE_warps_n, c->warps_n);
    set(s, ATTRIBUTE_stages, c->stages);
    set_count(s, ATTRIBUTE_split, c->split);
    set_count(s, ATTRIBUTE_band, c->band);
    set(s, ATTRIBUTE_pair, c->pair);
    set_count(s, ATTRIBUTE_vector, c->vector);
    if (c->provider)
        attributes_set_text(s->arena, &s->kernel->attributes, ATTRIBUTE_provider,
                            gpu_provider_name((enum gpu_provider)c->provider));
    else
        set(s, ATTRIBUTE_provider, 0);
}

/* Blocks that registers must allow: as many as fit, with some to spare, since the count is an
 * estimate and a compiler that is held to it would spill. */
static int allowed_residency(const struct tile_subject *s, struct gpu_facts facts, int threads)
{
    enum { SPARE = 16, LEAST = 64 };
    facts.registers += SPARE;
    if (facts.registers < LEAST)
        facts.registers = LEAST;
    if (facts.registers > GPU_THREAD_REGISTERS)
        facts.registers = GPU_THREAD_REGISTERS;
    int blocks = gpu_residency(s->gpu, &facts, threads);
    return blocks > 0 ? blocks : 1;
}

/* A kernel of a library: its workspace is all that is known of it. */
static bool apply_library(const struct tile_subject *s)
{
    struct gpu_facts facts;
    set(s, ATTRIBUTE_tiles, 1);
    set(s, ATTRIBUTE_residency, 1);
    set(s, ATTRIBUTE_shared, 0);
    set(s, ATTRIBUTE_counters, 0);
    set(s, ATTRIBUTE_workspace, s->gpu->library_workspace);
    return gpu_facts(s->function, s->kernel, &facts);
}

/* False also if the estimate of registers is `most_registers` or more. */
static bool apply(const struct tile_subject *s, const struct tile_candidate *candidate,
                  int most_registers)
{
    struct gpu_facts facts = {0};
    int64_t workspace, counters;
    set_choice(s, candidate);
    if (candidate->provider)
        return apply_library(s);
    int64_t blocks = gpu_blocks(s->function, s->kernel);
    if (blocks > 0)
        set(s, ATTRIBUTE_tiles, blocks);
    if (!gpu_facts(s->function, s->kernel, &facts))
        return false;
    int residency = gpu_residency(s->gpu, &facts, (int)candidate->threads);
    gpu_workspace(s->function, s->kernel, &workspace, &counters);
    set(s, ATTRIBUTE_residency, allowed_residency(s, facts, (int)candidate->threads));
    set(s, ATTRIBUTE_shared, facts.shared_bytes);
    set(s, ATTRIBUTE_workspace, workspace);
    set(s, ATTRIBUTE_counters, counters);
    return residency > 0 && facts.registers < most_registers;
}

bool tile_apply(const struct tile_subject *s, const struct tile_candidate *candidate)
{
    return apply(s, candidate, INT_MAX);
}

/* --- the choice --- */

static int best_first(const void *a, const void *b)
{
    const struct tile_candidate *x = a, *y = b;
    if (x->first != y->first)
        return x->first ? -1 : 1;
    if (x->us + x->doubt_us != y->us + y->doubt_us)
        return x->us + x->doubt_us < y->us + y->doubt_us ? -1 : 1;
    return x->order - y->order;
}

static void keep_fitting(const struct tile_subject *s, struct tile_list *out, int most_registers)
{
    int fit = 0;
    struct gpu_prediction prediction;
    tile_list_kernel(s, out);
    for (int i = 0; i < out->count; i++) {
        if (!apply(s, &out->items[i], most_registers))
            continue;
        gpu_predict(s->gpu, s->function, s->kernel, &prediction);
        out->items[i].us = prediction.us;
        out->items[i].doubt_us = prediction.doubt_us;
        out->items[i].order = i;
        out->items[i].first = out->items[i].provider && s->blas == TILE_BLAS_always;
        out->items[fit++] = out->items[i];
    }
    out->count = fit;
}

/* Where all are estimated to spill, the code may still do without: the lint will tell. */
void tile_candidates(const struct tile_subject *s, struct tile_list *out)
{
    keep_fitting(s, out, GPU_THREAD_REGISTERS);
    if (out->count == 0)
        keep_fitting(s, out, INT_MAX);
    struct tile_tuning tuning = s->tuning.text ? s->tuning : tile_tuning_of(s->gpu);
    tile_tune(tuning, kernel_key(s->arena, s->function, s->kernel), out);
    qsort(out->items, (size_t)out->count, sizeof *out->items, best_first);
}

/* --- modules --- */

static bool reads_of(const struct node *node, const struct kernel *kernel)
{
    for (int i = 0; i < node->operand_count; i++)
        if (node->operands[i]->node->kernel == kernel)
            return true;
    return false;
}

/* The kernel's nodes, then those of others that read what it makes: all that its facts depend
 * on, so that each question does not walk through the whole function. */
static struct function excerpt(struct arena *arena, const struct function *function,
                               const struct kernel *kernel)
{
    struct function out = {.name = function->name,
                           .attributes = function->attributes,
                           .bindings = function->bindings};
    for (size_t i = 0; i < function->nodes.count; i++)
        if (function->nodes.items[i]->kernel == kernel)
            array_push(arena, &out.nodes, function->nodes.items[i]);
    for (size_t i = 0; i < function->nodes.count; i++)
        if (function->nodes.items[i]->kernel != kernel &&
            reads_of(function->nodes.items[i], kernel))
            array_push(arena, &out.nodes, function->nodes.items[i]);
    return out;
}

static struct tile_subject subject_of(struct module *module, const struct tile_rules *rules,
                                      const struct function *part, struct kernel *kernel)
{
    return (struct tile_subject){.arena = module->arena,
                                 .gpu = rules->gpu,
                                 .blas = rules->blas,
                                 .function = part,
                                 .kernel = kernel,
                                 .tuning = rules->tuning};
}

static struct tile_list *rank(struct module *module, const struct tile_rules *rules,
                              const struct function *part, struct kernel *kernel)
{
    struct tile_subject subject = subject_of(module, rules, part, kernel);
    struct tile_list *list = arena_new(module->arena, struct tile_list);
    tile_candidates(&subject, list);
    return list;
}

static void tile_kernel(struct module *module, const struct tile_rules *rules,
                        const struct function *function, struct kernel *kernel, int index)
{
    struct function part = excerpt(module->arena, function, kernel);
    struct tile_list *list = rank(module, rules, &part, kernel);
    if (list->count == 0)
        fatal(INTERNAL, "no tile of this kernel fits the GPU", kernel->name);
    int last = list->count - 1;
    struct tile_subject subject = subject_of(module, rules, &part, kernel);
    tile_apply(&subject, &list->items[index < last ? index : last]);
}

void tile_gpu(struct module *module, const struct tile_rules *rules, int index)
{
    struct map seen = map_create(module->arena);
    for (size_t f = 0; f < module->functions.count; f++) {
        const struct function *function = module->functions.items[f];
        for (size_t k = 0; k < function->kernels.count; k++) {
            struct kernel *kernel = function->kernels.items[k];
            struct str text = kernel_signature(module->arena, function, kernel);
            void **same = map_insert(&seen, text.text, text.length);
            if (*same) {
                kernel->attributes = ((struct kernel *)*same)->attributes;
                continue;
            }
            *same = kernel;
            tile_kernel(module, rules, function, kernel, index);
        }
    }
}

/* --- other choices --- */

static bool same_attribute(const struct attribute *a, const struct attribute *b)
{
    bool texts = a->text && b->text;
    return a->id == b->id && a->integer == b->integer && !a->text == !b->text &&
           (!texts || strcmp(a->text, b->text) == 0);
}

static bool same_choice(const struct attributes *a, const struct attributes *b)
{
    bool same = a->count == b->count;
    for (int i = 0; same && i < a->count; i++)
        same = same_attribute(&a->items[i], &b->items[i]);
    return same;
}

int tile_chosen(struct module *module, const struct tile_rules *rules,
                const struct function *function, struct kernel *kernel)
{
    const struct attributes now = kernel->attributes;
    struct function part = excerpt(module->arena, function, kernel);
    const struct tile_list *list = rank(module, rules, &part, kernel);
    struct tile_subject subject = subject_of(module, rules, &part, kernel);
    int chosen = -1;
    for (int i = 0; i < list->count && chosen < 0; i++) {
        tile_apply(&subject, &list->items[i]);
        if (same_choice(&kernel->attributes, &now))
            chosen = i;
    }
    kernel->attributes = now;
    return chosen;
}

/* To all kernels of this signature; those of other attributes need not be signed. */
static void give_all(struct module *module, const struct str *text, const struct attributes *now,
                     struct attributes attributes)
{
    for (size_t f = 0; f < module->functions.count; f++) {
        const struct function *function = module->functions.items[f];
        for (size_t k = 0; k < function->kernels.count; k++) {
            struct kernel *kernel = function->kernels.items[k];
            if (!same_choice(&kernel->attributes, now))
                continue;
            struct str other = kernel_signature(module->arena, function, kernel);
            if (other.length == text->length && memcmp(other.text, text->text, text->length) == 0)
                kernel->attributes = attributes;
        }
    }
}

bool tile_choose(struct module *module, const struct tile_rules *rules,
                 const struct function *function, struct kernel *kernel, int index)
{
    const struct attributes now = kernel->attributes;
    struct str text = kernel_signature(module->arena, function, kernel);
    struct function part = excerpt(module->arena, function, kernel);
    const struct tile_list *list = rank(module, rules, &part, kernel);
    struct tile_subject subject = subject_of(module, rules, &part, kernel);
    if (index >= 0 && index < list->count)
        tile_apply(&subject, &list->items[index]);
    const struct attributes chosen = kernel->attributes;
    kernel->attributes = now;
    if (index < 0 || index >= list->count)
        return false;
    give_all(module, &text, &now, chosen);
    return true;
}
