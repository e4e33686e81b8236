/*
 * Compiling and linking in process: a program is made and run, errors come back as text, objects
 * repeat byte for byte, threads do not disturb each other, and writing fails cleanly.
 */
#include "compiler/toolchain/toolchain.h"
#include "runtime/cpu_features.h"
#include "runtime/exit_codes.h"
#include "runtime/program.h"

#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATH_BYTES = 512, THREADS = 4, ROUNDS = 3 };

static struct arena *arena;
static char folder[] = "/tmp/sinter-toolchain-XXXXXX";

static char *in_folder(const char *name)
{
    return arena_printf(arena, "%s/%s", folder, name);
}

/* Compiles a text for a CPU; the test fails with Clang's words if it does not compile. */
static struct object compile_for(const char *cpu, const char *source)
{
    struct object object;
    char *errors;
    enum toolchain_status status =
        toolchain_compile(source, strlen(source), toolchain_target(arena, cpu), &object, &errors);
    if (status != TOOLCHAIN_OK)
        fail_msg("%s", errors);
    assert_string_equal(errors, "");
    free(errors);
    return object;
}

/* An emitted program without functions: `info` describes it. */
static char *program_text(const char *model)
{
    const struct embedded_file *header = toolchain_file("program.h");
    return arena_printf(arena,
                        "%.*s\nstatic const char *const features[] = {0};\n"
                        "const struct rt_program rt_program = {.version = RT_PROGRAM_VERSION,\n"
                        "    .compiler = \"test\", .model = \"%s\", .task = \"generate\",\n"
                        "    .dtype = \"f32\", .cpu = \"x86-64\", .cpu_features = features,\n"
                        "    .batch = 1, .max_length = 8, .weights_path = \"\", .bos_id = -1};\n",
                        (int)header->length, header->text, model);
}

/* The exit code of a shell command, and the start of what it prints. */
static int run(const char *command, char *output, size_t capacity)
{
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t length = fread(output, 1, capacity - 1, pipe);
    output[length] = '\0';
    int status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void links_a_program_that_runs(void **state)
{
    (void)state;
    struct object object = compile_for("native", program_text("marble"));
    char *path = in_folder("program"), output[4096];
    toolchain_link_executable(&object, 1, path);
    assert_int_equal(run(arena_printf(arena, "%s info 2>&1", path), output, sizeof output), 0);
    assert_non_null(strstr(output, "marble"));
    run(arena_printf(arena, "ldd %s", path), output, sizeof output);
    int lines = 0;
    for (char *at = output; (at = strchr(at, '\n')); at++)
        lines++;
    assert_true(lines >= 3 && lines <= 4); /* vdso, libc, the loader, and libm where used */
    assert_non_null(strstr(output, "libc.so.6"));
    assert_null(strstr(output, "not found"));
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_true(status.st_size < 3 << 20);
    toolchain_free_objects(&object, 1);
}

static void same_source_gives_same_bytes(void **state)
{
    (void)state;
    struct object first = compile_for("x86-64-v3", program_text("a"));
    struct object second = compile_for("x86-64-v3", program_text("a"));
    assert_int_equal(first.length, second.length);
    assert_memory_equal(first.bytes, second.bytes, first.length);
    toolchain_free_objects(&first, 1);
    toolchain_free_objects(&second, 1);
}

/* The soname of an open library; NULL if it has none. */
static const char *soname(void *library)
{
    struct link_map *map;
    const char *strings = NULL;
    size_t name = 0;
    if (dlinfo(library, RTLD_DI_LINKMAP, &map) != 0)
        return NULL;
    for (const ElfW(Dyn) *entry = map->l_ld; entry->d_tag != DT_NULL; entry++) {
        if (entry->d_tag == DT_STRTAB)
            strings = (const char *)entry->d_un.d_ptr; /* the loader made it an address */
        if (entry->d_tag == DT_SONAME)
            name = entry->d_un.d_val;
    }
    return strings && name ? strings + name : NULL;
}

static void links_a_library(void **state)
{
    (void)state;
    struct object object =
        compile_for("x86-64-v2",
                    arena_printf(arena, "%sfloat expf(float);\n"
                                        "__attribute__((visibility(\"default\")))\n"
                                        "float sinter_twice_exp(float x) { return 2 * expf(x); }\n"
                                        "float hidden(float x) { return x; }\n",
                                 program_text("library")));
    char *path = in_folder("library.so");
    toolchain_link_shared(&object, 1, path);
    void *library = dlopen(path, RTLD_NOW);
    if (!library)
        fail_msg("%s", dlerror());
    float (*function)(float);
    *(void **)&function = dlsym(library, "sinter_twice_exp");
    assert_non_null(function);
    assert_true(function(0) == 2.0f);
    assert_non_null(soname(library));
    assert_string_equal(soname(library), "library.so");
    assert_null(dlsym(library, "hidden"));
    assert_null(dlsym(library, "rt_program"));
    dlclose(library);
    toolchain_free_objects(&object, 1);
}

static void links_kernels_alone(void **state)
{
    (void)state;
    struct object object = compile_for("x86-64-v2", program_text("alone"));
    char *path = in_folder("kernels.so");
    toolchain_link_kernels(&object, 1, path);
    void *library = dlopen(path, RTLD_NOW);
    if (!library)
        fail_msg("%s", dlerror());
    const struct rt_program *program = dlsym(library, "rt_program");
    assert_non_null(program);
    assert_string_equal(program->model, "alone");
    dlclose(library);
    toolchain_free_objects(&object, 1);
}

static void refuses_wrong_source(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "int f(void) { return undeclared; }",
        "#include <stdio.h>\n",
        "#include \"/etc/passwd\"\n",
        "#embed \"/etc/passwd\"\n",
        "int f(void) { __builtin_ia32_dpbf16ps_512; }",
        "\xff\xfe\x00(((((((",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct object object;
        char *errors;
        enum toolchain_status status =
            toolchain_compile(wrong[i], strlen(wrong[i]), toolchain_target(arena, "x86-64"),
                              &object, &errors);
        assert_int_equal(status, TOOLCHAIN_REJECTED);
        assert_non_null(strstr(errors, "error:"));
        assert_null(object.bytes);
        free(errors);
    }
}

