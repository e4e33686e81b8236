/*
 * From a model directory to text: sinter builds executables of the committed tiny checkpoint
 * and of stories260K, and they do what Transformers does and the manual says.
 */
#include "tests/command.h"

#include <elf.h>
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATH = 512, LENGTH = 256, EXECUTABLE_BYTES = 3 << 20, NPY_HEADER = 128 };

static char folder[64], compiler[PATH], tiny[PATH], fixtures[PATH];
static char stories[PATH], stories_model[PATH];
static bool has_stories;

static const char *shared_data(void)
{
    const char *path = getenv("SINTER_SHARED_DATA");
    return path ? path : "../shared/data";
}

static void build(const char *model, const char *options, const char *path)
{
    const struct outcome *o = command_line(NULL, "%s build '%s' --max-length %d %s -o '%s'",
                                           compiler, model, LENGTH, options, path);
    if (o->code != 0)
        fail_msg("build of %s ended with %d: %s", model, o->code, o->err);
}

static json_t *parse(const char *text)
{
    json_error_t error;
    json_t *value = json_loads(text, JSON_DISABLE_EOF_CHECK, &error);
    if (!value)
        fail_msg("%s in: %s", error.text, text);
    return value;
}

static json_t *load(const char *path)
{
    json_t *value = json_load_file(path, 0, NULL);
    if (!value)
        fail_msg("cannot read %s", path);
    return value;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    assert_non_null(text);
    return text;
}

/* --- greedy tokens --- */

static void same_ids(const json_t *golden, const json_t *ids)
{
    const json_t *expected = json_object_get(golden, "greedy_ids");
    size_t count = json_array_size(expected);
    assert_true(count > 1);
    assert_int_equal(json_array_size(ids), count);
    for (size_t i = 0; i < count; i++)
        if (!json_equal(json_array_get(expected, i), json_array_get(ids, i)))
            fail_msg("token %zu is %lld, not %lld", i,
                     (long long)json_integer_value(json_array_get(ids, i)),
                     (long long)json_integer_value(json_array_get(expected, i)));
}

static void golden_case(const char *program, const json_t *golden)
{
    const json_t *prompt = json_object_get(golden, "prompt");
    const struct outcome *o = command_line(NULL, "%s generate --json -n %zu '%s'", program,
                                           json_array_size(json_object_get(golden, "greedy_ids")),
                                           prompt ? json_string_value(prompt) : "");
    assert_int_equal(o->code, 0);
    json_t *result = parse(o->out);
    assert_true(
        json_equal(json_object_get(result, "prompt_ids"), json_object_get(golden, "prompt_ids")));
    same_ids(golden, json_object_get(result, "ids"));
    json_decref(result);
}

static void tiny_greedy(void **state)
{
    (void)state;
    char path[2 * PATH];
    snprintf(path, sizeof path, "%s/golden_greedy.json", fixtures);
    json_t *golden = load(path), *more = json_object_get(golden, "more");
    golden_case(tiny, golden);
    assert_true(json_array_size(more) >= 3);
    for (size_t i = 0; i < json_array_size(more); i++)
        golden_case(tiny, json_array_get(more, i));
    json_decref(golden);
}

static void stories_greedy(void **state)
{
    (void)state;
    char path[2 * PATH];
    if (!has_stories) {
        puts("SKIPPED 200 tokens of stories260K");
        return;
    }
    snprintf(path, sizeof path, "%s/golden_greedy.json", stories_model);
    json_t *golden = load(path);
    assert_int_equal(json_array_size(json_object_get(golden, "greedy_ids")), 200);
    golden_case(stories, golden);
    json_decref(golden);
}

/* --- score --- */

