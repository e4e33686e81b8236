/*
 * The header of one safetensors file. The text is trusted for nothing: every number is checked
 * against the bytes that the file really has before it is used for anything.
 */
#include "runtime/json.h"
#include "runtime/safetensors_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Reading state of one header. */
struct header {
    struct rt_checkpoint *checkpoint;
    struct rt_tensor_file *file;
    struct rt_json json;
    char *name;                /* where the next name goes in file->names */
    struct text_list metadata; /* keys of __metadata__ */
    int metadata_seen;
};

static const unsigned char stored_bits[] = {
#define STORED(name, bits, dtype) bits,
#include "runtime/stored_types.def"
};

rt_status safetensors_corrupt(const char *path, const char *format, ...)
{
    char detail[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(detail, sizeof detail, format, arguments);
    va_end(arguments);
    return rt_fail(WEIGHTS_CORRUPT, path, detail);
}

/* The error for a token that should have been `expected`, or for malformed JSON. */
static rt_status unexpected(const struct header *header, const char *expected)
{
    const struct rt_json *json = &header->json;
    long long at = json->token - json->text;
    if (json->error)
        return safetensors_corrupt(header->file->path, "header byte %lld: %s", at, json->error);
    return safetensors_corrupt(header->file->path, "header byte %lld: expected %s", at, expected);
}

static rt_status expect(struct header *header, enum rt_json_token token, const char *expected)
{
    return rt_json_next(&header->json) == token ? EXIT_OK : unexpected(header, expected);
}

/* Stores the key just read as a name: bounded, without control bytes. */
static rt_status take_name(struct header *header, const char **out)
{
    size_t length = rt_json_string(&header->json, header->name, RT_MAX_NAME + 1);
    *out = NULL;
    if (length == (size_t)-1)
        return safetensors_corrupt(header->file->path, "a name is longer than %d bytes",
                                   RT_MAX_NAME);
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)header->name[i] < ' ' || header->name[i] == 0x7f)
            return safetensors_corrupt(header->file->path, "a name holds a control byte");
    *out = header->name;
    header->name += length + 1;
    return EXIT_OK;
}

/* The `format` entry says which framework wrote the file; `inspect` shows it. */
static rt_status take_metadata_value(struct header *header, const char *key)
{
    rt_status status = expect(header, RT_JSON_STRING, "a string");
    if (status || strcmp(key, "format") != 0 || header->file->format)
        return status;
    char *text = malloc(header->json.token_length);
    if (!text)
        return rt_fail(OUT_OF_MEMORY, header->json.token_length);
    rt_json_string(&header->json, text, header->json.token_length);
    header->file->format = text;
    return EXIT_OK;
}

/* __metadata__ = object of strings */
static rt_status read_metadata(struct header *header)
{
    if (header->metadata_seen++)
        return safetensors_corrupt(header->file->path, "duplicate key '__metadata__'");
    rt_status status = expect(header, RT_JSON_OBJECT, "an object");
    enum rt_json_token token = RT_JSON_KEY;
    while (!status && (token = rt_json_next(&header->json)) == RT_JSON_KEY) {
        const char *key;
        status = take_name(header, &key);
        if (!status)
            status = text_list_add(&header->metadata, key);
        if (!status)
            status = take_metadata_value(header, key);
    }
    if (!status && token != RT_JSON_OBJECT_END)
        status = unexpected(header, "a key");
    const char *twice =
        status ? NULL : safetensors_duplicate(header->metadata.items, header->metadata.count);
    if (twice)
        status = safetensors_corrupt(header->file->path, "duplicate key '%s'", twice);
    return status;
}

static rt_status read_dtype(struct header *header, struct rt_tensor *tensor)
{
    rt_status status = expect(header, RT_JSON_STRING, "a type");
    for (unsigned i = 0; !status && i < RT_STORED_COUNT; i++) {
        if (rt_json_is(&header->json, rt_stored_name(i))) {
            tensor->stored = (uint8_t)i;
            return EXIT_OK;
        }
    }
    if (!status)
        status = safetensors_corrupt(header->file->path, "tensor '%s' has an unknown type",
                                     tensor->name);
    return status;
}

/* Reads an array of at most `most` unsigned numbers. */
static rt_status read_numbers(struct header *header, const struct rt_tensor *tensor, unsigned most,
                              uint64_t *out, unsigned *count)
{
    rt_status status = expect(header, RT_JSON_ARRAY, "an array");
    enum rt_json_token token = RT_JSON_NUMBER;
    *count = 0;
    while (!status && (token = rt_json_next(&header->json)) == RT_JSON_NUMBER) {
        if (*count == most)
            status = safetensors_corrupt(header->file->path,
                                         "tensor '%s' has more than %u dimensions or offsets",
                                         tensor->name, most);
        else if (!rt_json_unsigned(&header->json, &out[(*count)++]))
            status = unexpected(header, "an unsigned integer");
    }
    if (!status && token != RT_JSON_ARRAY_END)
        status = unexpected(header, "a number");
    return status;
}

