/*
 * The CUDA backend on the kernels of test_backend_c: files of tests/unit/kernels through the
 * passes for a GPU, under the emulation. With arguments, the IR
 * files to run instead, with a line about each.
 */
#include "tests/emulated.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { FILE_MOST = 1 << 20 };

static struct emulated_report run_file(const char *path)
{
    static char text[FILE_MOST];
    FILE *file = fopen(path, "r");
    if (!file) {
        fprintf(stderr, "cannot open %s\n", path);
        abort();
    }
    text[fread(text, 1, FILE_MOST - 1, file)] = '\0';
    fclose(file);
    return emulated_text(text, &(struct emulated_request){.samples = 200});
}

static void check_file(void **state)
{
    struct emulated_report report = run_file(*state);
    emulated_expect(&report);
}

static int show_files(int count, char **paths)
{
    int bad = 0;
    for (int i = 0; i < count; i++) {
        struct emulated_report report = run_file(paths[i]);
        printf("%s: %d kernels, %d runs, %d failed, %d wrong, worst %.2g of its tolerance; "
               "wavefronts of ldmatrix %llu of %llu, loads %llu of %llu, stores %llu of %llu, "
               "copies %llu of %llu\n%s",
               paths[i], report.kernels, report.runs, report.errors, report.wrong, report.worst,
               (unsigned long long)report.ldmatrix.wavefronts,
               (unsigned long long)report.ldmatrix.minimum,
               (unsigned long long)report.shared_load.wavefronts,
               (unsigned long long)report.shared_load.minimum,
               (unsigned long long)report.shared_store.wavefronts,
               (unsigned long long)report.shared_store.minimum,
               (unsigned long long)report.copy.wavefronts, (unsigned long long)report.copy.minimum,
               report.text);
        bad += report.text[0] != '\0';
    }
    return bad;
}

int main(int count, char **words)
{
    const struct CMUnitTest tests[] = {
        {"loops", check_file, NULL, NULL, "tests/unit/kernels/loops.ir"},
        {"deep", check_file, NULL, NULL, "tests/unit/kernels/deep.ir"},
        {"attention", check_file, NULL, NULL, "tests/unit/kernels/attention.ir"},
        {"index", check_file, NULL, NULL, "tests/unit/kernels/index.ir"},
    };
    if (count > 1)
        return show_files(count - 1, words + 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
