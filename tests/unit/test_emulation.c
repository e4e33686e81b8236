/*
 * The emulation on kernels with planted bugs. Each file of tests/cases/emulation holds a kernel
 * with one bug and the same kernel without it; its first line has the name of the error that the
 * emulation must report, its second the launch. The bad one is caught with shadow memory, or where
 * no shadow is needed in every run; the good one passes every run, with the same bytes.
 */
#include "compiler/emulation/emulation.h"

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define FOLDER "tests/cases/emulation"
enum { FILE_MOST = 1 << 16, NUMBERS = 4096, COUNTERS = 64, NAME_MOST = 64, BUGS_LEAST = 20 };

/* --- texts --- */

/* Of a block: kernels with bugs take far less, or do not end. */
static const double BLOCK_SECONDS = 0.2;

static char *library_text; /* of all files, without includes */

static size_t read_file(const char *path, char *text)
{
    FILE *file = fopen(path, "r");
    if (!file)
        fail_msg("cannot open %s", path);
    size_t length = fread(text, 1, FILE_MOST - 1, file);
    fclose(file);
    text[length] = '\0';
    return length;
}

static void append_without_includes(char *to, char *text)
{
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        if (strncmp(line, "#include", 8) != 0)
            strcat(strcat(to, line), "\n");
}

static int read_library(void **state)
{
    (void)state;
    static const char *const names[] = {"core", "memory", "copy", "mma", "publish"};
    static char text[FILE_MOST];
    library_text = calloc(5, FILE_MOST);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[128];
        snprintf(path, sizeof path, "backends/cuda/lib/%s.cuh", names[i]);
        read_file(path, text);
        append_without_includes(library_text + strlen(library_text), text);
    }
    return 0;
}

static int free_library(void **state)
{
    (void)state;
    free(library_text);
    return 0;
}

static const char head[] =
    "#define ARGUMENTS(name) KERNEL(128, 1) k_##name(const g_f32 *x, g_f32 *y, g_f32 *workspace, "
    "g_i32 *counters)\n#line 1\n";
static const char tail[] =
    "\n#define ENTRY(name) static void entry_##name(void *const *o) "
    "{ k_##name(o[0], o[1], o[2], o[3]); }\n"
    "ENTRY(bad)\nENTRY(good)\n"
    "const struct emulated_kernel emulated_kernels[] = "
    "{{\"bad\", entry_bad}, {\"good\", entry_good}, {0, 0}};\n";

static struct emulation_unit *compile(const char *name, const char *kernels, bool shadow)
{
    size_t most = strlen(library_text) + FILE_MOST + sizeof head + sizeof tail;
    char *text = malloc(most), *errors = NULL;
    int length = snprintf(text, most, "%s%s%s%s", library_text, head, kernels, tail);
    struct emulation_unit *unit = emulation_unit_open(text, (size_t)length, shadow, &errors);
    if (!unit)
        fail_msg("%s: %s", name, errors);
    free(text);
    return unit;
}

/* --- memory --- */

struct memory {
    float x[NUMBERS];
    char gap0[4096];
    float y[NUMBERS];
    char gap1[4096];
    float workspace[NUMBERS];
    char gap2[4096];
    int32_t counters[COUNTERS];
} __attribute__((aligned(64)));

static void fill(struct memory *memory)
{
    memset(memory, 0xff, sizeof *memory);
    for (int i = 0; i < NUMBERS; i++)
        memory->x[i] = memory->workspace[i] = (float)(i % 89) - 40;
    memset(memory->counters, 0, sizeof memory->counters);
}

struct bug {
    char name[NAME_MOST];
    char errors[NAME_MOST]; /* the one expected; two if the order of threads decides */
    int blocks, threads, shared, good_shared;
    struct emulation_unit *fast, *shadow;
};

static enum emulation_error run(struct emulation *emulation, const struct bug *bug, bool good,
                                const struct emulation_options *options, struct memory *memory,
                                struct emulation_report *report)
{
    void *operands[] = {memory->x, memory->y, memory->workspace, memory->counters};
    struct emulation_region regions[] = {
        {memory->x, sizeof memory->x, false, false, 4},
        {memory->y, sizeof memory->y, true, true, 4},
        {memory->workspace, sizeof memory->workspace, true, false, 4},
        {memory->counters, sizeof memory->counters, true, false, 4},
    };
    struct emulation_launch launch = {.kernel = good ? "good" : "bad",
                                      .blocks = bug->blocks,
                                      .threads = bug->threads,
                                      .shared = good ? bug->good_shared : bug->shared,
                                      .operands = operands,
                                      .regions = regions,
                                      .region_count = 4};
    fill(memory);
    return emulation_run(emulation, options->shadow ? bug->shadow : bug->fast, &launch, options,
                         report);
}

static void good_passes(struct emulation *emulation, const struct bug *bug)
{
    static struct memory first, other;
    struct emulation_report report;
    for (int mode = 0; mode < 8; mode++) {
        struct emulation_options options = {.reverse = mode & 1,
                                            .latest = mode >> 1 & 1,
                                            .shadow = mode >> 2 & 1,
                                            .refuse_conflicts = true};
        struct memory *memory = mode ? &other : &first;
        if (run(emulation, bug, true, &options, memory, &report))
            fail_msg("%s, without the bug, mode %d: %s", bug->name, mode, report.text);
        assert_memory_equal(memory, &first, sizeof first);
    }
}

