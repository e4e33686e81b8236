/*
 * A thousand hostile names in every text that a user controls: the emitted C holds none of
 * their bytes outside string literals and number tables, is plain ASCII throughout, and is the
 * same program as with ordinary names. What the literals say is what was given.
 */
#include "backends/c/emit.h"
#include "compiler/job.h"
#include "compiler/tokenizer/tokenizer.h"
#include "tests/command.h"

#include <dlfcn.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { NAMES = 1000, COMPILED = 40, LONG = 64 << 10 };

/* Stands in every hostile name, and nowhere else. */
static const char marker[] = "Zq7x";

static const char *const pieces[] = {
    "\"",
    "\\",
    "\\\"",
    "\n",
    "\r\n",
    "*/",
    "/*",
    "//",
    "\\\n",
    "?\?/",
    "?\?/\n",
    "?\?)",
    "'",
    "`id`",
    "$(touch pwned)",
    "; rm x",
    "%s%n",
    "%:define x",
    "<:",
    "{}",
    "\x01",
    "\x1b[2J",
    "\x7f",
    "\xff\xfe",
    "\xc0\xaf",
    "\xe2\x80\xae",
    "\xe2\x81\xa6",
    "\xef\xbb\xbf",
    "\xc3\xa9",
    "#include </etc/passwd>\n",
    "\n#error\n",
    "__asm__(\"int3\")",
    "rt_program",
    "../../x",
    " ",
    "\t",
    "\\x41",
    "\\u0041",
    "\v\f",
    "_Pragma(\"x\")",
};
enum { PIECES = sizeof pieces / sizeof *pieces };

static struct arena *arena;
static const char *hostile[NAMES], *neutral[NAMES];

static const char *long_name(int number)
{
    char *text = arena_alloc(arena, LONG + 32, 1);
    int length = snprintf(text, 32, "%s%d", marker, number);
    for (int i = length; i < LONG; i++)
        text[i] = "\"*/\n\\?"[i % 6];
    return text;
}

static void make_names(void)
{
    for (int i = 0; i < NAMES; i++) {
        const char *a = pieces[i % PIECES], *b = pieces[i / PIECES % PIECES];
        hostile[i] = arena_printf(arena, "%s%s%d%s%s", a, marker, i, b, i % 7 ? "" : a);
        neutral[i] = arena_printf(arena, i ? "kernel.%d" : "kernel", i + 1);
    }
    for (int i = 0; i < 4; i++)
        hostile[100 + i] = long_name(i);
    hostile[200] = ""; /* and some that look the same once their bytes are replaced */
    for (int i = 0; i < 8; i++)
        hostile[300 + i] = arena_printf(arena, "a%c%s", "*/\"\\?%;'"[i], marker);
}

/* --- the emitted text --- */

/* Where the literal or comment that starts here ends; `at + 1` if none does. */
static const char *token_end(const char *at)
{
    if (at[0] == '/' && at[1] == '*')
        return strstr(at + 2, "*/") + 2;
    if (at[0] == '/' && at[1] == '/')
        return at + strcspn(at, "\n");
    if (*at != '"' && *at != '\'')
        return at + 1;
    const char *end = at + 1;
    while (*end && *end != *at)
        end += *end == '\\' && end[1] ? 2 : 1;
    return end + 1;
}

/* The text with nothing between the quotes of string literals. */
static char *without_literals(const char *text)
{
    char *out = arena_alloc(arena, strlen(text) + 1, 1), *to = out;
    for (const char *at = text, *end; *at; at = end) {
        end = token_end(at);
        if (*at == '"') {
            *to++ = '"';
            *to++ = '"';
        } else {
            memcpy(to, at, (size_t)(end - at));
            to += end - at;
        }
    }
    return out;
}

static void assert_clean(const struct emit_text *text)
{
    assert_int_equal(strlen(text->text), text->length);
    for (size_t i = 0; i < text->length; i++)
        if (text->text[i] != '\n' && (text->text[i] < ' ' || text->text[i] > '~'))
            fail_msg("byte %u at %zu", (unsigned)(unsigned char)text->text[i], i);
    assert_null(strstr(text->text, "?\?"));
    const char *found = strstr(without_literals(text->text), marker);
    if (found)
        fail_msg("a name is in the text: %.60s", found);
}

