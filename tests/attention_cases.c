/* See attention_cases.h. */
#include "tests/attention_cases.h"

#include "backends/cuda/emit.h"
#include "ir/base/str.h"
#include "ir/gpu_attention.h"
#include "ir/interp.h"
#include "passes/passes.h"
#include "tests/kernel_text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPERANDS = 8 };

struct bench {
    struct arena *arena;
    const struct attention_case *cases;
    int count;
    uint64_t seed;
    struct module *clean, *planned;
    struct cuda_emit_result emitted;
    struct attention_outcome outcome;
};

static bool has(const struct attention_case *c, const char *word)
{
    return strstr(c->how, word) != NULL;
}

/* --- the module --- */

static void put_case(struct str *out, const struct attention_case *c, int number)
{
    str_printf(out, "\nfunc f%d\n  param %%q : %s[%d,%d,%d,%d]\n", number, c->dtype, c->batch,
               c->queries, c->heads, c->size);
    for (int i = 0; i < 2; i++)
        str_printf(out, "  param %%%c : %s[%d,%d,%d,%d]\n", "kv"[i], c -> dtype, c -> batch,
                   c -> slots, c -> groups, c -> size);
    if (has(c, "cached"))
        str_printf(out, "  param %%pos : i32[%d]\n", c->batch);
    if (c->bias)
        str_printf(out, "  param %%bias : f32[%s]\n", c->bias);
    double scale = c->scale != 0 ? c->scale : 1 / sqrt(c->size);
    bool narrow = strcmp(c->dtype, "f32") != 0;
    str_printf(out, "  %%o = attention %%q, %%k, %%v%s%s {scale=", has(c, "cached") ? ", %pos" : "",
               c->bias ? ", %bias" : "");
    str_double(out, scale);
    str_printf(out, " %s%s%s} : f32[%d,%d,%d,%d]\n", c->how, c->bias ? " biased" : "",
               narrow ? " dtype=f32" : "", c->batch, c->queries, c->heads, c->size);
    if (narrow)
        str_printf(out, "  %%r = cast %%o {dtype=%s} : %s[%d,%d,%d,%d]\n", c->dtype, c->dtype,
                   c->batch, c->queries, c->heads, c->size);
    str_printf(out, "  return %%%s as r\nend\n", narrow ? "r" : "o");
}

static struct module *parse(struct bench *b)
{
    struct str out = str_create(b->arena);
    str_printf(&out, "ir 1\nmodule cases stage=clean\n");
    for (int i = 0; i < b->count; i++)
        put_case(&out, &b->cases[i], i);
    return ir_parse(b->arena, diag_add_source("cases.ir", out.text, out.length));
}

static void set_kernel(struct bench *b, const struct function *function, struct kernel *kernel,
                       const struct attention_case *c)
{
    struct attributes *a = &kernel->attributes;
    int warps = c->warps;
    kernel->skeleton = c->split ? SKELETON_split_attention : SKELETON_attention;
    attributes_set_int(b->arena, a, ATTRIBUTE_rows, c->rows);
    attributes_set_int(b->arena, a, ATTRIBUTE_keys, c->keys);
    attributes_set_int(b->arena, a, c->split ? ATTRIBUTE_warps_n : ATTRIBUTE_warps_m, warps);
    attributes_set_int(b->arena, a, ATTRIBUTE_stages, c->stages);
    attributes_set_int(b->arena, a, ATTRIBUTE_split, c->split ? c->split : 1);
    attributes_set_int(b->arena, a, ATTRIBUTE_threads, warps * 32);
    struct attention_layout layout;
    if (!attention_layout(function, kernel, &layout))
        fatal(INTERNAL, "the attributes of a case do not fit", function->name);
    int64_t bytes, counters;
    gpu_split_attention_workspace(&layout, &bytes, &counters);
    attributes_set_int(b->arena, a, ATTRIBUTE_tiles, layout.tiles);
    attributes_set_int(b->arena, a, ATTRIBUTE_shared, layout.shared_bytes);
    attributes_set_int(b->arena, a, ATTRIBUTE_workspace, c->split ? bytes : 0);
    attributes_set_int(b->arena, a, ATTRIBUTE_counters, c->split ? counters : 0);
}

static void plan(struct bench *b)
{
    const struct target *target = target_find("a100");
    b->clean = parse(b);
    b->planned = parse(b);
    pass_layout(b->planned);
    pass_fuse(b->planned, target);
    pass_schedule(b->planned);
    for (int i = 0; i < b->count; i++) {
        struct function *function = b->planned->functions.items[i];
        if (function->kernels.count != 1)
            fatal(INTERNAL, "a case is more than one kernel", function->name);
        set_kernel(b, function, function->kernels.items[0], &b->cases[i]);
    }
    pass_plan(b->planned);
    b->emitted = backend_cuda_emit(b->planned, &(struct cuda_emit_options){.target = target});
}