static void bad_is_caught(struct emulation *emulation, const struct bug *bug)
{
    static struct memory memory;
    struct emulation_report report;
    for (int mode = 0; mode < 4; mode++) {
        struct emulation_options options = {.reverse = mode & 1,
                                            .latest = mode >> 1 & 1,
                                            .shadow = true,
                                            .refuse_conflicts = true,
                                            .seconds = BLOCK_SECONDS};
        run(emulation, bug, false, &options, &memory, &report);
        const char *error = emulation_error_name(report.error);
        const char *found = strstr(bug->errors, error);
        if (!found || (found > bug->errors && found[-1] != ' ') ||
            (found[strlen(error)] && found[strlen(error)] != ' '))
            fail_msg("%s, mode %d: %s, not %s: %s", bug->name, mode, error, bug->errors,
                     report.text);
        if (!strstr(report.text, error))
            fail_msg("%s: %s", bug->name, report.text);
    }
}

static struct bug read_bug(const char *file)
{
    static char text[FILE_MOST];
    char path[sizeof FOLDER + 256];
    struct bug bug = {0};
    snprintf(path, sizeof path, FOLDER "/%s", file);
    read_file(path, text);
    snprintf(bug.name, sizeof bug.name, "%s", file);
    int found = sscanf(text,
                       "/* %63[a-z_ ]: %*[^\n]\n/* %d blocks of %d threads, %d bytes, good with %d",
                       bug.errors, &bug.blocks, &bug.threads, &bug.shared, &bug.good_shared);
    assert_true(found >= 4);
    if (found == 4)
        bug.good_shared = bug.shared;
    bug.fast = compile(file, text, false);
    bug.shadow = compile(file, text, true);
    return bug;
}

static void planted_bugs(void **state)
{
    (void)state;
    struct emulation *emulation = emulation_create();
    struct dirent **files;
    int count = scandir(FOLDER, &files, NULL, alphasort), bugs = 0;
    assert_true(count > 0);
    for (int i = 0; i < count; i++) {
        const char *dot = strrchr(files[i]->d_name, '.');
        if (dot && strcmp(dot, ".cu") == 0) {
            struct bug bug = read_bug(files[i]->d_name);
            bad_is_caught(emulation, &bug);
            good_passes(emulation, &bug);
            emulation_unit_close(bug.fast);
            emulation_unit_close(bug.shadow);
            bugs++;
        }
        free(files[i]);
    }
    free(files);
    emulation_destroy(emulation);
    assert_true(bugs >= BUGS_LEAST);
    printf("%d planted bugs\n", bugs);
}

/* --- what shows without shadow memory --- */

static void open_bug(struct bug *bug, const char *file)
{
    *bug = read_bug(file);
}

static void close_bug(struct bug *bug)
{
    emulation_unit_close(bug->fast);
    emulation_unit_close(bug->shadow);
}

/* Whether the bad kernel gives other numbers than the good one. */
static bool differs(struct emulation *emulation, const struct bug *bug, bool reverse, bool latest)
{
    static struct memory good, bad;
    struct emulation_options options = {.reverse = reverse, .latest = latest};
    struct emulation_report report;
    assert_int_equal(run(emulation, bug, true, &options, &good, &report), EMULATION_none);
    assert_int_equal(run(emulation, bug, false, &options, &bad, &report), EMULATION_none);
    return memcmp(good.y, bad.y, sizeof good.y) != 0;
}

/* A wait that is off by one gives wrong numbers only if copies arrive late. */
static void late_copies(void **state)
{
    (void)state;
    struct emulation *emulation = emulation_create();
    struct bug bug;
    open_bug(&bug, "wait_off_by_one.cu");
    assert_false(differs(emulation, &bug, false, false));
    assert_true(differs(emulation, &bug, false, true));
    close_bug(&bug);
    open_bug(&bug, "late_publish.cu"); /* published results likewise */
    assert_false(differs(emulation, &bug, false, false));
    assert_true(differs(emulation, &bug, false, true));
    close_bug(&bug);
    open_bug(&bug, "early_prefetch.cu");
    assert_true(differs(emulation, &bug, false, false) || differs(emulation, &bug, true, false));
    close_bug(&bug);
    open_bug(&bug, "missing_barrier.cu");
    assert_true(differs(emulation, &bug, false, false));
    assert_true(differs(emulation, &bug, true, false));
    close_bug(&bug);
    emulation_destroy(emulation);
}

/* What only one order of blocks shows. */
static void block_orders(void **state)
{
    (void)state;
    static struct memory forward, backward;
    struct emulation *emulation = emulation_create();
    struct bug bug;
    struct emulation_report report;
    open_bug(&bug, "in_place_neighbour.cu");
    run(emulation, &bug, false, &(struct emulation_options){0}, &forward, &report);
    run(emulation, &bug, false, &(struct emulation_options){.reverse = true}, &backward, &report);
    assert_memory_not_equal(forward.workspace, backward.workspace, sizeof forward.workspace);
    close_bug(&bug);
    emulation_destroy(emulation);
}

