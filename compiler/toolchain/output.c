/* Whole files, atomically: see output.h. */
#include "compiler/toolchain/output.h"

#include "ir/base/diag.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int output_write_all(int descriptor, const void *bytes, size_t length)
{
    const char *at = bytes;
    while (length > 0) {
        ssize_t written = write(descriptor, at, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return written < 0 ? errno : EIO;
        at += written;
        length -= (size_t)written;
    }
    return 0;
}

static int close_after(int descriptor, int error)
{
    if (close(descriptor) != 0 && !error)
        error = errno;
    return error;
}

static int write_in_place(const char *path, const void *bytes, size_t length)
{
    int descriptor = open(path, O_WRONLY | O_CLOEXEC);
    if (descriptor < 0)
        return errno;
    return close_after(descriptor, output_write_all(descriptor, bytes, length));
}

static mode_t current_umask(void)
{
    mode_t mask = umask(077);
    umask(mask);
    return mask;
}

/* Signals wait for the moment that the temporary file exists, so that none is left behind. */
static int write_and_rename(const char *path, const void *bytes, size_t length, unsigned mode)
{
    char temporary[PATH_MAX];
    if (snprintf(temporary, sizeof temporary, "%s.XXXXXX", path) >= (int)sizeof temporary)
        return ENAMETOOLONG;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int descriptor = mkostemp(temporary, O_CLOEXEC);
    int error = descriptor < 0 ? errno : 0;
    if (!error) {
        error = output_write_all(descriptor, bytes, length);
        if (!error && fchmod(descriptor, mode & ~current_umask()) != 0)
            error = errno;
        error = close_after(descriptor, error);
        if (!error && rename(temporary, path) != 0)
            error = errno;
        if (error)
            unlink(temporary);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

void output_write(const char *path, const void *bytes, size_t length, unsigned mode)
{
    struct stat status;
    char resolved[PATH_MAX];
    bool exists = stat(path, &status) == 0;
    int error;
    if (exists && S_ISDIR(status.st_mode))
        error = EISDIR;
    else if (exists && !S_ISREG(status.st_mode))
        error = write_in_place(path, bytes, length);
    else if (exists && realpath(path, resolved)) /* a link stays a link */
        error = write_and_rename(resolved, bytes, length, mode);
    else
        error = write_and_rename(path, bytes, length, mode);
    if (error)
        fatal(FILE_WRITE, path, strerror(error));
}
