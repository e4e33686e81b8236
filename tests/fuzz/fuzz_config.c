/*
 * Any bytes as a configuration file: parsing ends with a value or with one message, every
 * typed read with a value or a message, and listing the unknown keys never fails.
 */
#include "compiler/frontends/config.h"
#include "ir/base/arena.h"
#include "ir/base/diag.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const paths[] = {
    "hidden_size", "rope_theta",  "rope_scaling.factor",    "rope_parameters.rope_type",
    "dtype",       "layer_types", "rope_scaling.rope_type", "model_type",
    "a.b.c",
};
enum { PATHS = sizeof paths / sizeof *paths };

/* Reads a path as one of four types; a message about its type is as good as a value. */
static void read_typed(struct config_view *view, const char *path, int type)
{
    jmp_buf trap;
    int64_t integer;
    double real;
    bool truth;
    diag_set_trap(&trap);
    if (setjmp(trap) == 0) {
        switch (type) {
        case 0: config_int(view, path, &integer); break;
        case 1: config_float(view, path, &real); break;
        case 2: config_bool(view, path, &truth); break;
        default: config_text(view, path); break;
        }
    }
    diag_set_trap(NULL);
}

static void read_all(struct config_view *view)
{
    for (int i = 0; i < PATHS; i++) {
        struct config_value value = config_get(view, paths[i]);
        if (value.kind == CONFIG_TEXT && !value.text)
            abort();
        for (int type = 0; type < 4; type++)
            read_typed(view, paths[i], type);
    }
    const char *unknown = config_unknown(view);
    if (unknown && !*unknown && !config_key(view, 0))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    jmp_buf trap;
    struct arena *arena = arena_create();
    struct config_view *volatile view = NULL;
    diag_set_trap(&trap);
    if (setjmp(trap) == 0)
        view = config_parse(arena, "input", (const char *)data, size);
    else if (!*diag_last_message())
        abort();
    diag_set_trap(NULL);
    if (view)
        read_all(view);
    arena_destroy(arena);
    return 0;
}
