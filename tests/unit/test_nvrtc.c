/*
 * Device code: NVRTC where there is one (found in all places, several workers, errors, crashes),
 * headers by themselves, what cubins say against the compiler's own log, the lint, and the cache.
 * SINTER_TEST_NVRTC names the one to use (nvrtc_12.sh: version 12). Without NVRTC only the reading
 * of damaged cubins and the cache are tested.
 */
#include "compiler/toolchain/cache.h"
#include "compiler/toolchain/nvrtc.h"
#include "ir/base/diag.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct nvrtc nvrtc;
static bool present;
static char folder[] = "/tmp/sinter-nvrtc.XXXXXX";

/* 3 tensor-core instructions, one load of matrices, one asynchronous copy, dynamic and static
 * shared memory. */
static const char tensor_text[] =
    "extern \"C\" __global__ void __launch_bounds__(128, 2) k_tensor(const unsigned *x, float *y)\n"
    "{\n    __shared__ unsigned s[256];\n    unsigned at = (unsigned)__cvta_generic_to_shared(s);\n"
    "    asm volatile(\"cp.async.cg.shared.global [%0], [%1], 16;\" ::\"r\"(at + 16 * "
    "(threadIdx.x & 63)), \"l\"(x + 4 * threadIdx.x) : \"memory\");\n"
    "    asm volatile(\"cp.async.wait_all;\" ::: \"memory\");\n    __syncthreads();\n"
    "    unsigned a[4], b[2] = {x[0], x[1]};\n"
    "    asm volatile(\"ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];\" : "
    "\"=r\"(a[0]), \"=r\"(a[1]), \"=r\"(a[2]), \"=r\"(a[3]) : "
    "\"r\"(at + 16 * (threadIdx.x & 31)));\n"
    "    float c[4] = {0, 0, 0, 0};\n#pragma unroll\n    for (int i = 0; i < 3; i++)\n"
    "        asm volatile(\"mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, "
    "{%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\" : \"+f\"(c[0]), \"+f\"(c[1]), \"+f\"(c[2]), "
    "\"+f\"(c[3]) : \"r\"(a[0]), \"r\"(a[1]), \"r\"(a[2]), \"r\"(a[3]), \"r\"(b[0]), "
    "\"r\"(b[1]));\n    y[threadIdx.x] = c[0] + c[1] + c[2] + c[3];\n}\n";

/* More values than 32 registers hold. */
static const char spill_text[] =
    "extern \"C\" __global__ void __launch_bounds__(1024, 2) k_spill(const float *x, float *y)\n"
    "{\n    float v[48];\n#pragma unroll\n    for (int i = 0; i < 48; i++)\n"
    "        v[i] = x[threadIdx.x + i * 1024];\n#pragma unroll\n    for (int j = 1; j < 4; j++)\n"
    "#pragma unroll\n        for (int i = 0; i < 48; i++)\n"
    "            v[i] = v[i] * v[(i + 7 * j) % 48] + 1.0f;\n#pragma unroll\n"
    "    for (int i = 0; i < 48; i++)\n        y[threadIdx.x + i * 1024] = v[i];\n}\n";

static const char wrong_text[] =
    "extern \"C\" __global__ void k_wrong(float *y)\n{\n    y = z;\n}\n";

static struct device_source source_of(const char *name, const char *text)
{
    return (struct device_source){name, text, strlen(text)};
}

static bool absent(const char *what)
{
    if (!present)
        printf("SKIPPED 1 %s: no NVRTC\n", what);
    return !present;
}

static int open_test(void **state)
{
    *state = arena_create();
    return 0;
}

static int close_test(void **state)
{
    arena_destroy(*state);
    return 0;
}

static struct device_code compile(struct arena *arena, const char *name, const char *text,
                                  const char *architecture, bool no_cache)
{
    struct device_source source = source_of(name, text);
    struct device_options options = {.architecture = architecture, .ptx = true,
                                     .no_cache = no_cache, .threads = 1,
                                     .path = arena_printf(arena, "%s/test", folder)};
    struct device_code code;
    nvrtc_compile(arena, &nvrtc, &source, 1, &options, &code);
    return code;
}

