/* IDX files, plain and gzip: values of every type, and every way to be wrong. */
#include "runtime/idx.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

static char path[] = "/tmp/sinter-idx-XXXXXX";

static void write_plain(const void *bytes, size_t length)
{
    FILE *file = fopen(path, "wb");
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    fclose(file);
}

/* Appends one gzip member. */
static void append_gzip(const void *bytes, size_t length)
{
    gzFile file = gzopen(path, "ab");
    assert_int_equal(gzwrite(file, bytes, (unsigned)length), length);
    gzclose(file);
}

static rt_status open_path(struct rt_idx *idx)
{
    rt_status_clear();
    return rt_idx_open(idx, path);
}

static const unsigned char images[] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3,
                                       1, 2, 3, 253, 254, 255};

static void check_images(void)
{
    struct rt_idx idx;
    assert_int_equal(open_path(&idx), 0);
    assert_int_equal(idx.count, 2);
    assert_int_equal(idx.sample, 3);
    assert_int_equal(idx.rank, 3);
    assert_true(rt_idx_is_whole(&idx));
    for (int i = 0; i < 6; i++)
        assert_true(rt_idx_value(&idx, i) == (double)images[16 + i]);
    rt_idx_close(&idx);
}

static void test_plain_and_gzip(void **state)
{
    (void)state;
    write_plain(images, sizeof images);
    check_images();
    write_plain("", 0);
    append_gzip(images, sizeof images);
    check_images();
    write_plain("", 0); /* two members, cut in the middle of the header */
    append_gzip(images, 9);
    append_gzip(images + 9, sizeof images - 9);
    check_images();
}

static void test_types(void **state)
{
    static const struct {
        unsigned char bytes[16];
        size_t length;
        double value;
    } cases[] = {
        {{0, 0, 9, 1, 0, 0, 0, 1, 0xfe}, 9, -2},
        {{0, 0, 11, 1, 0, 0, 0, 1, 0xff, 0x00}, 10, -256},
        {{0, 0, 12, 1, 0, 0, 0, 1, 0x80, 0, 0, 1}, 12, -2147483647.0},
        {{0, 0, 13, 1, 0, 0, 0, 1, 0xc0, 0x20, 0, 0}, 12, -2.5},
        {{0, 0, 14, 1, 0, 0, 0, 1, 0x40, 0x09, 0x21, 0xfb, 0x54, 0x44, 0x2d, 0x18}, 16,
         3.141592653589793},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rt_idx idx;
        write_plain(cases[i].bytes, cases[i].length);
        assert_int_equal(open_path(&idx), 0);
        assert_true(rt_idx_value(&idx, 0) == cases[i].value);
        rt_idx_close(&idx);
    }
}

static void check_refused(const void *bytes, size_t length, bool gzip, const char *words)
{
    struct rt_idx idx;
    write_plain(bytes, gzip ? 0 : length);
    if (gzip)
        append_gzip(bytes, length);
    assert_int_equal(open_path(&idx), EXIT_DATA);
    if (!strstr(rt_status_text(), words))
        fail_msg("%s", rt_status_text());
    assert_null(idx.values);
}

static void test_wrong(void **state)
{
    unsigned char bytes[sizeof images + 1] = {0};
    static const unsigned char huge[] = {0, 0, 14, 8, 255, 255, 255, 255, 255, 255, 255, 255, 255,
                                         255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
                                         255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
                                         255};
    static const unsigned char large[] = {0, 0, 8, 2, 0, 255, 255, 255, 0, 0, 255, 255};
    (void)state;
    for (int gzip = 0; gzip <= 1; gzip++) {
        for (size_t length = 0; length < sizeof images; length++)
            check_refused(images, length, gzip, "not a valid IDX file");
        memcpy(bytes, images, sizeof images);
        check_refused(bytes, sizeof bytes, gzip, "something follows");
        bytes[0] = 1;
        check_refused(bytes, sizeof images, gzip, "does not begin as one");
        bytes[0] = 0, bytes[2] = 10;
        check_refused(bytes, sizeof images, gzip, "does not begin as one");
        bytes[2] = 8, bytes[3] = 0;
        check_refused(bytes, sizeof images, gzip, "its rank");
        bytes[3] = 9;
        check_refused(bytes, sizeof images, gzip, "its rank");
        check_refused(huge, sizeof huge, gzip, "too large");
        check_refused(large, sizeof large, gzip, "cut short");
    }
}

/* Any damage of a gzip file is found: by its structure, its checksum or its length. */
static void test_damaged_gzip(void **state)
{
    unsigned char bytes[256];
    (void)state;
    write_plain("", 0);
    append_gzip(images, sizeof images);
    FILE *file = fopen(path, "rb");
    size_t length = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    for (size_t i = 10; i < length; i++) { /* the ten bytes before hold times and flags */
        struct rt_idx idx;
        bytes[i] ^= 0x10;
        write_plain(bytes, length);
        assert_int_equal(open_path(&idx), EXIT_DATA);
        bytes[i] ^= 0x10;
    }
    for (size_t cut = 2; cut < length; cut++)
        check_refused(bytes, cut, false, "not a valid IDX file");
}

static void test_files(void **state)
{
    struct rt_idx idx;
    (void)state;
    rt_status_clear();
    assert_int_equal(rt_idx_open(&idx, "/nonexistent"), EXIT_FILE);
    rt_status_clear();
    assert_int_equal(rt_idx_open(&idx, "tests/fixtures/digits/train-images-idx3-ubyte.gz"), 0);
    assert_int_equal(idx.count, 200);
    assert_int_equal(idx.sample, 784);
    rt_idx_close(&idx);
}

static int set_up(void **state)
{
    (void)state;
    int descriptor = mkstemp(path);
    close(descriptor);
    return descriptor < 0;
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_and_gzip), cmocka_unit_test(test_types),
        cmocka_unit_test(test_wrong),          cmocka_unit_test(test_damaged_gzip),
        cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
