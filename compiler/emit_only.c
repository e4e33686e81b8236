/* See emit_only.h. */
#include "compiler/emit_only.h"

#include "backends/emit.h"
#include "compiler/device_program.h"
#include "compiler/program.h"
#include "compiler/toolchain/output.h"
#include "ir/gpu.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

/* Written last: where it stands, the folder holds a project. */
#define LIST "program.cmake"

static void make_folder(const char *path)
{
    if (mkdir(path, 0777) != 0 && errno != EEXIST)
        fatal(FILE_WRITE, path, strerror(errno));
}

void emit_only_check(const char *folder)
{
    bool empty = true, ours = false;
    DIR *open = opendir(folder);
    if (!open && errno != ENOENT)
        fatal(FILE_WRITE, folder, strerror(errno));
    for (struct dirent *file; open && (file = readdir(open));) {
        empty &= strcmp(file->d_name, ".") == 0 || strcmp(file->d_name, "..") == 0;
        ours |= strcmp(file->d_name, LIST) == 0;
    }
    if (open)
        closedir(open);
    if (!empty && !ours)
        fatal(EMIT_ONLY_FOREIGN, folder);
}

/* Makes the folders that lead to a file below `folder`. */
static void make_way(struct arena *arena, const char *folder, const char *name)
{
    make_folder(folder);
    for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/'))
        make_folder(arena_printf(arena, "%s/%.*s", folder, (int)(slash - name), name));
}

static void put_file(struct arena *arena, const char *folder, const char *name, const char *text,
                     size_t length)
{
    make_way(arena, folder, name);
    output_write(arena_printf(arena, "%s/%s", folder, name), text, length, 0666);
}

/* Files whose name says where they go: "runtime/..." as they are, the others renamed. */
static void put_fixed(struct arena *arena, const char *folder)
{
    for (size_t i = 0; i < embedded_project_file_count; i++) {
        const struct embedded_file *file = &embedded_project_files[i];
        const char *slash = strrchr(file->name, '/'), *name = file->name;
        if (strncmp(name, "runtime/", 8) != 0)
            name = strcmp(slash + 1, "zlib.h") == 0 ? "without_zlib/zlib.h" : slash + 1;
        put_file(arena, folder, name, file->text, file->length);
    }
}

static void put_kernels(struct job *job, const struct device_program *program, const char *folder)
{
    for (int i = 0; i < program->emitted.kernel_count; i++) {
        size_t length;
        if (!program->emitted.kernels[i].text)
            continue;
        const char *text = cuda_kernel_source(job->arena, &program->emitted, i, &length);
        const char *name = arena_printf(job->arena, "%s/%s.cu", job->pipeline.target->gpu->name,
                                        program->emitted.kernels[i].name);
        put_file(job->arena, folder, name, text, length);
    }
}

/* The images as nvcc makes them, as the table that device_unit declares. */
static void put_images(struct job *job, const struct device_program *program, int number,
                       const char *folder)
{
    const char *target = job->pipeline.target->gpu->name;
    static const char *const kinds[] = {"cubin", "ptx"};
    struct str text = str_create(job->arena), rows = str_create(job->arena);
    str_printf(&text, "/* Device code, and the table of it that program.c refers to. */\n"
                      "    .section .rodata\n");
    for (int kind = 0; kind < 2; kind++)
        for (int i = 0; i < program->emitted.kernel_count; i++) {
            if (!program->emitted.kernels[i].text)
                continue;
            str_printf(&text, "    .balign 64\n%s_%d: .incbin \"%s/%s.%s\"\n%s    .set "
                              "%s_%d_size, . - %s_%d\n",
                       kinds[kind], i, target, program->emitted.kernels[i].name, kinds[kind],
                       kind ? "    .byte 0\n" : "", kinds[kind], i, kinds[kind], i);
            str_printf(&rows, "    .quad %s_%d, %s_%d_size\n    .long CUDA_VERSION, 0\n",
                       kinds[kind], i, kinds[kind], i);
        }
    str_printf(&text, "    .section .data.rel.ro, \"aw\"\n    .balign 8\n"
                      "    .global program_images%d\n    .hidden program_images%d\n"
                      "program_images%d:\n%s    .section .note.GNU-stack, \"\", %%progbits\n",
               number, number, number, rows.text ? rows.text : "");
    put_file(job->arena, folder, arena_printf(job->arena, "%s/images.S", target), text.text,
             text.length);
}

/* Names in CMake: only plain characters come from outside. */
static void add_list(struct str *list, struct job *job, const struct device_program *program)
{
    const struct gpu *gpu = job->pipeline.target->gpu;
    str_printf(list, "list(APPEND TARGETS %s)\nset(ARCHITECTURE_%s %s)\nset(KERNELS_%s\n",
               gpu->name, gpu->name, gpu->architecture, gpu->name);
    for (int i = 0; i < program->emitted.kernel_count; i++)
        if (program->emitted.kernels[i].text)
            str_printf(list, "    %s\n", program->emitted.kernels[i].name);
    str_printf(list, ")\n");
}

void emit_only(struct job *jobs, size_t job_count, const char *folder)
{
    struct arena *arena = jobs->arena;
    struct str list = str_create(arena);
    str_printf(&list, "# What CMakeLists.txt builds.\nset(NAME %s)\n",
               emit_identifier(arena, jobs->name));
    put_fixed(arena, folder);
    for (size_t i = 0; i < job_count; i++) {
        struct job *job = &jobs[i];
        struct program_facts facts = program_facts_of(job, (int)i, i + 1 < job_count);
        struct device_program program = device_emit(job);
        struct str unit = device_unit(job, &program, &facts);
        put_kernels(job, &program, folder);
        put_images(job, &program, (int)i, folder);
        put_file(arena, folder, arena_printf(arena, "%s/program.c", job->pipeline.target->name),
                 unit.text, unit.length);
        add_list(&list, job, &program);
    }
    put_file(arena, folder, LIST, list.text, list.length);
}
