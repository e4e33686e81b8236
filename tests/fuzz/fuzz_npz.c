/* Any bytes as an npz file: parsing ends with arrays whose bytes can all be read, or with one
 * message. */
#include "compiler/frontends/npz.h"
#include "ir/base/arena.h"
#include "ir/base/diag.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_create();
    char *bytes = malloc(size ? size : 1); /* no longer, so that reading beyond it shows */
    volatile double sum = 0;
    jmp_buf trap;
    if (!bytes)
        abort();
    memcpy(bytes, data, size);
    diag_set_trap(&trap);
    if (setjmp(trap) == 0) {
        struct npz npz = npz_parse(arena, "fuzz.npz", bytes, size);
        for (size_t i = 0; i < npz.count; i++) {
            const struct type *type = &npz.items[i].type;
            sum = sum + dtype_load(type->dtype, npz.items[i].bytes, type_elements(type) - 1);
        }
    }
    diag_set_trap(NULL);
    free(bytes);
    arena_destroy(arena);
    return 0;
}
