/*
 * The shipped descriptions against Transformers: logits of the random checkpoints (every
 * feature, both configuration layouts) in the exact interpreter, the same with planted errors,
 * which must show, and every default with its key removed or null.
 */
#include "compiler/frontends/config.h"
#include "compiler/language/language.h"
#include "ir/interp.h"
#include "runtime/safetensors.h"

#include <jansson.h>
#include <math.h>
#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CHECKPOINTS "tests/fixtures/checkpoints/"
static const double TOLERANCE = 1e-4, VISIBLE = 1e-2;

static json_t *load_json(const char *path)
{
    json_error_t error;
    json_t *json = json_load_file(path, 0, &error);
    if (!json)
        fail_msg("%s: %s", path, error.text);
    return json;
}

static struct config_source source_of(struct arena *arena, const json_t *config)
{
    char *text = json_dumps(config, 0);
    char *copy = arena_copy(arena, text, strlen(text));
    free(text);
    return config_source_of(config_parse(arena, "config.json", copy, strlen(copy)));
}

/* --- tensors --- */

static double read_element(const uint8_t *bytes, int stored, int64_t i)
{
    uint16_t half;
    uint32_t word;
    float number;
    if (stored == RT_STORED_F32 || stored == RT_STORED_I32) {
        memcpy(&word, bytes + 4 * i, 4);
        memcpy(&number, &word, 4);
        return stored == RT_STORED_F32 ? (double)number : (double)(int32_t)word;
    }
    memcpy(&half, bytes + 2 * i, 2);
    if (stored == RT_STORED_F16) {
        double fraction = half & 0x3ff, scale = (half >> 10) & 0x1f;
        double size = scale > 0 ? ldexp(1024 + fraction, (int)scale - 25) : ldexp(fraction, -24);
        return half & 0x8000 ? -size : size;
    }
    word = (uint32_t)half << 16;
    memcpy(&number, &word, 4);
    return (double)number;
}

static double *read_tensor(struct arena *arena, const struct rt_checkpoint *checkpoint,
                           const char *name, int64_t elements)
{
    const struct rt_tensor *tensor = rt_checkpoint_find(checkpoint, name);
    if (!tensor)
        fail_msg("no tensor %s", name);
    int64_t count = 1;
    for (int i = 0; i < tensor->rank; i++)
        count *= (int64_t)tensor->shape[i];
    assert_int_equal(count, elements);
    const uint8_t *bytes = rt_tensor_data(checkpoint, tensor);
    double *data = arena_array(arena, double, (size_t)count);
    for (int64_t i = 0; i < count; i++)
        data[i] = read_element(bytes, tensor->stored, i);
    return data;
}

/* Applies a planted {tensors, operation, value}. */
static void plant(const json_t *error, const char *name, double *data, int64_t count)
{
    const char *pattern = json_string_value(json_object_get(error, "tensors"));
    regex_t regex;
    if (!pattern)
        return;
    assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    bool set = strcmp(json_string_value(json_object_get(error, "operation")), "set") == 0;
    double value = json_number_value(json_object_get(error, "value"));
    for (int64_t i = 0; i < count && regexec(&regex, name, 0, NULL, 0) == 0; i++)
        data[i] = set ? value : data[i] + value;
    regfree(&regex);
}

/* --- one checkpoint --- */

struct checkpoint_case {
    struct arena *arena;
    const char *name;
    struct rt_checkpoint *weights, *golden;
    int64_t rows, length, vocab;
    double *ids, *logits;
};

static void open_case(struct checkpoint_case *c, const char *name)
{
    c->name = name;
    c->arena = arena_create();
    char *folder = arena_printf(c->arena, CHECKPOINTS "%s", name);
    assert_int_equal(rt_checkpoint_open(folder, &c->weights), 0);
    folder = arena_printf(c->arena, CHECKPOINTS "%s/golden.safetensors", name);
    assert_int_equal(rt_checkpoint_open(folder, &c->golden), 0);
    const uint64_t *shape = rt_checkpoint_find(c->golden, "logits")->shape;
    c->rows = (int64_t)shape[0];
    c->length = (int64_t)shape[1];
    c->vocab = (int64_t)shape[2];
    c->ids = read_tensor(c->arena, c->golden, "ids", c->rows * c->length);
    c->logits = read_tensor(c->arena, c->golden, "logits", c->rows * c->length * c->vocab);
}

static void close_case(struct checkpoint_case *c)
{
    rt_checkpoint_close(c->weights);
    rt_checkpoint_close(c->golden);
    arena_destroy(c->arena);
}

/* The largest difference of our logits, with the planted error if there is one. */
static double difference(const struct checkpoint_case *c, const json_t *config, const json_t *error)
{
    struct arena *arena = arena_create();
    const char *type = json_string_value(json_object_get(config, "model_type"));
    struct config_source source = source_of(arena, config);
    struct lower_options options = {
        .model_type = type, .batch = c->rows, .seq = c->length, .config = &source};
    struct description *description = description_find(arena, type);
    assert_non_null(description);
    struct module *module = module_create(arena, description_name(description));
    struct function *function = description_lower(module, description, "predict", &options);
    ir_verify(module, "lower", false);
    struct interp *interp = interp_create(module, INTERP_EXACT);
    for (size_t i = 0; i < module->weights.count; i++) {
        const struct value *weight = &module->weights.items[i]->results[0];
        const char *tensor = node_text(weight->node, tensor);
        int64_t count = type_elements(&weight->type);
        double *data = read_tensor(arena, c->weights, tensor, count);
        plant(error, tensor, data, count);
        interp_bind(interp, weight, data);
    }
    interp_bind(interp, &function->params.items[0]->results[0], c->ids);
    interp_function(interp, function);
    const double *logits = interp_value(interp, function->bindings.items[0].value);
    double worst = 0;
    for (int64_t i = 0; i < c->rows * c->length * c->vocab; i++)
        worst = fmax(worst, isfinite(logits[i]) ? fabs(logits[i] - c->logits[i]) : INFINITY);
    interp_destroy(interp);
    arena_destroy(arena);
    return worst;
}