static void assert_same_program(const char *a, const char *b)
{
    char *x = without_literals(a), *y = without_literals(b);
    for (size_t i = 0; x[i] || y[i]; i++)
        if (x[i] != y[i])
            fail_msg("programs differ at %zu:\n%.80s\n%.80s", i, x + i, y + i);
}

static struct emit_text emit(struct module *module, const struct program_facts *facts)
{
    struct emit_options options = {.facts = *facts, .units = 1};
    options.target = target_find(module->target);
    assert_non_null(options.target);
    return backend_c_emit(module, &options).units[0];
}

/* --- modules --- */

/* A chain of `count` kernels that all differ, with one weight each; its tensors' names. */
static char *description(const char *const *tensors, int count)
{
    size_t capacity = 1024, length = 0;
    for (int i = 0; i < count; i++)
        capacity += 200 + 2 * strlen(tensors[i]);
    char *text = arena_alloc(arena, capacity, 1);
    length += (size_t)sprintf(text, "model m\nentry e {\n    input x : f32[batch, 4]\n");
    for (int i = 0; i < count; i++) {
        length += (size_t)sprintf(text + length, "    weight w%d : [4, 4] from \"", i);
        for (const char *c = tensors[i]; *c; c++) {
            if (strchr("\"\\{", *c))
                text[length++] = '\\';
            text[length++] = *c;
        }
        length += (size_t)sprintf(text + length,
                                  "\" init random(0.1)\n    x = linear(x, w%d) * "
                                  "%d.5\n",
                                  i, i + 1);
    }
    sprintf(text + length, "    output y = x\n}\n");
    return text;
}

/* Lowered and planned. The words of `sinter` that say so are the ordinary ones. */
static struct module *planned(const char *const *tensors, int count)
{
    char *path = arena_printf(arena, "/tmp/sinter-hostile-XXXXXX"); /* kept for messages */
    char *text = description(tensors, count);
    close(mkstemp(path));
    command_write_file(path, text, strlen(text));
    struct options *options = arena_new(arena, struct options);
    char *words[] = {"sinter", "build", path, "--cpu", "x86-64-v3"};
    assert_int_equal(
        rt_command_line_parse(&compiler_command_table, (struct command_line *)options, 5, words),
        0);
    struct job job = job_open(arena, options);
    job_run(&job);
    unlink(path);
    assert_int_equal(job.module->weights.count, count);
    return job.module;
}

/* Every text of the module that IR text may set becomes one of the names. */
static void rename_all(struct module *module, const char *const *names)
{
    size_t number = 0;
    module->name = names[1];
    for (size_t f = 0; f < module->functions.count; f++) {
        struct function *function = module->functions.items[f];
        function->name = names[2];
        for (size_t k = 0; k < function->kernels.count; k++)
            function->kernels.items[k]->name = names[k % NAMES];
        for (size_t i = 0; i < function->nodes.count; i++)
            function->nodes.items[i]->scope = names == hostile ? names[number++ % NAMES] : "";
        for (size_t i = 0; i < function->bindings.count; i++)
            function->bindings.items[i].name = names[3 + i];
    }
    for (size_t i = 0; i < module->weights.count; i++) {
        struct attributes *attributes = &module->weights.items[i]->attributes;
        attributes_set_text(arena, attributes, ATTRIBUTE_tensor, names[i % NAMES]);
        attributes_set_text(arena, attributes, ATTRIBUTE_file, names[(i + 500) % NAMES]);
    }
    for (int i = 0; i < NAMES; i++)
        module_add_fact(module, names[i], names[NAMES - 1 - i]);
}

/* Through print and parse: what IR text can say, and nothing else. */
static struct module *as_text(struct module *module)
{
    size_t length;
    char *text = ir_print(module, &length);
    return ir_parse(arena, diag_add_source("dump.ir", text, length));
}

