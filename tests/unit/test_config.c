/* Model directories: configuration files of both layouts, hostile ones, and checkpoints that do
 * not fit the model. */
#include "compiler/frontends/huggingface.h"
#include "ir/base/arena.h"
#include "ir/base/diag.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[] = "/tmp/sinter-config-XXXXXX";
static struct arena *arena;

static struct config_view *view_of(const char *text)
{
    return config_parse(arena, "config.json", text, strlen(text));
}

/* The exit code of a fatal message while parsing the text, 0 if there was none. */
static int parse_code(const char *text, size_t length)
{
    jmp_buf trap;
    int code = setjmp(trap);
    if (code == 0) {
        diag_set_trap(&trap);
        config_parse(arena, "config.json", text, length);
    }
    diag_set_trap(NULL);
    return code;
}

static void reads_values(void **state)
{
    (void)state;
    struct config_view *view = view_of(
        "{\"i\": 7, \"f\": 1e-05, \"whole\": 4096.0, \"b\": true, \"t\": \"silu\", \"n\": null,"
        " \"l\": [\"x\", 2, null], \"o\": {\"p\": {\"q\": 3}}, \"deep\": [[1]]}");
    int64_t integer;
    double real;
    bool truth;
    assert_true(config_int(view, "i", &integer) && integer == 7);
    assert_true(config_int(view, "whole", &integer) && integer == 4096);
    assert_true(config_int(view, "o.p.q", &integer) && integer == 3);
    assert_true(config_float(view, "f", &real) && real == 1e-05);
    assert_true(config_float(view, "i", &real) && real == 7);
    assert_true(config_bool(view, "b", &truth) && truth);
    assert_string_equal(config_text(view, "t"), "silu");
    assert_null(config_text(view, "n"));
    assert_false(config_int(view, "absent", &integer));
    assert_false(config_int(view, "n.x", &integer));
    assert_false(config_int(view, "i.x", &integer));
    assert_int_equal(config_get(view, "n").kind, CONFIG_NULL);
    assert_int_equal(config_get(view, "absent").kind, CONFIG_ABSENT);
    assert_int_equal(config_get(view, "o").kind, CONFIG_OTHER);
    assert_int_equal(config_get(view, "deep").kind, CONFIG_OTHER);
    struct config_value list = config_get(view, "l");
    assert_int_equal(list.kind, CONFIG_LIST);
    assert_int_equal(list.count, 3);
    assert_string_equal(list.items[0].text, "x");
    assert_int_equal(list.items[2].kind, CONFIG_NULL);
}

static int type_code(const char *path, bool as_text)
{
    struct config_view *view = view_of("{\"t\": \"x\", \"i\": 1, \"f\": 1.5, \"h\": 1e300}");
    jmp_buf trap;
    int64_t integer;
    int code = setjmp(trap);
    if (code == 0) {
        diag_set_trap(&trap);
        if (as_text)
            config_text(view, path);
        else
            config_int(view, path, &integer);
    }
    diag_set_trap(NULL);
    return code;
}

static void checks_types(void **state)
{
    (void)state;
    assert_int_equal(type_code("t", false), EXIT_DATA);
    assert_string_equal(diag_last_message(), "wrong type in a configuration; 'config.json', key "
                                             "'t': expected an integer; correct the file");
    assert_int_equal(type_code("f", false), EXIT_DATA);
    assert_int_equal(type_code("h", false), EXIT_DATA);
    assert_int_equal(type_code("i", true), EXIT_DATA);
    assert_int_equal(type_code("i", false), 0);
}

