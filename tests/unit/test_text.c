/*
 * IR text: print and parse are inverses on generated modules and on everything that text can hold;
 * errors stand at their line and column; damaged text never crashes the parser.
 */
#include "ir/build.h"
#include "passes/passes.h"
#include "tests/outputs.h"
#include "tests/random_graph.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { GRAPHS = 150, DAMAGED = 1500 };

/* Parses a text, verifies and prints it again; NULL with a message if it is refused. */
static char *reprint(struct arena *arena, const char *text, size_t length, size_t *out_length)
{
    jmp_buf trap;
    char *volatile printed = NULL;
    uint32_t file = diag_add_source("text.ir", text, length);
    if (setjmp(trap) == 0) {
        diag_set_trap(&trap);
        struct module *module = ir_parse(arena, file);
        ir_verify(module, "parse", true);
        printed = ir_print(module, out_length);
    }
    diag_set_trap(NULL);
    return printed;
}

static void assert_fixpoint(struct arena *arena, struct module *module, uint64_t seed)
{
    size_t length, again_length = 0;
    char *text = ir_print(module, &length);
    char *again = reprint(arena, text, length, &again_length);
    if (!again)
        fail_msg("seed %llu: %s", (unsigned long long)seed, diag_last_message());
    assert_int_equal(length, strlen(text));
    assert_int_equal(again_length, length);
    assert_string_equal(text, again);
}

static void random_modules_come_back(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < GRAPHS; seed++) {
        struct arena *arena = arena_create();
        struct random_options options = {.nodes = 5 + (int)(seed % 40), .structured = seed % 2};
        struct module *module = random_graph(arena, seed, &options);
        assert_fixpoint(arena, module, seed);
        pass_simplify(module);
        assert_fixpoint(arena, module, seed);
        arena_destroy(arena);
    }
}

static void parsed_modules_compute_the_same(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct arena *arena = arena_create();
        struct random_options options = {.nodes = 25, .structured = true};
        struct module *module = random_graph(arena, seed, &options);
        size_t length;
        char *text = ir_print(module, &length);
        struct module *copy = ir_parse(arena, diag_add_source("copy.ir", text, length));
        struct outputs a = outputs_of(module, module->functions.items[0], INTERP_ROUNDED, 1, false);
        struct outputs b = outputs_of(copy, copy->functions.items[0], INTERP_ROUNDED, 1, false);
        assert_null(outputs_differ(&a, &b, 0));
        outputs_free(&a);
        outputs_free(&b);
        arena_destroy(arena);
    }
}

/* Every part of the grammar, in the printer's own spelling. */
static const char full[] =
    "ir 1\n"
    "module \"odd name\" stage=plan target=\"x86-64-v4\" arena=0x1000 state=0x40\n"
    "file 1 \"dir/a \\\"b\\\".model\"\n"
    "fact layers \"4\"\n"
    "fact \"a b\" \"line\\x0a\\xff\\\\\"\n"
    "blob \"0123456789abcdef\" 5 \"AQIDBAU=\"\n"
    "blob \"0123456789abcde0\" 0 \"\"\n"
    "\n"
    "weight %w {tensor=\"a.b/c d\" file=m.safetensors offset=1024 stored=bf16 init=0.02} : "
    "f32[8,4] @ w+0x400 !1:2:3 ^layers.0\n"
    "\n"
    "state %cache.0 {fill=-1 source=w} : f32[8,4] @ a+0x0\n"
    "\n"
    "func \"run it\" {role=decode chunk=1} !1:1:1\n"
    "  param %x : f32[4,8] @ a+0x40\n"
    "  kernel k1 matmul {tiles=4 rows=2 lanes=16 dots}\n"
    "    %c = const {value=-inf dtype=f32} : f32[] @ reg\n"
    "    %n = const {value=nan dtype=f32} : f32[] @ reg\n"
    "    %t = transpose %x {perm=[1,0]} : f32[8,4]/[1,8] @ view !1:4294967295:1\n"
    "    %m = matmul %x, %w : f32[4,4] @ a+0xc0 !1:9:9 ^\"a b\"\n"
    "  kernel \"k 2\" sort\n"
    "    %s, %i = sort %m {axis=1 descending} : f32[4,4], i32[4,4] @ a+0x100, a+0x140\n"
    "  store %cache.0 = %t !1:3:3\n"
    "  return %i as \"the ids\"\n"
    "end\n";

static char *without_costs(struct arena *arena, const char *text)
{
    char *copy = arena_copy(arena, text, strlen(text)), *to = copy;
    for (const char *from = text; *from; from++) {
        if (from[0] == ' ' && from[1] == ';')
            from = strchr(from, '\n');
        *to++ = *from;
    }
    *to = '\0';
    return copy;
}

