/*
 * Linking with LLD in process: the program's objects, the runtime embedded in sinter, and two
 * stub libraries in the place of libc and libm, which pin the oldest glibc that serves.
 */
#include "compiler/embedded.h"
#include "compiler/toolchain/exchange.h"
#include "compiler/toolchain/host.h"
#include "compiler/toolchain/output.h"
#include "compiler/toolchain/toolchain.h"
#include "ir/base/diag.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LINK_FIXED = 32 }; /* arguments that are not objects of the program */

struct command {
    const char **arguments;
    size_t count;
};

const struct embedded_file *toolchain_file(const char *name)
{
    for (size_t i = 0; i < embedded_toolchain_file_count; i++)
        if (strcmp(embedded_toolchain_files[i].name, name) == 0)
            return &embedded_toolchain_files[i];
    fatal(INTERNAL, "no such embedded file", name);
}

static void add(struct command *command, const char *argument)
{
    command->arguments[command->count++] = argument;
}

static void add_file(struct command *command, struct exchange *exchange, const char *name)
{
    const struct embedded_file *file = toolchain_file(name);
    add(command, exchange_give(exchange, file->text, file->length));
}

/* Same bytes for same inputs: no time, no path and no build id is in the result. One thread,
 * since the inputs are small. */
static void add_common(struct command *command)
{
    static const char *const common[] = {
        "--gc-sections", "--as-needed",         "--hash-style=gnu", "--build-id=none",
        "--threads=1",   "--no-mmap-output-file", "-znow",          "-zrelro",
        "-znoexecstack", "--no-undefined",      "--strip-debug",    "-m",
        "elf_x86_64",
    };
    for (size_t i = 0; i < sizeof common / sizeof *common; i++)
        add(command, common[i]);
}

static void add_objects(struct command *command, struct exchange *exchange,
                        const struct object *objects, size_t count)
{
    for (size_t i = 0; i < count; i++)
        add(command, exchange_give(exchange, objects[i].bytes, objects[i].length));
}

/* In the child: links, and leaves the linker's words in the file `words`. */
static _Noreturn void link_and_exit(const struct command *command, int words)
{
    char *text;
    enum host_status status = host_link(command->arguments, command->count, &text);
    if (text)
        output_write_all(words, text, strlen(text));
    _exit((int)status);
}

static enum host_status wait_for(pid_t child)
{
    int status;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return HOST_CRASHED;
    return WIFEXITED(status) ? (enum host_status)WEXITSTATUS(status) : HOST_CRASHED;
}

static void show_words(int words)
{
    char text[4096];
    ssize_t length;
    lseek(words, 0, SEEK_SET);
    while ((length = read(words, text, sizeof text)) > 0)
        fwrite(text, 1, (size_t)length, stderr);
}

/*
 * Each link has a process of its own: LLD 19 keeps pointers to the symbols of an earlier link
 * (_GLOBAL_OFFSET_TABLE_) and writes through them in a later one that has no such symbol.
 */
static const char *link_in_child(struct command *command, struct exchange *exchange,
                                 const char *path, size_t *length)
{
    add(command, "-o");
    add(command, exchange_receive(exchange));
    int words = memfd_create("words", MFD_CLOEXEC);
    fflush(NULL);
    pid_t child = fork();
    if (child < 0)
        fatal(FILE_WRITE, path, strerror(errno));
    if (child == 0)
        link_and_exit(command, words);
    const char *image = exchange_result(exchange, length);
    enum host_status status = wait_for(child);
    if (status == HOST_OUT_OF_MEMORY)
        fatal(OUT_OF_MEMORY, *length);
    if (status != HOST_OK) {
        show_words(words);
        fatal(LINK_FAILED, path);
    }
    close(words);
    return image;
}

static void run(struct command *command, struct exchange *exchange, const char *path)
{
    add_file(command, exchange, "libc.so.6");
    add_file(command, exchange, "libm.so.6");
    size_t length;
    const char *image = link_in_child(command, exchange, path, &length);
    output_write(path, image, length, 0777);
    exchange_end(exchange);
    free(command->arguments);
}

static struct command new_command(size_t objects)
{
    const char **arguments = calloc(objects + LINK_FIXED, sizeof *arguments);
    if (!arguments)
        fatal(OUT_OF_MEMORY, (objects + LINK_FIXED) * sizeof *arguments);
    return (struct command){.arguments = arguments};
}

void toolchain_link_executable(const struct object *objects, size_t count, const char *path)
{
    struct command command = new_command(count);
    struct exchange *exchange = exchange_begin(path, count + LINK_FIXED);
    add_common(&command);
    add(&command, "-pie");
    add(&command, "--dynamic-linker=/lib64/ld-linux-x86-64.so.2");
    add_file(&command, exchange, "start.o");
    add_objects(&command, exchange, objects, count);
    add_file(&command, exchange, "runtime.o");
    run(&command, exchange, path);
}

/* What a program linked with the library looks for when it starts: the name without directories. */
static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void link_library(const struct object *objects, size_t count, const char *exports,
                         bool runtime, const char *path)
{
    struct command command = new_command(count);
    struct exchange *exchange = exchange_begin(path, count + LINK_FIXED);
    add_common(&command);
    add(&command, "-shared");
    add(&command, "--version-script");
    add(&command, exchange_give(exchange, exports, strlen(exports)));
    add(&command, "--soname");
    add(&command, file_name(path));
    add_objects(&command, exchange, objects, count);
    if (runtime)
        add_file(&command, exchange, "runtime.o");
    run(&command, exchange, path);
}

void toolchain_link_shared(const struct object *objects, size_t count, const char *path)
{
    link_library(objects, count, "{ global: sinter_*; local: *; };\n", true, path);
}

void toolchain_link_kernels(const struct object *objects, size_t count, const char *path)
{
    link_library(objects, count, "{ global: rt_program*; emulated_kernels*; local: *; };\n",
                 false, path);
}
