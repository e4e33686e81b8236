/*
 * Every committed checkpoint through the C backend, loaded within the test: logits against
 * Transformers, rows that do not disturb each other, kernels against the interpreter.
 *
 *     test_compiled f32|bf16
 *
 * One type a process, so that two processors share the work; each checkpoint is compiled once
 * for this machine, and once for one of the baseline levels, in turn.
 */
#include "compiler/check.h"
#include "runtime/cpu_features.h"
#include "tests/unit/compiled_checks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const char *dtype = "f32";

static struct compiled compile(const struct reference *reference, const char *cpu, bool samplers)
{
    char path[256], batch[16], length[16];
    snprintf(path, sizeof path, "tests/fixtures/checkpoints/%s", reference->name);
    snprintf(batch, sizeof batch, "%d", CHECKED_BATCH);
    snprintf(length, sizeof length, "%d", CHECKED_LENGTH);
    const char *words[] = {"build", path,           "--dtype", dtype,   "--batch",
                           batch,   "--max-length", length,    "--cpu", cpu};
    return compiled_open(words, sizeof words / sizeof *words, samplers);
}

static void check_kernel_results(const struct compiled *c, const char *what)
{
    size_t count;
    struct check_result *results =
        check_kernels(c->job.module, c->objects, c->object_count, 64, 1, &count);
    assert_true(count > 10);
    for (size_t i = 0; i < count; i++)
        if (!(results[i].compared > 0 && results[i].worst <= results[i].limit))
            fail_msg("%s for %s: kernel %s of %s: error %g of %g, %lld compared", what,
                     c->program->cpu, results[i].kernel, results[i].function, results[i].worst,
                     results[i].limit, (long long)results[i].compared);
}

static void check_all(const struct compiled *c, const struct reference *reference)
{
    check_logits(c, reference);
    check_rows(c, reference);
    check_kernel_results(c, reference->name);
}

static void check(const struct reference *reference, void *context)
{
    static const char *const levels[] = {"x86-64-v2", "x86-64-v3", "x86-64-v4"};
    int *number = context;
    struct compiled c = compile(reference, "native", *number == 0);
    check_all(&c, reference);
    compiled_close(&c);
    c = compile(reference, levels[*number % 3], *number < 3);
    if (rt_cpu_check(c.program->cpu_features) == 0)
        check_all(&c, reference);
    else
        printf("SKIPPED 1 %s for %s: this machine lacks it\n", reference->name, c.program->cpu);
    compiled_close(&c);
    ++*number;
}

static void all_checkpoints(void **state)
{
    (void)state;
    int number = 0;
    assert_true(reference_each(check, &number) >= 12);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_checkpoints),
    };
    if (argc > 1)
        dtype = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
