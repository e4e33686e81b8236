/*
 * The order of the passes (passes.def): what `--after` and `--from` name, what runs for a task,
 * what is verified and timed. "lower" is the stage of a module that no pass has seen.
 */
#ifndef SINTER_PIPELINE_H
#define SINTER_PIPELINE_H

#include "ir/ir.h"
#include "ir/target.h"
#include "passes/tile_gpu.h"

enum task { TASK_generate, TASK_predict, TASK_fit };

struct pipeline_options {
    enum task task;
    enum dtype compute;
    int64_t max_length, max_chunk; /* of generate */
    const struct target *target;
    int candidate; /* number of the tiles of GPU kernels, best first; 0: the best */
    enum tile_blas blas; /* of GPU kernels */
    struct tile_tuning tuning; /* of GPU kernels: a table in place of the target's own */
    bool verify; /* after every pass */
    bool time;   /* print what each pass took, to standard error */
};

/* What GPU kernels get their tiles by. */
struct tile_rules pipeline_tile_rules(const struct pipeline_options *options);

/* The name of pass `index` in order; NULL after the last. */
const char *pipeline_pass_name(int index);

/* Fatal if the module's stage is no pass and not "lower". */
void pipeline_check_stage(const struct module *module);

/*
 * As if the pass before `pass` had just run, so that the pipeline goes on with `pass`. Fatal if
 * there is no such pass, or if one that the module needs would be left out.
 */
void pipeline_from(struct module *module, enum task task, const char *pass);

/*
 * Runs the passes behind the module's stage, those that the task needs, up to and including
 * `after` (NULL: all). Fatal if there is no such pass, or if the module is behind it already.
 */
void pipeline_run(struct module *module, const struct pipeline_options *options,
                  const char *after);

#endif
