/* Binding of an executable's weights: where they are found, what a changed file says, the bits
 * of random weights, and a file that shrinks while it is in use. */
#include "runtime/convert.h"
#include "runtime/mapping.h"
#include "runtime/philox.h"
#include "runtime/safetensors.h"
#include "runtime/weights.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[] = "/tmp/sinter-weights-XXXXXX";
static char beside[256]; /* the directory of this test's executable */
static char path[512];

static const char *in(const char *place, const char *name)
{
    snprintf(path, sizeof path, "%s/%s", place, name);
    return path;
}

/* A file of two tensors: `first` f32[2] = 1, 2 and `second` bf16[1,3]; `blanks` of padding. */
static void write_weights(const char *file_path, const char *second, int blanks)
{
    char header[512];
    const float values[2] = {1, 2};
    int length = snprintf(header, sizeof header,
                          "{\"first\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
                          "\"second\":{%s,\"data_offsets\":[8,14]}}%*s",
                          second, blanks, "");
    unsigned char size[8] = {(unsigned char)length, (unsigned char)(length >> 8)};
    FILE *file = fopen(file_path, "wb");
    assert_non_null(file);
    fwrite(size, 1, 8, file);
    fwrite(header, 1, (size_t)length, file);
    fwrite(values, 1, 8, file);
    fwrite("\x80\x3f\0\0\x80\xbf", 1, 6, file);
    fclose(file);
}

#define SECOND "\"dtype\":\"BF16\",\"shape\":[1,3]"

/* The table that a compiler would emit for that file. */
static struct rt_program program_of(struct rt_weight table[2])
{
    struct rt_checkpoint *checkpoint;
    write_weights(in(directory, "w.safetensors"), SECOND, 0);
    assert_int_equal(rt_checkpoint_open(path, &checkpoint), EXIT_OK);
    table[0] = (struct rt_weight){.name = "first",
                                  .file = "w.safetensors",
                                  .dtype = RT_F32,
                                  .rank = 1,
                                  .dims = {2},
                                  .bytes = 8};
    table[1] = (struct rt_weight){.name = "second",
                                  .file = "w.safetensors",
                                  .dtype = RT_BF16,
                                  .rank = 2,
                                  .dims = {1, 3},
                                  .bytes = 6};
    for (int i = 0; i < 2; i++)
        table[i].offset = rt_checkpoint_find(checkpoint, table[i].name)->offset;
    rt_checkpoint_close(checkpoint);
    return (struct rt_program){.weights = table, .weight_count = 2, .weights_path = directory};
}

static void binds_in_place(void **state)
{
    (void)state;
    struct rt_weight table[2];
    struct rt_program program = program_of(table);
    struct rt_weights weights;
    float first;
    const char *places[] = {NULL, directory, path};
    in(directory, "w.safetensors");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rt_weights_map(&program, places[i], &weights), EXIT_OK);
        memcpy(&first, (const char *)weights.data[0] + 4, 4);
        assert_true(first == 2);
        assert_memory_equal(weights.data[1], "\x80\x3f\0\0\x80\xbf", 6);
        assert_int_equal(weights.mapped_bytes, 14);
        assert_int_equal(weights.anonymous_bytes, 0);
        rt_weights_release(&weights);
        assert_null(weights.data);
    }
}

/* --weights, then the executable's directory, then the recorded path. */
static void finds_in_order(void **state)
{
    (void)state;
    struct rt_weight table[2];
    struct rt_program program = program_of(table);
    struct rt_weights weights;
    char wrong[600], own[512];
    snprintf(own, sizeof own, "%s", in(beside, "w.safetensors"));
    snprintf(wrong, sizeof wrong, "%s/absent", directory);
    write_weights(own, "\"dtype\":\"BF16\",\"shape\":[3,1]", 0); /* recognisable: it fails */
    assert_int_equal(rt_weights_map(&program, NULL, &weights), EXIT_DATA);
    assert_non_null(strstr(rt_status_text(), own));
    rt_status_clear();
    assert_int_equal(rt_weights_map(&program, directory, &weights), EXIT_OK);
    rt_weights_release(&weights);
    unlink(own);
    assert_int_equal(rt_weights_map(&program, NULL, &weights), EXIT_OK);
    rt_weights_release(&weights);
    program.weights_path = "/nowhere";
    assert_int_equal(rt_weights_map(&program, NULL, &weights), EXIT_FILE);
    assert_non_null(strstr(rt_status_text(), "'w.safetensors' not found; looked in "));
    assert_non_null(strstr(rt_status_text(), "and '/nowhere'"));
    rt_status_clear();
    mkdir(wrong, 0700);
    program.weights_path = directory;
    assert_int_equal(rt_weights_map(&program, wrong, &weights), EXIT_FILE);
    rt_status_clear();
}

static void finds_changes(void **state)
{
    (void)state;
    static const struct {
        const char *second;
        int blanks;
        const char *message;
    } cases[] = {
        {SECOND, 8, "tensor 'first' stands at byte"},
        {"\"dtype\":\"F16\",\"shape\":[1,3]", 1, "tensor 'second' is of type F16"},
        {"\"dtype\":\"BF16\",\"shape\":[3,1]", 0, "tensor 'second' has shape [3, 1]"},
        {"\"dtype\":\"BF16\",\"shape\":[3]", 2, "tensor 'second' has shape [3]"},
        {"\"dtype\":\"I16\",\"shape\":[1,3]", 1, "tensor 'second' is of type I16"},
    };
    struct rt_weight table[2];
    struct rt_program program = program_of(table);
    struct rt_weights weights;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rt_status_clear();
        write_weights(in(directory, "w.safetensors"), cases[i].second, cases[i].blanks);
        assert_int_equal(rt_weights_map(&program, NULL, &weights), EXIT_DATA);
        if (!strstr(rt_status_text(), cases[i].message))
            fail_msg("case %zu said %s", i, rt_status_text());
        assert_null(weights.data);
    }
    program = program_of(table);
    table[1].name = "third";
    rt_status_clear();
    assert_int_equal(rt_weights_map(&program, NULL, &weights), EXIT_DATA);
    assert_non_null(strstr(rt_status_text(), "has no tensor 'third'"));
    table[1].name = "second";
    table[1].file = "other.safetensors";
    rt_status_clear();
    assert_int_equal(rt_weights_map(&program, in(directory, "w.safetensors"), &weights),
                     EXIT_USAGE);
    rt_status_clear();
}

