/*
 * The CUDA backend's kernels without products, under emulation: loops, rows, sorts, running
 * sums, updates and sums by id, each in the variants that its attributes allow, against the
 * interpreter; and what emitted text must hold.
 */
#include "backends/cuda/emit.h"
#include "compiler/pipeline.h"
#include "compiler/toolchain/nvrtc.h"
#include "ir/gpu.h"
#include "ir/gpu_rows.h"
#include "tests/emulated.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Attributes for every kernel of a module; 0 leaves what tile chose. */
struct variant {
    int64_t threads, vector, tiles, rows, cols, split, keys;
};

static void set(struct module *module, struct kernel *kernel, enum attribute_id id, int64_t value)
{
    if (value > 0)
        attributes_set_int(module->arena, &kernel->attributes, id, value);
}

static void set_always(struct module *module, struct kernel *kernel, enum attribute_id id,
                       int64_t value)
{
    attributes_set_int(module->arena, &kernel->attributes, id, value);
}

/* Grids follow from the other attributes where a block has a share of its own. */
static int64_t grid(const struct function *function, const struct kernel *kernel,
                    const struct variant *variant)
{
    struct rows_domain domain;
    struct gpu_lines lines;
    switch (kernel->skeleton) {
    case SKELETON_rows:
        rows_domain(function, kernel, &domain);
        return rows_blocks(&domain, kernel) *
               attributes_int(&kernel->attributes, ATTRIBUTE_split);
    case SKELETON_sort:
    case SKELETON_cumsum:
        gpu_lines(function, kernel, &lines);
        return lines.lines * lines.pieces;
    default: return variant->tiles;
    }
}

static void vary_kernel(struct module *module, const struct function *function,
                        struct kernel *kernel, const struct variant *variant)
{
    int64_t bytes, counters;
    struct gpu_facts facts;
    set(module, kernel, ATTRIBUTE_threads, variant->threads);
    set(module, kernel, ATTRIBUTE_vector, variant->vector);
    set(module, kernel, ATTRIBUTE_rows, variant->rows);
    set(module, kernel, ATTRIBUTE_cols, variant->cols);
    set(module, kernel, ATTRIBUTE_split, variant->split);
    set(module, kernel, ATTRIBUTE_keys, variant->keys);
    set(module, kernel, ATTRIBUTE_tiles, grid(function, kernel, variant));
    gpu_rows_workspace(function, kernel, &bytes, &counters);
    set_always(module, kernel, ATTRIBUTE_workspace, bytes);
    set_always(module, kernel, ATTRIBUTE_counters, counters);
    if (!gpu_rows_facts(function, kernel, &facts))
        fail_msg("the attributes of %s do not fit", kernel->name);
    set_always(module, kernel, ATTRIBUTE_shared, facts.shared_bytes);
    set_always(module, kernel, ATTRIBUTE_residency, 1);
}

static void vary(struct module *module, void *context)
{
    for (size_t f = 0; f < module->functions.count; f++) {
        struct function *function = module->functions.items[f];
        for (size_t k = 0; k < function->kernels.count; k++)
            vary_kernel(module, function, function->kernels.items[k], context);
    }
}

/* The text as tile likes it, and in the variants. */
static void check(const char *text, const char *skeleton, const struct variant *variants,
                  int count)
{
    struct emulated_request request = {.skeleton = skeleton};
    struct emulated_report report = emulated_text(text, &request);
    emulated_expect(&report);
    for (int i = 0; i < count; i++) {
        struct variant variant = variants[i];
        request.tiled = vary;
        request.context = &variant;
        request.seed = (uint64_t)i;
        report = emulated_text(text, &request);
        if (report.text[0])
            printf("variant %d\n", i);
        emulated_expect(&report);
    }
}

#define CHECK(text, skeleton, ...)                                                  \
    do {                                                                            \
        static const struct variant variants[] = {__VA_ARGS__};                     \
        check(text, skeleton, variants, (int)(sizeof variants / sizeof *variants)); \
    } while (0)