static struct program_facts facts_with(const char *const *names)
{
    return (struct program_facts){.compiler = names[5],
                                  .task = names[6],
                                  .dtype = names[7],
                                  .weights_path = names[8],
                                  .batch = 1,
                                  .bos_id = -1};
}

static void ir_text(void **state)
{
    (void)state;
    const char *texts[2];
    for (int i = 0; i < 2; i++) {
        const char *const *names = i == 0 ? hostile : neutral;
        struct module *module = planned(neutral, NAMES);
        rename_all(module, names);
        module = as_text(module);
        assert_string_equal(module->functions.items[0]->kernels.items[9]->name, names[9]);
        struct program_facts facts = facts_with(names);
        struct emit_text text = emit(module, &facts);
        assert_clean(&text);
        texts[i] = text.text;
    }
    assert_non_null(strstr(texts[0], marker));
    assert_same_program(texts[0], texts[1]);
}

/* Tensors of a description; a line end cannot stand in its strings. */
static void tensors(void **state)
{
    (void)state;
    const char *usable[NAMES], *plain[NAMES];
    const struct program_facts facts = {.bos_id = -1};
    int count = 0;
    for (int i = 0; i < NAMES; i++)
        if (*hostile[i] && !strchr(hostile[i], '\n') && strlen(hostile[i]) < 1000)
            usable[count++] = hostile[i];
    assert_true(count > NAMES / 2);
    for (int i = 0; i < count; i++)
        plain[i] = arena_printf(arena, "w%d", i);
    struct module *module = planned(usable, count);
    for (int i = 0; i < count; i++)
        assert_string_equal(node_text(module->weights.items[i], tensor), usable[i]);
    struct emit_text text = emit(module, &facts), other = emit(planned(plain, count), &facts);
    assert_clean(&text);
    assert_same_program(text.text, other.text);
}

/* Where the code and the models lie: paths of their own for each of the names. */
static void paths(void **state)
{
    (void)state;
    struct module *module = planned(neutral, 1);
    struct program_facts facts = {.weights_path = "", .bos_id = -1};
    const char *ordinary = emit(module, &facts).text;
    for (int i = 0; i < NAMES; i += 25) {
        facts.weights_path = hostile[i];
        struct emit_text text = emit(module, &facts);
        assert_clean(&text);
        assert_same_program(text.text, ordinary);
    }
}

/* --- compiled --- */

/* Clang reads the literals as they were meant. */
static void literals(void **state)
{
    (void)state;
    char path[] = "/tmp/sinter-hostile-XXXXXX", *errors;
    struct object object;
    struct module *module = planned(neutral, COMPILED);
    rename_all(module, hostile);
    struct program_facts facts = facts_with(hostile);
    struct emit_text text = emit(module, &facts);
    enum toolchain_status status = toolchain_compile(
        text.text, text.length, toolchain_target(arena, "x86-64-v3"), &object, &errors);
    if (status != TOOLCHAIN_OK)
        fail_msg("%s", errors);
    free(errors);
    close(mkstemp(path));
    toolchain_link_kernels(&object, 1, path);
    void *library = dlopen(path, RTLD_NOW);
    unlink(path);
    assert_non_null(library);
    const struct rt_program *program = dlsym(library, "rt_program");
    assert_string_equal(program->model, hostile[1]);
    assert_string_equal(program->weights_path, hostile[8]);
    for (int i = 0; i < COMPILED; i++)
        assert_string_equal(program->weights[i].name, hostile[i]);
    for (int i = 0; i < NAMES; i++) {
        assert_string_equal(program->facts[program->fact_count - NAMES + i].name, hostile[i]);
        assert_string_equal(program->facts[program->fact_count - NAMES + i].value,
                            hostile[NAMES - 1 - i]);
    }
    dlclose(library);
    toolchain_free_objects(&object, 1);
}

/* --- directories --- */

