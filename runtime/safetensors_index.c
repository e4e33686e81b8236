/*
 * The index of a sharded checkpoint (model.safetensors.index.json): its weight_map names the
 * shard of every tensor. Shards are plain file names beside the index; nothing in the index can
 * name a file elsewhere.
 */
#include "runtime/json.h"
#include "runtime/mapping.h"
#include "runtime/safetensors_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct index {
    struct rt_checkpoint *checkpoint;
    const char *path;
    struct rt_json json;
    char *text, *next;                /* storage of names and file names */
    struct text_list tensors, shards; /* of each entry; shards[i] holds tensors[i] */
};

static rt_status invalid(const struct index *index, const char *format, ...)
    __attribute__((format(printf, 2, 3), cold));

static rt_status invalid(const struct index *index, const char *format, ...)
{
    char detail[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(detail, sizeof detail, format, arguments);
    va_end(arguments);
    return rt_fail(WEIGHTS_INDEX, index->path, detail);
}

static rt_status unexpected(const struct index *index, const char *expected)
{
    unsigned line, column;
    rt_json_place(&index->json, &line, &column);
    if (index->json.error)
        return invalid(index, "line %u column %u: %s", line, column, index->json.error);
    return invalid(index, "line %u column %u: expected %s", line, column, expected);
}

static rt_status take_text(struct index *index, const char **out)
{
    size_t length = rt_json_string(&index->json, index->next, RT_MAX_NAME + 1);
    *out = index->next;
    if (length == (size_t)-1)
        return invalid(index, "a name is longer than %d bytes", RT_MAX_NAME);
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)index->next[i] < ' ' || index->next[i] == 0x7f)
            return invalid(index, "a name holds a control byte");
    index->next += length + 1;
    return EXIT_OK;
}

static bool is_plain_file_name(const char *name)
{
    return name[0] != '\0' && name[0] != '.' && !strpbrk(name, "/\\") && strlen(name) <= 255;
}

/* entry = name ":" shard */
static rt_status read_entry(struct index *index)
{
    const char *name, *shard = NULL;
    rt_status status = take_text(index, &name);
    if (!status && index->tensors.count == RT_MAX_TENSORS)
        status = invalid(index, "more than %d tensors", RT_MAX_TENSORS);
    if (!status && rt_json_next(&index->json) != RT_JSON_STRING)
        status = unexpected(index, "a file name");
    if (!status)
        status = take_text(index, &shard);
    if (!status && !is_plain_file_name(shard))
        status = invalid(index, "'%s' is not a file name in the same directory", shard);
    if (!status)
        status = text_list_add(&index->tensors, name);
    if (!status)
        status = text_list_add(&index->shards, shard);
    return status;
}

static rt_status read_weight_map(struct index *index)
{
    if (index->tensors.count > 0)
        return invalid(index, "duplicate key 'weight_map'");
    if (rt_json_next(&index->json) != RT_JSON_OBJECT)
        return unexpected(index, "an object");
    enum rt_json_token token;
    rt_status status = EXIT_OK;
    while (!status && (token = rt_json_next(&index->json)) == RT_JSON_KEY)
        status = read_entry(index);
    if (!status && token != RT_JSON_OBJECT_END)
        status = unexpected(index, "a key");
    return status;
}

/* index = object with a member weight_map; other members are of no interest */
static rt_status read_index(struct index *index)
{
    if (rt_json_next(&index->json) != RT_JSON_OBJECT)
        return unexpected(index, "an object");
    enum rt_json_token token;
    rt_status status = EXIT_OK;
    while (!status && (token = rt_json_next(&index->json)) == RT_JSON_KEY) {
        if (rt_json_is(&index->json, "weight_map"))
            status = read_weight_map(index);
        else if (!rt_json_skip(&index->json, rt_json_next(&index->json)))
            status = unexpected(index, "a value");
    }
    if (!status && token != RT_JSON_OBJECT_END)
        status = unexpected(index, "a key");
    if (!status && rt_json_next(&index->json) != RT_JSON_END)
        status = unexpected(index, "the end");
    if (!status && index->tensors.count == 0)
        status = invalid(index, "it has no weight_map");
    return status;
}

