/*
 * What description_lower promises to its callers: shared weights and states, ordinals, scopes,
 * names that are safe whatever the text says, and what a description tells about itself.
 */
#include "compiler/language/language.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct description *parse(struct arena *arena, const char *text)
{
    return description_parse(arena, diag_add_source("test.model", text, strlen(text)));
}

static struct function *lower(struct module *module, struct description *description,
                              const char *name, int64_t seq, bool training)
{
    struct lower_options options = {.batch = 2, .seq = seq, .training = training};
    return description_lower(module, description, name, &options);
}

static const struct value *weight_of(const struct module *module, const char *tensor)
{
    for (size_t i = 0; i < module->weights.count; i++)
        if (strcmp(node_text(module->weights.items[i], tensor), tensor) == 0)
            return &module->weights.items[i]->results[0];
    fail_msg("no weight of tensor %s", tensor);
    return NULL;
}

static void functions_share_weights(void **state)
{
    (void)state;
    struct arena *arena = arena_create();
    struct description *d = parse(
        arena, "model m\nentry e {\n  input x : f32[batch, seq]\n"
               "  weight spare : [seq] from \"spare\"\n"
               "  if seq > 4 { weight late : [1] from \"late\"\n x = x * late }\n"
               "  repeat i in 0..2 as layers { weight w : [1] init random(0.5)\n x = x + w }\n"
               "  output y = x\n}\n");
    struct module *module = module_create(arena, "m");
    lower(module, d, "short", 4, false);
    assert_int_equal(module->weights.count, 2); /* `spare` is not used */
    const struct value *first = weight_of(module, "layers.0.w");
    lower(module, d, "long", 8, false);
    assert_int_equal(module->weights.count, 3);
    assert_ptr_equal(weight_of(module, "layers.0.w"), first);
    assert_true(node_real(first->node, init) == 0.5);
    assert_string_equal(first->node->scope, "layers.0");
    int64_t seen = 0;
    for (size_t i = 0; i < 3; i++) {
        int64_t bit = (int64_t)1 << node_int(module->weights.items[i], ordinal);
        assert_false(seen & bit);
        seen |= bit;
    }
    ir_verify(module, "lower", false);
    arena_destroy(arena);
}

static void tied_heads_are_one_weight(void **state)
{
    (void)state;
    struct arena *arena = arena_create();
    struct description *d =
        parse(arena, "model m\nconfig { tied = true }\nentry e {\n  input x : f32[2, 3]\n"
                     "  weight a : [3, 3] from \"a\"\n"
                     "  weight b : [3, 3] from \"a\" if tied else \"b\"\n"
                     "  output y = x @ a @ transpose(b)\n}\n");
    struct module *module = module_create(arena, "m");
    struct function *f = lower(module, d, "f", 0, false);
    const struct node *last = f->bindings.items[0].value->node;
    assert_int_equal(module->weights.count, 1);
    assert_int_equal(last->op, OP_matmul);
    assert_true(node_int(last, transb));
    assert_int_equal(f->nodes.count, 2); /* the transpose is in the product */
    assert_int_equal(last->location.line, 7);
    assert_int_equal(last->location.column, 20);
    arena_destroy(arena);
}

static const char batch_norm[] =
    "model m\nentry e {\n  input x : f32[2, 3]\n"
    "  state centre : [3] from \"centre\" init constant(0.25)\n"
    "  if training { update centre = 0.9 * centre + 0.1 * sum(x, axis=0, keep=false) }\n"
    "  output y = x - centre\n}\n";

static void states_live_in_training(void **state)
{
    (void)state;
    struct arena *arena = arena_create();
    struct description *d = parse(arena, batch_norm);
    struct module *module = module_create(arena, "m");
    struct function *fit = lower(module, d, "fit", 0, true);
    struct function *predict = lower(module, d, "predict", 0, false);
    assert_int_equal(module->states.count, 1);
    const struct node *centre = module->states.items[0];
    assert_true(node_real(centre, fill) == 0.25);
    assert_string_equal(node_text(centre, source), weight_of(module, "centre")->name);
    assert_int_equal(fit->bindings.count, 2);
    assert_ptr_equal(fit->bindings.items[0].state, &centre->results[0]);
    assert_int_equal(predict->bindings.count, 1);
    ir_verify(module, "lower", false);
    struct module *alone = module_create(arena, "m");
    lower(alone, d, "predict", 0, false);
    assert_int_equal(alone->states.count, 0);
    assert_int_equal(alone->weights.count, 1);
    arena_destroy(arena);
}

/* --- names --- */

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

/* A string for model text that no name of the IR may be made of. */
static const char *hostile_name(struct arena *arena, uint32_t *random)
{
    static const char *const pieces[] = {"\\\"", "\\\\", "*/", "//",   "%",    "\xc3\xa9", "\\{",
                                         " ",    "\t",   "#",  "$(",   "`",    "\xff",     "..",
                                         "a",    "0",    "\r", "\x01", "?\?/", ";"};
    const char *text = "!";
    size_t count = next_random(random) % 12;
    for (size_t i = 0; i < count; i++)
        text = arena_printf(arena, "%s%s", text,
                            pieces[next_random(random) % (sizeof pieces / sizeof *pieces)]);
    return text;
}

