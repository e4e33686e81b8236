/*
 * fit and predict on a toy model (softmax regression) with the committed digits: order of the
 * samples, losses, saving and loading, accuracy, failures.
 */
#include "runtime/idx.h"
#include "runtime/safetensors.h"
#include "runtime/shuffle.h"
#include "tests/unit/run_program.h"
#include "tests/unit/toy_program.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DIGITS "tests/fixtures/digits/"
#define TRAIN DIGITS "train-images-idx3-ubyte.gz " DIGITS "train-labels-idx1-ubyte"

enum { BATCH = 20, SAMPLES = 200 };

static char folder[] = "/tmp/sinter-fit-XXXXXX";

static const char *in_folder(const char *name)
{
    static char path[4][128];
    static int next;
    next = (next + 1) % 4;
    snprintf(path[next], sizeof path[next], "%s/%s", folder, name);
    return path[next];
}

static struct run run_fit(const char *format, ...) __attribute__((format(printf, 1, 2)));

static struct run run_fit(const char *format, ...)
{
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    return run_line(toy_fit_program(BATCH, false), NULL, line);
}

static void test_permutation(void **state)
{
    static const rt_i64 counts[] = {1, 2, 3, 4, 5, 15, 16, 17, 200, 1000, 4097};
    (void)state;
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        char *seen = calloc((size_t)counts[c], 1);
        for (rt_i64 i = 0; i < counts[c]; i++) {
            rt_i64 sample = rt_shuffled(7, 3, i, counts[c]);
            assert_true(sample >= 0 && sample < counts[c]);
            assert_int_equal(seen[sample]++, 0);
        }
        free(seen);
    }
    int fixed = 0, same = 0, other = 0;
    for (rt_i64 i = 0; i < 1000; i++) {
        fixed += rt_shuffled(7, 3, i, 1000) == i;
        same += rt_shuffled(7, 3, i, 1000) == rt_shuffled(7, 4, i, 1000);
        other += rt_shuffled(7, 3, i, 1000) == rt_shuffled(1ull << 40 | 7, 3, i, 1000);
    }
    assert_true(fixed < 12 && same < 12 && other < 12); /* 1 is expected of each */
}

/* The first loss by the definition, for samples 0 .. BATCH - 1 and the weights in a file. */
static double first_loss(void)
{
    struct rt_checkpoint *checkpoint;
    struct rt_idx x, label;
    double loss = 0;
    assert_int_equal(rt_checkpoint_open(in_folder("start"), &checkpoint), 0);
    const float *w = rt_tensor_data(checkpoint, rt_checkpoint_find(checkpoint, "w"));
    assert_int_equal(rt_idx_open(&x, DIGITS "train-images-idx3-ubyte"), 0);
    assert_int_equal(rt_idx_open(&label, DIGITS "train-labels-idx1-ubyte"), 0);
    for (int row = 0; row < BATCH; row++) {
        double sum = 0, right = 0;
        for (int c = 0; c < 10; c++) {
            double logit = 0;
            for (int i = 0; i < 784; i++)
                logit += rt_idx_value(&x, row * 784 + i) / 255 * (double)w[i * 10 + c];
            sum += exp(logit);
            right = c == (int)rt_idx_value(&label, row) ? logit : right;
        }
        loss += (log(sum) - right) / BATCH;
    }
    rt_idx_close(&x);
    rt_idx_close(&label);
    rt_checkpoint_close(checkpoint);
    return loss;
}

/* An .npy vector of int32: `count` sample numbers from `first` on. */
static void write_order(const char *path, int first, int count)
{
    char header[119];
    FILE *file = fopen(path, "wb");
    memset(header, ' ', sizeof header);
    int length = snprintf(header, sizeof header,
                          "{'descr': '<i4', 'fortran_order': False, 'shape': (%d,), }", count);
    header[length] = ' ';
    header[117] = '\n';
    fwrite("\x93NUMPY\x01\x00\x76\x00", 1, 10, file);
    fwrite(header, 1, 118, file);
    for (int i = 0; i < count; i++)
        fwrite(&(int){first + i}, sizeof(int), 1, file);
    fclose(file);
}

static double number_in(const char *path, int line)
{
    char text[64] = "";
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    for (int i = 0; i <= line; i++)
        assert_non_null(fgets(text, sizeof text, file));
    fclose(file);
    return strtod(text, NULL);
}

