/*
 * Kernels of the skeletons gemv and skinny as IR text, for their tests under the emulation: a
 * linear layer with a residual, a gated pair of partners, and projections of attention with
 * joined columns (rotary positions) whose rows go into caches. Each is one function of a module
 * of stage `tile`; what the tile pass derives from the other attributes is set before planning.
 */
#ifndef SINTER_TESTS_FEW_KERNELS_H
#define SINTER_TESTS_FEW_KERNELS_H

#include "ir/base/str.h"
#include "ir/gpu_gemv.h"
#include "tests/emulated.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum few_kind { FEW_LINEAR, FEW_GATED, FEW_HEADS, FEW_RING };
enum few_prologue { FEW_PLAIN, FEW_CAST, FEW_RMS, FEW_LAYER };

enum { FEW_GROUP = 4 }; /* elements that share a scale of packed weights */

struct few_case {
    enum few_kind kind;
    enum few_prologue prologue;
    int rows, k, n;            /* n: columns; of heads: those of the queries, half for the others */
    const char *stored, *used; /* of weights ("int8": packed), and what is multiplied */
    const char *attributes;    /* of the kernel, without rows */
};

struct few_text {
    struct arena *arena;
    struct str leaves, functions;
    const char *skeleton;
    int count;
};

static inline struct few_text few_text(struct arena *arena, const char *skeleton)
{
    return (struct few_text){.arena = arena,
                             .leaves = str_create(arena),
                             .functions = str_create(arena),
                             .skeleton = skeleton};
}

/* --- one kernel --- */

static inline bool few_packed(const struct few_case *c)
{
    return strcmp(c->stored, "int8") == 0;
}

static inline void few_weight(struct few_text *t, const char *name, const struct few_case *c, int n,
                              const char *shape)
{
    if (few_packed(c)) {
        str_printf(&t->leaves,
                   "weight %%%s%d {tensor=%s%d file=x} : u8[%d,%d]\n"
                   "weight %%%ss%d {tensor=%ss%d file=x} : f32[%d,%d]\n",
                   name, t->count, name, t->count, n, c->k, name, t->count, name, t->count, n,
                   c->k / FEW_GROUP);
        return;
    }
    str_printf(&t->leaves, "weight %%%s%d {tensor=%s%d file=x} : %s%s\n", name, t->count, name,
               t->count, c->stored, arena_printf(t->arena, shape, n, c->k));
}

/* %a from %x: plain memory, a cast, or norms over the rows. */
static inline void few_prologue(struct few_text *t, const struct few_case *c)
{
    struct str *out = &t->functions;
    const char *x = arena_printf(t->arena, "f32[%d,1,%d]", c->rows, c->k);
    const char *row = arena_printf(t->arena, "f32[%d,1,1]", c->rows);
    if (c->prologue == FEW_PLAIN)
        return;
    const char *last = "%x";
    if (c->prologue == FEW_LAYER) {
        str_printf(out, "    %%total = sum %%x {axes=[2]} : %s @ reg\n", row);
        str_printf(out, "    %%share = const {value=%.17g dtype=f32} : f32[] @ reg\n", 1.0 / c->k);
        str_printf(out, "    %%mean = mul %%total, %%share : %s @ reg\n", row);
        str_printf(out, "    %%means = broadcast %%mean {dims=[%d,1,%d]} : %s @ view\n", c->rows,
                   c->k, x);
        str_printf(out, "    %%centred = sub %%x, %%means : %s @ reg\n", x);
        str_printf(out, "    %%spread = variance %%centred {axes=[2]} : %s @ reg\n", row);
        last = "%centred";
    } else if (c->prologue == FEW_RMS) {
        str_printf(out, "    %%square = square %%x : %s @ reg\n", x);
        str_printf(out, "    %%total = sum %%square {axes=[2]} : %s @ reg\n", row);
        str_printf(out, "    %%share = const {value=%.17g dtype=f32} : f32[] @ reg\n", 1.0 / c->k);
        str_printf(out, "    %%spread = mul %%total, %%share : %s @ reg\n", row);
    }
    if (c->prologue != FEW_CAST) {
        str_printf(&t->leaves, "weight %%norm%d {tensor=norm%d file=x} : f32[%d]\n", t->count,
                   t->count, c->k);
        str_printf(out, "    %%small = const {value=1e-05 dtype=f32} : f32[] @ reg\n");
        str_printf(out, "    %%safe = add %%spread, %%small : %s @ reg\n", row);
        str_printf(out, "    %%scale = rsqrt %%safe : %s @ reg\n", row);
        str_printf(out, "    %%scales = broadcast %%scale {dims=[%d,1,%d]} : %s @ view\n", c->rows,
                   c->k, x);
        str_printf(out, "    %%even = mul %s, %%scales : %s @ reg\n", last, x);
        str_printf(out, "    %%row = reshape %%norm%d {dims=[1,1,%d]} : f32[1,1,%d] @ view\n",
                   t->count, c->k, c->k);
        str_printf(out, "    %%rows = broadcast %%row {dims=[%d,1,%d]} : %s @ view\n", c->rows,
                   c->k, x);
        str_printf(out, "    %%normed = mul %%even, %%rows : %s @ reg\n", x);
        last = "%normed";
    }
    str_printf(out, "    %%a = cast %s {dtype=%s} : %s[%d,1,%d] @ reg\n", last, c->used, c->used,
               c->rows, c->k);
}