/* --- loop --- */

static const char views[] =
    "ir 1\nmodule m stage=clean\nfunc f\n"
    "  param %x : f32[4,6,16]\n  param %y : f32[16]\n  param %s : f32[]\n"
    "  %b = reshape %y {dims=[1,1,16]} : f32[1,1,16]\n"
    "  %yb = broadcast %b {dims=[4,6,16]} : f32[4,6,16]\n"
    "  %a = add %x, %yb : f32[4,6,16]\n"
    "  %t = transpose %a {perm=[2,0,1]} : f32[16,4,6]\n"
    "  %e = exp %t : f32[16,4,6]\n"
    "  %l = slice %x {axis=2 at=0 len=8} : f32[4,6,8]\n"
    "  %r = slice %x {axis=2 at=8 len=8} : f32[4,6,8]\n"
    "  %n = neg %r : f32[4,6,8]\n"
    "  %c = concat %n, %l {axis=2} : f32[4,6,16]\n"
    "  %m = mul %c, %x : f32[4,6,16]\n"
    "  %h = mul %m, %s : f32[4,6,16]\n"
    "  %k = cast %x {dtype=bf16} : bf16[4,6,16]\n"
    "  %f = cast %h {dtype=f16} : f16[4,6,16]\n"
    "  return %e as e\n  return %m as m\n  return %k as k\n  return %f as f\nend\n";

static const char ragged[] =
    "ir 1\nmodule m stage=clean\nfunc f\n"
    "  param %x : f32[3,7,5]\n  param %ids : i32[9]\n  param %table : bf16[11,12]\n"
    "  param %k : i32[3,7,5]\n"
    "  %p = pad %x {low=[0,1,2] high=[1,0,1] value=0.5} : f32[4,8,8]\n"
    "  %q = tanh %p : f32[4,8,8]\n"
    "  %g = gather %table, %ids : bf16[9,12]\n"
    "  %w = cast %g {dtype=f32} : f32[9,12]\n"
    "  %z = sigmoid %w : f32[9,12]\n"
    "  %i = iota {dims=[3,7,5] axis=1} : i32[3,7,5]\n"
    "  %j = mul %i, %k : i32[3,7,5]\n"
    "  %o = lt %i, %k : bool[3,7,5]\n"
    "  %c = const {values=[3,1,4,1,5] dims=[5] dtype=i32} : i32[5]\n"
    "  %d = reshape %c {dims=[1,1,5]} : i32[1,1,5]\n"
    "  %v = broadcast %d {dims=[3,7,5]} : i32[3,7,5]\n"
    "  %u = add %j, %v : i32[3,7,5]\n"
    "  return %q as q\n  return %z as z\n  return %u as u\n  return %o as o\nend\n";

/* Choices that the neighbours of a thread make together: in one another, and of what is
 * computed. */
static const char chosen[] =
    "ir 1\nmodule m stage=clean\nfunc f\n"
    "  param %x : f32[6,16]\n  param %y : bf16[6,8]\n  param %z : f32[5,24]\n"
    "  param %ids : i32[6]\n  param %table : f16[11,16]\n  param %k : i32[6,8]\n"
    "  %yf = cast %y {dtype=f32} : f32[6,8]\n"
    "  %zp = pad %z {low=[1,8] high=[0,0] value=2} : f32[6,32]\n"
    "  %g = gather %table, %ids : f16[6,16]\n"
    "  %gf = cast %g {dtype=f32} : f32[6,16]\n"
    "  %gs = slice %gf {axis=1 at=8 len=8} : f32[6,8]\n"
    "  %c = concat %x, %yf, %zp, %gs {axis=1} : f32[6,64]\n"
    "  %e = tanh %c : f32[6,64]\n"
    "  %f = cast %e {dtype=bf16} : bf16[6,64]\n"
    "  %kp = pad %k {low=[0,8] high=[0,48]} : i32[6,64]\n"
    "  %i = iota {dims=[6,64] axis=1} : i32[6,64]\n"
    "  %j = mul %i, %kp : i32[6,64]\n"
    "  return %f as f\n  return %j as j\nend\n";