static void *compile_rounds(void *failures)
{
    const struct toolchain_target *target = *(const struct toolchain_target **)failures;
    const char *source = "typedef float v8 __attribute__((vector_size(32)));\n"
                         "void k(v8 *a, const v8 *b, long n)\n"
                         "{ for (long i = 0; i < n; i++) a[i] += b[i] * b[n - i]; }\n";
    size_t failed = 0;
    for (int i = 0; i < ROUNDS; i++) {
        struct object object;
        char *errors;
        failed += toolchain_compile(source, strlen(source), target, &object, &errors) != 0;
        free(errors);
        toolchain_free_objects(&object, 1);
    }
    return (void *)failed;
}

static void compiles_on_several_threads(void **state)
{
    (void)state;
    const struct toolchain_target *target = toolchain_target(arena, "x86-64-v3");
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, compile_rounds, &target), 0);
    for (int i = 0; i < THREADS; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    struct toolchain_source sources[5];
    struct object objects[5];
    for (int i = 0; i < 5; i++) {
        char *text = arena_printf(arena, "int value_%d = %d;", i, i);
        sources[i] = (struct toolchain_source){"values.c", text, strlen(text)};
    }
    toolchain_compile_all(sources, 5, target, 2, in_folder("many"), objects);
    for (int i = 0; i < 5; i++)
        assert_true(objects[i].length > 0);
    toolchain_free_objects(objects, 5);
}

/* The text of a file in the test's folder, cut to the capacity. */
static void read_text(const char *name, char *text, size_t capacity)
{
    FILE *file = fopen(in_folder(name), "r");
    assert_non_null(file);
    size_t length = fread(text, 1, capacity - 1, file);
    text[length] = '\0';
    fclose(file);
}

/* The exit code of a process that does `action`; what it said is in the file "said". */
static int exit_code_of(void (*action)(const char *), const char *argument)
{
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (!freopen(in_folder("said"), "w", stderr))
            _exit(99);
        action(argument);
        exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void link_to(const char *path)
{
    char *source = arena_printf(arena, "%s__attribute__((visibility(\"default\")))\n"
                                       "const char sinter_table[1 << 20] = {1};\n",
                                program_text("large"));
    struct object object = compile_for("x86-64", source);
    toolchain_link_shared(&object, 1, path);
    toolchain_free_objects(&object, 1);
}

static void compile_text(const char *text, const char *path)
{
    struct toolchain_source source = {"wrong.c", text, strlen(text)};
    struct object object;
    toolchain_compile_all(&source, 1, toolchain_target(arena, "x86-64"), 1, path, &object);
}

static void compile_wrong(const char *path)
{
    compile_text("int f(", path);
}

/* The frame pointer in a function without a frame is a fatal error of LLVM's, which would end
 * the process by a signal. */
static void compile_fatal(const char *path)
{
    compile_text("register unsigned long frame __asm__(\"rbp\");\n"
                 "unsigned long f(void) { return frame; }\n",
                 path);
}

static void take_unknown_cpu(const char *name)
{
    toolchain_target(arena, name);
}

static void failures_have_their_codes(void **state)
{
    (void)state;
    assert_int_equal(exit_code_of(link_to, "/nonexistent/folder/x"), EXIT_FILE);
    assert_int_equal(exit_code_of(link_to, folder), EXIT_FILE);
    assert_int_equal(exit_code_of(link_to, "/dev/full"), EXIT_FILE);
    char text[4096];
    read_text("said", text, sizeof text);
    assert_non_null(strstr(text, strerror(ENOSPC)));
    assert_int_equal(exit_code_of(take_unknown_cpu, "potato"), EXIT_USAGE);
    assert_int_equal(exit_code_of(compile_wrong, in_folder("wrong")), EXIT_INTERNAL);
    read_text("said", text, sizeof text);
    assert_non_null(strstr(text, "program.c:1:7: error: expected"));
    assert_non_null(strstr(text, in_folder("wrong.failed.c")));
    read_text("wrong.failed.c", text, sizeof text);
    assert_string_equal(text, "int f(");
    assert_int_equal(exit_code_of(compile_fatal, in_folder("fatal")), EXIT_INTERNAL);
    read_text("said", text, sizeof text);
    assert_non_null(strstr(text, "error: internal error: the compiler inside failed"));
    read_text("fatal.failed.c", text, sizeof text);
    assert_non_null(strstr(text, "rbp"));
}

/* What is left in a file system of 4 KiB after a library of 1 MB did not fit into it. */
static void fill_a_disk(void (*action)(const char *))
{
    char *place = in_folder("full"), output[256];
    mkdir(place, 0700);
    assert_int_equal(mount("none", place, "tmpfs", 0, "size=4k"), 0);
    int code = exit_code_of(action, arena_printf(arena, "%s/x", place));
    run(arena_printf(arena, "ls -A %s", place), output, sizeof output);
    umount(place);
    assert_int_equal(code, EXIT_FILE);
    assert_string_equal(output, "");
}

/* In a mount namespace of its own, /proc is hidden. */
static void link_without_proc_to(const char *path)
{
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0
        || mount("none", "/proc", "tmpfs", 0, NULL) != 0 || access("/proc/self", F_OK) == 0)
        _exit(98);
    link_to(path);
}