/* "%NAME = matmul ..." with the weights %WEIGHTn; f32 without a cast needs none. */
static inline void few_product(struct few_text *t, const struct few_case *c, const char *name,
                               const char *weight, int n)
{
    struct str *out = &t->functions;
    bool plain =
        c->prologue == FEW_PLAIN || (c->prologue == FEW_CAST && strcmp(c->used, "f32") == 0);
    const char *w = arena_printf(t->arena, "%%%s%d", weight, t->count);
    few_weight(t, weight, c, n, "[%d,%d]");
    if (few_packed(c)) {
        str_printf(out,
                   "    %%%sd = decode %s, %%%ss%d {encoding=int8 group=%d} : f32[%d,%d] @ reg\n",
                   weight, w, weight, t->count, FEW_GROUP, n, c->k);
        w = arena_printf(t->arena, "%%%sd", weight);
    }
    if (strcmp(few_packed(c) ? "f32" : c->stored, c->used) != 0) {
        str_printf(out, "    %%%sc = cast %s {dtype=%s} : %s[%d,%d] @ reg\n", weight, w, c->used,
                   c->used, n, c->k);
        w = arena_printf(t->arena, "%%%sc", weight);
    }
    str_printf(out, "    %%%s = matmul %s, %s {transb dtype=f32} : f32[%d,1,%d] @ reg\n", name,
               plain ? "%x" : "%a", w, c->rows, n);
}

static inline void few_linear(struct few_text *t, const struct few_case *c)
{
    struct str *out = &t->functions;
    const char *y = arena_printf(t->arena, "f32[%d,1,%d]", c->rows, c->n);
    few_product(t, c, "p", "w", c->n);
    str_printf(out, "    %%sum = add %%r, %%p : %s\n  return %%sum as y\nend\n", y);
}

static inline void few_gated(struct few_text *t, const struct few_case *c)
{
    struct str *out = &t->functions;
    const char *y = arena_printf(t->arena, "f32[%d,1,%d]", c->rows, c->n);
    few_product(t, c, "g", "wg", c->n);
    few_product(t, c, "u", "wu", c->n);
    str_printf(out, "    %%gate = sigmoid %%g : %s @ reg\n", y);
    str_printf(out, "    %%act = mul %%g, %%gate : %s @ reg\n", y);
    str_printf(out, "    %%h = mul %%act, %%u : %s @ reg\n", y);
    str_printf(out, "    %%y = cast %%h {dtype=bf16} : bf16[%d,1,%d]\n  return %%y as y\nend\n",
               c->rows, c->n);
}

enum { FEW_HEAD = 16, FEW_SLOTS = 5 };

/* Rotates the halves of heads: %NAME to %NAMEb, of bf16. */
static inline void few_rotate(struct few_text *t, const struct few_case *c, const char *name,
                              int heads, const char *place)
{
    struct str *out = &t->functions;
    int rows = c->rows, half = FEW_HEAD / 2;
    const char *part = arena_printf(t->arena, "[%d,1,%d,%d]", rows, heads, half);
    const char *whole = arena_printf(t->arena, "[%d,1,%d,%d]", rows, heads, FEW_HEAD);
    str_printf(out, "    %%%sh = reshape %%%s {dims=%s} : f32%s @ view\n", name, name, whole,
               whole);
    str_printf(out, "    %%%sl = slice %%%sh {axis=3 len=%d} : f32%s @ view\n", name, name, half,
               part);
    str_printf(out, "    %%%sr = slice %%%sh {axis=3 at=%d len=%d} : f32%s @ view\n", name, name,
               half, half, part);
    for (int i = 0; i < 2; i++) {
        const char *turn = i ? "sin" : "cos";
        str_printf(out, "    %%%s%s = broadcast %%%s {dims=%s} : f32%s @ view\n", name, turn, turn,
                   part, part);
    }
    str_printf(out, "    %%%s1 = mul %%%sl, %%%scos : f32%s @ reg\n", name, name, name, part);
    str_printf(out, "    %%%s2 = mul %%%sr, %%%ssin : f32%s @ reg\n", name, name, name, part);
    str_printf(out, "    %%%s3 = sub %%%s1, %%%s2 : f32%s @ reg\n", name, name, name, part);
    str_printf(out, "    %%%s4 = mul %%%sr, %%%scos : f32%s @ reg\n", name, name, name, part);
    str_printf(out, "    %%%s5 = mul %%%sl, %%%ssin : f32%s @ reg\n", name, name, name, part);
    str_printf(out, "    %%%s6 = add %%%s4, %%%s5 : f32%s @ reg\n", name, name, name, part);
    str_printf(out, "    %%%s7 = concat %%%s3, %%%s6 {axis=3} : f32%s @ reg\n", name, name, name,
               whole);
    str_printf(out, "    %%%sb = cast %%%s7 {dtype=bf16} : bf16%s%s\n", name, name, whole, place);
}

