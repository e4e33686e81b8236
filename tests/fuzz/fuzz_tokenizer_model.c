/* Any bytes as tokenizer.model. */
#include "tests/fuzz/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tokenizer_files files = {.model = {"input", (const char *)data, size}};
    if (size)
        fuzz_files(&files, data, size);
    return 0;
}