static void loops(void **state)
{
    (void)state;
    CHECK(chosen, "loop", {.threads = 32, .vector = 4, .tiles = 2},
          {.threads = 64, .vector = 8, .tiles = 1}, {.threads = 32, .vector = 2, .tiles = 3});
    CHECK(views, "loop", {.threads = 32, .vector = 1, .tiles = 3},
          {.threads = 64, .vector = 2, .tiles = 1}, {.threads = 96, .vector = 4, .tiles = 2},
          {.threads = 128, .vector = 8, .tiles = 7});
    CHECK(ragged, "loop", {.threads = 32, .vector = 4, .tiles = 2},
          {.threads = 64, .vector = 8, .tiles = 5});
}

/* --- rows --- */

static const char softmax[] =
    "ir 1\nmodule m stage=clean\nfunc f\n  param %x : f32[3,5,72]\n"
    "  %mx = maximum %x {axes=[2]} : f32[3,5,1]\n"
    "  %mb = broadcast %mx {dims=[3,5,72]} : f32[3,5,72]\n"
    "  %d = sub %x, %mb : f32[3,5,72]\n"
    "  %e = exp %d : f32[3,5,72]\n"
    "  %s = sum %e {axes=[2]} : f32[3,5,1]\n"
    "  %sb = broadcast %s {dims=[3,5,72]} : f32[3,5,72]\n"
    "  %p = div %e, %sb : f32[3,5,72]\n"
    "  return %p as p\n  return %mx as mx\nend\n";

static const char statistics[] =
    "ir 1\nmodule m stage=clean\nfunc f\n  param %x : bf16[13,264]\n  param %w : f32[264]\n"
    "  %y = cast %x {dtype=f32} : f32[13,264]\n"
    "  %v = variance %y {axes=[1]} : f32[13,1]\n"
    "  %s = sum %y {axes=[1]} : f32[13,1]\n"
    "  %am = argmax %y {axes=[1]} : i32[13,1]\n"
    "  %l = logsumexp %y {axes=[1]} : f32[13,1]\n"
    "  %vb = broadcast %v {dims=[13,264]} : f32[13,264]\n"
    "  %q = mul %y, %vb : f32[13,264]\n"
    "  %wr = reshape %w {dims=[1,264]} : f32[1,264]\n"
    "  %wb = broadcast %wr {dims=[13,264]} : f32[13,264]\n"
    "  %z = add %q, %wb : f32[13,264]\n"
    "  %o = cast %z {dtype=bf16} : bf16[13,264]\n"
    "  return %o as o\n  return %s as s\n  return %am as am\n  return %l as l\nend\n";

static const char columns[] =
    "ir 1\nmodule m stage=clean\nfunc f\n  param %x : f32[3,35,40]\n"
    "  %v = variance %x {axes=[1]} : f32[3,1,40]\n"
    "  %s = sum %x {axes=[1]} : f32[3,1,40]\n"
    "  %vb = broadcast %v {dims=[3,35,40]} : f32[3,35,40]\n"
    "  %q = mul %x, %vb : f32[3,35,40]\n"
    "  return %q as q\n  return %s as s\nend\n";

/* Columns that no vectors divide, of an even and an odd number, and across an axis of one. */
static const char odd_columns[] =
    "ir 1\nmodule m stage=clean\nfunc f\n  param %x : f32[66,425]\n"
    "  %v = variance %x {axes=[0]} : f32[1,425]\n  return %v as v\nend\n"
    "func g\n  param %x : bf16[66,25,1,18]\n"
    "  %l = logsumexp %x {axes=[0,2]} : bf16[1,25,1,18]\n  return %l as l\nend\n";