static void waits_are_described(void **state)
{
    (void)state;
    static struct memory memory;
    struct emulation *emulation = emulation_create();
    struct bug bug;
    struct emulation_report report;
    open_bug(&bug, "barrier_in_branch.cu");
    run(emulation, &bug, false, &(struct emulation_options){0}, &memory, &report);
    assert_int_equal(report.error, EMULATION_deadlock);
    assert_non_null(strstr(report.text, "threads 0-63 wait at line 7 (block_barrier)"));
    assert_non_null(strstr(report.text, "threads 64-127 have ended"));
    close_bug(&bug);
    open_bug(&bug, "crossed_barriers.cu");
    run(emulation, &bug, false, &(struct emulation_options){0}, &memory, &report);
    assert_int_equal(report.error, EMULATION_deadlock);
    assert_non_null(strstr(report.text,
                           "threads 0-31, 128-159, 256-287, 384-415, 512-543, 640-671, 768-799, "
                           "896-927 wait at line 8 (named_barrier); "));
    assert_non_null(strstr(report.text, "928-1023 wait at line 10 (named_barrier)"));
    close_bug(&bug);
    open_bug(&bug, "divergent_shuffle.cu");
    run(emulation, &bug, false, &(struct emulation_options){0}, &memory, &report);
    assert_int_equal(report.error, EMULATION_divergence);
    assert_int_equal(report.line, 10);
    assert_non_null(strstr(report.text, "lane 0 of the warp is at line 8 (shuffle_xor)"));
    close_bug(&bug);
    emulation_destroy(emulation);
}

static void conflicts_are_counted(void **state)
{
    (void)state;
    static struct memory memory;
    struct emulation *emulation = emulation_create();
    struct bug bug;
    struct emulation_report report;
    struct emulation_options options = {.shadow = true};
    open_bug(&bug, "no_swizzle.cu");
    run(emulation, &bug, false, &options, &memory, &report);
    assert_int_equal(report.error, EMULATION_none);
    assert_int_equal(report.ldmatrix.count, 1);
    assert_int_equal(report.ldmatrix.minimum, 4);
    assert_int_equal(report.ldmatrix.wavefronts, 32);
    run(emulation, &bug, true, &options, &memory, &report);
    assert_int_equal(report.ldmatrix.wavefronts, 4);
    assert_int_equal(report.copy.count, 8);
    assert_int_equal(report.copy.wavefronts, 32);
    close_bug(&bug);
    emulation_destroy(emulation);
}

static void launches_are_checked(void **state)
{
    (void)state;
    static struct memory memory;
    struct emulation *emulation = emulation_create();
    struct bug bug;
    struct emulation_report report;
    struct emulation_options options = {0};
    open_bug(&bug, "too_much_shared.cu");
    assert_int_equal(run(emulation, &bug, false, &options, &memory, &report),
                     EMULATION_shared_limit);
    options.shared_limit = EMULATION_SHARED_SM90;
    assert_int_equal(run(emulation, &bug, false, &options, &memory, &report), EMULATION_none);
    bug.threads = 40;
    assert_int_equal(run(emulation, &bug, true, &options, &memory, &report),
                     EMULATION_bad_launch);
    close_bug(&bug);
    emulation_destroy(emulation);
}

/* The emulation is of use afterwards, and another launch has time of its own. */
static void endless_blocks_are_left(void **state)
{
    (void)state;
    static const struct {
        const char *file, *place;
    } rows[] = {
        {"endless_flag.cu", "bad: endless: block 0, thread 0, line 0 (before any primitive)"},
        {"endless_loop.cu", "line 0 (before any primitive): the block has run for 0.1 s"},
        {"endless_meeting.cu", "line 11 (block_barrier): the block has run for 0.1 s"},
    };
    static struct memory memory;
    struct emulation *emulation = emulation_create();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct emulation_options options = {.seconds = 0.1};
        struct emulation_report report;
        struct bug bug;
        clock_t begin = clock();
        open_bug(&bug, rows[i].file);
        assert_int_equal(run(emulation, &bug, false, &options, &memory, &report),
                         EMULATION_endless);
        assert_int_equal(report.block, 0);
        if (!strstr(report.text, rows[i].place))
            fail_msg("%s: %s", rows[i].file, report.text);
        assert_true(clock() - begin < 5 * CLOCKS_PER_SEC);
        assert_int_equal(run(emulation, &bug, true, &options, &memory, &report), EMULATION_none);
        close_bug(&bug);
    }
    emulation_destroy(emulation);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(planted_bugs),          cmocka_unit_test(late_copies),
        cmocka_unit_test(block_orders),          cmocka_unit_test(waits_are_described),
        cmocka_unit_test(conflicts_are_counted), cmocka_unit_test(launches_are_checked),
        cmocka_unit_test(endless_blocks_are_left),
    };
    return cmocka_run_group_tests(tests, read_library, free_library);
}
