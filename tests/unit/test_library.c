/* The C interface of models, on the toy programs; runtime/library.c is part of this test since
 * it is bound to one program. */
#include "runtime/library.h"
#include "runtime/program.h"
#include "runtime/report.h"
#include "tests/unit/toy_program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The symbol of the emitted object, here changed between tests. */
struct rt_program emitted __asm__("rt_program");

static struct sinter_model *open_model(const struct rt_program *program)
{
    struct sinter_model *model;
    memcpy(&emitted, program, sizeof emitted);
    assert_int_equal(sinter_open(&model, NULL, 2), 0);
    assert_string_equal(sinter_message(), "");
    return model;
}

struct heard {
    int32_t ids[64];
    int count, most;
};

static int hear(void *context, int32_t id, const char *text, size_t length)
{
    struct heard *heard = context;
    assert_non_null(text);
    assert_int_equal(length, 0); /* no tokenizer: no text */
    heard->ids[heard->count++] = id;
    return heard->count == heard->most;
}

static void test_generate(void **state)
{
    struct sinter_model *model = open_model(toy_generate_program(2, 24, NULL, 0));
    struct sinter_generate_options options;
    struct heard heard = {.most = 64};
    int32_t history[24] = {5, 6, 7};
    (void)state;
    sinter_generate_defaults(&options);
    options.ignore_eos = 1;
    for (int round = 0; round < 2; round++) { /* every prompt begins anew */
        heard.count = 0;
        assert_int_equal(sinter_generate_ids(model, history, 3, &options, hear, &heard), 0);
        assert_int_equal(heard.count, 22);
        assert_int_equal(heard.ids[21], -1);
        for (int i = 3; i < 24; i++) {
            history[i] = toy_next(history, i);
            assert_int_equal(heard.ids[i - 3], history[i]);
        }
    }
    heard = (struct heard){.most = 4};
    assert_int_equal(sinter_generate_ids(model, history, 3, &options, hear, &heard), 0);
    assert_int_equal(heard.count, 5); /* stopped after four, then the end */
    assert_int_equal(sinter_generate_ids(model, history, 24, NULL, hear, &heard), 2);
    assert_non_null(strstr(sinter_message(), "has 24 tokens"));
    assert_int_equal(sinter_generate_ids(model, (int32_t[]){-1}, 1, NULL, hear, &heard), 2);
    assert_int_equal(sinter_generate(model, "x", 1, NULL, hear, &heard), 2);
    assert_int_equal(sinter_predict(model), 2);
    sinter_close(model);
}

static void test_predict(void **state)
{
    enum { BATCH = 4 };
    static float x[BATCH][784], out[BATCH][10];
    struct sinter_tensor tensor;
    struct sinter_model *model = open_model(toy_fit_program(BATCH, false));
    (void)state;
    for (int i = 0; i < BATCH; i++)
        x[i][i * 100] = 1;
    assert_int_equal(sinter_input(model, 0, &tensor), 0);
    assert_string_equal(tensor.name, "x");
    assert_true(tensor.type == SINTER_F32 && tensor.rank == 2 && tensor.dims[1] == 784);
    assert_int_equal(sinter_input(model, 1, &tensor), 2);
    assert_int_equal(sinter_output(model, 0, &tensor), 0);
    assert_int_equal(tensor.bytes, sizeof out);
    assert_int_equal(sinter_set_input(model, "x", x, sizeof x), 0);
    assert_int_equal(sinter_predict(model), 0);
    assert_int_equal(sinter_get_output(model, tensor.name, out, sizeof out), 0);
    for (int i = 0; i < BATCH; i++) {
        float sum = 0;
        for (int c = 0; c < 10; c++)
            sum += out[i][c];
        assert_true(fabsf(sum - 1) < 1e-5f);
        assert_true(i == 0 || memcmp(out[i], out[0], sizeof out[0]) != 0);
    }
    assert_int_equal(sinter_set_input(model, "x", x, sizeof x - 1), 2);
    assert_int_equal(sinter_set_input(model, "y", x, sizeof x), 2);
    assert_int_equal(sinter_get_output(model, "x", x, sizeof x), 2);
    sinter_close(model);
    sinter_close(NULL);
}

static void *predict_in_thread(void *model)
{
    return sinter_predict(model) == 0 ? model : NULL;
}

static void test_small_stack(void **state)
{
    struct sinter_model *model = open_model(toy_fit_program(64, false));
    pthread_attr_t attributes;
    pthread_t thread;
    void *result;
    (void)state;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 64 << 10);
    assert_int_equal(pthread_create(&thread, &attributes, predict_in_thread, model), 0);
    pthread_join(thread, &result);
    assert_ptr_equal(result, model);
    sinter_close(model);
}

static void test_failures(void **state)
{
    struct sinter_model *model;
    (void)state;
    memcpy(&emitted, toy_fit_program(4, false), sizeof emitted);
    assert_int_not_equal(sinter_open(&model, "/nonexistent", 1), 0);
    assert_null(model);
    assert_non_null(strstr(sinter_message(), "/nonexistent"));
    emitted.version = 99;
    assert_int_equal(sinter_open(&model, NULL, 1), 70);
}

/* Standard error belongs to the program that uses the library. */
static void test_silence(void **state)
{
    int ends[2], kept = dup(STDERR_FILENO);
    char byte;
    (void)state;
    assert_int_equal(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    sinter_close(open_model(toy_generate_program(1, 8, NULL, 0)));
    rt_warn(CUDA_UNUSED, "it is not said");
    fflush(stderr);
    dup2(kept, STDERR_FILENO);
    close(kept);
    assert_int_equal(read(ends[0], &byte, 1), 0);
    close(ends[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_generate),
        cmocka_unit_test(test_predict),
        cmocka_unit_test(test_small_stack),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_silence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
