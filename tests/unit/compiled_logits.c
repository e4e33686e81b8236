/*
 * Logits of compiled programs against Transformers in float64 (tests/fixtures/checkpoints): at
 * all positions by the function score, and after prefill and each step of decode.
 */
#include "tests/unit/compiled_checks.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { ROWS = CHECKED_BATCH, PROMPT = 21, CHUNK = 16, LONGEST_CHUNK = 256 };

static const double tolerance = 1e-4; /* f32 logits */
static const double share = 2;        /* of the error of PyTorch's bf16 */

/* What differed, of each row of the reference. */
struct difference {
    double worst, squares[ROWS];
    int64_t compared[ROWS];
};

/* Row b of a chunk from position `at`; rows that the reference lacks repeat its first. */
static void feed(struct rt_session *session, rt_u32 function, const struct reference *reference,
                 int at, int count)
{
    rt_i32 tokens[ROWS * LONGEST_CHUNK] = {0}, counts[ROWS];
    int chunk = (int)session->program->functions[function].chunk;
    assert_true(chunk <= LONGEST_CHUNK);
    for (int b = 0; b < ROWS; b++) {
        int row = b < reference->rows ? b : 0;
        counts[b] = count;
        for (int i = 0; i < count; i++)
            tokens[b * chunk + i] = reference->ids[row * reference->length + at + i];
    }
    compiled_feed(session, function, tokens, counts);
}

static void compare(struct difference *d, const struct reference *reference, int row, int position,
                    const float *logits)
{
    const float *expected =
        reference->logits + (row * reference->length + position) * reference->vocabulary;
    for (int v = 0; v < reference->vocabulary; v++) {
        double error = fabs((double)logits[v] - (double)expected[v]);
        d->worst = error <= d->worst ? d->worst : error; /* NaN counts */
        d->squares[row] += error * error;
    }
    d->compared[row] += reference->vocabulary;
}

static struct difference by_score(const struct compiled *c, const struct reference *reference,
                                  const char *directory)
{
    struct difference d = {0};
    struct rt_session session = compiled_session(c, directory, 2);
    rt_u32 score = compiled_function(c, "score", 0);
    int chunk = (int)c->program->functions[score].chunk;
    const struct rt_port *port;
    assert_int_equal(rt_session_output(&session, score, "all_logits", RT_F32, -1, &port), 0);
    float *logits = malloc(port->bytes);
    for (int at = 0; at < reference->length; at += chunk) {
        int count = reference->length - at < chunk ? reference->length - at : chunk;
        feed(&session, score, reference, at, count);
        assert_int_equal(rt_session_read(&session, port, logits), 0);
        for (int b = 0; b < reference->rows; b++)
            for (int i = 0; i < count; i++)
                compare(&d, reference, b, at + i, logits + (b * chunk + i) * reference->vocabulary);
    }
    free(logits);
    rt_session_close(&session);
    return d;
}

static struct difference by_steps(const struct compiled *c, const struct reference *reference)
{
    struct difference d = {0};
    struct rt_session session = compiled_session(c, NULL, 2);
    rt_u32 prefill = compiled_function(c, "prefill", CHUNK);
    rt_u32 decode = compiled_function(c, "decode", 1);
    const struct rt_port *port = rt_session_state(&session, "logits");
    float *logits = malloc(port->bytes);
    for (int at = 0, count; at < reference->length; at += count) {
        count = at >= PROMPT ? 1 : PROMPT - at < CHUNK ? PROMPT - at : CHUNK;
        feed(&session, at < PROMPT ? prefill : decode, reference, at, count);
        assert_int_equal(rt_session_read(&session, port, logits), 0);
        for (int b = 0; b < reference->rows; b++)
            compare(&d, reference, b, at + count - 1, logits + b * reference->vocabulary);
    }
    free(logits);
    rt_session_close(&session);
    return d;
}

static void within(const struct compiled *c, const struct reference *reference, const char *how,
                   const struct difference *d)
{
    bool half = strcmp(c->program->dtype, "bf16") == 0;
    const json_t *rms = json_object_get(reference->facts, "bf16_rms");
    if (!half && !(d->worst < tolerance))
        fail_msg("%s, %s, f32: an error of %g", reference->name, how, d->worst);
    for (int b = 0; half && b < reference->rows; b++) {
        double limit = json_number_value(json_array_get(rms, (size_t)b));
        double error = sqrt(d->squares[b] / (double)d->compared[b]);
        assert_true(limit > 0);
        if (!(error <= share * limit))
            fail_msg("%s, %s, bf16: row %d has an error of %g, PyTorch %g", reference->name, how, b,
                     error, limit);
    }
}

/* --- a changed weight --- */

/* The last weight of rank 1, a norm's, which every logit depends on; NULL: in several files. */
static const struct rt_weight *weight_to_change(const struct rt_program *program)
{
    const struct rt_weight *found = NULL;
    for (rt_u32 i = 0; i < program->weight_count; i++) {
        if (strcmp(program->weights[i].file, "model.safetensors") != 0)
            return NULL;
        if (program->weights[i].rank == 1)
            found = &program->weights[i];
    }
    return found;
}

/* One of the upper mantissa bits: by 3 to 25 percent, whatever the type. */
static void change_first_element(FILE *file, const struct rt_weight *weight)
{
    long at = (long)weight->offset + (long)rt_dtype_size(weight->dtype) - 2;
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    int byte = fgetc(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    fputc(byte ^ 0x20, file);
}

static void a_changed_weight_shows(const struct compiled *c, const struct reference *reference)
{
    char path[128], directory[64], source[512], bytes[4096];
    const struct rt_weight *weight = weight_to_change(c->program);
    size_t length;
    if (!weight)
        return;
    reference_directory(reference, "config.json", NULL, directory);
    snprintf(path, sizeof path, "%s/model.safetensors", directory);
    snprintf(source, sizeof source, "tests/fixtures/checkpoints/%s/model.safetensors",
             reference->name);
    unlink(path);
    FILE *from = fopen(source, "rb"), *to = fopen(path, "w+b");
    assert_true(from && to);
    while ((length = fread(bytes, 1, sizeof bytes, from)) > 0)
        fwrite(bytes, 1, length, to);
    change_first_element(to, weight);
    fclose(from);
    fclose(to);
    struct difference d = by_score(c, reference, directory);
    reference_remove(directory);
    if (!(d.worst > tolerance))
        fail_msg("%s: a changed element of %s does not show: %g", reference->name, weight->name,
                 d.worst);
}

void check_logits(const struct compiled *c, const struct reference *reference)
{
    struct difference d = by_score(c, reference, NULL);
    within(c, reference, "score", &d);
    d = by_steps(c, reference);
    within(c, reference, "prefill and decode", &d);
    if (strcmp(c->program->dtype, "f32") == 0)
        a_changed_weight_shows(c, reference);
}