/* Groups of channels: the reduced axes stand around a kept one. */
static const char groups[] =
    "ir 1\nmodule m stage=clean\nfunc f\n  param %x : f32[2,9,4,6]\n  param %k : i32[40,3]\n"
    "  %v = variance %x {axes=[1,3]} : f32[2,1,4,1]\n"
    "  %vb = broadcast %v {dims=[2,9,4,6]} : f32[2,9,4,6]\n"
    "  %q = mul %x, %vb : f32[2,9,4,6]\n"
    "  %t = sum %k {axes=[0]} : i32[1,3]\n"
    "  %u = maximum %k {axes=[1]} : i32[40,1]\n"
    "  return %q as q\n  return %t as t\n  return %u as u\nend\n";

static const char long_row[] =
    "ir 1\nmodule m stage=clean\nfunc f\n  param %x : f32[2,5000]\n"
    "  %mx = maximum %x {axes=[1]} : f32[2,1]\n"
    "  %mb = broadcast %mx {dims=[2,5000]} : f32[2,5000]\n"
    "  %d = sub %x, %mb : f32[2,5000]\n"
    "  %e = exp %d : f32[2,5000]\n"
    "  %s = sum %e {axes=[1]} : f32[2,1]\n"
    "  %am = argmax %x {axes=[1]} : i32[2,1]\n"
    "  return %s as s\n  return %am as am\nend\n";

/* Several blocks store what they reduce, and what needs the result. */
static const char stored[] =
    "ir 1\nmodule m stage=clean\nfunc f\n  param %x : f32[2,700]\n"
    "  %e = exp %x : f32[2,700]\n"
    "  %s = sum %e {axes=[1]} : f32[2,1]\n"
    "  %sb = broadcast %s {dims=[2,700]} : f32[2,700]\n"
    "  %p = div %e, %sb : f32[2,700]\n"
    "  return %e as e\n  return %p as p\nend\n";

static const char stored_columns[] =
    "ir 1\nmodule m stage=clean\nfunc f\n  param %x : f32[700,8]\n"
    "  %e = exp %x : f32[700,8]\n"
    "  %s = sum %e {axes=[0]} : f32[1,8]\n"
    "  return %e as e\n  return %s as s\nend\n";

static void rows_of_threads(void **state)
{
    (void)state;
    CHECK(softmax, "rows", {.threads = 32, .vector = 1, .rows = 1},
          {.threads = 128, .vector = 4, .rows = 1}, {.threads = 128, .vector = 8, .rows = 4},
          {.threads = 64, .vector = 2, .rows = 8}, {.threads = 128, .vector = 4, .rows = 2},
          {.threads = 64, .vector = 4, .rows = 1, .split = 3});
    CHECK(statistics, "rows", {.threads = 64, .vector = 8, .rows = 2},
          {.threads = 32, .vector = 4, .rows = 32}, {.threads = 256, .vector = 4, .rows = 1},
          {.threads = 64, .vector = 8, .rows = 1, .split = 2});
    CHECK(long_row, "rows", {.threads = 64, .vector = 4, .rows = 1},
          {.threads = 256, .vector = 4, .rows = 1, .split = 5},
          {.threads = 128, .vector = 1, .rows = 2, .split = 4},
          {.threads = 32, .vector = 4, .rows = 1, .split = 40});
    CHECK(stored, "rows", {.threads = 64, .vector = 4, .rows = 1, .split = 3},
          {.threads = 128, .vector = 2, .rows = 2, .split = 2},
          {.threads = 64, .vector = 4, .rows = 1, .split = 1});
    CHECK(groups, "rows", {.threads = 32, .vector = 2, .rows = 1, .cols = 2},
          {.threads = 128, .vector = 1, .rows = 4, .cols = 8});
}