static void check_layout(const struct checkpoint_case *c, const char *file)
{
    json_t *config = load_json(arena_printf(c->arena, CHECKPOINTS "%s/%s", c->name, file));
    double worst = difference(c, config, NULL);
    if (!(worst < TOLERANCE))
        fail_msg("%s with %s: logits differ by %g", c->name, file, worst);
    json_decref(config);
}

static void check_planted(const struct checkpoint_case *c)
{
    json_t *golden = load_json(arena_printf(c->arena, CHECKPOINTS "%s/golden.json", c->name));
    json_t *config = load_json(arena_printf(c->arena, CHECKPOINTS "%s/config.json", c->name));
    size_t i;
    json_t *error;
    json_array_foreach(json_object_get(golden, "planted"), i, error)
    {
        json_t *edited = json_deep_copy(config);
        if (json_object_get(error, "config"))
            json_object_update(edited, json_object_get(error, "config"));
        double worst = difference(c, edited, error);
        if (!(worst > VISIBLE))
            fail_msg("%s: planted error %zu changes nothing (%g)", c->name, i, worst);
        json_decref(edited);
    }
    assert_true(i > 0);
    json_decref(config);
    json_decref(golden);
}

static const char *const checkpoints[] = {
    "mistral_window", "mistral_sharded",   "mistral_f16",  "mistral_interleaved",
    "llama_linear",   "llama_llama3",      "llama_bias",   "llama_tied_bf16",
    "qwen2_tied",     "qwen2_layer_types", "qwen2_window", "gemma",
};

static void logits_equal(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof checkpoints / sizeof *checkpoints; i++) {
        struct checkpoint_case c;
        open_case(&c, checkpoints[i]);
        check_layout(&c, "config.json");
        check_layout(&c, "config.v4.json");
        close_case(&c);
    }
}

static void planted_errors_show(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof checkpoints / sizeof *checkpoints; i++) {
        struct checkpoint_case c;
        open_case(&c, checkpoints[i]);
        check_planted(&c);
        close_case(&c);
    }
}

/* --- defaults --- */

/* The program that a configuration makes, as text. */
static const char *program_of(struct arena *arena, const char *type, const json_t *config)
{
    size_t length;
    struct config_source source = source_of(arena, config);
    struct lower_options options = {.model_type = type, .batch = 1, .seq = 8, .config = &source};
    struct module *module = module_create(arena, type);
    description_lower(module, description_find(arena, type), "predict", &options);
    return ir_print(module, &length);
}

static bool same_program(struct arena *arena, const char *type, const json_t *a, const json_t *b)
{
    return strcmp(program_of(arena, type, a), program_of(arena, type, b)) == 0;
}

/* Whether a change is about something that decoders compute with. */
static bool matters(const char *key)
{
    static const char *const others[] = {"max_position_embeddings", "bos_token_id", "eos_token_id",
                                         "pad_token_id"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strcmp(key, others[i]) == 0)
            return false;
    return true;
}

/* What the whole configuration is when `changes` apply, with every value written out. */
static json_t *written_out(const json_t *effective, const json_t *changes)
{
    json_t *config = json_deep_copy(effective);
    json_object_update(config, (json_t *)changes);
    return config;
}

static int check_key(const char *type, const json_t *rows, const char *key, const json_t *edited,
                     const json_t *changes)
{
    struct arena *arena = arena_create();
    json_t *wanted = written_out(json_object_get(rows, "effective"), changes);
    if (!same_program(arena, type, edited, wanted))
        fail_msg("%s without %s is not what Transformers makes of it", type, key);
    bool changed = false;
    const char *changed_key;
    json_t *value;
    json_object_foreach((json_t *)changes, changed_key, value) changed |= matters(changed_key);
    if (changed && same_program(arena, type, edited, json_object_get(rows, "base")))
        fail_msg("%s without %s changes nothing", type, key);
    json_decref(wanted);
    arena_destroy(arena);
    return changed;
}

static int check_kind(const char *type, const json_t *rows, const char *kind)
{
    const char *key;
    json_t *changes;
    int checked = 0;
    json_object_foreach(json_object_get(rows, kind), key, changes)
    {
        bool new_layout = strcmp(key, "rope_parameters") == 0;
        json_t *edited = json_deep_copy(json_object_get(rows, new_layout ? "base_v5" : "base"));
        if (strcmp(kind, "null") == 0)
            json_object_set_new(edited, key, json_null());
        else
            json_object_del(edited, key);
        checked += check_key(type, rows, key, edited, changes);
        json_decref(edited);
    }
    return checked;
}

static void defaults_equal(void **state)
{
    (void)state;
    json_t *defaults = load_json("tests/fixtures/defaults.json");
    const char *type;
    json_t *rows;
    int checked = 0;
    json_object_foreach(defaults, type, rows)
    {
        checked += check_kind(type, rows, "removed");
        checked += check_kind(type, rows, "null");
    }
    assert_true(checked > 40);
    json_decref(defaults);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_equal),
        cmocka_unit_test(planted_errors_show),
        cmocka_unit_test(defaults_equal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
