/*
 * What the commands on a MODEL share: from the argument to a lowered module and the options of
 * its pipeline. A MODEL is a directory in the layout of Hugging Face, a .model description, or
 * IR text that an earlier command printed.
 */
#ifndef SINTER_JOB_H
#define SINTER_JOB_H

#include "compiler/frontends/huggingface.h"
#include "compiler/language/language.h"
#include "compiler/options.h"
#include "compiler/pipeline.h"
#include "compiler/toolchain/toolchain.h"

struct job {
    struct arena *arena;
    const struct options *options;
    struct module *module;
    struct pipeline_options pipeline;
    const struct target *const *targets; /* of --target, in order; pipeline.target is one */
    size_t target_count;
    const struct toolchain_target *cpu;
    const char *name;                  /* of the model, for files and messages */
    struct model_directory *directory; /* NULL unless MODEL is one */
    bool from_ir; /* MODEL is IR text */
    bool random_weights;
};

/* Opens options->arguments[0] and lowers it. Fatal on any failure. */
struct job job_open(struct arena *arena, const struct options *options);

/* Fatal where a result cannot be written to `path`, or would replace the model: said before the
 * work is done. */
void job_check_output(const struct job *job, const char *path);

/* Runs the passes that --from and --after ask for; all if they do not, for the first target. */
void job_run(struct job *job);

/* Runs all passes for every target, those before `fuse` once: job->target_count jobs in the arena,
 * each with a module of its own; the first has that of `job`. Their kernels are checked. */
struct job *job_run_all(struct job *job);

/* Fatal where the target is a GPU, and the CUDA backend has no form of a kernel. */
void job_check_kernels(const struct job *job);

#endif