/* The logits of BOS, by --dump-logits, against golden_greedy.json's first step. */
static void first_logits(const char *program, const char *model)
{
    char path[2 * PATH];
    size_t length;
    snprintf(path, sizeof path, "%s/golden_greedy.json", model);
    json_t *golden = load(path), *expected = json_object_get(golden, "first_step_logits");
    const struct outcome *o =
        command_line(NULL, "%s score --limit 3 '%s/score.txt' --dump-logits %s/first.npy", program,
                     fixtures, folder);
    assert_int_equal(o->code, 0);
    snprintf(path, sizeof path, "%s/first.npy", folder);
    char *bytes = command_read_file(path, &length);
    size_t vocabulary = json_array_size(expected);
    assert_int_equal(length, NPY_HEADER + 4 * vocabulary * sizeof(float));
    assert_memory_equal(bytes, "\x93NUMPY", 6);
    for (size_t i = 0; i < vocabulary; i++) {
        float logit;
        memcpy(&logit, bytes + NPY_HEADER + i * sizeof logit, sizeof logit);
        double golden_logit = json_number_value(json_array_get(expected, i));
        if (!(fabs((double)logit - golden_logit) < 1e-4))
            fail_msg("first logit %zu is %.9g, not %.9g", i, (double)logit, golden_logit);
    }
    free(bytes);
    json_decref(golden);
}

static void tiny_first_logits(void **state)
{
    (void)state;
    first_logits(tiny, fixtures);
}

static void stories_first_logits(void **state)
{
    (void)state;
    if (has_stories)
        first_logits(stories, stories_model);
    else
        puts("SKIPPED 1 logits of stories260K");
}

static void score_case(const char *program, const char *model, const char *directory)
{
    json_t *cases = load("tests/fixtures/scores.json"), *found = NULL, *each;
    size_t index;
    json_array_foreach(cases, index, each) if (strcmp(text_of(each, "model"), model) == 0) found =
        each;
    assert_non_null(found);
    assert_int_equal(json_integer_value(json_object_get(found, "max_length")), LENGTH);
    json_int_t limit = json_integer_value(json_object_get(found, "limit"));
    char option[64] = "";
    if (limit)
        snprintf(option, sizeof option, "--limit %d", (int)limit);
    const struct outcome *o = command_line(NULL, "%s score --json '%s/%s' %s", program, directory,
                                           text_of(found, "text"), option);
    assert_int_equal(o->code, 0);
    json_t *result = parse(o->out);
    double nll = json_number_value(json_object_get(result, "nll"));
    double expected = json_number_value(json_object_get(found, "nll"));
    assert_true(json_equal(json_object_get(result, "tokens"), json_object_get(found, "tokens")));
    if (!(fabs(nll - expected) < 1e-6))
        fail_msg("%s: a mean negative log-likelihood of %.9g, not %.9g", model, nll, expected);
    assert_true(fabs(json_number_value(json_object_get(result, "perplexity")) - exp(nll)) < 1e-9);
    json_decref(result);
    json_decref(cases);
}

static void tiny_score(void **state)
{
    (void)state;
    score_case(tiny, "tiny", fixtures);
}

static void stories_score(void **state)
{
    (void)state;
    char directory[PATH];
    snprintf(directory, sizeof directory, "%s/text", shared_data());
    if (has_stories)
        score_case(stories, "hf_derived", directory);
    else
        puts("SKIPPED 2000 scored tokens of stories260K");
}

/* --- the file --- */

static const Elf64_Shdr *section(const char *bytes, Elf64_Word type)
{
    const Elf64_Ehdr *head = (const Elf64_Ehdr *)bytes;
    const Elf64_Shdr *sections = (const Elf64_Shdr *)(bytes + head->e_shoff);
    for (int i = 0; i < head->e_shnum; i++)
        if (sections[i].sh_type == type)
            return &sections[i];
    fail_msg("no section of type %u", type);
    return NULL;
}

/* The names of DT_NEEDED, one after the other with a blank behind each. */
static void needed(const char *bytes, char *out, size_t capacity)
{
    const Elf64_Shdr *dynamic = section(bytes, SHT_DYNAMIC);
    const Elf64_Ehdr *head = (const Elf64_Ehdr *)bytes;
    const Elf64_Shdr *names = (const Elf64_Shdr *)(bytes + head->e_shoff) + dynamic->sh_link;
    const Elf64_Dyn *entries = (const Elf64_Dyn *)(bytes + dynamic->sh_offset);
    *out = '\0';
    for (const Elf64_Dyn *e = entries; e->d_tag != DT_NULL; e++)
        if (e->d_tag == DT_NEEDED)
            snprintf(out + strlen(out), capacity - strlen(out), "%s ",
                     bytes + names->sh_offset + e->d_un.d_val);
}

