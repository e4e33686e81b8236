/*
 * Whole programs of the CUDA backend on the emulated device: logits of committed checkpoints
 * against Transformers, and stories260K (head size 8, rows of 344 bytes) through the generator.
 *
 *     test_cuda_models f32|bf16
 */
#include "runtime/generator.h"
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

static const char *dtype = "f32";

enum { EVERY = 4 }; /* of the checkpoints one in so many runs here */

static void check(const struct reference *reference, void *context)
{
    int *number = context;
    char path[256], batch[16], length[16];
    if ((*number)++ % EVERY != 0)
        return;
    snprintf(path, sizeof path, "tests/fixtures/checkpoints/%s", reference->name);
    snprintf(batch, sizeof batch, "%d", CHECKED_BATCH);
    snprintf(length, sizeof length, "%d", CHECKED_LENGTH);
    /* Of every other one a library computes the products that it can. */
    const char *blas = *number / EVERY % 2 ? "never" : "always";
    const char *words[] = {"build",        path,   "--dtype",  dtype,  "--batch", batch,
                           "--max-length", length, "--target", "a100", "--blas",  blas};
    struct compiled c = compiled_open(words, sizeof words / sizeof *words, false);
    check_logits(&c, reference);
    compiled_close(&c);
}

static void checkpoints(void **state)
{
    (void)state;
    int number = 0;
    assert_true(reference_each(check, &number) >= 12);
}

/* Rows do not depend on each other, on the padding, or on the sizes of chunks, by a bit: for a GPU
 * of either generation, whose tiles differ. */
static void rows_of(const struct reference *reference, void *context)
{
    const char *const *wanted = context;
    char path[256], batch[16], length[16];
    if (strcmp(reference->name, wanted[0]) != 0)
        return;
    snprintf(path, sizeof path, "tests/fixtures/checkpoints/%s", reference->name);
    snprintf(batch, sizeof batch, "%d", CHECKED_BATCH);
    snprintf(length, sizeof length, "%d", CHECKED_LENGTH);
    const char *words[] = {"build", path,           "--dtype", dtype,      "--batch",
                           batch,   "--max-length", length,    "--target", wanted[1]};
    struct compiled c = compiled_open(words, sizeof words / sizeof *words, false);
    check_rows(&c, reference);
    compiled_close(&c);
}

static void rows(void **state)
{
    static const char *const wanted[][2] = {{"gemma", "a100"}, {"mistral_window", "h200"}};
    (void)state;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        reference_each(rows_of, (void *)wanted[i]);
}

/* --- stories260K --- */

enum { STORY = 64, STORY_LENGTH = 128, VOCABULARY = 512 };

static const char *stories_folder(void)
{
    static char path[512];
    const char *shared = getenv("SINTER_SHARED_DATA");
    snprintf(path, sizeof path, "%s/weights/stories260K/hf_derived",
             shared ? shared : "../shared/data");
    bool there = access(path, R_OK) == 0 && !getenv("SINTER_NO_SHARED");
    if (!there)
        printf("SKIPPED %d tokens of stories260K\n", STORY);
    return there ? path : NULL;
}

static struct compiled open_stories(const char *folder, const char *type, const char *target)
{
    char length[16];
    snprintf(length, sizeof length, "%d", STORY_LENGTH);
    const char *words[] = {"build",        folder, "--dtype",  type,
                           "--max-length", length, "--target", target};
    return compiled_open(words, sizeof words / sizeof *words, true);
}

/* The greedy tokens behind BOS that the checkpoint's makers give. */
static void read_golden(const char *folder, rt_i32 *ids)
{
    char path[600];
    snprintf(path, sizeof path, "%s/golden_greedy.json", folder);
    json_t *golden = json_load_file(path, 0, NULL);
    const json_t *greedy = json_object_get(golden, "greedy_ids");
    assert_true(json_array_size(greedy) >= STORY);
    for (int i = 0; i < STORY; i++)
        ids[i] = (rt_i32)json_integer_value(json_array_get(greedy, (size_t)i));
    json_decref(golden);
}

static void tell_to_go_ahead(struct rt_device *device, struct rt_device_facts *facts)
{
    rt_device_emulated.describe(device, facts);
    facts->ahead = true;
}

static void generate(struct rt_session *session, bool ahead, double temperature, rt_i64 most,
                     rt_i32 *ids)
{
    struct rt_sampling sampling = {.temperature = temperature, .top_p = 1, .penalty = 1,
                                   .seed = 11, .ignore_eos = true};
    rt_i32 bos = 1;
    struct rt_row row = {.prompt = {&bos, 1}, .most = most, .ids = ids};
    struct rt_generator generator;
    struct rt_device_table table = rt_device_emulated;
    table.describe = ahead ? tell_to_go_ahead : table.describe;
    session->device->table = &table;
    assert_int_equal(rt_generator_open(&generator, session, &sampling), 0);
    assert_int_equal(generator.ahead, ahead);
    if (rt_generator_run(&generator, &row, 1, NULL, NULL))
        fail_msg("%s", rt_status_text());
    assert_int_equal(row.count, most);
    rt_generator_close(&generator);
    session->device->table = &rt_device_emulated;
}