/* The number behind `before` in what ptxas says, with `after` behind it. */
static int number_said(const char *log, const char *before, const char *after)
{
    char format[64];
    int number = -1;
    for (const char *at = strstr(log, before); at; at = strstr(at + 1, before)) {
        int length = 0;
        snprintf(format, sizeof format, "%s%%d%s%%n", before, after);
        if (sscanf(at, format, &number, &length) == 1 && length > 0)
            return number;
    }
    return -1;
}

/* --- facts --- */

static void check_tensor(struct arena *arena, const char *architecture, unsigned sm)
{
    struct device_code code = compile(arena, "k_tensor", tensor_text, architecture, true);
    const struct cubin_facts *facts = &code.facts;
    assert_int_equal(facts->sm, sm);
    assert_int_equal(facts->cuda, nvrtc.major * 1000 + nvrtc.minor * 10);
    assert_int_equal(facts->driver, nvrtc.major >= 13 ? 580 : 525);
    assert_int_equal(facts->counts[CUBIN_hmma], 3);
    assert_int_equal(facts->counts[CUBIN_ldsm], 1);
    assert_int_equal(facts->counts[CUBIN_ldgsts], 1);
    assert_int_equal(facts->counts[CUBIN_stg], 1);
    assert_int_equal(facts->spill_stores + facts->spill_loads + facts->frame, 0);
    assert_int_equal(facts->registers, number_said(code.log, "Used ", " registers"));
    assert_int_equal(facts->shared, sm == 80 ? 1024 : 2048);
    assert_non_null(strstr(code.ptx, ".entry k_tensor"));
    assert_int_equal(strlen(code.ptx) + 1, code.ptx_length);
}

static void facts_are_those_of_the_text_and_the_log(void **state)
{
    if (absent("facts of cubins"))
        return;
    check_tensor(*state, "sm_80", 80);
    check_tensor(*state, "sm_90a", 90);
}

static void spills_are_counted_to_the_byte(void **state)
{
    static const char *const architectures[] = {"sm_80", "sm_90a"};
    struct cubin_limits limits = {.mma_count = -1};
    if (absent("spills"))
        return;
    for (int i = 0; i < 2; i++) {
        struct device_code code = compile(*state, "k_spill", spill_text, architectures[i], true);
        assert_true(code.facts.spill_stores > 0);
        assert_int_equal(code.facts.spill_stores,
                         number_said(code.log, "frame, ", " bytes spill stores"));
        assert_int_equal(code.facts.spill_loads,
                         number_said(code.log, "stores, ", " bytes spill loads"));
        assert_int_equal(code.facts.frame, number_said(code.log, "    ", " bytes stack frame"));
        assert_non_null(strstr(cubin_lint(&code.facts, &limits), "it spills"));
    }
}

static void the_lint_says_what_is_not_as_declared(void **unused)
{
    struct cubin_facts facts = {.registers = 100, .shared = 2048, .counts = {[CUBIN_hmma] = 16}};
    const struct cubin_limits good = {.registers = 128, .shared = 4096, .dynamic = 2048,
                                      .mma_count = 16};
    struct cubin_limits limits = good;
    (void)unused;
    assert_null(cubin_lint(&facts, &limits));
    limits.mma_count = 15;
    assert_string_equal(cubin_lint(&facts, &limits), "16 tensor-core instructions, 15 expected");
    limits.mma_count = -1;
    assert_null(cubin_lint(&facts, &limits));
    limits.registers = 99;
    assert_string_equal(cubin_lint(&facts, &limits), "100 registers, at most 99");
    limits = good;
    limits.dynamic = 2049;
    assert_string_equal(cubin_lint(&facts, &limits), "4097 bytes of shared memory, at most 4096");
    facts.frame = 8;
    assert_string_equal(cubin_lint(&facts, &good), "it has a stack frame of 8 bytes");
    facts.spill_loads = 4;
    assert_string_equal(cubin_lint(&facts, &good), "it spills: 0 bytes stored, 4 loaded");
}

/* Every byte of the headers changed, and every length cut: refused or read, never out of bounds
 * (the sanitizers' build shows that). */
