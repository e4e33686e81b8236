/* `sinter inspect` on the committed checkpoints: the facts, and that the JSON form is JSON. */
#include "compiler/inspect.h"
#include "ir/base/arena.h"
#include "ir/base/diag.h"
#include "runtime/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define CHECKPOINTS "tests/fixtures/checkpoints/"

static struct arena *arena;

/* Both forms of a directory, in memory of the caller. */
static void forms(const char *path, bool hash, char **text, char **json)
{
    size_t length;
    struct inspection inspection = inspect_directory(arena, path, hash);
    FILE *file = open_memstream(text, &length);
    inspect_print(&inspection, file);
    fclose(file);
    file = open_memstream(json, &length);
    inspect_write_json(&inspection, file);
    fclose(file);
}

static void has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("no '%s' in: %s", part, text);
}

static void is_json(const char *text)
{
    struct rt_json json;
    enum rt_json_token token;
    rt_json_open(&json, text, strlen(text));
    do
        token = rt_json_next(&json);
    while (token > RT_JSON_END);
    if (token != RT_JSON_END)
        fail_msg("%s at: %.40s", json.error, json.token);
}

static void sharded(void **state)
{
    (void)state;
    char *text, *json;
    forms(CHECKPOINTS "mistral_sharded", true, &text, &json);
    is_json(json);
    has(text, "described by mistral.model");
    has(text, "model-00001-of-0000");
    has(text, ", sha256 ");
    has(text, "warning: there is no tokenizer");
    has(json, "\"model_type\": \"mistral\"");
    has(json, "\"tokenizer\": null");
    has(json, "\"F32\": {");
    has(json, "\"sha256\": \"");
    assert_non_null(strstr(strstr(json, "model-00001-of-"), "model-00002-of-"));
    free(text);
    free(json);
}

/* A directory of one file of ours: no description, no weights, hostile text. */
static void strange(void **state)
{
    (void)state;
    static const char config[] =
        "{\"model_type\": \"un\\u001b[2Jknown\", \"architectures\": [\"A\", \"B\"], \"x\": 1}";
    char directory[] = "/tmp/sinter-inspect-XXXXXX", path[64], *text, *json;
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/config.json", directory);
    FILE *file = fopen(path, "w");
    fputs(config, file);
    fclose(file);
    forms(directory, false, &text, &json);
    is_json(json);
    has(text, "un?[2Jknown");
    has(text, "A,B");
    has(text, "weights       none");
    has(text, "warning: there are no weights");
    has(text, "warning: no shipped description serves this model_type");
    has(json, "\"weights\": null");
    assert_null(strchr(text, '\033'));
    assert_null(strchr(json, '\033'));
    free(text);
    free(json);
    unlink(path);
    rmdir(directory);
}

static void unknown_keys(void **state)
{
    (void)state;
    static const char config[] =
        "{\"model_type\": \"mistral\", \"mystery\": 1, \"use_cache\": true}";
    char directory[] = "/tmp/sinter-inspect-XXXXXX", path[64], *text, *json;
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/config.json", directory);
    FILE *file = fopen(path, "w");
    fputs(config, file);
    fclose(file);
    forms(directory, false, &text, &json);
    has(text, "not understood and have no effect: mystery\n");
    is_json(json);
    free(text);
    free(json);
    unlink(path);
    rmdir(directory);
}

static int set_up(void **state)
{
    (void)state;
    arena = arena_create();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_destroy(arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sharded),
        cmocka_unit_test(strange),
        cmocka_unit_test(unknown_keys),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