/* The same model as Transformers 4 and 5 write it. */
static void unifies_layouts(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"rope_theta\": 5e5, \"torch_dtype\": \"bfloat16\", \"rope_scaling\": {\"type\": "
        "\"linear\", \"factor\": 2.0}}",
        "{\"rope_theta\": 5e5, \"torch_dtype\": \"bfloat16\", \"rope_scaling\": {\"rope_type\": "
        "\"linear\", \"factor\": 2.0}, \"rope_parameters\": null}",
        "{\"rope_parameters\": {\"rope_theta\": 5e5, \"rope_type\": \"linear\", \"factor\": 2.0},"
        " \"dtype\": \"bfloat16\", \"rope_scaling\": null, \"torch_dtype\": null}",
    };
    static const char *const prefixes[] = {"rope_scaling", "rope_parameters"};
    for (size_t i = 0; i < 3; i++) {
        struct config_view *view = view_of(texts[i]);
        double theta, factor;
        char path[64];
        assert_true(config_float(view, "rope_theta", &theta) && theta == 5e5);
        assert_true(config_float(view, "rope_parameters.rope_theta", &theta) && theta == 5e5);
        assert_string_equal(config_text(view, "dtype"), "bfloat16");
        assert_string_equal(config_text(view, "torch_dtype"), "bfloat16");
        for (int j = 0; j < 2; j++) {
            snprintf(path, sizeof path, "%s.rope_type", prefixes[j]);
            assert_string_equal(config_text(view, path), "linear");
            snprintf(path, sizeof path, "%s.factor", prefixes[j]);
            assert_true(config_float(view, path, &factor) && factor == 2);
        }
        assert_null(config_unknown(view));
    }
    struct config_view *plain = view_of("{\"rope_theta\": 1e4, \"rope_scaling\": null}");
    assert_null(config_text(plain, "rope_scaling.rope_type"));
    assert_int_equal(config_get(plain, "rope_scaling").kind, CONFIG_NULL);
}

static void lists_unknown_keys(void **state)
{
    (void)state;
    struct config_view *view = view_of(
        "{\"hidden_size\": 8, \"mystery\": 1, \"gone\": null, \"use_cache\": true,"
        " \"rope_scaling\": {\"rope_type\": \"linear\", \"odd\": 1}, \"whole\": {\"a\": 1}}");
    int64_t size;
    config_int(view, "hidden_size", &size);
    config_text(view, "rope_scaling.rope_type");
    assert_string_equal(config_unknown(view), "mystery, rope_scaling.odd, whole");
    char text[1024] = "{";
    for (int i = 0; i < 25; i++)
        sprintf(text + strlen(text), "%s\"k%02d\": 1", i ? "," : "", i);
    strcat(text, "}");
    const char *list = config_unknown(view_of(text));
    assert_non_null(strstr(list, "k19 and 5 more"));
    assert_null(strstr(list, "k20"));
}

static const struct {
    const char *text;
    const char *message;
} hostile[] = {
    {"", "line 1 column 1: unexpected end"},
    {"[]", "line 1 column 1: expected an object"},
    {"\"x\"", "expected an object"},
    {"{\"a\": 1,}", "line 1 column 9: expected a key"},
    {"{\n \"a\": NaN}", "line 2 column 7: expected a value"},
    {"{\"a\": 1, \"a\": 2}", "duplicate"},
    {"{\"a\": {\"b\": 1, \"b\": 2}}", "duplicate"},
    {"{\"a\": \"\\u0000\"}", "NUL"},
    {"{\"a\": \"\xff\"}", "invalid UTF-8"},
    {"{\"a\": 99999999999999999999}", "too big"},
    {"{\"a\": 1e999}", "overflow"},
    {"{} {}", "text after the value"},
    {"\xef\xbb\xbf{}", "expected a value"},
    {"{\"auto_map\": {\"AutoModel\": \"modeling.Evil\"}}", "key 'auto_map': it names code"},
    {"{\"trust_remote_code\": true}", "key 'trust_remote_code': it names code"},
    {"{\"quantization_config\": {\"bits\": 4}}", "the weights are quantized"},
};

static void refuses_hostile_texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        if (parse_code(hostile[i].text, strlen(hostile[i].text)) != EXIT_DATA)
            fail_msg("accepted %s", hostile[i].text);
        if (!strstr(diag_last_message(), hostile[i].message))
            fail_msg("case %zu said %s", i, diag_last_message());
    }
    static const char allowed[] = "{\"trust_remote_code\": false, \"auto_map\": null}";
    assert_int_equal(parse_code(allowed, sizeof allowed - 1), 0);
    enum { DEEP = 100000 };
    char *deep = malloc(DEEP * 5);
    for (int i = 0; i < DEEP; i++)
        memcpy(deep + 5 * i, "{\"a\":", 5);
    assert_int_equal(parse_code(deep, DEEP * 5), EXIT_DATA);
    assert_non_null(strstr(diag_last_message(), "nested too deeply"));
    free(deep);
}

