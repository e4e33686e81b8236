/* Prints docs/ir.md: build/ir/ir_docs > docs/ir.md after a change of a table. */
#include "ir/docs.h"

#include "ir/base/arena.h"

#include <stdio.h>

int main(void)
{
    struct arena *arena = arena_create();
    int failed = fputs(ir_docs(arena), stdout) < 0 || fflush(stdout) != 0;
    arena_destroy(arena);
    return failed;
}
