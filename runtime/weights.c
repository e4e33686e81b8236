/* Binding the table of weights to files: see weights.h. */
#include "runtime/weights.h"

#include "runtime/mapping.h"
#include "runtime/safetensors_internal.h"
#include "runtime/weights_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static rt_status changed(const char *path, const char *format, ...)
    __attribute__((format(printf, 2, 3), cold));

static rt_status changed(const char *path, const char *format, ...)
{
    char detail[1200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(detail, sizeof detail, format, arguments);
    va_end(arguments);
    return rt_fail(WEIGHTS_CHANGED, path, detail);
}

/* Whether the file of weight i is that of an earlier weight. */
static int file_seen(const struct rt_program *program, rt_u32 i)
{
    for (rt_u32 j = i; j-- > 0;) /* backwards: the table is mostly in file order */
        if (strcmp(program->weights[j].file, program->weights[i].file) == 0)
            return 1;
    return 0;
}

static rt_u32 count_files(const struct rt_program *program)
{
    rt_u32 count = 0;
    for (rt_u32 i = 0; i < program->weight_count; i++)
        count += !file_seen(program, i);
    return count;
}

/* Opens the file `name` of the directory `place`. */
static rt_status open_in(struct rt_checkpoint *checkpoint, const char *place, const char *name)
{
    size_t length = strlen(place) + strlen(name) + 2;
    char *path = malloc(length);
    if (!path)
        return rt_fail(OUT_OF_MEMORY, length);
    snprintf(path, length, "%s/%s", place, name);
    rt_status status = safetensors_add_file(checkpoint, path);
    free(path);
    return status;
}

/* Opens every file of the table, in `place`: their directory, or the only one of them. */
static rt_status open_files(const struct rt_program *program, const char *place,
                            struct rt_checkpoint *checkpoint)
{
    struct stat info;
    int directory = stat(place, &info) == 0 && S_ISDIR(info.st_mode);
    rt_u32 files = count_files(program);
    rt_status status = EXIT_OK;
    if (!directory && files > 1)
        return rt_fail(WEIGHTS_SEVERAL, place, files);
    for (rt_u32 i = 0; !status && i < program->weight_count; i++) {
        if (file_seen(program, i))
            continue;
        status = directory ? open_in(checkpoint, place, program->weights[i].file)
                           : safetensors_add_file(checkpoint, place);
    }
    if (!status)
        status = safetensors_sort_names(checkpoint);
    return status;
}

static int same_shape(const struct rt_weight *weight, const struct rt_tensor *tensor)
{
    int same = weight->rank == tensor->rank;
    for (rt_u32 i = 0; same && i < weight->rank; i++)
        same = weight->dims[i] >= 0 && (rt_u64)weight->dims[i] == tensor->shape[i];
    return same;
}

/* Where the file says that a tensor stands must be where the program was told that it stands. */
static rt_status check_place(const struct rt_weight *weight, const struct rt_checkpoint *checkpoint,
                             const struct rt_tensor *tensor)
{
    const struct rt_tensor_file *file = &checkpoint->files[tensor->file];
    if (checkpoint->file_count > 1 && strcmp(file->name, weight->file) != 0)
        return changed(file->path, "tensor '%s' should be in '%s'", weight->name, weight->file);
    if (tensor->offset != weight->offset || tensor->bytes != weight->bytes)
        return changed(file->path, "tensor '%s' stands at byte %llu", weight->name,
                       (unsigned long long)tensor->offset);
    return EXIT_OK;
}

/* Finds the tensor of a weight and checks that it is what the program was compiled for. A
 * weight without a file (built with --init random) may stand anywhere. */
static rt_status bind(const struct rt_weight *weight, struct rt_weights *weights, const void **out)
{
    const struct rt_checkpoint *checkpoint = weights->checkpoint;
    const struct rt_tensor *tensor = rt_checkpoint_find(checkpoint, weight->name);
    if (!tensor)
        return changed(checkpoint->files[0].path, "it has no tensor '%s'", weight->name);
    const struct rt_tensor_file *file = &checkpoint->files[tensor->file];
    if (rt_stored_dtype(tensor->stored) != (int)weight->dtype)
        return changed(file->path, "tensor '%s' is of type %s", weight->name,
                       rt_stored_name(tensor->stored));
    char shape[256];
    if (!same_shape(weight, tensor))
        return changed(file->path, "tensor '%s' has shape %s", weight->name,
                       rt_shape_text(tensor->shape, tensor->rank, shape, sizeof shape));
    *out = rt_tensor_data(checkpoint, tensor);
    weights->mapped_bytes += tensor->bytes;
    return weight->file[0] ? check_place(weight, checkpoint, tensor) : EXIT_OK;
}

/* Finds and opens the files of a program that was built for them. */
static rt_status open_recorded(const struct rt_program *program, const char *path,
                               struct rt_checkpoint **checkpoint)
{
    char *place = NULL;
    *checkpoint = calloc(1, sizeof **checkpoint);
    if (!*checkpoint)
        return rt_fail(OUT_OF_MEMORY, sizeof **checkpoint);
    rt_status status = weights_find(path, program->weights_path, program->weights[0].file, &place);
    if (!status)
        status = open_files(program, place, *checkpoint);
    free(place);
    return status;
}

static rt_status map_all(const struct rt_program *program, const char *path,
                         struct rt_weights *weights)
{
    rt_status status = program->random_weights ? rt_checkpoint_open(path, &weights->checkpoint)
                                               : open_recorded(program, path, &weights->checkpoint);
    for (rt_u32 i = 0; !status && i < program->weight_count; i++)
        status = bind(&program->weights[i], weights, &weights->data[i]);
    return status;
}

rt_status rt_weights_map(const struct rt_program *program, const char *path,
                         struct rt_weights *weights)
{
    *weights = (struct rt_weights){0};
    if (program->weight_count == 0)
        return EXIT_OK;
    weights->data = calloc(program->weight_count, sizeof *weights->data);
    rt_status status = EXIT_OK;
    if (!weights->data)
        status = rt_fail(OUT_OF_MEMORY, program->weight_count * sizeof *weights->data);
    else if (program->random_weights && !path)
        status = weights_draw(program, weights);
    else
        status = map_all(program, path, weights);
    if (status)
        rt_weights_release(weights);
    return status;
}

void rt_weights_release(struct rt_weights *weights)
{
    rt_checkpoint_close(weights->checkpoint);
    if (weights->memory)
        munmap(weights->memory, weights->anonymous_bytes);
    free(weights->data);
    *weights = (struct rt_weights){0};
}