static void write_text(const char *name, const char *text, size_t length)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fwrite(text, 1, length, file);
    fclose(file);
}

static int open_code(const char *path)
{
    jmp_buf trap;
    int code = setjmp(trap);
    if (code == 0) {
        diag_set_trap(&trap);
        model_directory_open(arena, path);
    }
    diag_set_trap(NULL);
    return code;
}

static void opens_directories(void **state)
{
    (void)state;
    static const char config[] =
        "{\"model_type\": \"x\", \"eos_token_id\": 2, \"bos_token_id\": 1}";
    static const char generation[] = "{\"eos_token_id\": [2, 7, 9]}";
    assert_int_equal(open_code(directory), EXIT_FILE);
    assert_false(is_model_directory(directory));
    write_text("config.json", config, sizeof config - 1);
    assert_true(is_model_directory(directory));
    struct model_directory *opened = model_directory_open(arena, directory);
    int32_t ids[4] = {0};
    assert_string_equal(model_directory_type(opened), "x");
    assert_null(opened->generation);
    assert_null(opened->weights);
    assert_int_equal(model_directory_token_ids(opened, "eos_token_id", ids, 4), 1);
    assert_int_equal(ids[0], 2);
    write_text("generation_config.json", generation, sizeof generation - 1);
    write_text("tokenizer.json", "{}", 2);
    opened = model_directory_open(arena, directory);
    assert_non_null(opened->tokenizer_json);
    assert_null(opened->tokenizer_model);
    assert_int_equal(model_directory_token_ids(opened, "eos_token_id", ids, 2), 2);
    assert_int_equal(model_directory_token_ids(opened, "eos_token_id", ids, 4), 3);
    assert_int_equal(ids[2], 9);
    assert_int_equal(model_directory_token_ids(opened, "bos_token_id", ids, 4), 1);
    assert_int_equal(ids[0], 1);
    assert_int_equal(model_directory_token_ids(opened, "pad_token_id", ids, 4), 0);
    write_text("tokenizer_config.json", "{\"auto_map\": {\"x\": \"y\"}}", 24);
    assert_int_equal(open_code(directory), EXIT_DATA);
    write_text("tokenizer_config.json", "{}", 2);
    write_text("config.json", "{\"a\"", 4);
    assert_int_equal(open_code(directory), EXIT_DATA);
}

static void limits_size(void **state)
{
    (void)state;
    char path[256];
    write_text("config.json", "{}", 2);
    snprintf(path, sizeof path, "%s/config.json", directory);
    assert_int_equal(truncate(path, (16 << 20) + 1), 0);
    assert_int_equal(open_code(directory), EXIT_DATA);
    assert_non_null(strstr(diag_last_message(), "too large"));
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(open_code(directory), EXIT_FILE);
    unlink(path);
}

/* Tensors a f32[2], b bf16[1,2], c I8[1], and an ignored one. */
static const struct rt_checkpoint *checkpoint_of(void)
{
    static const char header[] =
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
        "\"b\":{\"dtype\":\"BF16\",\"shape\":[1,2],\"data_offsets\":[8,12]},"
        "\"c\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[12,13]},"
        "\"l.rotary_emb.inv_freq\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[13,14]}}";
    char bytes[8 + sizeof header - 1 + 14] = {0};
    bytes[0] = (char)((sizeof header - 1) & 255);
    bytes[1] = (char)((sizeof header - 1) >> 8);
    memcpy(bytes + 8, header, sizeof header - 1);
    write_text("config.json", "{}", 2);
    write_text("tokenizer_config.json", "{}", 2);
    write_text("model.safetensors", bytes, sizeof bytes);
    return model_directory_checkpoint(model_directory_open(arena, directory));
}

enum { FLOATS = 1 << RT_F32 | 1 << RT_BF16 };

