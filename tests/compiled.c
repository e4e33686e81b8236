/* See compiled.h. */
#include "tests/compiled.h"

#include "compiler/device_program.h"
#include "compiler/program.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static _Noreturn void die(const char *what, const char *which)
{
    fprintf(stderr, "compiled: %s: %s\n", what, which);
    abort();
}

static void leave_out_samplers(struct module *module)
{
    size_t kept = 0;
    for (size_t i = 0; i < module->functions.count; i++) {
        struct function *function = module->functions.items[i];
        const char *role = attributes_text(&function->attributes, ATTRIBUTE_role);
        if (strcmp(role, "greedy") != 0 && strcmp(role, "sample") != 0)
            module->functions.items[kept++] = function;
    }
    module->functions.count = kept;
}

static void load(struct compiled *c, const struct object *objects, size_t count)
{
    char path[] = "/tmp/sinter-compiled-XXXXXX";
    int descriptor = mkstemp(path);
    if (descriptor < 0)
        die("cannot make", path);
    close(descriptor);
    toolchain_link_kernels(objects, count, path);
    c->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    unlink(path);
    if (!c->library)
        die("cannot load", dlerror());
    c->program = dlsym(c->library, "rt_program");
    if (!c->program)
        die("no program in", path);
}

/* The program's tables, with images of no bytes, and the kernels as a unit of the emulation. */
static void emulate(struct compiled *c)
{
    struct cuda_emit_options emit = {.target = c->job.pipeline.target};
    struct device_program program = {.emitted = backend_cuda_emit(c->job.module, &emit)};
    struct program_facts facts = {.compiler = "sinter",
                                  .task = "generate",
                                  .dtype = dtype_name(c->job.pipeline.compute),
                                  .weights_path = c->job.options->arguments[0],
                                  .random_weights = c->job.random_weights,
                                  .random_seed = (uint64_t)c->job.options->seed,
                                  .batch = c->job.options->batch,
                                  .max_length = c->job.pipeline.max_length,
                                  .bos_id = -1};
    program.code = arena_array(c->arena, struct device_code,
                               (size_t)program.emitted.kernel_count + 1);
    struct str text = device_unit(&c->job, &program, &facts);
    struct toolchain_source source = {"tables.c", text.text, text.length};
    struct object tables;
    toolchain_compile_all(&source, 1, c->job.cpu, 1, "compiled", &tables);
    load(c, &tables, 1);
    free(tables.bytes);
    c->emulated = arena_new(c->arena, struct emulated_program);
    c->emulated->program = c->program;
    c->emulated->unit = emulation_unit_open(program.emitted.emulated,
                                            program.emitted.emulated_length, false, NULL);
    if (!c->emulated->unit)
        die("Clang refuses the kernels for", c->job.pipeline.target->name);
    emulated_device_offer(c->emulated);
}

struct compiled compiled_open(const char *const *words, int count, bool samplers)
{
    struct compiled c = {.arena = arena_create()};
    struct options *options = arena_new(c.arena, struct options);
    char **copy = arena_array(c.arena, char *, (size_t)count + 2);
    copy[0] = "sinter";
    for (int i = 0; i < count; i++)
        copy[i + 1] = (char *)words[i];
    if (rt_command_line_parse(&compiler_command_table, (struct command_line *)options, count + 1,
                              copy))
        die("bad command line", rt_status_text());
    options->threads = 1;
    c.job = job_open(c.arena, options);
    if (!samplers) {
        pipeline_run(c.job.module, &c.job.pipeline, "decode");
        leave_out_samplers(c.job.module);
    }
    job_run(&c.job);
    if (c.job.pipeline.target->gpu) {
        emulate(&c);
        return c;
    }
    c.objects = program_compile(&c.job, 1, "compiled", &c.object_count);
    load(&c, c.objects, c.object_count);
    return c;
}

void compiled_close(struct compiled *c)
{
    if (c->emulated) {
        emulated_device_withdraw(c->emulated);
        emulation_unit_close((struct emulation_unit *)(uintptr_t)c->emulated->unit);
    }
    dlclose(c->library);
    toolchain_free_objects(c->objects, c->object_count);
    arena_destroy(c->arena);
}

struct rt_session compiled_session(const struct compiled *c, const char *directory, int threads)
{
    struct rt_session_options options = {.weights = directory,
                                         .threads = threads,
                                         .table = c->emulated ? &rt_device_emulated : NULL};
    struct rt_session session;
    if (rt_session_open(&session, c->program, &options))
        die("no session", rt_status_text());
    return session;
}

rt_u32 compiled_function(const struct compiled *c, const char *role, rt_i64 chunk)
{
    for (rt_u32 i = 0; i < c->program->function_count; i++) {
        const struct rt_function *function = &c->program->functions[i];
        if (strcmp(function->role, role) == 0 && (chunk == 0 || function->chunk == chunk))
            return i;
    }
    die("no function of role", role);
}

void compiled_feed(struct rt_session *session, rt_u32 function, const rt_i32 *tokens,
                   const rt_i32 *counts)
{
    const struct rt_port *token_port, *count_port;
    if (rt_session_input(session, function, "tokens", RT_I32, -1, &token_port) ||
        rt_session_input(session, function, "count", RT_I32, -1, &count_port) ||
        rt_session_write(session, token_port, tokens) ||
        rt_session_write(session, count_port, counts) || rt_session_launch(session, function))
        die("cannot run", rt_status_text());
}