static void test_losses(void **state)
{
    (void)state;
    struct run run = run_fit("fit " TRAIN " --learning-rate 0 --steps 1 --save %s",
                             in_folder("start"));
    assert_int_equal(run.code, 0);
    write_order(in_folder("order.npy"), 0, SAMPLES);
    run = run_fit("fit " TRAIN " --order %s --losses %s --epochs 2", in_folder("order.npy"),
                  in_folder("losses"));
    assert_int_equal(run.code, 0);
    assert_true(fabs(number_in(in_folder("losses"), 0) - first_loss()) < 1e-5);
    assert_true(number_in(in_folder("losses"), 19) < number_in(in_folder("losses"), 0));
    /* the same by names, from the saved weights */
    run = run_fit("fit -d label=" DIGITS "train-labels-idx1-ubyte.gz -d x=" DIGITS
                  "train-images-idx3-ubyte -w %s --order %s --losses %s",
                  in_folder("start"), in_folder("order.npy"), in_folder("again"));
    assert_int_equal(run.code, 0);
    for (int i = 0; i < SAMPLES / BATCH; i++)
        assert_true(number_in(in_folder("again"), i) == number_in(in_folder("losses"), i));
}

static void test_seeds(void **state)
{
    (void)state;
    assert_int_equal(run_fit("fit " TRAIN " --losses %s", in_folder("a")).code, 0);
    assert_int_equal(run_fit("fit " TRAIN " --losses %s -t 1", in_folder("b")).code, 0);
    assert_int_equal(run_fit("fit " TRAIN " --losses %s -s 5", in_folder("c")).code, 0);
    assert_int_equal(run_fit("fit " TRAIN " --losses %s -s 5 --init random", in_folder("d")).code,
                     0);
    assert_true(number_in(in_folder("a"), 3) == number_in(in_folder("b"), 3));
    assert_true(number_in(in_folder("a"), 3) != number_in(in_folder("c"), 3));
    assert_true(number_in(in_folder("d"), 0) != number_in(in_folder("c"), 0));
}

static void test_accuracy(void **state)
{
    double right = 0, share;
    (void)state;
    struct run run = run_fit("fit " TRAIN " --epochs 30 --learning-rate 0.05 --save %s",
                             in_folder("trained"));
    assert_int_equal(run.code, 0);
    run = run_fit("predict " DIGITS "train-images-idx3-ubyte -w %s --labels " DIGITS
                  "train-labels-idx1-ubyte.gz --json", in_folder("trained"));
    assert_int_equal(run.code, 0);
    assert_non_null(strstr(run.out, "\"accuracy\": "));
    share = strtod(strstr(run.out, "\"accuracy\": ") + 12, NULL);
    assert_true(share > 0.9);
    /* 100 images in batches of 20 and of 30: the last batch of the second is padded */
    run = run_fit("predict " DIGITS "test-images-idx3-ubyte.gz -w %s", in_folder("trained"));
    char *classes = strdup(run.out);
    char line[256];
    snprintf(line, sizeof line, "predict " DIGITS "test-images-idx3-ubyte.gz -w %s",
             in_folder("trained"));
    run = run_line(toy_fit_program(30, false), NULL, line);
    assert_string_equal(run.out, classes);
    struct rt_idx labels;
    assert_int_equal(rt_idx_open(&labels, DIGITS "test-labels-idx1-ubyte.gz"), 0);
    char *at = classes;
    for (int i = 0; i < 100; i++)
        right += (double)strtol(at, &at, 10) == rt_idx_value(&labels, i);
    rt_idx_close(&labels);
    free(classes);
    run = run_fit("predict " DIGITS "test-images-idx3-ubyte.gz -w %s --labels " DIGITS
                  "test-labels-idx1-ubyte.gz --out %s", in_folder("trained"), in_folder("o.npy"));
    snprintf(line, sizeof line, "accuracy %.2f %% (%d of 100)\n", right, (int)right);
    assert_string_equal(run.out, line);
}

