/*
 * Any bytes as a model description: parsing, configuration and lowering end with a module or
 * with one message; what was lowered verifies, and its text reads back as itself.
 */
#include "compiler/language/language.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LARGEST = 64 << 10 };

static void check_text(struct arena *arena, struct module *module)
{
    size_t length, again;
    const char *text = ir_print(module, &length);
    struct module *read = ir_parse(arena, diag_add_source("dump", text, length));
    const char *same = ir_print(read, &again);
    if (again != length || memcmp(text, same, length) != 0)
        abort();
}

static void lower(struct arena *arena, uint32_t source, bool training)
{
    struct setting settings[] = {{"depth", "2"}};
    struct lower_options options = {.batch = 2, .seq = 4, .training = training};
    struct description *description = description_parse(arena, source);
    const char *type = description_model_types(description)[0];
    for (const char *const *key = description_keys(arena, description, type); *key; key++)
        options.setting_count |= strcmp(*key, "num_hidden_layers") == 0;
    options.settings = settings;
    options.model_type = type;
    struct module *module = module_create(arena, description_name(description));
    description_lower(module, description, "first", &options);
    options.seq = 1;
    description_lower(module, description, "second", &options);
    ir_verify(module, "lower", false);
    check_text(arena, module);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > LARGEST)
        return 0;
    for (volatile int training = 0; training < 2; training++) { /* kept across the trap */
        struct arena *arena = arena_create();
        jmp_buf trap;
        diag_set_trap(&trap);
        int code = setjmp(trap);
        if (code == 0)
            lower(arena, diag_add_source("fuzz.model", (const char *)data, size), training);
        else if (code == EXIT_INTERNAL)
            abort();
        diag_set_trap(NULL);
        arena_destroy(arena);
    }
    return 0;
}
