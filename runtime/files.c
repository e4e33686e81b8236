/* Whole files: see files.h. */
#include "runtime/files.h"

#include "runtime/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FIRST_READ = 1 << 16 };

/* Grows the buffer so that at least one byte and the final zero fit. */
static rt_status grow(char **text, size_t *capacity, size_t used)
{
    if (used + 1 < *capacity)
        return 0;
    size_t larger = *capacity ? *capacity * 2 : FIRST_READ;
    char *grown = realloc(*text, larger);
    if (!grown)
        return rt_fail(OUT_OF_MEMORY, larger);
    *text = grown;
    *capacity = larger;
    return 0;
}

static rt_status read_all(int descriptor, const char *path, size_t most, char **out,
                          size_t *length)
{
    char *text = NULL;
    size_t capacity = 0, used = 0;
    rt_status status;
    while (!(status = grow(&text, &capacity, used))) {
        ssize_t got = read(descriptor, text + used, capacity - 1 - used);
        if (got == 0)
            break;
        if (got < 0 && errno != EINTR)
            status = rt_fail(FILE_READ, path, strerror(errno));
        used += got > 0 ? (size_t)got : 0;
        if (!status && used > most)
            status = rt_fail(FILE_TOO_LARGE, path, (unsigned long long)used,
                             (unsigned long long)most);
        if (!status)
            status = rt_process_interrupted();
        if (status)
            break;
    }
    if (status) {
        free(text);
        return status;
    }
    text[used] = '\0';
    *out = text;
    *length = used;
    return 0;
}

rt_status rt_read_file(const char *path, size_t most, char **out, size_t *length)
{
    if (strcmp(path, "-") == 0)
        return read_all(STDIN_FILENO, "standard input", most, out, length);
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return rt_fail(FILE_OPEN, path, strerror(errno));
    rt_status status = read_all(descriptor, path, most, out, length);
    close(descriptor);
    return status;
}

rt_status rt_file_create(const char *path, char *temporary, size_t capacity, FILE **file)
{
    struct stat info;
    bool special = stat(path, &info) == 0 && !S_ISREG(info.st_mode);
    int length = special ? snprintf(temporary, capacity, "%s", path)
                         : snprintf(temporary, capacity, "%s.tmp-%ld", path, (long)getpid());
    if (length < 0 || (size_t)length >= capacity)
        return rt_fail(FILE_OPEN, path, strerror(ENAMETOOLONG));
    *file = fopen(temporary, "wbe");
    return *file ? 0 : rt_fail(FILE_OPEN, path, strerror(errno));
}

static bool is_regular(FILE *file)
{
    struct stat info;
    return fstat(fileno(file), &info) == 0 && S_ISREG(info.st_mode);
}

/* Makes the new name in its directory durable; systems without that stay silent. */
static void sync_directory(const char *path)
{
    char directory[4096];
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) : 0;
    if (length >= sizeof directory)
        return;
    memcpy(directory, path, length);
    directory[length] = '\0';
    int descriptor = open(length ? directory : slash ? "/" : ".", O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return;
    fsync(descriptor);
    close(descriptor);
}

rt_status rt_file_commit(FILE *file, const char *temporary, const char *path)
{
    bool regular = is_regular(file);
    rt_status status = rt_flush(file, path);
    if (!status && regular && fsync(fileno(file)) != 0)
        status = rt_fail(FILE_WRITE, path, strerror(errno));
    if (fclose(file) != 0 && !status)
        status = rt_fail(FILE_WRITE, path, strerror(errno));
    if (!status && strcmp(temporary, path) != 0 && rename(temporary, path) != 0)
        status = rt_fail(FILE_WRITE, path, strerror(errno));
    if (status && regular)
        unlink(temporary);
    if (!status)
        sync_directory(path);
    return status;
}

void rt_file_discard(FILE *file, const char *temporary)
{
    if (!file)
        return;
    bool regular = is_regular(file);
    fclose(file);
    if (regular)
        unlink(temporary);
}
