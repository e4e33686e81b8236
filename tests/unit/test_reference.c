/*
 * Every committed checkpoint in the interpreter against Transformers in float64: all positions
 * in chunks, and prefill followed by decode; both layouts of config.json; and every planted
 * change of the configuration must show.
 */
#include "compiler/interpret.h"
#include "compiler/job.h"
#include "tests/reference.h"

#include <math.h>
#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { CHUNK = 16, PROMPT = 21 };

static const double tolerance = 1e-4; /* of f32 logits; we compute in f64 */

struct runner {
    struct arena *arena;
    struct job job;
    struct interp *interp;
    const struct reference *reference;
    json_t *planted; /* a change of tensors (pattern, operation, value), or NULL */
};

/* Sets the tensors that the pattern names, or adds to them. */
static void plant(void *context, const char *tensor, double *numbers, int64_t count)
{
    const struct runner *r = context;
    const char *pattern = json_string_value(json_object_get(r->planted, "tensors"));
    const char *operation = json_string_value(json_object_get(r->planted, "operation"));
    double value = json_number_value(json_object_get(r->planted, "value"));
    regex_t regex;
    if (!pattern || regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB) != 0)
        return;
    bool hit = regexec(&regex, tensor, 0, NULL, 0) == 0;
    for (int64_t i = 0; hit && i < count; i++)
        numbers[i] = (strcmp(operation, "set") == 0 ? 0 : numbers[i]) + value;
    regfree(&regex);
}

static void clear_states(struct runner *r)
{
    for (size_t i = 0; i < r->job.module->states.count; i++) {
        const struct value *state = &r->job.module->states.items[i]->results[0];
        interp_bind(r->interp, state,
                    arena_array(r->arena, double, (size_t)type_elements(&state->type)));
    }
}

static struct runner open_runner(const struct reference *reference, const char *directory,
                                 json_t *planted)
{
    struct runner r = {.arena = arena_create(), .reference = reference, .planted = planted};
    char batch[16], length[16];
    snprintf(batch, sizeof batch, "%d", reference->rows);
    snprintf(length, sizeof length, "%d", reference->length);
    char *words[] = {"sinter", "ir", (char *)directory, "--batch", batch, "--max-length", length};
    struct options *options = arena_new(r.arena, struct options);
    assert_int_equal(0, rt_command_line_parse(&compiler_command_table,
                                              (struct command_line *)options, 7, words));
    r.job = job_open(r.arena, options);
    pipeline_run(r.job.module, &r.job.pipeline, "decode");
    r.interp = interp_create(r.job.module, INTERP_EXACT);
    interpret_bind_weights(r.interp, r.job.module, model_directory_checkpoint(r.job.directory),
                           plant, &r);
    clear_states(&r);
    return r;
}

static void close_runner(struct runner *r)
{
    interp_destroy(r->interp);
    arena_destroy(r->arena);
}

/* The function of a role with the given chunk; any chunk if that is 0. */
static const struct function *find(const struct runner *r, const char *role, int64_t chunk)
{
    for (size_t i = 0; i < r->job.module->functions.count; i++) {
        const struct function *f = r->job.module->functions.items[i];
        if (strcmp(attributes_text(&f->attributes, ATTRIBUTE_role), role) == 0 &&
            (!chunk || attributes_int(&f->attributes, ATTRIBUTE_chunk) == chunk))
            return f;
    }
    fail_msg("no function of role %s", role);
    return NULL;
}

/* Runs one chunk from position `at`, `count` tokens of each row; the rest is padding. */
static void run_chunk(struct runner *r, const struct function *f, int at, int count)
{
    int64_t chunk = attributes_int(&f->attributes, ATTRIBUTE_chunk);
    int rows = r->reference->rows;
    double *tokens = arena_array(r->arena, double, (size_t)(rows * chunk));
    double *counts = arena_array(r->arena, double, (size_t)rows);
    for (int b = 0; b < rows; b++) {
        counts[b] = count;
        for (int i = 0; i < count; i++)
            tokens[b * chunk + i] = r->reference->ids[b * r->reference->length + at + i];
    }
    interp_bind(r->interp, &f->params.items[0]->results[0], tokens);
    interp_bind(r->interp, &f->params.items[1]->results[0], counts);
    interp_function(r->interp, f);
}