static void all_of_the_grammar(void **state)
{
    (void)state;
    struct arena *arena = arena_create();
    uint32_t file = diag_add_source("full.ir", full, strlen(full));
    struct module *module = ir_parse(arena, file);
    assert_string_equal(without_costs(arena, ir_print(module, NULL)), full);
    assert_int_equal(module->blobs.items[0].size, 5);
    assert_memory_equal(module->blobs.items[0].bytes, "\1\2\3\4\5", 5);
    assert_string_equal(module->facts.items[1].value, "line\n\xff\\");
    arena_destroy(arena);
}

static void blanks_comments_and_order_of_attributes_are_free(void **state)
{
    (void)state;
    static const char text[] =
        "; a remark\n\nir 1 ; one\nmodule  t\tstage=lower\nfunc f\n\n"
        "param %x:f32[ 2, 3 ]\n%y=sum %x{axes=[ 1 ]}:f32[2,1];12 flops\n\nreturn %y as y\nend";
    struct arena *arena = arena_create();
    size_t length;
    char *printed = reprint(arena, text, strlen(text), &length);
    assert_non_null(printed);
    assert_non_null(strstr(printed, "  %y = sum %x {axes=[1]} : f32[2,1] ; 6 flops 32 bytes\n"));
    arena_destroy(arena);
}

/* --- errors --- */

static const struct {
    const char *body, *message; /* after "ir 1\nmodule t stage=lower\n" */
} errors[] = {
    {"func f\n %y = exp %x : f32[2]\nend\n", "'%x' is not defined before this line"},
    {"func f\n param %x : f32[2]\n param %x : f32[2]\nend\n", "'x' is defined twice"},
    {"weight %x : f32[2]\nfunc f\n param %x : f32[2]\nend\n", "'x' is defined twice"},
    {"func f\nend\nfunc f\nend\n", "'f' is defined twice"},
    {"func f\n param %x : f33[2]\nend\n", "expected an element type"},
    {"func f\n param %x : f32[-2]\nend\n", "the result of this line is too large"},
    {"func f\n param %x : f32[1,1,1,1,1,1,1,1,1]\nend\n", "expected at most 8 items"},
    {"func f\n param %x : f32[99999999999999999999]\nend\n", "expected an integer of 64 bits"},
    {"func f\n param %x : f32[2] !1:1:1\nend\n", "expected the number of a file line"},
    {"func f\n param %x : f32[2] @ q\nend\n", "expected a place"},
    {"func f\n param %x : f32[2] @ a+0x\nend\n", "expected a number from 0 to"},
    {"func f\n param %x : f32[2] $\nend\n", "expected no such character here"},
    {"func f\n param %x : f32[2] {axis=1}\nend\n", "expected the end of the line"},
    {"func f\n param %x {axis=1 axis=2} : f32[2]\nend\n", "expected each attribute once"},
    {"func f\n param %x {axes=1} : f32[2]\nend\n", "expected '['"},
    {"func f\n param %x {what=1} : f32[2]\nend\n", "expected the name of an attribute"},
    {"func f\n param %x..y : f32[2]\nend\n", "expected a name"},
    {"func f\n param %9 : f32[2]\nend\n", "expected a name"},
    {"func f\n param %x : f32[2]\n %y = exp %x, : f32[2]\nend\n", "expected another operand"},
    {"func f\n param %x : f32[2]\n %y = exp %x : f32[2]\n", "expected 'end' of the function"},
    {"func f\n return %x as y\nend\n", "'%x' is not defined before this line"},
    {"func f\n param %x : f32[2]\n store %x = %x\nend\n", "expected a state"},
    {"func f\n kernel k what\nend\n", "expected the name of a kernel skeleton"},
    {"func f\n kernel k loop\n kernel k loop\nend\n", "'k' is defined twice"},
    {"fact x \"unclosed\nfunc f\nend\n", "expected a closing '\"'"},
    {"fact x \"\\q\"\n", "expected \\\\, \\\" or \\xNN"},
    {"fact x \"\\x00\"\n", "expected \\\\, \\\" or \\xNN"},
    {"file 2 \"a\"\n", "expected files numbered 1, 2, 3"},
    {"blob \"x\" 1 \"AA==\"\n", "expected a new name of 16 hexadecimal digits"},
    {"blob \"0123456789abcdef\" 9 \"AA==\"\n", "expected a string with this many bytes"},
    {"blob \"0123456789abcdef\" 1099511627776 \"\"\n", "expected a string with this many bytes"},
    {"blob \"0123456789abcdef\" 1 \"A*==\"\n", "expected base64"},
    {"what\n", "expected a line: file, fact, blob"},
};

