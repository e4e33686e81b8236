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

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static void run(struct command *command, struct exchange *exchange, const char *path)
{
    char *text;
    add_file(command, exchange, "libc.so.6");
    add_file(command, exchange, "libm.so.6");
    add(command, "-o");
    add(command, exchange_receive(exchange));
    enum host_status status = host_link(command->arguments, command->count, &text);
    if (status == HOST_OUT_OF_MEMORY)
        fatal(OUT_OF_MEMORY, (size_t)0);
    if (status != HOST_OK && text)
        fprintf(stderr, "%s", text);
    if (status != HOST_OK)
        fatal(LINK_FAILED, path);
    free(text);
    size_t length;
    const char *image = exchange_result(exchange, &length);
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

static void link_library(const struct object *objects, size_t count, const char *exports,
                         bool runtime, const char *path)
{
    struct command command = new_command(count);
    struct exchange *exchange = exchange_begin(path, count + LINK_FIXED);
    add_common(&command);
    add(&command, "-shared");
    add(&command, "--version-script");
    add(&command, exchange_give(exchange, exports, strlen(exports)));
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
    link_library(objects, count, "{ global: rt_program; local: *; };\n", false, path);
}
