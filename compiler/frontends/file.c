/* See file.h. */
#include "compiler/frontends/file.h"

#include "ir/base/arena.h"
#include "ir/base/diag.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Reads until the end, growing as the file proves to be longer than its size said (as /proc's
 * files are); one byte more than `most` is enough to know that it is too long. */
static char *read_all(struct arena *arena, const char *path, int descriptor, size_t most,
                      size_t *length)
{
    char *bytes = NULL;
    size_t capacity = 0, used = 0;
    for (;;) {
        if (used + 1 >= capacity)
            array_grow(arena, (void **)&bytes, &capacity, capacity, 1);
        ssize_t got = read(descriptor, bytes + used, capacity - used - 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            fatal(FILE_READ, path, strerror(errno));
        used += (size_t)got;
        if (used > most)
            fatal(FILE_TOO_LARGE, path, (unsigned long long)used, (unsigned long long)most);
        if (got == 0)
            break;
    }
    bytes[used] = '\0';
    *length = used;
    return bytes;
}

char *file_read(struct arena *arena, const char *path, size_t most, size_t *length)
{
    struct stat info;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0)
        fatal(FILE_OPEN, path, strerror(errno));
    if (fstat(descriptor, &info) != 0 || !S_ISREG(info.st_mode))
        fatal(FILE_READ, path, S_ISDIR(info.st_mode) ? "it is a directory" : "not a regular file");
    if ((unsigned long long)info.st_size > most)
        fatal(FILE_TOO_LARGE, path, (unsigned long long)info.st_size, (unsigned long long)most);
    char *bytes = read_all(arena, path, descriptor, most, length);
    close(descriptor);
    return bytes;
}

char *file_join(struct arena *arena, const char *directory, const char *name)
{
    size_t length = strlen(directory);
    while (length > 1 && directory[length - 1] == '/')
        length--;
    return arena_printf(arena, "%.*s/%s", (int)length, directory, name);
}

bool file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}