/* Opens the shard `name` beside the index. */
static rt_status open_shard(struct index *index, const char *name)
{
    const char *slash = strrchr(index->path, '/');
    int directory = slash ? (int)(slash - index->path) + 1 : 0;
    size_t length = (size_t)directory + strlen(name) + 1;
    char *path = malloc(length);
    if (!path)
        return rt_fail(OUT_OF_MEMORY, length);
    snprintf(path, length, "%.*s%s", directory, index->path, name);
    rt_status status = safetensors_add_file(index->checkpoint, path);
    free(path);
    return status;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Opens every shard once, in the order of their names. */
static rt_status open_shards(struct index *index)
{
    size_t count = index->shards.count;
    const char **names = malloc(count * sizeof *names);
    if (!names)
        return rt_fail(OUT_OF_MEMORY, count * sizeof *names);
    memcpy(names, index->shards.items, count * sizeof *names);
    qsort(names, count, sizeof *names, by_text);
    rt_status status = EXIT_OK;
    uint32_t opened = 0;
    for (size_t i = 0; !status && i < count; i++) {
        if (i > 0 && strcmp(names[i - 1], names[i]) == 0)
            continue;
        status = opened++ == RT_MAX_SHARDS ? invalid(index, "more than %d shards", RT_MAX_SHARDS)
                                           : open_shard(index, names[i]);
    }
    free(names);
    return status;
}

/* Index and shards must name the same tensors, each in the shard that the index says. */
static rt_status check_entries(struct index *index)
{
    const struct rt_checkpoint *checkpoint = index->checkpoint;
    for (size_t i = 0; i < index->tensors.count; i++) {
        const char *name = index->tensors.items[i], *shard = index->shards.items[i];
        const struct rt_tensor *tensor = rt_checkpoint_find(checkpoint, name);
        if (!tensor || strcmp(checkpoint->files[tensor->file].name, shard) != 0)
            return invalid(index, "'%s' does not hold tensor '%s'", shard, name);
    }
    const char *twice = safetensors_duplicate(index->tensors.items, index->tensors.count);
    if (twice)
        return invalid(index, "duplicate key '%s'", twice);
    if (index->tensors.count != checkpoint->tensor_count)
        return invalid(index, "it names %zu tensors, its shards hold %u", index->tensors.count,
                       checkpoint->tensor_count);
    return EXIT_OK;
}

static rt_status read_all(struct index *index, const char *text, uint64_t size)
{
    if (size > RT_HEADER_BYTES)
        return rt_fail(FILE_TOO_LARGE, index->path, (unsigned long long)size,
                       (unsigned long long)RT_HEADER_BYTES);
    index->text = index->next = malloc(size + RT_MAX_NAME + 1);
    if (!index->text)
        return rt_fail(OUT_OF_MEMORY, (size_t)size);
    rt_json_open(&index->json, text, size);
    rt_status status = read_index(index);
    if (!status)
        status = open_shards(index);
    if (!status)
        status = safetensors_sort_names(index->checkpoint);
    if (!status)
        status = check_entries(index);
    return status;
}

rt_status safetensors_read_index_text(struct rt_checkpoint *checkpoint, const char *path,
                                      const char *text, uint64_t size)
{
    struct index index = {.checkpoint = checkpoint, .path = path};
    rt_status status = read_all(&index, text, size);
    free(index.text);
    free(index.tensors.items);
    free(index.shards.items);
    return status;
}

rt_status safetensors_read_index(struct rt_checkpoint *checkpoint, const char *path)
{
    const uint8_t *map;
    uint64_t size;
    rt_status status = rt_map_file(path, &map, &size);
    if (!status)
        status = safetensors_read_index_text(checkpoint, path, map ? (const char *)map : "", size);
    rt_unmap_file(map, size);
    return status;
}
