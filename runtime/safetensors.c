/* Opening, looking up and closing of checkpoints: see safetensors.h. */
#include "runtime/mapping.h"
#include "runtime/safetensors_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *rt_stored_name(enum rt_stored stored)
{
    static const char *const names[] = {
#define STORED(name, bits, dtype) #name,
#include "runtime/stored_types.def"
    };
    return names[stored];
}

int rt_stored_dtype(enum rt_stored stored)
{
    static const signed char dtypes[] = {
#define STORED(name, bits, dtype) dtype,
#include "runtime/stored_types.def"
    };
    return dtypes[stored];
}

char *rt_shape_text(const uint64_t *shape, unsigned rank, char *out, size_t capacity)
{
    size_t length = (size_t)snprintf(out, capacity, "[");
    for (unsigned i = 0; i < rank && length < capacity; i++)
        length += (size_t)snprintf(out + length, capacity - length, i ? ", %llu" : "%llu",
                                   (unsigned long long)shape[i]);
    if (length < capacity)
        snprintf(out + length, capacity - length, "]");
    return out;
}

rt_status text_list_add(struct text_list *list, const char *text)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 64;
        void *grown = realloc(list->items, capacity * sizeof *list->items);
        if (!grown)
            return rt_fail(OUT_OF_MEMORY, capacity * sizeof *list->items);
        list->items = grown;
        list->capacity = capacity;
    }
    list->items[list->count++] = text;
    return EXIT_OK;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char *safetensors_duplicate(const char **texts, size_t count)
{
    if (count > 1)
        qsort(texts, count, sizeof *texts, by_text);
    for (size_t i = 1; i < count; i++)
        if (strcmp(texts[i - 1], texts[i]) == 0)
            return texts[i];
    return NULL;
}

static struct rt_tensor_file *new_file(struct rt_checkpoint *checkpoint)
{
    if (checkpoint->file_count == checkpoint->file_capacity) {
        uint32_t capacity = checkpoint->file_capacity ? 2 * checkpoint->file_capacity : 4;
        void *grown = realloc(checkpoint->files, capacity * sizeof *checkpoint->files);
        if (!grown)
            return NULL;
        checkpoint->files = grown;
        checkpoint->file_capacity = capacity;
    }
    struct rt_tensor_file *file = &checkpoint->files[checkpoint->file_count];
    *file = (struct rt_tensor_file){0};
    return file;
}

rt_status safetensors_add_file(struct rt_checkpoint *checkpoint, const char *path)
{
    struct rt_tensor_file *file = new_file(checkpoint);
    char *copy = strdup(path);
    if (!file || !copy) {
        free(copy);
        return rt_fail(OUT_OF_MEMORY, sizeof *file);
    }
    checkpoint->file_count++;
    file->path = copy;
    const char *slash = strrchr(copy, '/');
    file->name = slash ? slash + 1 : copy;
    rt_status status = rt_map_file(copy, &file->map, &file->size);
    if (!status)
        status = safetensors_read_header(checkpoint, checkpoint->file_count - 1);
    return status;
}

static int by_name(const void *a, const void *b)
{
    const struct rt_tensor *left = *(const struct rt_tensor *const *)a;
    const struct rt_tensor *right = *(const struct rt_tensor *const *)b;
    return strcmp(left->name, right->name);
}

static rt_status fill_by_name(struct rt_checkpoint *checkpoint, const struct rt_tensor **sorted)
{
    uint32_t count = checkpoint->tensor_count;
    for (uint32_t i = 0; i < count; i++)
        sorted[i] = &checkpoint->tensors[i];
    qsort(sorted, count, sizeof *sorted, by_name);
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0 && strcmp(sorted[i - 1]->name, sorted[i]->name) == 0)
            return safetensors_corrupt(checkpoint->files[sorted[i]->file].path,
                                       "duplicate key '%s'", sorted[i]->name);
        checkpoint->by_name[i] = (uint32_t)(sorted[i] - checkpoint->tensors);
    }
    return EXIT_OK;
}

rt_status safetensors_sort_names(struct rt_checkpoint *checkpoint)
{
    size_t count = (size_t)checkpoint->tensor_count + 1;
    const struct rt_tensor **sorted = malloc(count * sizeof *sorted);
    checkpoint->by_name = malloc(count * sizeof *checkpoint->by_name);
    rt_status status = sorted && checkpoint->by_name
                           ? fill_by_name(checkpoint, sorted)
                           : rt_fail(OUT_OF_MEMORY, count * sizeof *sorted);
    free(sorted);
    return status;
}

const struct rt_tensor *rt_checkpoint_find(const struct rt_checkpoint *checkpoint, const char *name)
{
    uint32_t low = 0, high = checkpoint->tensor_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct rt_tensor *tensor = &checkpoint->tensors[checkpoint->by_name[middle]];
        int order = strcmp(name, tensor->name);
        if (order == 0)
            return tensor;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

const void *rt_tensor_data(const struct rt_checkpoint *checkpoint, const struct rt_tensor *tensor)
{
    return checkpoint->files[tensor->file].map + tensor->offset;
}

/* Finds the file or the index in a directory. */
static rt_status open_directory(struct rt_checkpoint *checkpoint, const char *path)
{
    static const char *const names[] = {"model.safetensors", "model.safetensors.index.json"};
    size_t length = strlen(path) + 40;
    char *file = malloc(length);
    if (!file)
        return rt_fail(OUT_OF_MEMORY, length);
    int found = -1;
    for (int i = 0; found < 0 && i < 2; i++) {
        snprintf(file, length, "%s/%s", path, names[i]);
        found = access(file, F_OK) == 0 ? i : -1;
    }
    rt_status status = found == 0   ? safetensors_add_file(checkpoint, file)
                       : found == 1 ? safetensors_read_index(checkpoint, file)
                                    : rt_fail(WEIGHTS_NOT_FOUND, path);
    free(file);
    return status;
}

static rt_status open_path(struct rt_checkpoint *checkpoint, const char *path)
{
    struct stat info;
    size_t length = strlen(path);
    if (stat(path, &info) != 0)
        return rt_fail(FILE_OPEN, path, strerror(errno));
    if (S_ISDIR(info.st_mode))
        return open_directory(checkpoint, path);
    if (length > 5 && strcmp(path + length - 5, ".json") == 0)
        return safetensors_read_index(checkpoint, path);
    return safetensors_add_file(checkpoint, path);
}

rt_status rt_checkpoint_open(const char *path, struct rt_checkpoint **out)
{
    *out = NULL;
    struct rt_checkpoint *checkpoint = calloc(1, sizeof *checkpoint);
    if (!checkpoint)
        return rt_fail(OUT_OF_MEMORY, sizeof *checkpoint);
    rt_status status = open_path(checkpoint, path);
    if (!status && !checkpoint->by_name)
        status = safetensors_sort_names(checkpoint);
    if (status)
        rt_checkpoint_close(checkpoint);
    else
        *out = checkpoint;
    return status;
}

void rt_checkpoint_close(struct rt_checkpoint *checkpoint)
{
    if (!checkpoint)
        return;
    for (uint32_t i = 0; i < checkpoint->file_count; i++) {
        struct rt_tensor_file *file = &checkpoint->files[i];
        rt_unmap_file(file->map, file->size);
        free(file->path);
        free(file->names);
        free(file->format);
    }
    free(checkpoint->files);
    free(checkpoint->tensors);
    free(checkpoint->by_name);
    free(checkpoint);
}