/* A vocabulary of the names that JSON can hold, which is those of valid UTF-8. */
static json_t *vocabulary(const char *const *names)
{
    json_t *vocab = json_object();
    for (int i = 0; i < NAMES; i++) {
        json_t *text = strlen(names[i]) < 4096 ? json_string(names[i]) : NULL;
        if (text && !json_object_get(vocab, names[i]))
            json_object_set_new(vocab, names[i], json_integer((json_int_t)json_object_size(vocab)));
        json_decref(text);
    }
    return vocab;
}

static void tokens(void **state)
{
    (void)state;
    json_t *vocab = vocabulary(hostile);
    assert_true(json_object_size(vocab) > NAMES / 2);
    json_t *whole =
        json_pack("{s:s, s:n, s:n, s:[], s:n, s:n, s:{s:s, s:[], s:o}}", "version", "1.0",
                  "normalizer", "pre_tokenizer", "added_tokens", "post_processor", "decoder",
                  "model", "type", "BPE", "merges", "vocab", vocab);
    char *json = json_dumps(whole, 0), folder[64], path[128];
    command_folder(folder, sizeof folder, "tokens");
    snprintf(path, sizeof path, "%s/tokenizer.json", folder);
    command_write_file(path, json, strlen(json));
    struct tokenizer_blob blob = tokenizer_compile(arena, folder);
    command_remove(folder);
    assert_non_null(memmem(blob.bytes, blob.size, marker, strlen(marker)));
    struct program_facts facts = {
        .tokenizer = blob.bytes, .tokenizer_bytes = blob.size, .bos_id = -1};
    struct emit_text text = emit(planned(neutral, 1), &facts);
    assert_clean(&text);
    assert_null(strstr(text.text, marker));
    free(json);
    json_decref(whole);
}

/* A model in a directory, and a program, whose names a shell or an option parser would take
 * for something else. */
static void directories(void **state)
{
    (void)state;
    static const char *const files[] = {"config.json", "model.safetensors", "tokenizer.model"};
    static const char model[] = "-o a;$(touch pwned) \"`touch pwned`'*\n?\?)\xe2\x80\xae\xff";
    static const char program[] = "--help $(touch pwned);\n";
    char folder[64], name[256], *real = realpath("tests/fixtures/tiny", NULL);
    command_folder(folder, sizeof folder, "paths");
    snprintf(name, sizeof name, "%s/%s", folder, model);
    command_run(NULL, (const char *const[]){"mkdir", "--", name, NULL});
    for (int i = 0; i < 3; i++) {
        char target[512], link[512];
        snprintf(target, sizeof target, "%s/%s", real, files[i]);
        snprintf(link, sizeof link, "%s/%s", name, files[i]);
        assert_int_equal(symlink(target, link), 0);
    }
    const struct command_setting there = {.directory = folder};
    const struct outcome *o = command_run(
        &there, (const char *const[]){SINTER_COMPILER, "build", "--max-length", "32", "--emit",
                                      "-e.c", "--output", program, "--", model, NULL});
    if (o->code != 0)
        fail_msg("ended with %d: %s", o->code, o->err);
    snprintf(name, sizeof name, "%s/%s", folder, program);
    o = command_run(&there, (const char *const[]){name, "generate", "-n", "2", "", NULL});
    assert_int_equal(o->code, 0);
    assert_string_equal(o->out, "One day\n");
    snprintf(name, sizeof name, "%s/-e.c", folder);
    struct emit_text text;
    text.text = command_read_file(name, &text.length);
    assert_clean(&text);
    assert_null(strstr(without_literals(text.text), "pwned"));
    assert_int_equal(command_run(&there, (const char *const[]){"test", "-e", "pwned", NULL})->code,
                     1);
    command_remove(folder);
    free(real);
}

static int set_up(void **state)
{
    (void)state;
    arena = arena_create();
    make_names();
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
        cmocka_unit_test(ir_text),  cmocka_unit_test(tensors), cmocka_unit_test(paths),
        cmocka_unit_test(literals), cmocka_unit_test(tokens),  cmocka_unit_test(directories),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
