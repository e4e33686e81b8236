/* Gathering of what a model directory holds: see inspect.h. */
#include "compiler/inspect.h"

#include "compiler/frontends/file.h"
#include "compiler/language/language.h"
#include "compiler/tokenizer/sha256.h"
#include "ir/base/arena.h"
#include "ir/base/diag.h"

#include <string.h>

static void add_warning(struct inspection *inspection, const char *text)
{
    array_push(inspection->directory->arena, &inspection->warnings, text);
}

static const char *hash_of(struct arena *arena, const struct rt_tensor_file *file)
{
    uint8_t digest[32];
    char text[65];
    sha256(file->map, file->size, digest);
    for (int i = 0; i < 32; i++)
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
    return arena_copy(arena, text, 64);
}

static void gather_files(struct inspection *inspection, bool hash)
{
    struct arena *arena = inspection->directory->arena;
    const struct rt_checkpoint *checkpoint = inspection->checkpoint;
    struct inspected_file *files =
        arena_array(arena, struct inspected_file, (size_t)checkpoint->file_count + 1);
    for (uint32_t i = 0; i < checkpoint->file_count; i++) {
        const struct rt_tensor_file *file = &checkpoint->files[i];
        files[i] = (struct inspected_file){file->name, file->size, file->count,
                                           hash ? hash_of(arena, file) : NULL};
    }
    inspection->files = files;
}

static uint64_t elements_of(const struct rt_tensor *tensor)
{
    uint64_t count = 1;
    for (unsigned i = 0; i < tensor->rank; i++)
        count *= tensor->shape[i];
    return count;
}

static void gather_types(struct inspection *inspection)
{
    const struct rt_checkpoint *checkpoint = inspection->checkpoint;
    for (unsigned i = 0; i < RT_STORED_COUNT; i++)
        inspection->types[i].name = rt_stored_name(i);
    for (uint32_t i = 0; i < checkpoint->tensor_count; i++) {
        const struct rt_tensor *tensor = &checkpoint->tensors[i];
        struct inspected_type *type = &inspection->types[tensor->stored];
        type->tensors++;
        type->elements += elements_of(tensor);
        type->bytes += tensor->bytes;
        inspection->parameters += elements_of(tensor);
        inspection->bytes += tensor->bytes;
    }
    for (unsigned i = 0; i < RT_STORED_COUNT; i++)
        if (inspection->types[i].tensors > 0 && rt_stored_dtype(i) < 0)
            add_warning(inspection,
                        arena_printf(inspection->directory->arena,
                                     "%llu tensors are of type %s, which is not supported",
                                     (unsigned long long)inspection->types[i].tensors,
                                     rt_stored_name(i)));
}

static void gather_weights(struct inspection *inspection, bool hash)
{
    struct model_directory *directory = inspection->directory;
    if (!directory->weights) {
        const char *pickled = file_join(directory->arena, directory->path, "pytorch_model.bin");
        add_warning(inspection, file_exists(pickled)
                                    ? "the weights are pickled (pytorch_model.bin); only "
                                      "safetensors files are read"
                                    : "there are no weights");
        return;
    }
    inspection->checkpoint = model_directory_checkpoint(directory);
    gather_types(inspection);
    gather_files(inspection, hash);
}

/* What the description makes of the configuration; the keys that it does not read. */
static void gather_configuration(struct inspection *inspection)
{
    struct model_directory *directory = inspection->directory;
    struct arena *arena = directory->arena;
    struct config_source source = config_source_of(directory->config);
    struct lower_options options = {.model_type = inspection->model_type, .config = &source};
    struct description *description =
        inspection->model_type ? description_find(arena, inspection->model_type) : NULL;
    if (!description) {
        add_warning(inspection, "no shipped description serves this model_type");
        return;
    }
    inspection->description = description_name(description);
    inspection->items = description_config(arena, description, &options, &inspection->item_count);
    const char *const *keys = description_keys(arena, description, inspection->model_type);
    for (size_t i = 0; keys[i]; i++)
        config_get(directory->config, keys[i]);
    const char *unknown = config_unknown(directory->config);
    if (unknown)
        add_warning(inspection, arena_printf(arena,
                                             "keys of config.json that are not understood "
                                             "and have no effect: %s",
                                             unknown));
}

static const char *base_name(const char *path)
{
    const char *slash = path ? strrchr(path, '/') : NULL;
    return slash ? slash + 1 : path;
}

static void gather_tokenizer(struct inspection *inspection)
{
    struct arena *arena = inspection->directory->arena;
    if (!tokenizer_present(inspection->directory->path)) {
        add_warning(inspection, "there is no tokenizer (tokenizer.json or tokenizer.model)");
        return;
    }
    struct tokenizer_summary *summary = arena_new(arena, struct tokenizer_summary);
    *summary = tokenizer_compile(arena, inspection->directory->path).summary;
    summary->file = base_name(summary->file);
    summary->ignored = base_name(summary->ignored);
    inspection->tokenizer = summary;
    if (summary->ignored)
        add_warning(inspection, arena_printf(arena,
                                             "there are two tokenizers: %s is used, %s is "
                                             "ignored",
                                             summary->file, summary->ignored));
}

struct inspection inspect_directory(struct arena *arena, const char *path, bool hash)
{
    struct inspection inspection = {.directory = model_directory_open(arena, path)};
    inspection.model_type = config_text(inspection.directory->config, "model_type");
    inspection.architectures = config_get(inspection.directory->config, "architectures");
    gather_weights(&inspection, hash);
    gather_configuration(&inspection);
    gather_tokenizer(&inspection);
    return inspection;
}