static void columns_of_threads(void **state)
{
    (void)state;
    CHECK(columns, "rows", {.threads = 32, .vector = 1, .cols = 8},
          {.threads = 64, .vector = 4, .cols = 32}, {.threads = 128, .vector = 8, .cols = 64},
          {.threads = 32, .vector = 4, .cols = 128},
          {.threads = 64, .vector = 4, .cols = 32, .split = 3});
    CHECK(odd_columns, "rows", {.threads = 256, .vector = 4, .cols = 64, .split = 8},
          {.threads = 64, .vector = 8, .cols = 64, .split = 3},
          {.threads = 32, .vector = 2, .cols = 8, .split = 2});
    CHECK(stored_columns, "rows", {.threads = 64, .vector = 4, .cols = 8, .split = 5},
          {.threads = 32, .vector = 2, .cols = 4, .split = 40});
}

/* --- lines and effects --- */

static const char lines[] =
    "ir 1\nmodule m stage=clean\nfunc f\n"
    "  param %x : f32[3,700]\n  param %y : f32[3,40,3]\n  param %k : i32[2,33]\n"
    "  %a, %b = sort %x {axis=1 descending} : f32[3,700], i32[3,700]\n"
    "  %c, %d = sort %y {axis=1} : f32[3,40,3], i32[3,40,3]\n"
    "  %i, %j = sort %k {axis=1} : i32[2,33], i32[2,33]\n"
    "  return %a as a\n  return %b as b\n  return %c as c\n  return %d as d\n"
    "  return %i as i\n  return %j as j\nend\n";

static const char running[] =
    "ir 1\nmodule m stage=clean\nfunc f\n"
    "  param %x : f32[3,700]\n  param %y : f32[3,40,3]\n  param %k : i32[2,33]\n"
    "  %e = cumsum %x {axis=1} : f32[3,700]\n"
    "  %f = cumsum %y {axis=1 exclusive} : f32[3,40,3]\n"
    "  %g = cumsum %k {axis=1} : i32[2,33]\n"
    "  return %e as e\n  return %f as f\n  return %g as g\nend\n";

static void sorts(void **state)
{
    (void)state;
    CHECK(lines, "sort", {.threads = 32, .keys = 64}, {.threads = 64, .keys = 256},
          {.threads = 128, .keys = 1024});
}

static void running_sums(void **state)
{
    (void)state;
    CHECK(running, "cumsum", {.threads = 32, .vector = 1, .split = 1},
          {.threads = 64, .vector = 4, .split = 3}, {.threads = 32, .vector = 2, .split = 2});
}

static const char stores[] =
    "ir 1\nmodule m stage=clean\n"
    "state %cache : f32[2,16,3,8]\nstate %ring : bf16[2,16,24]\nstate %seen : bool[2,50]\n"
    "func f\n  param %new : f32[2,5,24]\n  param %ids : i32[2,5]\n"
    "  param %pos : i32[2]\n  param %count : i32[2]\n"
    "  %n = reshape %new {dims=[2,5,3,8]} : f32[2,5,3,8]\n"
    "  %c = update %cache, %n, %pos, %count : f32[2,16,3,8]\n"
    "  %h = cast %new {dtype=bf16} : bf16[2,5,24]\n"
    "  %r = update %ring, %h, %pos, %count {ring} : bf16[2,16,24]\n"
    "  %s = mark %seen, %ids, %count : bool[2,50]\n"
    "  store %cache = %c\n  store %ring = %r\n  store %seen = %s\nend\n";

static const char sums_by_id[] =
    "ir 1\nmodule m stage=clean\nfunc f\n"
    "  param %ids : i32[4,6]\n  param %rows : f32[4,6,36]\n"
    "  %g = scatter_add %ids, %rows {dims=[11,36]} : f32[11,36]\n"
    "  return %g as g\nend\n";