/* --- numbers --- */

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* The position whose key stands in a slot; negative: none. */
static long slot_holds(const struct attention_case *c, int row, long slot)
{
    long last = c->positions[row] + c->queries - 1;
    if (!has(c, "cached"))
        return slot;
    if (!has(c, "ring"))
        return has(c, "causal") && slot > last ? -1 : slot;
    long behind = (last - slot) % c->slots;
    return last - (behind < 0 ? behind + c->slots : behind);
}

/* Element of a param. Keys and values depend on position, head and column only, and queries on
 * their position, so that different chunks have the same numbers. */
static double element(const struct bench *b, const struct attention_case *c,
                      const struct value *param, int64_t index, bool kernel)
{
    const struct type *type = &param->type;
    char name = param->name[0];
    if (name == 'p')
        return c->positions[index] + (kernel ? 0 : c->wrong);
    uint64_t key = b->seed * 31 + (uint64_t)name;
    if (type->rank == 4 && name != 'b') {
        int64_t inner = type->dims[2] * type->dims[3];
        int64_t line = index / inner % type->dims[1], row = index / inner / type->dims[1];
        int64_t at = name == 'q' ? line + (has(c, "cached") ? c->positions[row] : 0)
                                 : slot_holds(c, (int)row, line);
        if (at < 0)
            return kernel ? NAN : 0;
        key = mix(key * 4096 + (uint64_t)row) + (uint64_t)at;
        index %= inner;
    }
    double unit = (double)(mix(mix(key) + (uint64_t)index) >> 40) * 0x1p-24;
    return dtype_round(type->dtype, (unit - 0.5) * (name == 'q' ? 6 : 3));
}

static double *fill(const struct bench *b, int number, const struct value *param, bool kernel)
{
    int64_t count = type_elements(&param->type);
    double *data = malloc((size_t)(count + 1) * sizeof *data);
    for (int64_t i = 0; data && i < count; i++)
        data[i] = element(b, &b->cases[number], param, i, kernel);
    return data;
}

static const double *reference(const struct bench *b, struct interp *interp, int number)
{
    const struct function *function = b->clean->functions.items[number];
    for (size_t i = 0; i < function->params.count; i++) {
        const struct value *param = &function->params.items[i]->results[0];
        double *data = fill(b, number, param, false);
        interp_bind(interp, param, data);
        free(data);
    }
    interp_function(interp, function);
    return interp_value(interp, function->bindings.items[0].value);
}

/* --- runs --- */

struct launch {
    struct emulation_launch launch;
    struct emulation_region regions[OPERANDS];
    void *operands[OPERANDS];
    int count, result; /* result: its operand */
};

static void add_operand(struct launch *l, size_t bytes, int size, bool written)
{
    void *base = aligned_alloc(64, (bytes + 63) / 64 * 64 + 64);
    memset(base, written ? 0xff : 0, bytes);
    l->regions[l->count] = (struct emulation_region){base, bytes, written, written, size};
    l->operands[l->count++] = base;
}

static struct launch make_launch(const struct bench *b, int number)
{
    const struct cuda_step *step = &b->emitted.steps[number][0];
    const struct cuda_kernel *kernel = &b->emitted.kernels[step->kernel];
    const struct kernel *ir = b->planned->functions.items[number]->kernels.items[0];
    struct launch l = {.launch = {.kernel = kernel->name,
                                  .blocks = (int)kernel->blocks,
                                  .threads = (int)kernel->threads,
                                  .shared = kernel->shared}};
    for (size_t i = 0; i < step->step.operand_count; i++) {
        const struct value *value = step->step.operands[i];
        enum dtype dtype = value->type.dtype;
        bool input = value->node->op == OP_param;
        add_operand(&l, type_bytes(&value->type), dtype_bits(dtype) / 8, !input);
        if (!input) {
            l.result = l.count - 1;
            continue;
        }
        double *data = fill(b, number, value, true);
        for (int64_t k = 0; k < type_elements(&value->type); k++)
            dtype_store(dtype, l.operands[l.count - 1], k, data[k]);
        free(data);
    }
    if (kernel->workspace)
        add_operand(&l, (size_t)attributes_int(&ir->attributes, ATTRIBUTE_workspace), 4, true);
    if (kernel->counters) {
        size_t bytes = (size_t)attributes_int(&ir->attributes, ATTRIBUTE_counters) * 4;
        add_operand(&l, bytes, 4, true);
        memset(l.operands[l.count - 1], 0, bytes);
        l.regions[l.count - 1].blank = false;
    }
    l.launch.region_count = (size_t)l.count;
    return l;
}

static void add_accesses(struct emulation_accesses *to, struct emulation_accesses more)
{
    to->count += more.count;
    to->wavefronts += more.wavefronts;
    to->minimum += more.minimum;
}

