/*
 * The same model gives the same bytes: emitted C and executables of repeated builds are equal,
 * whatever the directory, the threads, the locale, the time zone and the names of results. The
 * hashes are printed, so that machines can be compared.
 */
#include "compiler/tokenizer/sha256.h"
#include "tests/command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char folder[64], *root;

/* One way to build; the model's path is absolute or, in the root directory, relative. */
struct way {
    const char *what, *directory, *options;
    const char *const *environment;
};

static const char *const turkish[] = {"LANG=tr_TR.UTF-8",
                                      "LC_ALL=tr_TR.UTF-8",
                                      "TZ=Pacific/Kiritimati",
                                      "TMPDIR=/var/tmp",
                                      "SOURCE_DATE_EPOCH=1",
                                      "HOME=/nonexistent",
                                      NULL};
static const char *const plain[] = {"LANG=C", "LC_ALL=C", "TZ=UTC", NULL};

static const struct way ways[] = {
    {"one thread", NULL, "--threads 1", NULL},
    {"one thread again", NULL, "--threads 1", NULL},
    {"two threads", NULL, "--threads 2", NULL},
    {"five threads", NULL, "--threads 5", NULL},
    {"another directory", "/", "--threads 2", NULL},
    {"another locale", NULL, "--threads 2", turkish},
    {"the plain locale", "/tmp", "--threads 3", plain},
};

static void build(const struct way *way, const char *model, const char *options, const char *out)
{
    const struct command_setting setting = {.directory = way->directory,
                                            .environment = way->environment};
    const struct outcome *o =
        command_line(&setting, "%s build '%s' %s %s -o %s/%s", SINTER_COMPILER, model, options,
                     way->options, folder, out);
    if (o->code != 0)
        fail_msg("%s, %s: exit code %d: %s", model, way->what, o->code, o->err);
}

static char *result(const char *name, size_t *length)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return command_read_file(path, length);
}

static void print_hash(const char *what, const char *bytes, size_t length)
{
    uint8_t digest[32];
    sha256(bytes, length, digest);
    printf("%s: %zu bytes, sha256 ", what, length);
    for (int i = 0; i < 32; i++)
        printf("%02x", digest[i]);
    putchar('\n');
}

/* Builds in all ways; `emitted`: the C text, which is one unit then, instead of the program. */
static void same_in_all_ways(const char *model, const char *options, bool emitted)
{
    char first_options[256], *first = NULL;
    size_t first_length = 0, length;
    const char *name = emitted ? "text.c" : "program";
    snprintf(first_options, sizeof first_options, "%s %s%s%s", options, emitted ? "--emit " : "",
             emitted ? folder : "", emitted ? "/text.c" : "");
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        build(&ways[i], model, first_options, "program");
        char *bytes = result(name, &length);
        if (!first) {
            first = bytes;
            first_length = length;
            print_hash(name, bytes, length);
            continue;
        }
        if (length != first_length || memcmp(first, bytes, length) != 0)
            fail_msg("%s: %s differs with %s", model, name, ways[i].what);
        free(bytes);
    }
    free(first);
}

static char *in_root(const char *path)
{
    static char full[1024];
    snprintf(full, sizeof full, "%s/%s", root, path);
    return full;
}

static void language_model(void **state)
{
    (void)state;
    same_in_all_ways(in_root("docs/examples/mlp.model"), "--cpu x86-64-v3 --batch 2", false);
    same_in_all_ways(in_root("docs/examples/mlp.model"), "--cpu x86-64-v3 --task fit --batch 10",
                     true);
}

static void checkpoint(void **state)
{
    (void)state;
    same_in_all_ways(in_root("tests/fixtures/tiny"), "--cpu x86-64-v3 --max-length 16", false);
}

/* A relative path, and another name for the result, change nothing either. */
static void relative_path(void **state)
{
    (void)state;
    size_t a_length, b_length;
    build(&ways[0], in_root("docs/examples/convnet.model"), "--cpu x86-64-v3", "a");
    build(&ways[0], "docs/examples/convnet.model", "--cpu x86-64-v3", "b");
    char *a = result("a", &a_length), *b = result("b", &b_length);
    assert_int_equal(a_length, b_length);
    assert_memory_equal(a, b, a_length);
    print_hash("convnet", a, a_length);
    free(a);
    free(b);
}

/* What must change them does: otherwise this test compares nothing. */
static void other_models_differ(void **state)
{
    (void)state;
    size_t a_length, b_length;
    build(&ways[0], in_root("docs/examples/mlp.model"), "--cpu x86-64-v3", "a");
    build(&ways[0], in_root("docs/examples/mlp.model"), "--cpu x86-64-v3 --set hidden=127", "b");
    char *a = result("a", &a_length), *b = result("b", &b_length);
    assert_true(a_length != b_length || memcmp(a, b, a_length) != 0);
    free(a);
    free(b);
}

static int set_up(void **state)
{
    (void)state;
    root = realpath(".", NULL);
    command_folder(folder, sizeof folder, "same");
    return root ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    command_remove(folder);
    free(root);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(language_model),
        cmocka_unit_test(checkpoint),
        cmocka_unit_test(relative_path),
        cmocka_unit_test(other_models_differ),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