static void effects(void **state)
{
    (void)state;
    CHECK(stores, "update", {.threads = 32, .vector = 8, .tiles = 2},
          {.threads = 64, .vector = 4, .tiles = 3}, {.threads = 32, .vector = 1, .tiles = 1});
    CHECK(sums_by_id, "scatter_add", {.threads = 32, .vector = 4, .tiles = 2},
          {.threads = 64, .vector = 1, .tiles = 7}, {.threads = 32, .vector = 2, .tiles = 1});
}

/* --- the functions of generation --- */

static const char speaker[] =
    "model m\nentry text {\n    input tokens : i32[batch, seq]\n"
    "    weight table : [1500, 16] from \"table\" init random(1)\n"
    "    x = embedding(table, tokens)\n"
    "    heads = reshape(x, [batch, seq, 2, 8])\n"
    "    x = x + reshape(attention(heads, heads, heads, causal=true), [batch, seq, 16])\n"
    "    output logits = linear(x, table)\n}\n";

static void sampling(void **state)
{
    (void)state;
    char path[] = "/tmp/sinter-speaker-XXXXXX.model";
    int descriptor = mkstemps(path, 6);
    FILE *file = fdopen(descriptor, "w");
    fputs(speaker, file);
    fclose(file);
    const char *words[] = {"build", path, "--task", "generate", "--max-length", "16",
                           "--init", "random", "--batch", "2"};
    struct emulated_request request = {.skeleton = "sort", .brief = true};
    struct emulated_report report =
        emulated_model(words, (int)(sizeof words / sizeof *words), &request);
    remove(path);
    emulated_expect(&report);
}

/* --- every elementwise op --- */

/* One function with all ops of the table that take numbers of this type: on numbers from 1 on,
 * of which products do not overflow. */
static const char *every_op(struct arena *arena, const char *dtype)
{
    struct str out = str_create(arena), returns = str_create(arena);
    bool whole = dtype[0] == 'i';
    str_printf(&out, "ir 1\nmodule m stage=clean\nfunc f\n");
    for (const char *name = "xy"; *name; name++)
        str_printf(&out, "  param %%%c : %s[64]\n", *name, dtype);
    str_printf(&out, "  %%e = const {value=1 dtype=%s} : %s[]\n", dtype, dtype);
    str_printf(&out, "  %%h = const {value=100 dtype=%s} : %s[]\n", dtype, dtype);
    for (const char *name = "xy"; *name; name++)
        str_printf(&out,
                   "  %%%c0 = abs %%%c : %s[64]\n  %%%c1 = mod %%%c0, %%h : %s[64]\n"
                   "  %%%c2 = add %%%c1, %%e : %s[64]\n",
                   *name, *name, dtype, *name, *name, dtype, *name, *name, dtype);
    for (int op = 0; op < OP_COUNT; op++) {
        const struct op_info *info = op_info((enum op)op);
        bool function = info->kind == KIND_EW && strstr(info->expression, "m_") != NULL;
        if (info->kind != KIND_EW || info->rule == RULE_LOGIC || info->rule == RULE_SELECT ||
            info->rule == RULE_CAST || info->rule == RULE_DRAW ||
            (whole && function && (info->operands_min == 1 || op == OP_pow)))
            continue;
        bool truth = info->rule == RULE_TEST || info->rule == RULE_CHECK;
        str_printf(&out, "  %%o%d = %s %%x2%s : %s[64]\n", op, info->name,
                   info->operands_min == 2 ? ", %y2" : "", truth ? "bool" : dtype);
        str_printf(&returns, "  return %%o%d as o%d\n", op, op);
    }
    str_printf(&out, "%send\n", returns.text);
    return out.text;
}

static void every_operation(void **state)
{
    (void)state;
    static const char *const dtypes[] = {"f32", "bf16", "f64", "i32", "i64"};
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        struct arena *arena = arena_create();
        struct emulated_request request = {.skeleton = "loop", .brief = true};
        struct emulated_report report = emulated_text(every_op(arena, dtypes[i]), &request);
        emulated_expect(&report);
        arena_destroy(arena);
    }
}