/* data_offsets = [begin, end], counted from the start of the data */
static rt_status read_offsets(struct header *header, struct rt_tensor *tensor)
{
    uint64_t range[2] = {0, 0};
    unsigned count;
    rt_status status = read_numbers(header, tensor, 2, range, &count);
    if (!status && (count != 2 || range[0] > range[1]))
        status = safetensors_corrupt(header->file->path, "tensor '%s' has malformed offsets",
                                     tensor->name);
    tensor->bytes = range[1] - range[0];
    if (!status && __builtin_add_overflow(range[0], header->file->data, &tensor->offset))
        status = safetensors_corrupt(header->file->path, "tensor '%s' has malformed offsets",
                                     tensor->name);
    return status;
}

/* Shape and type must give exactly the bytes between the offsets. */
static rt_status check_size(const struct header *header, const struct rt_tensor *tensor)
{
    uint64_t bits = stored_bits[tensor->stored];
    int overflow = 0;
    for (unsigned i = 0; i < tensor->rank; i++)
        overflow |= __builtin_mul_overflow(bits, tensor->shape[i], &bits);
    char shape[256];
    rt_shape_text(tensor->shape, tensor->rank, shape, sizeof shape);
    if (overflow)
        return safetensors_corrupt(header->file->path, "the size of tensor '%s' %s overflows",
                                   tensor->name, shape);
    if (bits % 8 != 0 || bits / 8 != tensor->bytes)
        return safetensors_corrupt(
            header->file->path, "tensor '%s' %s of %s has %llu bytes between its offsets",
            tensor->name, shape, rt_stored_name(tensor->stored), (unsigned long long)tensor->bytes);
    return EXIT_OK;
}

enum { HAS_DTYPE = 1, HAS_SHAPE = 2, HAS_OFFSETS = 4, HAS_ALL = 7 };

/* One member of a tensor's description; *seen says which ones were there before. */
static rt_status read_field(struct header *header, struct rt_tensor *tensor, unsigned *seen)
{
    unsigned field = rt_json_is(&header->json, "dtype")          ? HAS_DTYPE
                     : rt_json_is(&header->json, "shape")        ? HAS_SHAPE
                     : rt_json_is(&header->json, "data_offsets") ? HAS_OFFSETS
                                                                 : 0;
    if (field == 0 || (*seen & field))
        return safetensors_corrupt(header->file->path, "tensor '%s' has %s key", tensor->name,
                                   field ? "a duplicate" : "an unknown");
    *seen |= field;
    if (field == HAS_DTYPE)
        return read_dtype(header, tensor);
    if (field == HAS_OFFSETS)
        return read_offsets(header, tensor);
    unsigned rank;
    rt_status status = read_numbers(header, tensor, RT_MAX_RANK, tensor->shape, &rank);
    tensor->rank = (uint8_t)rank;
    return status;
}

/* Room for one more tensor, or NULL. The count is bounded by the bytes of the header. */
static struct rt_tensor *new_tensor(struct rt_checkpoint *checkpoint)
{
    if (checkpoint->tensor_count == checkpoint->tensor_capacity) {
        uint32_t capacity = checkpoint->tensor_capacity ? 2 * checkpoint->tensor_capacity : 64;
        void *grown = realloc(checkpoint->tensors, capacity * sizeof *checkpoint->tensors);
        if (!grown)
            return NULL;
        checkpoint->tensors = grown;
        checkpoint->tensor_capacity = capacity;
    }
    struct rt_tensor *tensor = &checkpoint->tensors[checkpoint->tensor_count];
    *tensor = (struct rt_tensor){.file = checkpoint->file_count - 1};
    return tensor;
}

/* tensor = "{" "dtype", "shape" and "data_offsets", each once, in any order "}" */
static rt_status read_tensor(struct header *header, const char *name)
{
    if (header->checkpoint->tensor_count == RT_MAX_TENSORS)
        return safetensors_corrupt(header->file->path, "more than %d tensors", RT_MAX_TENSORS);
    struct rt_tensor *tensor = new_tensor(header->checkpoint);
    if (!tensor)
        return rt_fail(OUT_OF_MEMORY, sizeof *tensor);
    tensor->name = name;
    rt_status status = expect(header, RT_JSON_OBJECT, "an object");
    enum rt_json_token token = RT_JSON_KEY;
    unsigned seen = 0;
    while (!status && (token = rt_json_next(&header->json)) == RT_JSON_KEY)
        status = read_field(header, tensor, &seen);
    if (!status && token != RT_JSON_OBJECT_END)
        status = unexpected(header, "a key");
    if (!status && seen != HAS_ALL)
        status = safetensors_corrupt(header->file->path,
                                     "tensor '%s' lacks its type, shape or offsets", name);
    if (!status)
        status = check_size(header, tensor);
    header->checkpoint->tensor_count += !status;
    header->file->count += !status;
    return status;
}

