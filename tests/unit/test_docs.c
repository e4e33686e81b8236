/* docs/ir.md is what the tables give, and its example is valid IR text. Run from the root. */
#include "ir/docs.h"

#include "ir/ir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void the_reference_is_fresh(void **state)
{
    (void)state;
    struct arena *arena = arena_create();
    const char *fresh = ir_docs(arena);
    size_t size = strlen(fresh);
    char *text = arena_array(arena, char, size + 2);
    FILE *file = fopen("docs/ir.md", "rb");
    assert_non_null(file);
    size_t length = fread(text, 1, size + 1, file);
    fclose(file);
    if (length != size || memcmp(text, fresh, size) != 0)
        fail_msg("docs/ir.md is not what the tables give; run ir/ir_docs > docs/ir.md");
    arena_destroy(arena);
}

static void the_example_is_valid(void **state)
{
    (void)state;
    struct arena *arena = arena_create();
    const char *text = strstr(ir_docs(arena), "```\nir 1\n") + 4;
    const char *end = strstr(text, "```");
    struct module *module = ir_parse(arena, diag_add_source("example", text, (size_t)(end - text)));
    ir_verify(module, "parse", true);
    char *printed = ir_print(module, NULL);
    assert_int_equal(strlen(printed), end - text);
    assert_memory_equal(printed, text, end - text);
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_reference_is_fresh),
        cmocka_unit_test(the_example_is_valid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