static bool can_mount(const char *what)
{
    if (geteuid() == 0 && mkdir(in_folder("mount"), 0700) == 0
        && mount("none", in_folder("mount"), "tmpfs", 0, NULL) == 0) {
        umount(in_folder("mount"));
        rmdir(in_folder("mount"));
        return true;
    }
    rmdir(in_folder("mount"));
    printf("SKIPPED 1 %s (needs root and a mount)\n", what);
    return false;
}

static void a_full_disk_leaves_nothing(void **state)
{
    (void)state;
    if (can_mount("full disk"))
        fill_a_disk(link_to);
}

static void links_without_proc(void **state)
{
    (void)state;
    if (!can_mount("linking without /proc"))
        return;
    char output[256];
    assert_int_equal(mkdir(in_folder("with"), 0700), 0); /* the same name: it is in the file */
    assert_int_equal(exit_code_of(link_to, in_folder("with/without")), 0);
    assert_int_equal(exit_code_of(link_without_proc_to, in_folder("without")), 0);
    run(arena_printf(arena, "cmp %s %s 2>&1", in_folder("with/without"), in_folder("without")),
        output, sizeof output);
    assert_string_equal(output, "");
    run(arena_printf(arena, "ls -d %s* ", in_folder("without")), output, sizeof output);
    assert_string_equal(output, arena_printf(arena, "%s\n", in_folder("without")));
    fill_a_disk(link_without_proc_to);
}

/* "native" must never ask for a feature that this very machine cannot show at start. */
static void native_features_are_this_machines(void **state)
{
    (void)state;
    const struct toolchain_target *target = toolchain_target(arena, "native");
    assert_true(target->feature_count > 0);
    assert_int_equal(rt_cpu_check(target->features), 0);
}

static void named_cpus_have_their_features(void **state)
{
    (void)state;
    static const struct {
        const char *cpu, *has, *lacks;
    } rows[] = {
        {"x86-64", "sse2", "sse4.2"},      {"x86-64-v2", "sse4.2", "avx"},
        {"x86-64-v3", "avx2", "avx512f"},  {"x86-64-v4", "avx512f", "avx512bf16"},
        {"znver4", "avx512bf16", "amx-bf16"}, {"haswell", "fma", "avx512f"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct toolchain_target *target = toolchain_target(arena, rows[i].cpu);
        if (!toolchain_target_has(target, rows[i].has))
            fail_msg("%s lacks %s", rows[i].cpu, rows[i].has);
        if (toolchain_target_has(target, rows[i].lacks))
            fail_msg("%s has %s", rows[i].cpu, rows[i].lacks);
    }
}

/* Every CPU that is offered compiles, without a word from Clang about its switches. */
static void count_compiling(void *count, const char *cpu)
{
    struct object object = compile_for(cpu, "int x;");
    toolchain_free_objects(&object, 1);
    *(int *)count += 1;
}

static void every_cpu_compiles(void **state)
{
    (void)state;
    int count = 0;
    toolchain_target_each(count_compiling, &count);
    assert_true(count > 20);
}

static int set_up(void **state)
{
    (void)state;
    arena = arena_create();
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    char output[16];
    run(arena_printf(arena, "rm -rf %s", folder), output, sizeof output);
    arena_destroy(arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(links_a_program_that_runs),
        cmocka_unit_test(same_source_gives_same_bytes),
        cmocka_unit_test(links_a_library),
        cmocka_unit_test(links_kernels_alone),
        cmocka_unit_test(refuses_wrong_source),
        cmocka_unit_test(compiles_on_several_threads),
        cmocka_unit_test(failures_have_their_codes),
        cmocka_unit_test(a_full_disk_leaves_nothing),
        cmocka_unit_test(links_without_proc),
        cmocka_unit_test(native_features_are_this_machines),
        cmocka_unit_test(named_cpus_have_their_features),
        cmocka_unit_test(every_cpu_compiles),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