static inline void few_heads(struct few_text *t, const struct few_case *c)
{
    struct str *out = &t->functions;
    int heads = c->n / FEW_HEAD, others = heads > 1 ? heads / 2 : 1, width = others * FEW_HEAD;
    const char *cache =
        arena_printf(t->arena, "[%d,%d,%d,%d]", c->rows, FEW_SLOTS, others, FEW_HEAD);
    const char *new = arena_printf(t->arena, "[%d,1,%d,%d]", c->rows, others, FEW_HEAD);
    const char *ring = c->kind == FEW_RING ? " {ring}" : "";
    str_printf(&t->leaves, "state %%keys%d : bf16%s\nstate %%values%d : bf16%s\n", t->count, cache,
               t->count, cache);
    few_product(t, c, "q", "wq", c->n);
    few_product(t, c, "k", "wk", width);
    few_product(t, c, "v", "wv", width);
    few_rotate(t, c, "q", heads, "");
    few_rotate(t, c, "k", others, " @ reg");
    str_printf(out, "    %%vh = reshape %%v {dims=%s} : f32%s @ view\n", new, new);
    str_printf(out, "    %%vb = cast %%vh {dtype=bf16} : bf16%s @ reg\n", new);
    str_printf(out, "    %%kn = update %%keys%d, %%kb, %%pos, %%count%s : bf16%s\n", t->count, ring,
               cache);
    str_printf(out, "    %%vn = update %%values%d, %%vb, %%pos, %%count%s : bf16%s\n", t->count,
               ring, cache);
    str_printf(out, "  return %%qb as q\n  store %%keys%d = %%kn\n  store %%values%d = %%vn\nend\n",
               t->count, t->count);
}

static inline void few_add(struct few_text *t, const struct few_case *c)
{
    struct str *out = &t->functions;
    const char *x = c->prologue == FEW_PLAIN ? c->used : "f32";
    str_printf(out, "func f%d\n  param %%x : %s[%d,1,%d]\n", t->count, x, c->rows, c->k);
    if (c->kind == FEW_LINEAR)
        str_printf(out, "  param %%r : f32[%d,1,%d]\n", c->rows, c->n);
    if (c->kind >= FEW_HEADS)
        str_printf(out,
                   "  param %%cos : f32[%d,1,1,%d]\n  param %%sin : f32[%d,1,1,%d]\n"
                   "  param %%pos : i32[%d]\n  param %%count : i32[%d]\n",
                   c->rows, FEW_HEAD / 2, c->rows, FEW_HEAD / 2, c->rows, c->rows);
    str_printf(out, "  kernel k%d %s {rows=%d %s}\n", t->count, t->skeleton, c->rows,
               c->attributes);
    few_prologue(t, c);
    if (c->kind == FEW_LINEAR)
        few_linear(t, c);
    else if (c->kind == FEW_GATED)
        few_gated(t, c);
    else
        few_heads(t, c);
    t->count++;
}

/* --- all of them --- */

/* What the tile pass derives from the other attributes. */
static inline void few_derive(struct module *module, void *context)
{
    (void)context;
    for (size_t i = 0; i < module->functions.count; i++) {
        struct function *f = module->functions.items[i];
        struct kernel *kernel = f->kernels.items[0];
        struct attributes *a = &kernel->attributes;
        struct gemv_shape gemv;
        struct skinny_shape skinny = {0};
        bool few = kernel->skeleton == SKELETON_gemv;
        if (!(few ? gemv_shape(module->arena, f, kernel, &gemv)
                  : skinny_shape(module->arena, f, kernel, &skinny))) {
            fprintf(stderr, "%s: no such tile\n", kernel->name);
            abort();
        }
        int64_t split = few ? 1 : skinny.split;
        int64_t tiles = few ? gemv.operands.layout.tiles : skinny.operands.layout.tiles;
        attributes_set_int(module->arena, a, ATTRIBUTE_tiles, tiles * split);
        attributes_set_int(module->arena, a, ATTRIBUTE_shared,
                           few ? gemv.shared_bytes : skinny.shared_bytes);
        attributes_set_int(module->arena, a, ATTRIBUTE_workspace, skinny.workspace_bytes);
        attributes_set_int(module->arena, a, ATTRIBUTE_counters, skinny.counters);
    }
}

static inline const char *few_whole(struct few_text *t)
{
    return arena_printf(t->arena, "ir 1\nmodule m stage=tile target=a100\n%s%s", t->leaves.text,
                        t->functions.text);
}

/* Runs the kernels of a text. */
static inline void few_run(struct few_text *t, bool brief)
{
    struct emulated_request request = {
        .tiled = few_derive, .brief = brief, .skeleton = t->skeleton};
    struct emulated_report report = emulated_text(few_whole(t), &request);
    emulated_expect(&report);
}

#endif