static const char *loader(const char *bytes)
{
    const Elf64_Ehdr *head = (const Elf64_Ehdr *)bytes;
    const Elf64_Phdr *segments = (const Elf64_Phdr *)(bytes + head->e_phoff);
    for (int i = 0; i < head->e_phnum; i++)
        if (segments[i].p_type == PT_INTERP)
            return bytes + segments[i].p_offset;
    return "";
}

static void check_file(const char *path)
{
    size_t length;
    char *bytes = command_read_file(path, &length), names[256];
    printf("%s: %zu bytes\n", path, length);
    assert_true(length > 10000 && length <= EXECUTABLE_BYTES);
    needed(bytes, names, sizeof names);
    if (strcmp(names, "libc.so.6 libm.so.6 ") != 0 && strcmp(names, "libm.so.6 libc.so.6 ") != 0)
        fail_msg("%s needs %s", path, names);
    assert_string_equal(loader(bytes), "/lib64/ld-linux-x86-64.so.2");
    free(bytes);
}

static void executables(void **state)
{
    (void)state;
    check_file(tiny);
    if (has_stories)
        check_file(stories);
}

/* Printed, since machines are busy: from exec to the end of one token. */
static void start_time(void **state)
{
    (void)state;
    double best = 1e9;
    for (int i = 0; i < 10; i++) {
        const struct outcome *o =
            command_line(NULL, "%s generate -n 1 ''", has_stories ? stories : tiny);
        assert_int_equal(o->code, 0);
        best = fmin(best, o->seconds);
    }
    printf("start, one token and end: %.1f ms\n", 1e3 * best);
}

/* --- what generate prints --- */

static void fields(void **state)
{
    (void)state;
    static const char *const keys[] = {"prompt_ids", "ids", "text", "stop_reason"};
    const struct outcome *o = command_line(NULL, "%s generate --json -n 4 'One day'", tiny);
    assert_int_equal(o->code, 0);
    assert_int_equal(strchr(o->out, '\n') - o->out + 1, o->out_length);
    json_t *result = parse(o->out);
    assert_int_equal(json_object_size(result), 4);
    for (int i = 0; i < 4; i++)
        assert_non_null(json_object_get(result, keys[i]));
    assert_int_equal(json_array_size(json_object_get(result, "ids")), 4);
    assert_string_equal(text_of(result, "stop_reason"), "length");
    json_decref(result);
}

/* --ids gives what the text gives, and an empty prompt is BOS alone. */
static void prompts(void **state)
{
    (void)state;
    char first[4096];
    snprintf(first, sizeof first, "%s", command_line(NULL, "%s generate -n 9 ''", tiny)->out);
    assert_true(strlen(first) > 4);
    assert_string_equal(command_line(NULL, "%s generate -n 9 --ids 1", tiny)->out, first);
    json_t *result = parse(command_line(NULL, "%s generate --json -n 9 'One day, Tom'", tiny)->out);
    char *ids = json_dumps(json_object_get(result, "prompt_ids"), JSON_COMPACT);
    snprintf(first, sizeof first, "%s", text_of(result, "text"));
    json_decref(result);
    result = parse(command_line(NULL, "%s generate --json -n 9 --ids '%.*s'", tiny,
                                (int)strlen(ids) - 2, ids + 1)
                       ->out);
    assert_string_equal(text_of(result, "text"), first);
    free(ids);
    json_decref(result);
}

/* The objects of `--json`, one a line, as an array. */
static json_t *lines(const char *text)
{
    json_t *all = json_array();
    for (const char *end; (end = strchr(text, '\n')); text = end + 1)
        json_array_append_new(all, parse(text));
    return all;
}

