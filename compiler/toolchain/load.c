/* Kernels made in memory become code of this process: see toolchain.h. */
#include "compiler/toolchain/toolchain.h"

#include "ir/base/diag.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The file lives as long as it takes to map it. NULL without a file, or where it may not be
 * mapped as code. */
static void *load_from(const char *folder, const struct object *objects, size_t count)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/sinter-kernels-XXXXXX", folder);
    int descriptor = length < (int)sizeof path ? mkstemp(path) : -1;
    if (descriptor < 0)
        return NULL;
    close(descriptor);
    toolchain_link_kernels(objects, count, path);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    unlink(path);
    return library;
}

void *toolchain_load_kernels(const struct object *objects, size_t count)
{
    const char *const folders[] = {getenv("TMPDIR"), P_tmpdir, "."};
    void *library = NULL;
    for (size_t i = 0; i < sizeof folders / sizeof *folders && !library; i++)
        if (folders[i] && *folders[i])
            library = load_from(folders[i], objects, count);
    if (!library)
        fatal(NO_PLACE_FOR_KERNELS, folders[0] && *folders[0] ? folders[0] : P_tmpdir);
    return library;
}