static void complain(struct bench *b, int number, const char *text)
{
    struct attention_outcome *o = &b->outcome;
    o->errors++;
    if (!o->text[0])
        snprintf(o->text, sizeof o->text, "case %d: %.700s", number, text);
}

/* One run of a case; its bytes are those of the first run, which `first` keeps. */
static void run_case(struct bench *b, struct emulation *machine, const struct emulation_unit *unit,
                     const struct emulation_options *options, int number, void **first)
{
    struct launch l = make_launch(b, number);
    struct attention_outcome *o = &b->outcome;
    struct emulation_report report;
    l.launch.operands = l.operands;
    l.launch.regions = l.regions;
    size_t bytes = l.regions[l.result].bytes;
    o->runs++;
    if (emulation_run(machine, unit, &l.launch, options, &report))
        complain(b, number, report.text);
    else if (*first && memcmp(*first, l.operands[l.result], bytes) != 0)
        complain(b, number, "another order gives other bytes");
    if (options->shadow) {
        add_accesses(&o->ldmatrix, report.ldmatrix);
        add_accesses(&o->loads, report.shared_load);
        add_accesses(&o->stores, report.shared_store);
        add_accesses(&o->copies, report.copy);
    }
    for (int i = 0; i < l.count; i++)
        if (i != l.result || *first)
            free(l.operands[i]);
    if (!*first)
        *first = l.operands[l.result];
}

static struct emulation_unit *open_unit(const struct bench *b, bool shadow)
{
    char *errors;
    struct emulation_unit *unit =
        emulation_unit_open(b->emitted.emulated, b->emitted.emulated_length, shadow, &errors);
    if (!unit) {
        fprintf(stderr, "%s\n", errors);
        exit(1);
    }
    return unit;
}

static void run_all(struct bench *b, bool brief, void **results)
{
    static const struct emulation_options every[] = {{.shadow = true},
                                                     {0},
                                                     {.latest = true},
                                                     {.reverse = true},
                                                     {.reverse = true, .latest = true}};
    enum { ALL = sizeof every / sizeof *every };
    struct emulation_unit *units[2] = {open_unit(b, false), open_unit(b, true)};
    struct emulation *machine = emulation_create();
    for (int i = 0; i < b->count; i++)
        for (int k = 0; k < ALL; k += brief ? ALL - 1 : 1)
            run_case(b, machine, units[every[k].shadow], &every[k], i, &results[i]);
    emulation_destroy(machine);
    emulation_unit_close(units[0]);
    emulation_unit_close(units[1]);
}

/* --- comparison --- */

/* Weights and result are rounded to the operands' type; what is left is the order of sums. */
static double tolerance(const struct attention_case *c, double number)
{
    double unit = strcmp(c->dtype, "bf16") == 0  ? 0x1p-8
                  : strcmp(c->dtype, "f16") == 0 ? 0x1p-11
                                                 : 0x1p-17;
    return unit * (1 + fabs(number));
}

static void compare(struct bench *b, struct interp *interp, int number, const void *bytes)
{
    const struct function *function = b->clean->functions.items[number];
    const struct type *type = &function->bindings.items[0].value->type;
    struct attention_outcome *o = &b->outcome;
    const double *wanted = reference(b, interp, number);
    int64_t count = type_elements(type);
    o->first[number + 1] = o->first[number] + (size_t)count;
    o->results = realloc(o->results, (o->first[number + 1] + 1) * sizeof *o->results);
    for (int64_t i = 0; i < count; i++) {
        double number_here = dtype_load(type->dtype, bytes, i);
        double error = fabs(number_here - wanted[i]) / tolerance(&b->cases[number], wanted[i]);
        o->results[o->first[number] + (size_t)i] = number_here;
        if (!(error <= o->worst))
            o->worst = error == error ? error : INFINITY;
    }
}

struct attention_outcome attention_run(const struct attention_case *cases, int count, bool brief,
                                       uint64_t seed)
{
    struct bench b = {.arena = arena_create(), .cases = cases, .count = count, .seed = seed};
    void **results = calloc((size_t)count, sizeof *results);
    b.outcome.first = calloc((size_t)count + 1, sizeof *b.outcome.first);
    plan(&b);
    kernel_text_look(b.emitted.emulated, b.emitted.prelude_length, b.outcome.text,
                     sizeof b.outcome.text);
    b.outcome.errors += b.outcome.text[0] != '\0';
    run_all(&b, brief, results);
    struct interp *interp = interp_create(b.clean, INTERP_ROUNDED);
    for (int i = 0; i < count; i++) {
        compare(&b, interp, i, results[i]);
        free(results[i]);
    }
    interp_destroy(interp);
    free(results);
    arena_destroy(b.arena);
    return b.outcome;
}

void attention_free(struct attention_outcome *outcome)
{
    free(outcome->results);
    free(outcome->first);
}