static struct module *lower_named(struct arena *arena, const char *tensor)
{
    const char *text = arena_printf(arena,
                                    "model m\nentry e {\n  input x : f32[2, 3]\n"
                                    "  weight w : [3] from \"%s\"\n  output y = x * w\n}\n",
                                    tensor);
    struct module *module = module_create(arena, "m");
    lower(module, parse(arena, text), "f", 0, false);
    return module;
}

static void hostile_tensors_become_ordinals(void **state)
{
    (void)state;
    uint32_t random = 1;
    for (int i = 0; i < 1000; i++) {
        struct arena *arena = arena_create();
        size_t length, again;
        struct module *module = lower_named(arena, hostile_name(arena, &random));
        const struct node *weight = module->weights.items[0];
        assert_string_equal(weight->results[0].name, "w0");
        const char *text = ir_print(module, &length);
        const char *read = ir_print(ir_parse(arena, diag_add_source("dump", text, length)), &again);
        assert_int_equal(length, again);
        assert_memory_equal(text, read, length);
        struct attributes *attributes = &((struct node *)weight)->attributes;
        attributes_remove(attributes, ATTRIBUTE_tensor);
        const char *hostile = ir_print(module, &length);
        struct module *neutral = lower_named(arena, "!");
        attributes_remove(&neutral->weights.items[0]->attributes, ATTRIBUTE_tensor);
        assert_string_equal(hostile, ir_print(neutral, &again));
        arena_destroy(arena);
    }
}

static void long_names_do_not_reach_the_ir(void **state)
{
    (void)state;
    struct arena *arena = arena_create();
    char name[60];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    const char *text =
        arena_printf(arena,
                     "model %s\nentry %s {\n  input %s : f32[2]\n  weight %s_w : [2]\n"
                     "  repeat i in 0..1 as %s { %s_x = %s + %s_w }\n  output %s_y = %s_x * 2\n}\n",
                     name, name, name, name, name, name, name, name, name, name);
    struct description *d = parse(arena, text);
    struct module *module = module_create(arena, "m");
    size_t length;
    lower(module, d, "f", 0, false);
    attributes_remove(&module->weights.items[0]->attributes, ATTRIBUTE_tensor);
    assert_null(strstr(ir_print(module, &length), name));
    arena_destroy(arena);
}

/* --- what a description tells --- */

static void count_type(void *context, const char *type)
{
    assert_non_null(type);
    ++*(int *)context;
}

static void shipped_descriptions_are_found(void **state)
{
    (void)state;
    static const char *const types[] = {"mistral", "llama", "qwen2", "gemma"};
    struct arena *arena = arena_create();
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        assert_non_null(description_find(arena, types[i]));
    assert_null(description_find(arena, "nothing"));
    assert_null(description_find(arena, "prelude"));
    assert_null(description_shipped(arena, "prelude"));
    assert_string_equal(description_name(description_shipped(arena, "gemma")), "gemma");
    int count = 0;
    description_each_type(arena, count_type, &count);
    assert_int_equal(count, 4);
    arena_destroy(arena);
}

static void overrides_change_keys_and_defaults(void **state)
{
    (void)state;
    struct arena *arena = arena_create();
    struct description *d = parse(arena, "model m\nconfig {\n  a = 1 from key_a or other\n"
                                         "  b = a + 1\n}\nserves t { a = 5 from key_t }\n"
                                         "entry e { output y = full([1], b) }\n");
    const char *const *keys = description_keys(arena, d, NULL);
    assert_string_equal(keys[0], "key_a");
    assert_string_equal(keys[1], "other");
    assert_null(keys[2]);
    keys = description_keys(arena, d, "t");
    assert_string_equal(keys[0], "key_t");
    assert_null(keys[1]);
    struct lower_options options = {0};
    assert_int_equal(description_config_integer(arena, d, &options, "b"), 2);
    options.model_type = "t";
    assert_int_equal(description_config_integer(arena, d, &options, "b"), 6);
    struct setting setting = {"key_t", "9"};
    options.settings = &setting;
    options.setting_count = 1;
    assert_int_equal(description_config_integer(arena, d, &options, "b"), 10);
    assert_int_equal(description_config_integer(arena, d, &options, "c"), -1);
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_share_weights),
        cmocka_unit_test(tied_heads_are_one_weight),
        cmocka_unit_test(states_live_in_training),
        cmocka_unit_test(hostile_tensors_become_ordinals),
        cmocka_unit_test(long_names_do_not_reach_the_ir),
        cmocka_unit_test(shipped_descriptions_are_found),
        cmocka_unit_test(overrides_change_keys_and_defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