/* Seven prompts in batches of three give what each gives alone. */
static void batch_file(void **state)
{
    (void)state;
    static const char text[] =
        "In the park, Ana found\nOne day\n\nThen a little duck came by\nMia\n"
        "Once upon a time, there was a child named Zoé who\nA\n";
    char path[2 * PATH];
    snprintf(path, sizeof path, "%s/prompts.txt", folder);
    command_write_file(path, text, sizeof text - 1);
    const struct outcome *o =
        command_line(NULL, "%s generate --json -n 12 --batch-file %s", tiny, path);
    assert_int_equal(o->code, 0);
    json_t *together = lines(o->out);
    assert_int_equal(json_array_size(together), 7);
    const struct command_setting input = {.input = text};
    json_t *piped =
        lines(command_line(&input, "%s generate --json -n 12 --batch-file -", tiny)->out);
    assert_true(json_equal(together, piped));
    const char *at = text;
    for (size_t i = 0; i < json_array_size(together); i++) {
        int length = (int)strcspn(at, "\n");
        json_t *alone =
            parse(command_line(NULL, "%s generate --json -n 12 '%.*s'", tiny, length, at)->out);
        assert_true(json_equal(alone, json_array_get(together, i)));
        json_decref(alone);
        at += length + 1;
    }
    json_decref(together);
    json_decref(piped);
}

static bool starts_a_character(char byte)
{
    return ((unsigned char)byte & 0xc0) != 0x80;
}

/* Text comes out token by token, and no write ends within a character. */
static void streaming(void **state)
{
    (void)state;
    const struct command_setting setting = {.writes = true};
    const struct outcome *o = command_line(&setting, "%s generate -n 60 ''", tiny);
    assert_int_equal(o->code, 0);
    assert_non_null(strstr(o->out, "Zoé"));
    assert_true(o->write_count > 30);
    size_t at = 0;
    for (int i = 0; i < o->write_count; i++) {
        assert_true(starts_a_character(o->out[at]));
        at += o->writes[i];
    }
    assert_int_equal(at, o->out_length);
}

static void stop_strings(void **state)
{
    (void)state;
    char whole[4096];
    snprintf(whole, sizeof whole, "%s", command_line(NULL, "%s generate -n 40 ''", tiny)->out);
    char *found = strstr(whole, " ball. \"C"); /* across several tokens */
    assert_non_null(found);
    json_t *result = parse(command_line(NULL,
                                        "%s generate --json -n 40 --stop 'never there' "
                                        "--stop ' ball. \"C' ''",
                                        tiny)
                               ->out);
    assert_string_equal(text_of(result, "stop_reason"), "stop");
    *found = '\0';
    assert_string_equal(text_of(result, "text"), whole);
    const struct outcome *o = command_line(NULL, "%s generate -n 40 --stop ' ball. \"C' ''", tiny);
    assert_int_equal(strncmp(o->out, whole, strlen(whole)), 0);
    assert_string_equal(o->out + strlen(whole), "\n");
    json_decref(result);
}

