/* Fuzz target: IR text. What is accepted must verify or be refused, and print to a fixpoint. */
#include "ir/ir.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

/* The text of what was parsed; NULL if it was refused. */
static char *parse_and_print(struct arena *arena, const char *text, size_t size, size_t *out_size)
{
    jmp_buf trap;
    char *volatile printed = NULL;
    if (setjmp(trap) == 0) {
        diag_set_trap(&trap);
        struct module *module = ir_parse(arena, diag_add_source("fuzz.ir", text, size));
        ir_verify(module, "parse", true);
        printed = ir_print(module, out_size);
    }
    diag_set_trap(NULL);
    return printed;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct arena *arena = arena_create();
    size_t once_size, twice_size;
    char *once = parse_and_print(arena, (const char *)data, size, &once_size);
    char *twice = once ? parse_and_print(arena, once, once_size, &twice_size) : NULL;
    if (once && (!twice || once_size != twice_size || memcmp(once, twice, once_size) != 0))
        abort();
    arena_destroy(arena);
    return 0;
}
