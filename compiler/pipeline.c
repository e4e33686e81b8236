/* The loop over the table of passes: see pipeline.h. */
#include "compiler/pipeline.h"

#include "ir/target.h"
#include "passes/passes.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static void run_simplify(struct module *module, const struct pipeline_options *options)
{
    (void)options;
    pass_simplify(module);
}

static void run_grad(struct module *module, const struct pipeline_options *options)
{
    (void)options;
    pass_grad(module);
}

static void run_optimizer(struct module *module, const struct pipeline_options *options)
{
    (void)options;
    pass_optimizer(module);
}

static void run_unroll(struct module *module, const struct pipeline_options *options)
{
    (void)options;
    pass_unroll(module);
}

static void run_decode(struct module *module, const struct pipeline_options *options)
{
    pass_decode(module, &(struct decode_options){options->max_length, options->max_chunk});
}

static void run_cast(struct module *module, const struct pipeline_options *options)
{
    pass_cast(module, options->compute);
}

static void run_layout(struct module *module, const struct pipeline_options *options)
{
    (void)options;
    pass_layout(module);
}

static void run_fuse(struct module *module, const struct pipeline_options *options)
{
    pass_fuse(module, options->target);
}

static void run_schedule(struct module *module, const struct pipeline_options *options)
{
    (void)options;
    pass_schedule(module);
}

struct tile_rules pipeline_tile_rules(const struct pipeline_options *options)
{
    return (struct tile_rules){options->target->gpu, options->blas, options->tuning};
}

static void run_tile(struct module *module, const struct pipeline_options *options)
{
    const struct tile_rules rules = pipeline_tile_rules(options);
    if (rules.gpu)
        tile_gpu(module, &rules, options->candidate);
    else
        pass_tile(module, options->target);
}

static void run_plan(struct module *module, const struct pipeline_options *options)
{
    (void)options;
    pass_plan(module);
}

enum {
    GENERATE = 1 << TASK_generate,
    FIT = 1 << TASK_fit,
    ALL = GENERATE | FIT | 1 << TASK_predict,
};

static const struct pass {
    const char *name;
    void (*run)(struct module *, const struct pipeline_options *);
    unsigned tasks;
    bool optional;
} passes[] = {
#define PASS(name, function, ...) {#name, run_##function, __VA_ARGS__},
#include "compiler/passes.def"
};

enum { PASS_COUNT = sizeof passes / sizeof *passes };

const char *pipeline_pass_name(int index)
{
    return index < PASS_COUNT ? passes[index].name : NULL;
}

/* The number of a pass; -1 for "lower", PASS_COUNT if there is none of that name. */
static int look_up(const char *name)
{
    int i = strcmp(name, "lower") == 0 ? -1 : 0;
    while (i >= 0 && i < PASS_COUNT && strcmp(passes[i].name, name) != 0)
        i++;
    return i;
}

static int find_pass(const char *name)
{
    int number = look_up(name);
    if (number == PASS_COUNT)
        fatal(PASS_UNKNOWN, name);
    return number;
}

void pipeline_check_stage(const struct module *module)
{
    if (look_up(module->stage) == PASS_COUNT)
        fatal(STAGE_UNKNOWN, module->stage, module->name);
}

void pipeline_from(struct module *module, enum task task, const char *pass)
{
    int first = find_pass(pass);
    for (int i = find_pass(module->stage) + 1; i < first; i++)
        if (passes[i].tasks >> task & 1 && !passes[i].optional)
            fatal(PASS_LEFT_OUT, passes[i].name, module->stage, pass);
    module->stage = first > 0 ? passes[first - 1].name : "lower";
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void run_pass(struct module *module, const struct pass *pass,
                     const struct pipeline_options *options)
{
    double begin = seconds();
    pass->run(module, options);
    module->stage = pass->name;
    if (options->verify)
        ir_verify(module, pass->name, false);
    if (options->time)
        fprintf(stderr, "%-10s %8.1f ms\n", pass->name, 1e3 * (seconds() - begin));
}

void pipeline_run(struct module *module, const struct pipeline_options *options,
                  const char *after)
{
    int last = after ? find_pass(after) : PASS_COUNT - 1;
    if (last < find_pass(module->stage))
        fatal(PASS_BEHIND, after, module->stage);
    for (int i = find_pass(module->stage) + 1; i <= last; i++)
        if (passes[i].tasks >> options->task & 1)
            run_pass(module, &passes[i], options);
}
