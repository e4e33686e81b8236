/*
 * Every shipped architecture, through the committed checkpoints, and every example: after each
 * pass the module verifies, its text is a fixpoint of print and parse, and the plan holds.
 */
#include "compiler/job.h"
#include "ir/build.h"
#include "tests/plan_check.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_fixpoint(struct module *module)
{
    size_t length, again_length;
    char *text = ir_print(module, &length);
    struct arena *arena = arena_create();
    struct module *parsed = ir_parse(arena, diag_add_source("dump.ir", text, length));
    char *again = ir_print(parsed, &again_length);
    assert_string_equal(text, again);
    arena_destroy(arena);
}

static struct job open_job(struct arena *arena, char **words, int count)
{
    struct options *options = arena_new(arena, struct options);
    rt_status status = rt_command_line_parse(&compiler_command_table,
                                             (struct command_line *)options, count, words);
    assert_int_equal(status, 0);
    return job_open(arena, options);
}

/* All stages of one command line; returns the number of kernels. */
static size_t run_stages(char **words, int count)
{
    struct arena *arena = arena_create();
    struct job job = open_job(arena, words, count);
    char report[256];
    assert_fixpoint(job.module);
    job.pipeline.verify = true;
    for (int i = 0; pipeline_pass_name(i); i++) {
        pipeline_run(job.module, &job.pipeline, pipeline_pass_name(i));
        assert_fixpoint(job.module);
    }
    if (plan_conflicts(job.module, report, sizeof report) > 0)
        fail_msg("%s: %s", words[2], report);
    size_t kernels = 0;
    for (size_t f = 0; f < job.module->functions.count; f++)
        kernels += job.module->functions.items[f]->kernels.count;
    arena_destroy(arena);
    return kernels;
}

static void checkpoints(void **state)
{
    (void)state;
    DIR *directory = opendir("tests/fixtures/checkpoints");
    int seen = 0;
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory));) {
        char path[512];
        snprintf(path, sizeof path, "tests/fixtures/checkpoints/%s/", entry->d_name);
        if (entry->d_name[0] == '.' || !is_model_directory(path))
            continue;
        char *f32[] = {"sinter", "ir", path, "--max-length", "80", "--batch", "2"};
        char *bf16[] = {"sinter", "ir", path, "--dtype", "bf16", "--max-length", "20"};
        assert_true(run_stages(f32, 7) > 10);
        assert_true(run_stages(bf16, 7) > 10);
        seen++;
    }
    closedir(directory);
    assert_true(seen >= 8);
}

static void examples(void **state)
{
    (void)state;
    char *paths[] = {"docs/examples/mlp.model", "docs/examples/convnet.model"};
    for (int i = 0; i < 2; i++) {
        char *fit[] = {"sinter", "ir", paths[i], "--task", "fit", "--batch", "50"};
        char *predict[] = {"sinter", "ir", paths[i], "--task", "predict", "--batch", "50"};
        assert_true(run_stages(fit, 7) > 4);
        assert_true(run_stages(predict, 7) > 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checkpoints),
        cmocka_unit_test(examples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