static void draws(void **state)
{
    (void)state;
    enum { COUNT = 200001 };
    static const enum rt_dtype dtypes[] = {RT_BF16, RT_F32, RT_F16};
    struct rt_weight table[4] = {{.name = "ones",
                                  .file = "",
                                  .dtype = RT_F32,
                                  .rank = 1,
                                  .dims = {5},
                                  .bytes = 20,
                                  .constant = 1,
                                  .ordinal = 9}};
    for (int i = 0; i < 3; i++)
        table[i + 1] = (struct rt_weight){.name = "w",
                                          .file = "",
                                          .dtype = dtypes[i],
                                          .rank = 1,
                                          .dims = {COUNT},
                                          .bytes = COUNT * (dtypes[i] == RT_F32 ? 4 : 2),
                                          .initializer = 0.5f,
                                          .ordinal = 6};
    struct rt_program program = {
        .weights = table, .weight_count = 4, .random_weights = 1, .random_seed = 77};
    struct rt_weights weights;
    assert_int_equal(rt_weights_map(&program, NULL, &weights), EXIT_OK);
    assert_int_equal(weights.mapped_bytes, 0);
    assert_true(weights.anonymous_bytes >= 20 + 8 * COUNT);
    for (int i = 0; i < 5; i++)
        assert_true(((const float *)weights.data[0])[i] == 1);
    for (uint64_t i = 0; i < COUNT; i++) {
        uint16_t bits = rt_random_bf16(77, 6, i, rt_random_scale(0.5f));
        uint32_t wide = (uint32_t)bits << 16;
        float value;
        memcpy(&value, &wide, 4);
        assert_int_equal(((const uint16_t *)weights.data[1])[i], bits);
        assert_true(((const float *)weights.data[2])[i] == value);
        assert_int_equal(((const uint16_t *)weights.data[3])[i], rt_f16_of_f32(value));
    }
    rt_weights_release(&weights);
    table[2].dtype = RT_I64;
    assert_int_equal(rt_weights_map(&program, NULL, &weights), EXIT_DATA);
    rt_status_clear();
}

/* A program of random weights takes a checkpoint of any layout where one is named. */
static void takes_any_layout(void **state)
{
    (void)state;
    struct rt_weight table[2];
    struct rt_program program = program_of(table);
    struct rt_weights weights;
    program.random_weights = 1;
    for (int i = 0; i < 2; i++) {
        table[i].file = "";
        table[i].offset = 0;
    }
    assert_int_equal(rt_weights_map(&program, in(directory, "w.safetensors"), &weights), EXIT_OK);
    assert_memory_equal(weights.data[1], "\x80\x3f\0\0\x80\xbf", 6);
    rt_weights_release(&weights);
    table[1].dims[1] = 4;
    assert_int_equal(rt_weights_map(&program, path, &weights), EXIT_DATA);
    rt_status_clear();
}

/* Runs `use` in a child whose standard error is read; returns its wait status. */
static int in_child(void (*use)(void), char *said, size_t capacity)
{
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        use();
        _exit(0);
    }
    close(ends[1]);
    size_t length = 0;
    ssize_t got;
    while ((got = read(ends[0], said + length, capacity - 1 - length)) > 0)
        length += (size_t)got;
    said[length] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void shrink_and_read(void)
{
    const uint8_t *map;
    uint64_t size;
    char name[512];
    snprintf(name, sizeof name, "%s/shrinks", directory);
    rt_map_guard("demo");
    if (rt_map_file(name, &map, &size) || truncate(name, 10))
        _exit(1);
    _exit(*(const volatile uint8_t *)(map + size - 1) ? 2 : 3);
}

static void shrinking_file(void **state)
{
    (void)state;
    char said[1024], expected[1024];
    FILE *file = fopen(in(directory, "shrinks"), "wb");
    for (int i = 0; i < 100000; i++)
        fputc('x', file);
    fclose(file);
    int status = in_child(shrink_and_read, said, sizeof said);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EXIT_DATA);
    snprintf(expected, sizeof expected,
             "demo: error: the weights changed while in use; '%s/shrinks'", directory);
    assert_memory_equal(said, expected, strlen(expected));
    assert_int_equal(said[strlen(said) - 1], '\n');
}

static int make_directory(void **state)
{
    (void)state;
    ssize_t length = readlink("/proc/self/exe", beside, sizeof beside - 1);
    assert_true(length > 0);
    *strrchr(beside, '/') = '\0';
    return mkdtemp(directory) == NULL;
}

static int remove_directory(void **state)
{
    (void)state;
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(binds_in_place),   cmocka_unit_test(finds_in_order),
        cmocka_unit_test(finds_changes),    cmocka_unit_test(draws),
        cmocka_unit_test(takes_any_layout), cmocka_unit_test(shrinking_file),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