/* --max-length counts the prompt, --max-new-tokens does not; the first reached ends it. */
static void lengths(void **state)
{
    (void)state;
    static const struct {
        const char *options;
        int prompt, new;
    } cases[] = {
        {"--max-length 12 --ids '1 329 330 370'", 4, 8},
        {"--max-new-tokens 12 --ids '1 329 330 370'", 4, 12},
        {"--max-length 9 --max-new-tokens 7 --ids '1 329 330 370'", 4, 5},
        {"--max-length 30 --max-new-tokens 7 --ids '1 329 330 370'", 4, 7},
        {"--max-length 2 --ids 1", 1, 1},
        {"--ignore-eos --ids 1", 1, LENGTH - 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *result =
            parse(command_line(NULL, "%s generate --json %s", tiny, cases[i].options)->out);
        assert_int_equal(json_array_size(json_object_get(result, "prompt_ids")), cases[i].prompt);
        assert_int_equal(json_array_size(json_object_get(result, "ids")), cases[i].new);
        assert_string_equal(text_of(result, "stop_reason"), "length");
        json_decref(result);
    }
}

static void too_long(void **state)
{
    (void)state;
    char ids[8 * LENGTH] = "1";
    for (int i = 1; i < LENGTH; i++)
        strcat(ids, " 329");
    const struct outcome *o = command_line(NULL, "%s generate --ids '%s'", tiny, ids);
    assert_int_equal(o->code, 2);
    assert_int_equal(o->out_length, 0);
    assert_non_null(strstr(o->err, "256 tokens"));
    o = command_line(NULL, "%s generate --max-length %d x", tiny, LENGTH + 1);
    assert_int_equal(o->code, 2);
}

/* A copy of the tiny model with other end tokens: each of them ends the text and is none of it. */
static void several_eos(void **state)
{
    (void)state;
    static const char *const files[] = {"config.json", "model.safetensors", "tokenizer.model"};
    static const char generation[] = "{\"eos_token_id\": [2, 274, 282]}";
    char model[PATH], program[PATH + 8], path[2 * PATH], target[2 * PATH];
    snprintf(model, sizeof model, "%s/ends", folder);
    command_run(NULL, (const char *const[]){"mkdir", model, NULL});
    for (int i = 0; i < 3; i++) {
        snprintf(target, sizeof target, "%s/%s", fixtures, files[i]);
        snprintf(path, sizeof path, "%s/%s", model, files[i]);
        assert_int_equal(symlink(target, path), 0);
    }
    snprintf(path, sizeof path, "%s/generation_config.json", model);
    command_write_file(path, generation, sizeof generation - 1);
    snprintf(program, sizeof program, "%s.run", model);
    build(model, "", program);
    json_t *result = parse(command_line(NULL, "%s generate --json -n 60 ''", program)->out);
    assert_string_equal(text_of(result, "stop_reason"), "eos");
    json_t *ids = json_object_get(result, "ids");
    assert_int_equal(json_array_size(ids), 4); /* 329 330 370 274 */
    assert_string_equal(text_of(result, "text"), "One day,");
    json_decref(result);
    result = parse(
        command_line(NULL, "%s generate --json -n 60 --ids '1 329 330 370 274'", program)->out);
    ids = json_object_get(result, "ids"); /* 198 172 316 260 300 282 */
    assert_int_equal(json_array_size(ids), 6);
    assert_string_equal(text_of(result, "stop_reason"), "eos");
    json_decref(result);
    result = parse(command_line(NULL, "%s generate --json -n 20 --ignore-eos ''", program)->out);
    assert_int_equal(json_array_size(json_object_get(result, "ids")), 20);
    json_decref(result);
}

static int set_up(void **state)
{
    char path[2 * PATH];
    (void)state;
    command_folder(folder, sizeof folder, "program");
    snprintf(compiler, sizeof compiler, "%s", SINTER_COMPILER);
    snprintf(tiny, sizeof tiny, "%s/tiny", folder);
    snprintf(stories, sizeof stories, "%s/stories", folder);
    if (!realpath("tests/fixtures/tiny", fixtures))
        return -1;
    snprintf(stories_model, sizeof stories_model, "%s/weights/stories260K/hf_derived",
             shared_data());
    snprintf(path, sizeof path, "%s/golden_greedy.json", stories_model);
    has_stories = !getenv("SINTER_NO_SHARED") && access(path, R_OK) == 0;
    build(fixtures, "--batch 3", tiny);
    if (has_stories)
        build(stories_model, "", stories);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    command_remove(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tiny_greedy),
        cmocka_unit_test(stories_greedy),
        cmocka_unit_test(tiny_first_logits),
        cmocka_unit_test(stories_first_logits),
        cmocka_unit_test(tiny_score),
        cmocka_unit_test(stories_score),
        cmocka_unit_test(executables),
        cmocka_unit_test(start_time),
        cmocka_unit_test(fields),
        cmocka_unit_test(prompts),
        cmocka_unit_test(batch_file),
        cmocka_unit_test(streaming),
        cmocka_unit_test(stop_strings),
        cmocka_unit_test(lengths),
        cmocka_unit_test(too_long),
        cmocka_unit_test(several_eos),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