static void errors_say_what_and_where(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        struct arena *arena = arena_create();
        char text[512];
        size_t length;
        int size = snprintf(text, sizeof text, "ir 1\nmodule t stage=lower\n%s", errors[i].body);
        char *printed = reprint(arena, text, (size_t)size, &length);
        if (printed || !strstr(diag_last_message(), errors[i].message))
            fail_msg("%s: %s", errors[i].body, printed ? "accepted" : diag_last_message());
        arena_destroy(arena);
    }
}

/* --- damage --- */

static void damage(char *text, size_t *length, uint64_t *seed)
{
    static const char bytes[] = "%@!^;{}[]=,:+/\"\\ \n0179-.exafz_\xff";
    size_t at = random_below(seed, *length);
    switch (random_below(seed, 4)) {
    case 0: text[at] = bytes[random_below(seed, sizeof bytes)]; break;
    case 1: *length = at + 1; break;
    case 2: text[at] = (char)random_below(seed, 256); break;
    case 3: { /* a piece from elsewhere */
        size_t from = random_below(seed, *length), count = random_below(seed, 40);
        for (size_t i = 0; i < count && at + i < *length && from + i < *length; i++)
            text[at + i] = text[from + i];
    }
    }
}

/* Whatever is accepted prints to a fixpoint. */
static void damaged_text_is_refused_or_printed(void **state)
{
    (void)state;
    size_t accepted = 0;
    for (uint64_t i = 0; i < DAMAGED; i++) {
        struct arena *arena = arena_create();
        struct random_options options = {.nodes = 6, .structured = true, .elements = 100};
        uint64_t seed = i;
        size_t length, once_length, twice_length;
        char *text = i % 2 ? ir_print(random_graph(arena, i % 50, &options), &length)
                           : arena_copy(arena, full, length = strlen(full));
        text = arena_copy(arena, text, length);
        for (uint64_t k = random_below(&seed, 3) + 1; k > 0; k--)
            damage(text, &length, &seed);
        char *once = reprint(arena, text, length, &once_length);
        if (once) {
            char *twice = reprint(arena, once, once_length, &twice_length);
            assert_non_null(twice);
            assert_string_equal(once, twice);
            accepted++;
        }
        arena_destroy(arena);
    }
    assert_in_range(accepted, 10, DAMAGED / 2);
}

/* --- names --- */

static void names_are_made_valid_and_unique(void **state)
{
    (void)state;
    struct arena *arena = arena_create();
    struct module *module = module_create(arena, "t");
    struct function *function = module_add_function(module, "f");
    struct builder b = {module, function, {0}, ""};
    struct value *x = build_param(&b, "pos", type_scalar(DTYPE_f32));
    struct value *hostile =
        build_weight(&b, "a b\"\n%", type_scalar(DTYPE_f32), (struct attributes){0});
    assert_string_equal(hostile->name, "_a_b___");
    struct node *y = build_node(&b, OP_exp, &x, 1, (struct attributes){0}, "h");
    struct node *z = build_node(&b, OP_exp, &x, 1, (struct attributes){0}, "h");
    assert_string_equal(z->results[0].name, "h.2");
    struct value *h = build_state(&b, "h", type_scalar(DTYPE_f32), (struct attributes){0});
    assert_string_equal(h->name, "h"); /* a leaf keeps its name, a body value gives way */
    assert_string_equal(y->results[0].name, "h.3");
    struct value *pos = build_state(&b, "pos", type_scalar(DTYPE_f32), (struct attributes){0});
    assert_string_equal(pos->name, "pos.2"); /* a param keeps its name */
    build_output(&b, "y", &y->results[0]);
    build_output(&b, "z", &z->results[0]);
    struct rebuild r = rebuild_begin(module, function);
    for (size_t i = 0; i < r.old_count; i++)
        rebuild_copy(&r, r.old[i]);
    rebuild_end(&r);
    assert_string_equal(function->nodes.items[0]->results[0].name, "h.3");
    assert_string_equal(function->nodes.items[1]->results[0].name, "h.2");
    ir_verify(module, "test", false);
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_modules_come_back),
        cmocka_unit_test(parsed_modules_compute_the_same),
        cmocka_unit_test(all_of_the_grammar),
        cmocka_unit_test(blanks_comments_and_order_of_attributes_are_free),
        cmocka_unit_test(errors_say_what_and_where),
        cmocka_unit_test(damaged_text_is_refused_or_printed),
        cmocka_unit_test(names_are_made_valid_and_unique),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
