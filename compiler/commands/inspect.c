/* `sinter inspect`: what is in a model directory. */
#include "compiler/inspect.h"
#include "compiler/options.h"
#include "ir/base/arena.h"

int command_inspect(const struct options *options)
{
    struct arena *arena = arena_create();
    struct inspection inspection = inspect_directory(arena, options->arguments[0], options->hash);
    if (options->json)
        inspect_write_json(&inspection, stdout);
    else
        inspect_print(&inspection, stdout);
    arena_destroy(arena);
    return EXIT_OK;
}
