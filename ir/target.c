/* See target.h. */
#include "ir/target.h"

#include "ir/gpu.h"

#include <string.h>

static struct target rows[] = {
#define TARGET(name, level, extra, tune, lanes, dots, mr, nr, prefetch, f32, bf16, read) \
    {#name, level, extra, tune, lanes, dots, mr, nr, prefetch, f32, bf16, read, NULL},
#include "ir/targets.def"
};

static const struct {
    const char *name, *features;
} levels[] = {
#define TARGET(...)
#define LEVEL(name, features) {name, features},
#include "ir/targets.def"
};

/* A macro argument cannot hold '-', so the table writes '_' in the names of levels. */
static const struct target *named(struct target *row)
{
    if (strncmp(row->name, "x86_64", 6) == 0)
        row->name = row->level;
    return row;
}

const struct target *target_row(size_t index)
{
    return index < sizeof rows / sizeof *rows ? named(&rows[index]) : NULL;
}

/* What the passes ask of a CPU is harmless of a GPU: vectors of one element. */
static const struct target *gpu_target(const char *name)
{
    enum { MOST = 8 };
    static struct target gpus[MOST];
    const struct gpu *gpu = gpu_find(name), *row;
    for (size_t i = 0; gpu && i < MOST && (row = gpu_row(i)); i++)
        if (row == gpu) {
            gpus[i] = (struct target){.name = gpu->name, .level = "", .extra = "", .tune = "",
                                      .lanes = 1, .mr = 1, .nr = 1, .gpu = gpu};
            return &gpus[i];
        }
    return NULL;
}

const struct target *target_find(const char *name)
{
    const struct target *row;
    for (size_t i = 0; (row = target_row(i)); i++)
        if (strcmp(row->name, name) == 0)
            return row;
    return gpu_target(name);
}

const char *const *target_features(struct arena *arena, const struct target *target)
{
    const char *text = "";
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (strcmp(levels[i].name, target->level) == 0)
            text = levels[i].features;
    char *list = arena_printf(arena, "%s %s", text, target->extra);
    const char **features = arena_array(arena, const char *, strlen(list) + 1);
    size_t count = 0;
    char *rest;
    for (char *word = strtok_r(list, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        features[count++] = word;
    return features;
}

const struct target *target_native(bool (*has)(const char *feature), const char *cpu_name)
{
    const struct target *row, *best = NULL;
    struct arena *arena = arena_create();
    for (size_t i = 0; (row = target_row(i)); i++) {
        const char *const *feature = target_features(arena, row);
        while (*feature && has(*feature))
            feature++;
        if (*feature)
            continue;
        bool tuned = cpu_name && strcmp(row->tune, cpu_name) == 0;
        if (!best || tuned)
            best = row;
        if (tuned)
            break;
    }
    arena_destroy(arena);
    return best;
}