static void compares_checkpoints(void **state)
{
    (void)state;
    const struct rt_checkpoint *checkpoint = checkpoint_of();
    const struct rt_tensor *found[5];
    struct expected_tensor expected[] = {
        {"a", FLOATS, 1, {2}, false},     {"b", FLOATS, 2, {1, 2}, false},
        {"c", 1 << RT_U8, 1, {1}, false}, {"d", FLOATS, 2, {3, 4}, false},
        {"e", FLOATS, 1, {1}, true},
    };
    struct checkpoint_differences all = checkpoint_compare(arena, checkpoint, expected, 5, found);
    assert_int_equal(all.missing, 1);
    assert_string_equal(all.missing_list, "d [3, 4]");
    assert_int_equal(all.mismatched, 1);
    assert_string_equal(all.mismatched_list, "c [1] of type I8");
    assert_int_equal(all.unexpected, 0);
    assert_string_equal(found[1]->name, "b");
    assert_null(found[3]);
    expected[0].shape[0] = 3;
    all = checkpoint_compare(arena, checkpoint, expected, 2, NULL);
    assert_string_equal(all.mismatched_list, "a [2] [3]");
    assert_string_equal(all.unexpected_list, "c [1]");
    expected[1].dtypes = 1 << RT_F32;
    all = checkpoint_compare(arena, checkpoint, expected, 2, NULL);
    assert_int_equal(all.mismatched, 2);
}

static void requires_a_fit(void **state)
{
    (void)state;
    const struct rt_checkpoint *checkpoint = checkpoint_of();
    struct expected_tensor expected[40] = {{"a", FLOATS, 1, {2}, false}};
    for (int i = 1; i < 40; i++)
        expected[i] =
            (struct expected_tensor){arena_printf(arena, "layers.%d.w", i), FLOATS, 1, {9}, false};
    jmp_buf trap;
    int code = setjmp(trap);
    if (code == 0) {
        diag_set_trap(&trap);
        checkpoint_require(arena, checkpoint, "dir", expected, 40, NULL);
    }
    diag_set_trap(NULL);
    assert_int_equal(code, EXIT_DATA);
    assert_string_equal(diag_last_message(),
                        "the weights do not fit the model; 'dir': 39 missing, 2 unexpected, 0 "
                        "mismatched tensors; use the config.json and the weights of one model");
    struct checkpoint_differences all = checkpoint_compare(arena, checkpoint, expected, 40, NULL);
    assert_non_null(strstr(all.missing_list, "layers.20.w [9] and 19 more"));
}

static void opens_shared_data(void **state)
{
    (void)state;
    const char *data = getenv("SINTER_SHARED_DATA"), *off = getenv("SINTER_NO_SHARED");
    char path[512];
    snprintf(path, sizeof path, "%s/weights/stories260K/hf_derived",
             data ? data : "../shared/data");
    if ((off && strcmp(off, "1") == 0) || access(path, R_OK) != 0) {
        printf("SKIPPED 1 stories260K model directory\n");
        return;
    }
    struct model_directory *opened = model_directory_open(arena, path);
    const struct rt_checkpoint *checkpoint = model_directory_checkpoint(opened);
    const struct rt_tensor *tensor = rt_checkpoint_find(checkpoint, "model.embed_tokens.weight");
    int64_t layers;
    assert_non_null(tensor);
    assert_int_equal(tensor->shape[0], 512);
    assert_int_equal(tensor->shape[1], 64);
    assert_true(config_int(opened->config, "num_hidden_layers", &layers) && layers == 5);
    assert_int_equal(checkpoint->tensor_count, 5 * 9 + 2);
}

static int set_up(void **state)
{
    (void)state;
    arena = arena_create();
    return mkdtemp(directory) == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    char command[300];
    arena_destroy(arena);
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_values),          cmocka_unit_test(checks_types),
        cmocka_unit_test(unifies_layouts),       cmocka_unit_test(lists_unknown_keys),
        cmocka_unit_test(refuses_hostile_texts), cmocka_unit_test(opens_directories),
        cmocka_unit_test(limits_size),           cmocka_unit_test(compares_checkpoints),
        cmocka_unit_test(requires_a_fit),        cmocka_unit_test(opens_shared_data),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
