/* Any bytes as tokenizer.json; the same bytes also as the configuration files beside it. */
#include "tests/fuzz/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tokenizer_file file = {"input", (const char *)data, size};
    struct tokenizer_files files = {.json = file};
    if (size == 0)
        return 0;
    if (data[0] != '{') /* the first byte chooses; the rest is the file */
        files.json = files.config = (struct tokenizer_file){"input", (const char *)data + 1,
                                                             size - 1};
    fuzz_files(&files, data, size);
    return 0;
}
