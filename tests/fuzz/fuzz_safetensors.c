/*
 * Any bytes as a safetensors file: reading must end with a status, and whatever is accepted must
 * lie inside the file and be found by its name. The bytes take the place of a mapping. An input
 * that begins with "index" is an index, whose shards do not exist.
 */
#include "runtime/safetensors_internal.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct rt_checkpoint *checkpoint)
{
    unsigned sum = 0;
    for (uint32_t i = 0; i < checkpoint->tensor_count; i++) {
        const struct rt_tensor *tensor = &checkpoint->tensors[i];
        const uint8_t *bytes = rt_tensor_data(checkpoint, tensor);
        if (rt_checkpoint_find(checkpoint, tensor->name) != tensor)
            abort();
        if (tensor->bytes > 0)
            sum += bytes[0] + bytes[tensor->bytes - 1];
    }
    volatile unsigned sink = sum; /* so that the reads stay */
    (void)sink;
}

static void read_index(const uint8_t *data, size_t size)
{
    struct rt_checkpoint *checkpoint = calloc(1, sizeof *checkpoint);
    if (!checkpoint ||
        safetensors_read_index_text(checkpoint, "/nowhere/index.json", (const char *)data, size) ==
            EXIT_OK ||
        rt_status_text()[0] == '\0')
        abort();
    rt_checkpoint_close(checkpoint);
}

static void read_file(const uint8_t *data, size_t size)
{
    struct rt_checkpoint *checkpoint = calloc(1, sizeof *checkpoint);
    struct rt_tensor_file *file = calloc(1, sizeof *file);
    if (!checkpoint || !file)
        abort();
    *file = (struct rt_tensor_file){
        .path = strdup("input"), .name = "input", .map = data, .size = size};
    checkpoint->files = file;
    checkpoint->file_count = checkpoint->file_capacity = 1;
    rt_status status = safetensors_read_header(checkpoint, 0);
    if (!status)
        status = safetensors_sort_names(checkpoint);
    if (!status)
        check(checkpoint);
    else if (rt_status_text()[0] == '\0')
        abort();
    file->map = NULL; /* not ours to unmap */
    rt_checkpoint_close(checkpoint);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char prefix[] = "index";
    size_t length = sizeof prefix - 1;
    rt_status_clear();
    if (size >= length && memcmp(data, prefix, length) == 0)
        read_index(data + length, size - length);
    else
        read_file(data, size);
    return 0;
}
