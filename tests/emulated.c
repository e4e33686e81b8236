/* See emulated.h. */
#include "tests/emulated.h"

#include "compiler/check_emulated.h"
#include "compiler/job.h"
#include "runtime/status.h"
#include "tests/kernel_text.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct emulated_mode all_modes[] = {
    {false, false, false}, {true, false, false}, {false, true, false},
    {true, true, false},   {false, false, true},
};
static const struct emulated_mode brief_modes[] = {{false, false, true}, {true, true, false}};

static const struct target *find_target(const struct emulated_request *request)
{
    const char *name = request->target ? request->target : "a100";
    const struct target *target = target_find(name);
    if (!target || !target->gpu) {
        fprintf(stderr, "emulated: no such GPU: %s\n", name);
        abort();
    }
    return target;
}

/* --- reports --- */

static void add_text(struct emulated_report *report, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void add_text(struct emulated_report *report, const char *format, ...)
{
    size_t used = strlen(report->text);
    va_list values;
    va_start(values, format);
    vsnprintf(report->text + used, sizeof report->text - used, format, values);
    va_end(values);
}

static void add_accesses(struct emulation_accesses *sum, const struct emulation_accesses *one)
{
    sum->count += one->count;
    sum->wavefronts += one->wavefronts;
    sum->minimum += one->minimum;
}

static void add_result(struct emulated_report *report, const struct emulated_result *result,
                       const struct emulated_request *request)
{
    double error = result->check.worst / result->check.limit;
    report->kernels++;
    report->runs += result->runs;
    report->errors += result->errors;
    report->compared += result->check.compared;
    report->worst = error > report->worst || isnan(error) ? error : report->worst;
    if (request->skeleton && strcmp(result->check.skeleton, request->skeleton) == 0)
        report->skeleton = true;
    add_accesses(&report->ldmatrix, &result->report.ldmatrix);
    add_accesses(&report->shared_load, &result->report.shared_load);
    add_accesses(&report->shared_store, &result->report.shared_store);
    add_accesses(&report->copy, &result->report.copy);
    if (result->errors)
        add_text(report, "%d of %d runs of %s (%s) fail: %s\n", result->errors, result->runs,
                 result->check.kernel, result->check.skeleton, result->error);
    if (!(error <= 1)) {
        report->wrong++;
        add_text(report, "%s (%s) is off by %.3g, not %.0e\n", result->check.kernel,
                 result->check.skeleton, result->check.worst, result->check.limit);
    }
}

/* --- modules --- */

/* Where SINTER_EMULATED_TEXT names a file, the kernels are left there for a look. */
static void keep_text(const struct cuda_emit_result *emitted)
{
    const char *path = getenv("SINTER_EMULATED_TEXT");
    FILE *file = path ? fopen(path, "w") : NULL;
    if (!file)
        return;
    fwrite(emitted->emulated, 1, emitted->emulated_length, file);
    fclose(file);
}

struct emulated_report emulated_module(struct module *planned, const struct target *target,
                                       const struct emulated_request *request)
{
    struct emulated_report report = {0};
    struct cuda_emit_options options = {.target = target};
    struct cuda_emit_result emitted = backend_cuda_emit(planned, &options);
    struct emulated_check check = {
        .modes = request->brief ? brief_modes : all_modes,
        .mode_count = request->brief ? 2 : sizeof all_modes / sizeof *all_modes,
        .refuse_conflicts = !request->conflicts,
        .samples = request->samples ? request->samples : 300,
        .seed = request->seed,
    };
    size_t count;
    keep_text(&emitted);
    kernel_text_look(emitted.emulated, emitted.prelude_length, report.text, sizeof report.text);
    struct emulated_result *results = check_emulated(planned, target, &emitted, &check, &count);
    for (size_t i = 0; i < count; i++)
        add_result(&report, &results[i], request);
    if (request->skeleton && !report.skeleton)
        add_text(&report, "no kernel has skeleton %s\n", request->skeleton);
    return report;
}

static bool is_behind_tile(const struct module *module)
{
    return strcmp(module->stage, "tile") == 0 || strcmp(module->stage, "plan") == 0;
}

static void run_passes(struct module *module, struct pipeline_options *pipeline,
                       const struct emulated_request *request)
{
    if (!is_behind_tile(module))
        pipeline_run(module, pipeline, "tile");
    if (request->tiled)
        request->tiled(module, request->context);
    pipeline_run(module, pipeline, NULL);
}

struct emulated_report emulated_text(const char *text, const struct emulated_request *request)
{
    const struct target *target = find_target(request);
    struct arena *arena = arena_create();
    struct module *module = ir_parse(arena, diag_add_source("test.ir", text, strlen(text)));
    struct pipeline_options pipeline = {
        .target = target, .blas = request->blas, .verify = true, .compute = DTYPE_f32,
        .task = TASK_predict};
    run_passes(module, &pipeline, request);
    struct emulated_report report = emulated_module(module, target, request);
    arena_destroy(arena);
    return report;
}

struct emulated_report emulated_model(const char *const *words, int count,
                                      const struct emulated_request *request)
{
    struct arena *arena = arena_create();
    struct options *options = arena_new(arena, struct options);
    char **copy = arena_array(arena, char *, (size_t)count + 2);
    copy[0] = "sinter";
    for (int i = 0; i < count; i++)
        copy[i + 1] = (char *)(uintptr_t)words[i];
    if (rt_command_line_parse(&compiler_command_table, (struct command_line *)options, count + 1,
                              copy)) {
        fprintf(stderr, "emulated: %s\n", rt_status_text());
        abort();
    }
    options->threads = 1;
    struct job job = job_open(arena, options);
    job.pipeline.target = find_target(request);
    job.pipeline.blas = request->blas;
    job.pipeline.verify = true;
    run_passes(job.module, &job.pipeline, request);
    struct emulated_report report = emulated_module(job.module, job.pipeline.target, request);
    arena_destroy(arena);
    return report;
}

void emulated_expect(const struct emulated_report *report)
{
    if (report->text[0])
        fail_msg("%s", report->text);
    assert_true(report->kernels > 0 && report->compared > 0);
}