static void damaged_cubins_are_refused_or_read(void **state)
{
    struct cubin_facts facts;
    if (absent("damaged cubins"))
        return;
    struct device_code code = compile(*state, "k_tensor", tensor_text, "sm_80", true);
    unsigned char *copy = malloc(code.cubin_length);
    int refused = 0;
    for (size_t i = 0; i < code.cubin_length; i++)
        for (int bit = 0; bit < 8; bit += 7) {
            memcpy(copy, code.cubin, code.cubin_length);
            copy[i] ^= (unsigned char)(1u << bit);
            refused += !cubin_read(copy, code.cubin_length, "k_tensor", &facts);
        }
    assert_true(refused > 50);
    free(copy);
    for (size_t length = 0; length < code.cubin_length; length += 13) {
        copy = malloc(length ? length : 1);
        memcpy(copy, code.cubin, length);
        cubin_read(copy, length, "k_tensor", &facts);
        free(copy);
    }
    assert_false(cubin_read(code.cubin, code.cubin_length, "k_other", &facts));
}

/* --- compiling --- */

/* Each header of the device library by itself, without a switch that says where others are. */
static void headers_compile_alone(void **state)
{
    struct arena *arena = *state;
    glob_t headers;
    if (absent("headers of the device library"))
        return;
    assert_int_equal(glob("backends/cuda/lib/*.cuh", 0, NULL, &headers), 0);
    for (size_t i = 0; i < headers.gl_pathc; i++) {
        const char *text = arena_printf(arena,
                                        "#include \"%s\"\nKERNEL(32, 1) k_alone(g_f32 *y)\n"
                                        "{\n    y->cell = (float)lane_index();\n}\n",
                                        headers.gl_pathv[i]);
        assert_true(compile(arena, "k_alone", text, "sm_80", true).cubin_length > 0);
        assert_true(compile(arena, "k_alone", text, "sm_90a", true).cubin_length > 0);
    }
    globfree(&headers);
}

static void the_result_does_not_depend_on_the_workers(void **state)
{
    enum { KERNELS = 5 };
    struct arena *arena = *state;
    struct device_source sources[KERNELS];
    struct device_code one[KERNELS], several[KERNELS];
    struct device_options options = {.architecture = "sm_80", .no_cache = true, .threads = 1,
                                     .path = "nvrtc-test"};
    if (absent("workers"))
        return;
    for (int i = 0; i < KERNELS; i++) {
        const char *name = arena_printf(arena, "k_%d", i);
        sources[i] = source_of(name, arena_printf(arena,
                                                  "extern \"C\" __global__ void %s(float *y)\n"
                                                  "{\n    y[threadIdx.x] *= %d.0f;\n}\n",
                                                  name, i + 2));
    }
    nvrtc_compile(arena, &nvrtc, sources, KERNELS, &options, one);
    options.threads = 3;
    nvrtc_compile(arena, &nvrtc, sources, KERNELS, &options, several);
    for (int i = 0; i < KERNELS; i++) {
        assert_int_equal(one[i].cubin_length, several[i].cubin_length);
        assert_memory_equal(one[i].cubin, several[i].cubin, one[i].cubin_length);
        assert_null(one[i].ptx);
    }
}

static int caught_code;

/* The text of the fatal error of compiling; "" if there was none. */
static const char *error_of(struct arena *arena, const char *name, const char *text)
{
    jmp_buf caught;
    const char *volatile said = "";
    diag_set_trap(&caught);
    caught_code = setjmp(caught);
    if (caught_code == 0)
        compile(arena, name, text, "sm_80", true);
    else
        said = diag_last_message();
    diag_set_trap(NULL);
    return said;
}

static void a_refused_kernel_is_named_and_kept(void **state)
{
    char kept[64] = {0};
    struct stat facts;
    if (absent("refused kernels"))
        return;
    const char *error = error_of(*state, "k_wrong", wrong_text);
    const char *path = arena_printf(*state, "%s/test.failed.cu", folder);
    assert_non_null(strstr(error, arena_printf(*state, "the kernel k_wrong does not compile; it "
                                                       "was kept as '%s'", path)));
    assert_int_equal(caught_code, EXIT_INTERNAL);
    assert_int_equal(stat(path, &facts), 0);
    FILE *file = fopen(path, "r");
    assert_true(file && fread(kept, 1, 40, file) == 40);
    fclose(file);
    assert_memory_equal(kept, wrong_text, 40);
    unlink(path);
}

