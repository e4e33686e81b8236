/*
 * The two examples of docs/examples, trained in the exact interpreter from PyTorch's initial
 * weights and in its order of samples: the first losses and the running statistics.
 */
#include "compiler/language/language.h"
#include "ir/interp.h"
#include "passes/passes.h"
#include "runtime/idx.h"
#include "runtime/safetensors.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TRAINING "tests/fixtures/training/"
#define DIGITS "tests/fixtures/digits/"
enum { BATCH = 50, PIXELS = 28 * 28 };

struct training {
    struct arena *arena;
    struct module *module;
    struct function *fit;
    struct interp *interp;
    struct rt_idx images, labels;
    json_t *golden;
};

static char *read_text(struct arena *arena, const char *path, size_t *out_length)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("cannot open %s", path);
    char *text = arena_alloc(arena, 1 << 16, 1);
    *out_length = fread(text, 1, 1 << 16, file);
    fclose(file);
    return text;
}

static void lower_example(struct training *t, const char *name)
{
    size_t length;
    const char *path = arena_printf(t->arena, "docs/examples/%s.model", name);
    const char *text = read_text(t->arena, path, &length);
    struct description *description =
        description_parse(t->arena, diag_add_source(path, text, length));
    struct lower_options options = {.batch = BATCH, .training = true};
    t->module = module_create(t->arena, name);
    t->fit = description_lower(t->module, description, "fit", &options);
    attributes_set_text(t->arena, &t->fit->attributes, ATTRIBUTE_role, "fit");
    pass_simplify(t->module);
    pass_grad(t->module);
    pass_optimizer(t->module);
    ir_verify(t->module, "optimizer", false);
}

static void bind_weights(struct training *t, const char *name)
{
    struct rt_checkpoint *checkpoint;
    char *path = arena_printf(t->arena, TRAINING "%s.safetensors", name);
    assert_int_equal(rt_checkpoint_open(path, &checkpoint), 0);
    for (size_t i = 0; i < t->module->weights.count; i++) {
        const struct value *weight = &t->module->weights.items[i]->results[0];
        const struct rt_tensor *tensor =
            rt_checkpoint_find(checkpoint, node_text(weight->node, tensor));
        int64_t count = type_elements(&weight->type);
        double *data = arena_array(t->arena, double, (size_t)count);
        assert_non_null(tensor);
        assert_int_equal(tensor->stored, RT_STORED_F32);
        assert_int_equal(tensor->bytes, 4 * count);
        const char *bytes = rt_tensor_data(checkpoint, tensor);
        for (int64_t k = 0; k < count; k++) {
            float number;
            memcpy(&number, bytes + 4 * k, 4);
            data[k] = (double)number;
        }
        interp_bind(t->interp, weight, data);
    }
    rt_checkpoint_close(checkpoint);
}

static void open_training(struct training *t, const char *name)
{
    json_error_t error;
    t->arena = arena_create();
    lower_example(t, name);
    t->interp = interp_create(t->module, INTERP_EXACT);
    bind_weights(t, name);
    assert_int_equal(rt_idx_open(&t->images, DIGITS "train-images-idx3-ubyte.gz"), 0);
    assert_int_equal(rt_idx_open(&t->labels, DIGITS "train-labels-idx1-ubyte.gz"), 0);
    t->golden = json_load_file(arena_printf(t->arena, TRAINING "digits_%s.json", name), 0, &error);
    assert_non_null(t->golden);
}

static void close_training(struct training *t)
{
    json_decref(t->golden);
    rt_idx_close(&t->images);
    rt_idx_close(&t->labels);
    interp_destroy(t->interp);
    arena_destroy(t->arena);
}

static void bind_input(struct training *t, const char *name, const double *data)
{
    for (size_t i = 0; i < t->fit->params.count; i++)
        if (strcmp(t->fit->params.items[i]->results[0].name, name) == 0) {
            interp_bind(t->interp, &t->fit->params.items[i]->results[0], data);
            return;
        }
    fail_msg("no input %s", name);
}

static double step(struct training *t, const int32_t *order)
{
    double *images = calloc((size_t)BATCH * PIXELS, sizeof *images), labels[BATCH];
    assert_non_null(images);
    for (int row = 0; row < BATCH; row++) {
        labels[row] = rt_idx_value(&t->labels, order[row]);
        for (int i = 0; i < PIXELS; i++)
            images[row * PIXELS + i] =
                rt_idx_value(&t->images, (rt_i64)order[row] * PIXELS + i) / 255;
    }
    double rate = json_number_value(json_object_get(t->golden, "rate"));
    double momentum = json_number_value(json_object_get(t->golden, "momentum"));
    bind_input(t, "images", images);
    bind_input(t, "labels", labels);
    bind_input(t, "learning_rate", &rate);
    bind_input(t, "momentum", &momentum);
    free(images);
    interp_function(t->interp, t->fit);
    for (size_t i = 0; i < t->fit->bindings.count; i++)
        if (strcmp(t->fit->bindings.items[i].name, "loss") == 0)
            return *interp_value(t->interp, t->fit->bindings.items[i].value);
    fail_msg("no loss");
    return 0;
}

/* Batches of the order: int32 [20, 50] behind the header of an npy file. */
static const int32_t *read_order(struct arena *arena, int steps)
{
    size_t length;
    char *text = read_text(arena, TRAINING "digits_order.npy", &length);
    size_t data = 10 + (size_t)(unsigned char)text[8] + 256 * (size_t)(unsigned char)text[9];
    assert_true(length >= data + (size_t)steps * BATCH * sizeof(int32_t));
    int32_t *order = arena_array(arena, int32_t, (size_t)steps *BATCH);
    memcpy(order, text + data, (size_t)steps * BATCH * sizeof *order);
    return order;
}

static void train(struct training *t, int steps, double tolerance)
{
    json_t *losses = json_object_get(t->golden, "losses_f64");
    const int32_t *order = read_order(t->arena, steps);
    for (int i = 0; i < steps; i++) {
        double loss = step(t, order + i * BATCH);
        double expected = json_number_value(json_array_get(losses, (size_t)i));
        if (!(fabs(loss - expected) < tolerance))
            fail_msg("loss %d is %.9f, not %.9f", i, loss, expected);
    }
}

/* The running statistics of BatchNorm after the last step. */
static void check_statistics(struct training *t)
{
    const char *name;
    json_t *numbers, *after = json_object_get(t->golden, "after");
    int checked = 0;
    json_object_foreach(json_object_get(after, "statistics"), name, numbers)
    {
        for (size_t i = 0; i < t->module->states.count; i++) {
            const struct node *state = t->module->states.items[i];
            const char *tensor = node_text(state, tensor);
            if (!tensor || strcmp(tensor, name) != 0)
                continue;
            const double *values = interp_value(t->interp, &state->results[0]);
            size_t k;
            json_t *number;
            json_array_foreach(numbers, k, number)
                assert_true(fabs(values[k] - json_number_value(number)) < 1e-5);
            checked++;
        }
    }
    assert_int_equal(checked, 2);
}

static void mlp_trains(void **state)
{
    (void)state;
    struct training t;
    open_training(&t, "mlp");
    train(&t, 20, 1e-6);
    close_training(&t);
}

static void convnet_trains(void **state)
{
    (void)state;
    struct training t;
    open_training(&t, "convnet");
    train(&t, 20, 1e-6);
    check_statistics(&t);
    close_training(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mlp_trains),
        cmocka_unit_test(convnet_trains),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
