/* Where the weights of an executable are: see weights.h. */
#include "runtime/weights_internal.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

/* "directory/name", allocated; NULL if there is no memory. */
static char *join(const char *directory, const char *name)
{
    size_t length = strlen(directory) + strlen(name) + 2;
    char *path = malloc(length);
    if (path)
        snprintf(path, length, "%s/%s", directory, name);
    return path;
}

/* The directory of the running executable; without /proc, as it was started. */
static void executable_directory(char *out, size_t capacity)
{
    ssize_t length = readlink("/proc/self/exe", out, capacity - 1);
    if (length < 0) {
        const char *started = (const char *)getauxval(AT_EXECFN);
        length = snprintf(out, capacity, "%s", started ? started : "");
        length = length < (ssize_t)capacity ? length : (ssize_t)capacity - 1;
    }
    out[length] = '\0';
    char *slash = strrchr(out, '/');
    if (slash)
        *slash = '\0';
    else
        snprintf(out, capacity, ".");
}

static int is_directory(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* Sets *out to the path of the file in the directory if it is there. */
static rt_status try_directory(const char *directory, const char *name, char **out)
{
    char *path = join(directory, name);
    if (!path)
        return rt_fail(OUT_OF_MEMORY, strlen(directory) + strlen(name));
    if (access(path, F_OK) == 0)
        *out = strdup(directory);
    free(path);
    return EXIT_OK;
}

rt_status weights_find(const char *given, const char *recorded, const char *first, char **out)
{
    char beside[PATH_MAX], places[2 * PATH_MAX + 16];
    rt_status status = EXIT_OK;
    *out = NULL;
    if (given && !is_directory(given)) {
        *out = strdup(given);
        return *out ? EXIT_OK : rt_fail(OUT_OF_MEMORY, strlen(given));
    }
    if (given) {
        snprintf(places, sizeof places, "'%s'", given);
        status = try_directory(given, first, out);
    } else {
        executable_directory(beside, sizeof beside);
        snprintf(places, sizeof places, "'%s' and '%s'", beside, recorded);
        status = try_directory(beside, first, out);
        if (!status && !*out)
            status = try_directory(recorded, first, out);
    }
    if (!status && !*out)
        status = rt_fail(WEIGHTS_ABSENT, first, places);
    return status;
}
