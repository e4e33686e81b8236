/* Any bytes as a cubin: its facts are read, or it is refused. */
#include "compiler/toolchain/cubin.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct cubin_limits limits = {.mma_count = -1};
    struct cubin_facts facts;
    unsigned char *bytes = malloc(size ? size : 1); /* no longer, so that reading beyond it shows */
    if (!bytes)
        abort();
    memcpy(bytes, data, size);
    if (cubin_read(bytes, size, "k", &facts) && facts.registers < 1)
        abort();
    cubin_lint(&facts, &limits);
    free(bytes);
    return 0;
}