static void a_library_that_is_none_is_told(void **state)
{
    struct arena *arena = *state;
    const char *path = arena_printf(arena, "%s/libnvrtc.so.13", folder);
    FILE *file = fopen(path, "w");
    fprintf(file, "no library\n");
    fclose(file);
    struct nvrtc before = nvrtc;
    nvrtc = (struct nvrtc){.path = path, .major = 13};
    assert_non_null(strstr(error_of(arena, "k_tensor", tensor_text), "cannot use NVRTC"));
    assert_int_equal(caught_code, EXIT_FILE);
    nvrtc = before;
    unlink(path);
}

/* --- finding --- */

static void all_places_are_named_where_there_is_none(void **state)
{
    struct nvrtc found;
    const char *places;
    struct arena *arena = *state;
    assert_false(nvrtc_look(arena, folder, &found, &places));
    assert_non_null(strstr(places, arena_printf(arena, "%s/lib64/libnvrtc.so.*", folder)));
    assert_non_null(strstr(places, "site-packages/nvidia/*/lib/libnvrtc.so.*"));
}

static void touch(const char *path)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
}

/* The newest usable version of the first place that has one. */
static void the_newest_usable_version_is_taken(void **state)
{
    static const char *const names[] = {"libnvrtc.so.11.2", "libnvrtc.so.12", "libnvrtc.so.13",
                                        "libnvrtc.so.14", "libnvrtc-builtins.so.13.0"};
    struct arena *arena = *state;
    struct nvrtc found;
    const char *places, *inside = arena_printf(arena, "%s/lib64", folder);
    mkdir(inside, 0700);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        touch(arena_printf(arena, "%s/%s", inside, names[i]));
    assert_true(nvrtc_look(arena, folder, &found, &places));
    assert_non_null(strstr(found.path, "/lib64/libnvrtc.so.13"));
    assert_int_equal(found.major, 13);
    setenv("CUDA_HOME", folder, 1);
    assert_true(nvrtc_look(arena, NULL, &found, &places));
    assert_non_null(strstr(found.path, folder));
    unsetenv("CUDA_HOME");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unlink(arena_printf(arena, "%s/%s", inside, names[i]));
    rmdir(inside);
}

/* --- the cache --- */

static struct cache_key key_of_text(struct arena *arena, const char *a, const char *b)
{
    const void *parts[] = {a, b};
    size_t lengths[] = {strlen(a), strlen(b)};
    return cache_key(arena, parts, lengths, 2);
}

static void entries_are_found_again_unless_damaged(void **state)
{
    struct arena *arena = *state;
    struct cache cache = cache_open(arena);
    struct cache_key key = key_of_text(arena, "ab", "c"), other = key_of_text(arena, "a", "bc");
    size_t length = 1;
    assert_non_null(strstr(cache.folder, folder));
    assert_string_not_equal(key.text, other.text);
    assert_null(cache_get(&cache, &key, &length));
    cache_put(&cache, &key, "content", 7);
    assert_memory_equal(cache_get(&cache, &key, &length), "content", 7);
    assert_int_equal(length, 7);
    assert_null(cache_get(&cache, &other, &length));
    const char *path = arena_printf(arena, "%s/%s", cache.folder, key.text);
    FILE *file = fopen(path, "r+");
    fseek(file, -1, SEEK_END);
    fputc('x', file);
    fclose(file);
    assert_null(cache_get(&cache, &key, &length));
    assert_int_equal(truncate(path, 20), 0);
    assert_null(cache_get(&cache, &key, &length));
    cache_put(&cache, &key, "", 0);
    assert_non_null(cache_get(&cache, &key, &length));
    assert_int_equal(length, 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0); /* nobody writes to it: reading must not wait */
    assert_null(cache_get(&cache, &key, &length));
    cache_put(&cache, &key, "new", 3);
    assert_memory_equal(cache_get(&cache, &key, &length), "new", 3);
}

