/* Where NVRTC is: see nvrtc.h. */
#include "compiler/toolchain/nvrtc.h"
#include "ir/base/diag.h"
#include "ir/base/str.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct search {
    struct arena *arena;
    struct str places; /* all that were looked at */
    struct nvrtc found;
};

/* "12" of ".../libnvrtc.so.12", "11.2" gives 11; 0 if the name is another. */
static int major_of(const char *path)
{
    const char *name = strrchr(path, '/');
    int major = 0;
    name = name ? name + 1 : path;
    if (sscanf(name, "libnvrtc.so.%d", &major) != 1)
        return 0;
    return major;
}

static bool usable(int major)
{
    return major == 12 || major == 13;
}

/* Takes the newest library that a pattern of glob(7) matches; notes the place. */
static bool try_pattern(struct search *search, const char *pattern)
{
    glob_t matches = {0};
    str_printf(&search->places, "%s%s", search->places.length ? ", " : "", pattern);
    if (glob(pattern, 0, NULL, &matches) == 0)
        for (size_t i = 0; i < matches.gl_pathc; i++) {
            int major = major_of(matches.gl_pathv[i]);
            if (!usable(major) || (search->found.path && major <= search->found.major))
                continue;
            const char *path = matches.gl_pathv[i];
            search->found.path = arena_copy(search->arena, path, strlen(path));
            search->found.major = major;
        }
    globfree(&matches);
    return search->found.path != NULL;
}

/* Characters that mean something to glob(7) are taken as they stand. */
static const char *quoted(struct arena *arena, const char *path)
{
    struct str text = str_create(arena);
    for (; *path; path++)
        str_printf(&text, strchr("*?[]\\", *path) ? "\\%c" : "%c", *path);
    return text.text ? text.text : "";
}

static bool try_folder(struct search *search, const char *folder)
{
    static const char *const inside[] = {"lib64", "lib", "targets/x86_64-linux/lib", "."};
    const char *base = quoted(search->arena, folder);
    for (size_t i = 0; i < sizeof inside / sizeof *inside; i++)
        if (try_pattern(search,
                        arena_printf(search->arena, "%s/%s/libnvrtc.so.*", base, inside[i])))
            return true;
    return false;
}

static bool try_packages(struct search *search, const char *folder, const char *below)
{
    const char *base = quoted(search->arena, folder);
    return try_pattern(search, arena_printf(search->arena, "%s/%s/nvidia/*/lib/libnvrtc.so.*",
                                            base, below));
}

static bool try_environment(struct search *search)
{
    static const char *const names[] = {"CUDA_HOME", "CUDA_PATH"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);
        if (value && *value && try_folder(search, value))
            return true;
    }
    return false;
}

static bool try_system(struct search *search)
{
    static const char *const patterns[] = {
        "/usr/local/cuda/lib64/libnvrtc.so.*",
        "/usr/local/cuda-1[23]*/lib64/libnvrtc.so.*",
        "/opt/cuda/lib64/libnvrtc.so.*",
        "/usr/lib/x86_64-linux-gnu/libnvrtc.so.*",
        "/usr/lib64/libnvrtc.so.*",
    };
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        if (try_pattern(search, patterns[i]))
            return true;
    return false;
}

static bool try_python(struct search *search)
{
    static const char *const names[] = {"VIRTUAL_ENV", "CONDA_PREFIX"};
    const char *home = getenv("HOME");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);
        if (value && *value && try_packages(search, value, "lib/python3*/site-packages"))
            return true;
    }
    if (home && *home && try_packages(search, home, ".local/lib/python3*/site-packages"))
        return true;
    return try_packages(search, "/usr/local", "lib/python3*/*-packages")
           || try_packages(search, "/usr/lib", "python3*/*-packages");
}

static bool try_wanted(struct search *search, const char *wanted)
{
    struct stat facts;
    bool file = stat(wanted, &facts) == 0 && S_ISREG(facts.st_mode);
    if (file && !strchr(wanted, '/')) /* the loader looks elsewhere for a name alone */
        wanted = arena_printf(search->arena, "./%s", wanted);
    if (file)
        return try_pattern(search, quoted(search->arena, wanted));
    return try_folder(search, wanted) || try_packages(search, wanted, "lib/python3*/site-packages")
           || try_packages(search, wanted, ".");
}

bool nvrtc_look(struct arena *arena, const char *wanted, struct nvrtc *out,
                const char **out_places)
{
    struct search search = {.arena = arena, .places = str_create(arena)};
    bool found = wanted ? try_wanted(&search, wanted)
                        : try_environment(&search) || try_system(&search) || try_python(&search);
    *out = search.found;
    *out_places = search.places.text;
    return found;
}

struct nvrtc nvrtc_find(struct arena *arena, const char *wanted)
{
    struct nvrtc found;
    const char *places, *reason;
    if (!nvrtc_look(arena, wanted, &found, &places))
        fatal(NVRTC_MISSING, places);
    if (!nvrtc_version(arena, &found, &reason))
        fatal(NVRTC_UNUSABLE, found.path, reason);
    return found;
}