/* header = "{" {name: tensor | "__metadata__": object} "}" {" "} */
static rt_status read_entries(struct header *header)
{
    rt_status status = expect(header, RT_JSON_OBJECT, "an object");
    enum rt_json_token token = RT_JSON_KEY;
    while (!status && (token = rt_json_next(&header->json)) == RT_JSON_KEY) {
        const char *name = NULL;
        if (rt_json_is(&header->json, "__metadata__"))
            status = read_metadata(header);
        else
            status = take_name(header, &name);
        if (!status && name)
            status = read_tensor(header, name);
    }
    if (!status && token != RT_JSON_OBJECT_END)
        status = unexpected(header, "a key");
    for (const char *at = header->json.at; !status && at < header->json.end; at++)
        if (*at != ' ')
            status = safetensors_corrupt(header->file->path,
                                         "something other than blanks follows the header");
    return status;
}

static int by_offset(const void *a, const void *b)
{
    const struct rt_tensor *left = *(const struct rt_tensor *const *)a;
    const struct rt_tensor *right = *(const struct rt_tensor *const *)b;
    if (left->offset != right->offset)
        return left->offset < right->offset ? -1 : 1;
    return (left->bytes > right->bytes) - (left->bytes < right->bytes);
}

/* The tensors must follow one another without a gap, and end where the file ends. */
static rt_status check_cover(const struct rt_tensor_file *file, const struct rt_tensor **sorted)
{
    uint64_t end = file->data;
    for (uint32_t i = 0; i < file->count; i++) {
        const struct rt_tensor *tensor = sorted[i];
        if (tensor->offset != end)
            return safetensors_corrupt(file->path, "tensor '%s' %s", tensor->name,
                                       tensor->offset < end ? "overlaps another one"
                                                            : "leaves a hole before it");
        if (__builtin_add_overflow(end, tensor->bytes, &end))
            return safetensors_corrupt(file->path, "the size of the data overflows");
    }
    if (end > file->size)
        return rt_fail(WEIGHTS_TRUNCATED, file->path, (unsigned long long)end,
                       (unsigned long long)file->size);
    if (end < file->size)
        return safetensors_corrupt(file->path, "%llu bytes follow the last tensor",
                                   (unsigned long long)(file->size - end));
    return EXIT_OK;
}

static rt_status check_layout(const struct rt_checkpoint *checkpoint,
                              const struct rt_tensor_file *file)
{
    const struct rt_tensor **sorted = malloc(((size_t)file->count + 1) * sizeof *sorted);
    if (!sorted)
        return rt_fail(OUT_OF_MEMORY, file->count * sizeof *sorted);
    for (uint32_t i = 0; i < file->count; i++)
        sorted[i] = &checkpoint->tensors[file->first + i];
    qsort(sorted, file->count, sizeof *sorted, by_offset);
    rt_status status = check_cover(file, sorted);
    free(sorted);
    return status;
}

/* Reads the length, and checks that a header of it can stand in the file. */
static rt_status read_length(const struct rt_tensor_file *file, uint64_t *length)
{
    static const char pointer[] = "version https://git-lfs";
    *length = 0;
    if (file->size < 8)
        return safetensors_corrupt(file->path, "it is shorter than 8 bytes");
    for (int i = 7; i >= 0; i--)
        *length = *length << 8 | file->map[i];
    if (file->size >= sizeof pointer && memcmp(file->map, pointer, sizeof pointer - 1) == 0)
        return rt_fail(WEIGHTS_POINTER, file->path);
    if (*length > RT_HEADER_BYTES)
        return safetensors_corrupt(file->path, "a header of %llu bytes, at most %d are accepted",
                                   (unsigned long long)*length, RT_HEADER_BYTES);
    if (*length > file->size - 8)
        return rt_fail(WEIGHTS_TRUNCATED, file->path, (unsigned long long)*length + 8,
                       (unsigned long long)file->size);
    if (*length == 0 || file->map[8] != '{')
        return safetensors_corrupt(file->path, "the header does not start with '{'");
    return EXIT_OK;
}

rt_status safetensors_read_header(struct rt_checkpoint *checkpoint, uint32_t index)
{
    struct header header = {.checkpoint = checkpoint, .file = &checkpoint->files[index]};
    uint64_t length;
    rt_status status = read_length(header.file, &length);
    if (status)
        return status;
    /* Decoded names and their zeros are shorter than the quoted text, plus one name's slack. */
    header.file->names = header.name = malloc(length + RT_MAX_NAME + 1);
    if (!header.name)
        return rt_fail(OUT_OF_MEMORY, (size_t)length);
    header.file->data = 8 + length;
    header.file->first = checkpoint->tensor_count;
    rt_json_open(&header.json, (const char *)header.file->map + 8, length);
    status = read_entries(&header);
    if (!status)
        status = check_layout(checkpoint, header.file);
    free(header.metadata.items);
    return status;
}