static void the_least_recently_used_entries_go(void **state)
{
    struct arena *arena = *state;
    struct cache cache = cache_open(arena);
    struct cache_key keys[4];
    char bytes[1000] = {0};
    size_t length;
    cache_trim(&cache, 0);
    for (int i = 0; i < 4; i++) {
        keys[i] = key_of_text(arena, "trim", arena_printf(arena, "%d", i));
        cache_put(&cache, &keys[i], bytes, sizeof bytes);
        usleep(2000);
    }
    assert_non_null(cache_get(&cache, &keys[0], &length)); /* used again: the newest now */
    usleep(2000);
    cache_trim(&cache, 2500);
    assert_non_null(cache_get(&cache, &keys[0], &length));
    assert_null(cache_get(&cache, &keys[1], &length));
    assert_null(cache_get(&cache, &keys[2], &length));
    assert_non_null(cache_get(&cache, &keys[3], &length));
    cache_trim(&cache, 0);
}

static void kernels_come_from_the_cache(void **state)
{
    struct arena *arena = *state;
    if (absent("the cache of kernels"))
        return;
    struct device_code first = compile(arena, "k_tensor", tensor_text, "sm_80", false);
    struct device_code again = compile(arena, "k_tensor", tensor_text, "sm_80", false);
    struct device_code other = compile(arena, "k_tensor", tensor_text, "sm_90a", false);
    assert_false(first.cached || other.cached);
    assert_true(again.cached);
    assert_int_equal(first.cubin_length, again.cubin_length);
    assert_memory_equal(first.cubin, again.cubin, first.cubin_length);
    assert_string_equal(first.ptx, again.ptx);
    assert_memory_equal(&first.facts, &again.facts, sizeof first.facts);
    struct cache cache = cache_open(arena);
    cache_trim(&cache, 0);
}

static void without_a_home_there_are_only_misses(void **state)
{
    struct arena *arena = *state;
    size_t length;
    const char *home = getenv("HOME") ? arena_printf(arena, "%s", getenv("HOME")) : NULL;
    unsetenv("HOME");
    unsetenv("XDG_CACHE_HOME");
    struct cache cache = cache_open(arena);
    struct cache_key key = key_of_text(arena, "no", "home");
    assert_null(cache.folder);
    cache_put(&cache, &key, "x", 1);
    assert_null(cache_get(&cache, &key, &length));
    cache_trim(&cache, 0);
    setenv("XDG_CACHE_HOME", folder, 1);
    if (home)
        setenv("HOME", home, 1);
}

/* --- */

static void remove_folder(void)
{
    struct arena *arena = arena_create();
    rmdir(arena_printf(arena, "%s/sinter", folder));
    rmdir(folder);
    arena_destroy(arena);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, open_test, close_test)
    const struct CMUnitTest tests[] = {
        TEST(facts_are_those_of_the_text_and_the_log),
        TEST(spills_are_counted_to_the_byte),
        TEST(the_lint_says_what_is_not_as_declared),
        TEST(damaged_cubins_are_refused_or_read),
        TEST(headers_compile_alone),
        TEST(the_result_does_not_depend_on_the_workers),
        TEST(a_refused_kernel_is_named_and_kept),
        TEST(a_library_that_is_none_is_told),
        TEST(all_places_are_named_where_there_is_none),
        TEST(the_newest_usable_version_is_taken),
        TEST(entries_are_found_again_unless_damaged),
        TEST(the_least_recently_used_entries_go),
        TEST(kernels_come_from_the_cache),
        TEST(without_a_home_there_are_only_misses),
    };
    struct arena *arena = arena_create();
    const char *places, *reason, *wanted = getenv("SINTER_TEST_NVRTC");
    if (!mkdtemp(folder))
        return 1;
    setenv("XDG_CACHE_HOME", folder, 1);
    present = nvrtc_look(arena, wanted && *wanted ? wanted : NULL, &nvrtc, &places);
    present = present && nvrtc_version(arena, &nvrtc, &reason);
    int failed = cmocka_run_group_tests_name("nvrtc", tests, NULL, NULL);
    remove_folder();
    arena_destroy(arena);
    return failed;
}
