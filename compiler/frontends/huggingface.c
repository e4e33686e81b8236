/* Opening of model directories: see huggingface.h. */
#include "compiler/frontends/huggingface.h"

#include "compiler/frontends/file.h"
#include "ir/base/arena.h"
#include "ir/base/diag.h"

#include <sys/stat.h>

static const char *if_present(struct arena *arena, const char *directory, const char *name)
{
    const char *path = file_join(arena, directory, name);
    return file_exists(path) ? path : NULL;
}

static struct config_view *open_if_present(struct arena *arena, const char *directory,
                                           const char *name)
{
    const char *path = if_present(arena, directory, name);
    return path ? config_open(arena, path) : NULL;
}

bool is_model_directory(const char *path)
{
    struct stat info;
    struct arena *arena = arena_create();
    bool found = stat(path, &info) == 0 && S_ISDIR(info.st_mode) &&
                 if_present(arena, path, "config.json") != NULL;
    arena_destroy(arena);
    return found;
}

struct model_directory *model_directory_open(struct arena *arena, const char *path)
{
    struct model_directory *directory = arena_new(arena, struct model_directory);
    if (!if_present(arena, path, "config.json"))
        fatal(NOT_A_MODEL, path);
    directory->arena = arena;
    directory->path = arena_printf(arena, "%s", path);
    directory->config = open_if_present(arena, path, "config.json");
    directory->generation = open_if_present(arena, path, "generation_config.json");
    directory->tokenizer_config = open_if_present(arena, path, "tokenizer_config.json");
    directory->tokenizer_json = if_present(arena, path, "tokenizer.json");
    directory->tokenizer_model = if_present(arena, path, "tokenizer.model");
    directory->weights = if_present(arena, path, "model.safetensors");
    if (!directory->weights)
        directory->weights = if_present(arena, path, "model.safetensors.index.json");
    return directory;
}

static void close_checkpoint(void *checkpoint)
{
    rt_checkpoint_close(checkpoint);
}

const struct rt_checkpoint *model_directory_checkpoint(struct model_directory *directory)
{
    if (directory->checkpoint)
        return directory->checkpoint;
    const char *path = directory->weights ? directory->weights : directory->path;
    rt_status status = rt_checkpoint_open(path, &directory->checkpoint);
    if (status)
        diag_fatal_text(status, rt_status_text());
    arena_defer(directory->arena, close_checkpoint, directory->checkpoint);
    return directory->checkpoint;
}

const char *model_directory_type(struct model_directory *directory)
{
    const char *type = config_text(directory->config, "model_type");
    if (!type)
        fatal(CONFIG_ABSENT_KEY, config_name(directory->config), "model_type");
    return type;
}

static int32_t token_id(const struct config_view *view, const char *key, struct config_value value,
                        int64_t vocabulary)
{
    if (value.kind != CONFIG_INTEGER)
        fatal(CONFIG_TYPE, config_name(view), key, "a token id or a list of them");
    if (value.integer < 0 || value.integer > INT32_MAX || value.integer >= vocabulary)
        fatal(TOKEN_ID_RANGE, config_name(view), key, (long long)value.integer);
    return (int32_t)value.integer;
}

size_t model_directory_token_ids(struct model_directory *directory, const char *key, int32_t *out,
                                 size_t most)
{
    struct config_view *views[] = {directory->generation, directory->config};
    int64_t vocabulary = INT64_MAX;
    config_int(directory->config, "vocab_size", &vocabulary);
    for (int i = 0; i < 2; i++) {
        struct config_value value = {.kind = CONFIG_ABSENT};
        if (views[i])
            value = config_get(views[i], key);
        if (value.kind <= CONFIG_NULL)
            continue;
        size_t count = value.kind == CONFIG_LIST ? value.count : 1;
        count = count < most ? count : most;
        for (size_t j = 0; j < count; j++)
            out[j] = token_id(views[i], key, value.kind == CONFIG_LIST ? value.items[j] : value,
                              vocabulary);
        return count;
    }
    return 0;
}