static double error_at(const struct reference *ref, const double *logits, int row, int position)
{
    const float *expected =
        ref->logits + ((size_t)row * (size_t)ref->length + (size_t)position) *
                          (size_t)ref->vocabulary;
    double worst = 0;
    for (int v = 0; v < ref->vocabulary; v++)
        worst = fmax(worst, fabs(logits[v] - (double)expected[v]));
    return worst;
}

static const double *output(const struct runner *r, const struct function *f, const char *name)
{
    for (size_t i = 0; i < f->bindings.count; i++)
        if (strcmp(f->bindings.items[i].name, name) == 0)
            return interp_value(r->interp, f->bindings.items[i].value);
    fail_msg("no output %s", name);
    return NULL;
}

/* The worst error of the logits of all positions, by the function `score`. */
static double error_of_score(struct runner *r)
{
    const struct function *f = find(r, "score", 0);
    int chunk = (int)attributes_int(&f->attributes, ATTRIBUTE_chunk);
    double worst = 0;
    for (int at = 0; at < r->reference->length; at += chunk) {
        int count = r->reference->length - at < chunk ? r->reference->length - at : chunk;
        run_chunk(r, f, at, count);
        const double *logits = output(r, f, "all_logits");
        for (int b = 0; b < r->reference->rows; b++)
            for (int i = 0; i < count; i++)
                worst = fmax(worst, error_at(r->reference,
                                             logits + (b * chunk + i) * r->reference->vocabulary,
                                             b, at + i));
    }
    return worst;
}

/* The worst error of the last logits after chunks of prefill and each step of decode. */
static double error_of_steps(struct runner *r)
{
    const struct function *prefill = find(r, "prefill", CHUNK), *decode = find(r, "decode", 1);
    double worst = 0;
    for (int at = 0, count; at < r->reference->length; at += count) {
        bool prompt = at < PROMPT;
        count = !prompt ? 1 : PROMPT - at < CHUNK ? PROMPT - at : CHUNK;
        const struct function *f = prompt ? prefill : decode;
        run_chunk(r, f, at, count);
        const double *logits = output(r, f, "logits");
        for (int b = 0; b < r->reference->rows; b++)
            worst = fmax(worst, error_at(r->reference, logits + b * r->reference->vocabulary, b,
                                         at + count - 1));
    }
    return worst;
}

static double error_of(const struct reference *reference, const char *config, json_t *planted,
                       bool steps)
{
    char directory[64];
    reference_directory(reference, config, json_object_get(planted, "config"), directory);
    struct runner r = open_runner(reference, directory, planted);
    double error = steps ? error_of_steps(&r) : error_of_score(&r);
    close_runner(&r);
    reference_remove(directory);
    return error;
}

static void check(const struct reference *reference, void *context)
{
    static const char *const configs[] = {"config.json", "config.v4.json"};
    (void)context;
    for (int steps = 0; steps < 2; steps++)
        for (int i = 0; i < 2; i++) {
            double error = error_of(reference, configs[i], NULL, steps);
            if (!(error < tolerance))
                fail_msg("%s %s %s: %g", reference->name, configs[i], steps ? "steps" : "score",
                         error);
        }
    size_t index;
    json_t *planted;
    json_array_foreach(json_object_get(reference->facts, "planted"), index, planted) {
        double expected = json_number_value(json_object_get(planted, "max_difference"));
        double error = error_of(reference, "config.json", planted, false);
        if (!(error > 0.5 * expected))
            fail_msg("%s: planted change %zu does not show: %g, expected %g", reference->name,
                     index, error, expected);
    }
}

static void all_checkpoints(void **state)
{
    (void)state;
    assert_true(reference_each(check, NULL) >= 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_checkpoints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