/* --- device code --- */

/* Indices beyond 2^31: only to be compiled. */
static const char huge[] =
    "ir 1\nmodule m stage=clean\nfunc f\n  param %x : bf16[80000,32768]\n"
    "  %y = cast %x {dtype=f32} : f32[80000,32768]\n"
    "  %e = sigmoid %y : f32[80000,32768]\n"
    "  %s = sum %e {axes=[1]} : f32[80000,1]\n"
    "  %c = sum %e {axes=[0]} : f32[1,32768]\n"
    "  %o = cast %e {dtype=bf16} : bf16[80000,32768]\n"
    "  return %s as s\n  return %c as c\n  return %o as o\nend\n";

/* Compiles all kernels of the text for a GPU: nothing may spill. */
static size_t compile_text(const struct nvrtc *nvrtc, const char *text, const char *gpu)
{
    struct arena *arena = arena_create();
    const struct target *target = target_find(gpu);
    struct module *module = ir_parse(arena, diag_add_source("test.ir", text, strlen(text)));
    struct pipeline_options pipeline = {
        .target = target, .verify = true, .compute = DTYPE_f32, .task = TASK_predict};
    pipeline_run(module, &pipeline, NULL);
    struct cuda_emit_options options = {.target = target};
    struct cuda_emit_result emitted = backend_cuda_emit(module, &options);
    size_t count = (size_t)emitted.kernel_count;
    struct device_source *sources = arena_array(arena, struct device_source, count);
    struct device_code *codes = arena_array(arena, struct device_code, count);
    for (size_t i = 0; i < count; i++) {
        sources[i].name = emitted.kernels[i].name;
        sources[i].text = cuda_kernel_source(arena, &emitted, (int)i, &sources[i].length);
    }
    struct device_options how = {.architecture = target->gpu->architecture,
                                 .no_cache = true, .threads = 2, .path = "/tmp/test_cuda_emit"};
    nvrtc_compile(arena, nvrtc, sources, count, &how, codes);
    for (size_t i = 0; i < count; i++) {
        struct cubin_limits limits = {GPU_THREAD_REGISTERS, target->gpu->shared_block,
                                      emitted.kernels[i].shared, emitted.kernels[i].mma_count};
        const char *why = cubin_lint(&codes[i].facts, &limits);
        if (why || strstr(codes[i].log, "warning"))
            fail_msg("%s on %s: %s\n%s", sources[i].name, gpu, why ? why : "", codes[i].log);
    }
    arena_destroy(arena);
    return count;
}

static void code(void **state)
{
    (void)state;
    static const char *const texts[] = {views, ragged, softmax, statistics, columns, groups,
                                        long_row, lines, running, stores, sums_by_id, huge};
    static const char *const gpus[] = {"a100", "h100"};
    struct arena *arena = arena_create();
    const char *places, *reason;
    struct nvrtc nvrtc;
    size_t kernels = 0;
    if (!nvrtc_look(arena, getenv("SINTER_TEST_NVRTC"), &nvrtc, &places) ||
        !nvrtc_version(arena, &nvrtc, &reason)) {
        printf("SKIPPED 1 device code: no NVRTC\n");
        arena_destroy(arena);
        return;
    }
    for (size_t g = 0; g < sizeof gpus / sizeof *gpus; g++) {
        kernels += compile_text(&nvrtc, every_op(arena, "f32"), gpus[g]);
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
            kernels += compile_text(&nvrtc, texts[i], gpus[g]);
    }
    printf("%zu kernels compiled\n", kernels);
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loops),   cmocka_unit_test(rows_of_threads),
        cmocka_unit_test(columns_of_threads), cmocka_unit_test(sorts),
        cmocka_unit_test(running_sums), cmocka_unit_test(effects),
        cmocka_unit_test(sampling),     cmocka_unit_test(every_operation),
        cmocka_unit_test(code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