static void test_failures(void **state)
{
    (void)state;
    char line[256];
    snprintf(line, sizeof line, "fit " TRAIN " --save %s", in_folder("unsaved"));
    struct run run = run_line(toy_fit_program(BATCH, true), NULL, line);
    assert_int_equal(run.code, 8);
    assert_int_equal(rmdir(in_folder("unsaved")), 0); /* nothing was saved */
    assert_non_null(strstr(run.err, "the loss is nan; epoch 1, step 3"));
    const struct { const char *line; int code; const char *words; } cases[] = {
        {"fit", 2, "no data for input 'x'; verb fit; give the files in the order x, label"},
        {"fit " DIGITS "train-images-idx3-ubyte", 2, "no data for input 'label'"},
        {"fit " TRAIN " third", 2, "too many arguments"},
        {"fit " DIGITS "train-labels-idx1-ubyte " DIGITS "train-images-idx3-ubyte", 4,
         "has 1 values a sample; input 'x' takes 784"},
        {"fit " DIGITS "train-images-idx3-ubyte " DIGITS "test-labels-idx1-ubyte.gz", 4,
         "has 100 samples; the file before it has 200"},
        {"fit " DIGITS "train-images-idx3-ubyte tests/CMakeLists.txt", 4, "not a valid IDX file"},
        {"fit " TRAIN " --order tests/CMakeLists.txt", 4, "not a usable npy file"},
        {"fit " TRAIN " --steps 1 --save /dev/null/x", 7, "cannot write '/dev/null/x'"},
        {"fit " TRAIN " --losses /nonexistent/x", 7, "cannot open '/nonexistent/x'"},
        {"fit " TRAIN " --losses /dev/full", 7, "cannot write '/dev/full'"},
        {"generate x", 2, "no verb 'generate' here"},
        {"predict " DIGITS "test-images-idx3-ubyte.gz --labels " DIGITS "train-labels-idx1-ubyte",
         4, "has 200 samples"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        run = run_fit("%s", cases[i].line);
        if (run.code != cases[i].code || !strstr(run.err, cases[i].words))
            fail_msg("'%s' ended with %d: %s", cases[i].line, run.code, run.err);
    }
    write_order(in_folder("bad.npy"), 150, 60);
    run = run_fit("fit " TRAIN " --order %s", in_folder("bad.npy"));
    assert_int_equal(run.code, 4);
    assert_non_null(strstr(run.err, "sample 200 does not exist"));
}

static int count_words(const char *text, const char *words)
{
    int count = 0;
    for (; (text = strstr(text, words)); text += strlen(words))
        count++;
    return count;
}

/* Ten steps are one epoch. */
static struct run run_gated(rt_u64 unapplied, const char *options)
{
    char line[512];
    snprintf(line, sizeof line, "fit " TRAIN " --save %s --losses %s %s", in_folder("gated"),
             in_folder("losses"), options);
    return run_line(toy_gated_program(BATCH, false, unapplied), NULL, line);
}

static void test_unapplied(void **state)
{
    static const char words[] = "the norm of the gradient is not finite, update not applied";
    (void)state;
    /* three in a row, twice: told one by one, the fourth never comes; over the epoch's end too */
    struct run run = run_gated(0x707, "--epochs 2");
    assert_int_equal(run.code, 0);
    assert_int_equal(count_words(run.err, words), 6);
    assert_non_null(strstr(run.err, "warning: the norm of the gradient is not finite, update not "
                                    "applied; epoch 1, step 1; lower"));
    assert_non_null(strstr(run.err, "epoch 2, step 1; lower"));
    assert_int_equal(unlink(in_folder("gated/model.safetensors")), 0);
    assert_int_equal(unlink(in_folder("losses")), 0);
    run = run_gated(0xf << 8, "--epochs 2");
    assert_int_equal(run.code, 8);
    assert_int_equal(count_words(run.err, "warning: "), 3);
    assert_non_null(strstr(run.err, "error: the norm of the gradient is not finite, update not "
                                    "applied 4 times in a row; epoch 2, step 2; lower"));
    assert_int_equal(access(in_folder("losses"), F_OK), -1);
    assert_int_equal(rmdir(in_folder("gated")), 0); /* nothing was saved */
}

static void test_interrupted(void **state)
{
    struct run_setting stopped = {.interrupt_ms = 400};
    char line[512];
    (void)state;
    snprintf(line, sizeof line, "fit " TRAIN " --epochs 1000000 --losses %s --save %s",
             in_folder("a"), in_folder("start"));
    struct run run = run_line(toy_fit_program(BATCH, false), &stopped, line);
    assert_int_equal(run.code, 130);
    assert_true(number_in(in_folder("a"), 0) > number_in(in_folder("a"), 20));
    run = run_fit("fit " TRAIN " -w %s --losses %s", in_folder("start"), in_folder("b"));
    assert_int_equal(run.code, 0);
    assert_true(number_in(in_folder("b"), 0) < number_in(in_folder("a"), 0));
}

static void test_labels(void **state)
{
    static const unsigned char header[] = {0, 0, 8, 1, 0, 0, 0, SAMPLES};
    unsigned char labels[SAMPLES] = {0};
    FILE *file = fopen(in_folder("labels"), "wb");
    (void)state;
    labels[17] = 10;
    fwrite(header, 1, sizeof header, file);
    fwrite(labels, 1, sizeof labels, file);
    fclose(file);
    struct run run = run_fit("fit " DIGITS "train-images-idx3-ubyte %s", in_folder("labels"));
    assert_int_equal(run.code, 4);
    assert_non_null(strstr(run.err, "label 10 has no class"));
    assert_non_null(strstr(run.err, "sample 17; the model has 10 classes"));
}

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL;
}

static int tear_down(void **state)
{
    static const char *const names[] = {"order.npy", "bad.npy", "losses", "again", "a", "b", "c",
                                        "d", "o.npy", "labels", "start/model.safetensors",
                                        "trained/model.safetensors"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unlink(in_folder(names[i]));
    rmdir(in_folder("start"));
    rmdir(in_folder("trained"));
    return rmdir(folder); /* fails if a temporary file was left */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_permutation), cmocka_unit_test(test_losses),
        cmocka_unit_test(test_seeds),       cmocka_unit_test(test_accuracy),
        cmocka_unit_test(test_failures),    cmocka_unit_test(test_labels),
        cmocka_unit_test(test_interrupted), cmocka_unit_test(test_unapplied),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
