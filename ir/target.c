/* See target.h. */
#include "ir/target.h"

#include <string.h>

static struct target rows[] = {
#define TARGET(name, level, extra, tune, lanes, dots, mr, nr, prefetch, f32, bf16, read) \
    {#name, level, extra, tune, lanes, dots, mr, nr, prefetch, f32, bf16, read},
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

const struct target *target_find(const char *name)
{
    const struct target *row;
    for (size_t i = 0; (row = target_row(i)); i++)
        if (strcmp(row->name, name) == 0)
            return row;
    return NULL;
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