/* Whether each token is read before the next step or while that runs; drawn ones likewise. */
static void same_tokens(void **state)
{
    enum { DRAWN = 12 };
    const char *folder = stories_folder();
    rt_i32 golden[STORY], ids[STORY], drawn[DRAWN];
    (void)state;
    if (!folder)
        return;
    read_golden(folder, golden);
    struct compiled c = open_stories(folder, "f32", "a100");
    struct rt_session session = compiled_session(&c, NULL, 1);
    for (int ahead = 0; ahead < 2; ahead++) {
        generate(&session, ahead, 0, STORY, ids);
        assert_memory_equal(ids, golden, sizeof golden);
    }
    generate(&session, false, 1, DRAWN, drawn);
    generate(&session, true, 1, DRAWN, ids);
    assert_memory_equal(ids, drawn, sizeof drawn);
    assert_memory_not_equal(ids, golden, sizeof drawn);
    rt_session_close(&session);
    compiled_close(&c);
}

/* Logits after BOS and after each golden token. */
static float *forced_logits(const char *folder, const char *type, const char *target,
                            const rt_i32 *golden)
{
    struct compiled c = open_stories(folder, type, target);
    struct rt_session session = compiled_session(&c, NULL, 1);
    rt_u32 decode = compiled_function(&c, "decode", 1);
    const struct rt_port *port = rt_session_state(&session, "logits");
    float *logits = malloc(sizeof(float) * STORY * VOCABULARY);
    rt_i32 bos = 1, one = 1;
    assert_int_equal(port->bytes, sizeof(float) * VOCABULARY);
    for (int i = 0; i < STORY; i++) {
        compiled_feed(&session, decode, i ? &golden[i - 1] : &bos, &one);
        assert_int_equal(rt_session_read(&session, port, logits + i * VOCABULARY), 0);
    }
    rt_session_close(&session);
    compiled_close(&c);
    return logits;
}

static int likeliest(const float *logits, float *margin)
{
    int best = 0;
    float second = -INFINITY;
    for (int i = 1; i < VOCABULARY; i++)
        if (logits[i] > logits[best])
            best = i;
    for (int i = 0; i < VOCABULARY; i++)
        second = i != best && logits[i] > second ? logits[i] : second;
    *margin = logits[best] - second;
    return best;
}

static double difference(const float *a, const float *b, double *worst)
{
    double squares = 0;
    *worst = 0;
    for (int i = 0; i < STORY * VOCABULARY; i++) {
        double error = fabs((double)a[i] - (double)b[i]);
        squares += error * error;
        *worst = error <= *worst ? *worst : error;
    }
    return sqrt(squares / (STORY * VOCABULARY));
}

/* bf16 may be as far from f32 as it is on the CPU, twice over; where the two likeliest tokens are
 * further apart than that, the token is the same. */
static void half_logits(void **state)
{
    const char *folder = stories_folder();
    rt_i32 golden[STORY];
    double worst_cpu, worst_gpu;
    int compared = 0;
    (void)state;
    if (!folder)
        return;
    read_golden(folder, golden);
    float *exact = forced_logits(folder, "f32", "cpu", golden);
    float *cpu = forced_logits(folder, "bf16", "cpu", golden);
    float *gpu = forced_logits(folder, "bf16", "a100", golden);
    double rms_cpu = difference(exact, cpu, &worst_cpu);
    double rms_gpu = difference(exact, gpu, &worst_gpu);
    if (!(rms_gpu <= 2 * rms_cpu && worst_gpu <= 2 * worst_cpu))
        fail_msg("rms %g and worst %g, on the CPU %g and %g", rms_gpu, worst_gpu, rms_cpu,
                 worst_cpu);
    for (int i = 0; i < STORY; i++) {
        float margin, other;
        int best = likeliest(exact + i * VOCABULARY, &margin);
        if ((double)margin <= 4 * worst_cpu)
            continue;
        assert_int_equal(likeliest(gpu + i * VOCABULARY, &other), best);
        compared++;
    }
    assert_true(compared > STORY / 2);
    free(exact);
    free(cpu);
    free(gpu);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checkpoints),
        cmocka_unit_test(rows),
        argc > 1 && strcmp(argv[1], "bf16") == 0
            ? (struct CMUnitTest)cmocka_unit_test(half_logits)
            : (struct CMUnitTest)cmocka_unit_test(same_tokens),
    };
    if (argc > 1)
        dtype = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
