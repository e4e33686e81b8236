/*
 * The safetensors reader on hostile bytes: every case is a file that must be refused with an
 * exact exit code and a word of the message, or accepted. Files are written to a directory of
 * the test's own, so that the real way through open and mmap is taken.
 */
#include "runtime/safetensors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[] = "/tmp/sinter-safetensors-XXXXXX";
static char path[256];

static const char *in_directory(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static void write_file(const char *name, const void *bytes, size_t length)
{
    FILE *file = fopen(in_directory(name), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    fclose(file);
}

/* Writes a file with a length field, a header and `data` zero bytes. */
static void write_tensors(const char *name, uint64_t length, const char *header,
                          size_t header_bytes, size_t data)
{
    size_t total = 8 + header_bytes + data;
    unsigned char *bytes = calloc(1, total);
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(length >> 8 * i);
    memcpy(bytes + 8, header, header_bytes);
    write_file(name, bytes, total);
    free(bytes);
}

static rt_status open_file(const char *name)
{
    struct rt_checkpoint *checkpoint;
    rt_status_clear();
    rt_status status = rt_checkpoint_open(in_directory(name), &checkpoint);
    assert_true((status == 0) == (checkpoint != NULL));
    rt_checkpoint_close(checkpoint);
    return status;
}

/* A header, the bytes of data that follow it, and what the message must hold (NULL: valid). */
struct header_case {
    const char *header;
    size_t data;
    const char *message;
};

#define T(dtype, shape, begin, end) \
    "{\"dtype\":\"" dtype "\",\"shape\":[" shape "],\"data_offsets\":[" #begin "," #end "]}"

static const struct header_case header_cases[] = {
    {"{}", 0, NULL},
    {"{}    ", 0, NULL},
    {"{\"__metadata__\":{}}", 0, NULL},
    {"{\"__metadata__\":{\"format\":\"pt\",\"k\":\"v\"}}", 0, NULL},
    {"{\"a\":" T("F32", "2,3", 0, 24) "}", 24, NULL},
    {"{\"a\":" T("F32", "", 0, 4) "}", 4, NULL},
    {"{\"b\":" T("F32", "1", 4, 8) ",\"a\":" T("F32", "1", 0, 4) "}", 8, NULL},
    {"{\"a\":" T("F32", "0", 0, 0) "}", 0, NULL},
    {"{\"a\":" T("F32", "0,5", 4, 4) ",\"b\":" T("I32", "1", 0, 4) "}", 4, NULL},
    {"{\"a\":" T("F32", "0", 0, 0) ",\"b\":" T("F32", "0", 0, 0) "}", 0, NULL},
    {"{\"a\":" T("F4", "2", 0, 1) "}", 1, NULL},
    {"{\"a\":" T("F8_E4M3", "3", 0, 3) "}", 3, NULL},
    {"{\"a\":" T("BOOL", "1,1,1,1,1,1,1,1", 0, 1) "}", 1, NULL},
    {"{\"a\\u00e9\":" T("U8", "1", 0, 1) "}", 1, NULL},
    {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,1],\"dtype\":\"U8\"}}", 1, NULL},
    /* The JSON itself. */
    {" {}", 0, "does not start with '{'"},
    {"[]", 0, "does not start with '{'"},
    {"{", 0, "unexpected end"},
    {"{}x", 0, "other than blanks"},
    {"{}\n", 0, "other than blanks"},
    {"{}\t", 0, "other than blanks"},
    {"{}{}", 0, "other than blanks"},
    {"{\"a\":1}", 0, "expected an object"},
    {"{\"a\":null}", 0, "expected an object"},
    {"{\"a\":{}}", 0, "lacks its type"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "lacks its type"},
    {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "lacks its type"},
    {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "lacks its type"},
    {"{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
     "duplicate key"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"x\":1}}", 1, "unknown key"},
    {"{\"\xff\":" T("U8", "1", 0, 1) "}", 1, "invalid UTF-8"},
    {"{\"a\\u0000b\":" T("U8", "1", 0, 1) "}", 1, "control byte"},
    {"{\"a\\u001b[2J\":" T("U8", "1", 0, 1) "}", 1, "control byte"},
    {"{\"a\":" T("U8", "1", 0, 1) ",}", 1, "expected a key"},
    /* Duplicate keys. */
    {"{\"a\":" T("U8", "1", 0, 1) ",\"a\":" T("U8", "1", 1, 2) "}", 2, "duplicate key 'a'"},
    {"{\"a\":" T("U8", "1", 0, 1) ",\"\\u0061\":" T("U8", "1", 1, 2) "}", 2, "duplicate key 'a'"},
    {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "duplicate key '__metadata__'"},
    {"{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}", 0, "duplicate key 'k'"},
    /* Metadata is string to string. */
    {"{\"__metadata__\":{\"k\":1}}", 0, "expected a string"},
    {"{\"__metadata__\":[]}", 0, "expected an object"},
    {"{\"__metadata__\":" T("U8", "1", 0, 1) "}", 1, "expected a string"},
    /* Types and shapes. */
    {"{\"a\":" T("F33", "1", 0, 4) "}", 4, "unknown type"},
    {"{\"a\":" T("f32", "1", 0, 4) "}", 4, "unknown type"},
    {"{\"a\":" T("", "1", 0, 4) "}", 4, "unknown type"},
    {"{\"a\":{\"dtype\":5,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "expected a type"},
    {"{\"a\":" T("U8", "-1", 0, 1) "}", 1, "unsigned"},
    {"{\"a\":" T("U8", "1.0", 0, 1) "}", 1, "unsigned"},
    {"{\"a\":" T("U8", "1e0", 0, 1) "}", 1, "unsigned"},
    {"{\"a\":" T("U8", "\"1\"", 0, 1) "}", 1, "expected a number"},
    {"{\"a\":" T("U8", "18446744073709551616", 0, 1) "}", 1, "unsigned"},
    {"{\"a\":" T("U8", "1,1,1,1,1,1,1,1,1", 0, 1) "}", 1, "more than 8"},
    {"{\"a\":" T("F32", "4294967296,4294967296", 0, 0) "}", 0, "overflows"},
    {"{\"a\":" T("F64", "2305843009213693952", 0, 0) "}", 0, "overflows"},
    {"{\"a\":" T("U8", "2305843009213693952", 0, 0) "}", 0, "overflows"},
    {"{\"a\":" T("F32", "3", 0, 8) "}", 8, "bytes between its offsets"},
    {"{\"a\":" T("F32", "2", 0, 4) "}", 4, "bytes between its offsets"},
    {"{\"a\":" T("F4", "3", 0, 1) "}", 1, "bytes between its offsets"},
    {"{\"a\":" T("F32", "0", 0, 4) "}", 4, "bytes between its offsets"},
    /* Offsets. */
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0]}}", 1, "malformed offsets"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1,2]}}", 1, "more than 2"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":{}}}", 1, "expected an array"},
    {"{\"a\":" T("U8", "1", 1, 0) "}", 1, "malformed offsets"},
    {"{\"a\":" T("U8", "1", -1, 0) "}", 1, "unsigned"},
    {"{\"a\":" T("U8", "1", 1, 2) "}", 2, "leaves a hole"},
    {"{\"a\":" T("U8", "1", 0, 1) ",\"b\":" T("U8", "1", 2, 3) "}", 3, "leaves a hole"},
    {"{\"a\":" T("U8", "2", 0, 2) ",\"b\":" T("U8", "2", 1, 3) "}", 3, "overlaps"},
    {"{\"a\":" T("U8", "2", 0, 2) ",\"b\":" T("U8", "2", 0, 2) "}", 2, "overlaps"},
    {"{\"a\":" T("U8", "2", 0, 2) ",\"b\":" T("U8", "0", 1, 1) "}", 2, "overlaps"},
    {"{\"a\":" T("U8", "0", 5, 5) "}", 0, "leaves a hole"},
    {"{\"a\":" T("U8", "0", 18446744073709551615, 18446744073709551615) "}", 0, "malformed"},
    {"{\"a\":" T("U8", "1", 18446744073709551614, 18446744073709551615) "}", 0, "malformed"},
    {"{\"a\":" T("U8", "1", 0, 1) "}", 2, "1 bytes follow"},
    {"{}", 1, "1 bytes follow"},
    /* Truncation. */
    {"{\"a\":" T("U8", "4", 0, 4) "}", 3,
     "is truncated; its header promises 65 bytes, the file "
     "has 64; download it again"},
    {"{\"a\":" T("U8", "4", 0, 4) "}", 0, "is truncated"},
    {"{\"a\":" T("U8", "1152921504606846976", 0, 1152921504606846976) "}", 8, "is truncated"},
};

static void headers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof header_cases / sizeof *header_cases; i++) {
        const struct header_case *one = &header_cases[i];
        write_tensors("case.safetensors", strlen(one->header), one->header, strlen(one->header),
                      one->data);
        rt_status status = open_file("case.safetensors");
        if (status != (one->message ? EXIT_DATA : EXIT_OK))
            fail_msg("case %zu %s: status %d %s", i, one->header, status, rt_status_text());
        if (one->message && !strstr(rt_status_text(), one->message))
            fail_msg("case %zu %s: said %s", i, one->header, rt_status_text());
    }
}

static void refuses(const char *name, int code, const char *message)
{
    assert_int_equal(open_file(name), code);
    if (!strstr(rt_status_text(), message))
        fail_msg("said: %s", rt_status_text());
}

static void lengths(void **state)
{
    (void)state;
    static const char pointer[] = "version https://git-lfs.github.com/spec/v1\noid sha256:12\n";
    write_file("empty.safetensors", "", 0);
    refuses("empty.safetensors", EXIT_DATA, "shorter than 8");
    write_file("short.safetensors", "\2\0\0\0\0\0\0", 7);
    refuses("short.safetensors", EXIT_DATA, "shorter than 8");
    write_tensors("a.safetensors", 0, "", 0, 0);
    refuses("a.safetensors", EXIT_DATA, "does not start");
    write_tensors("a.safetensors", 3, "{}", 2, 0);
    refuses("a.safetensors", EXIT_DATA, "promises 11 bytes, the file has 10");
    write_tensors("a.safetensors", 1, "{}", 2, 0);
    refuses("a.safetensors", EXIT_DATA, "unexpected end");
    write_tensors("a.safetensors", 100000001, "{}", 2, 0);
    refuses("a.safetensors", EXIT_DATA, "at most 100000000");
    write_tensors("a.safetensors", 100000000, "{}", 2, 0);
    refuses("a.safetensors", EXIT_DATA, "is truncated");
    write_tensors("a.safetensors", UINT64_MAX, "{}", 2, 0);
    refuses("a.safetensors", EXIT_DATA, "at most 100000000");
    write_file("a.safetensors", pointer, sizeof pointer - 1);
    refuses("a.safetensors", EXIT_DATA, "Git LFS pointer");
}

static void places(void **state)
{
    (void)state;
    refuses("absent.safetensors", EXIT_FILE, "No such file");
    mkdir(in_directory("none"), 0700);
    refuses("none", EXIT_DATA, "no weights found");
    mkfifo(in_directory("pipe.safetensors"), 0600);
    refuses("pipe.safetensors", EXIT_FILE, "not a regular file");
    mkdir(in_directory("odd"), 0700);
    mkdir(in_directory("odd/model.safetensors"), 0700);
    refuses("odd", EXIT_FILE, "it is a directory");
}

/* Every byte of a small valid file replaced by each of several values, and every prefix of it:
 * no crash, and never an accepted file whose tensors leave the file. */
static void mutations(void **state)
{
    (void)state;
    static const char header[] = "{\"a\":" T("F32", "2", 0, 8) ",\"b\":" T("U8", "3", 8, 11) "}";
    static const char values[] = "\0\"{}[],:09-\\x\xff ";
    char bytes[8 + sizeof header - 1 + 11] = {(char)(sizeof header - 1)};
    memcpy(bytes + 8, header, sizeof header - 1);
    write_file("m.safetensors", bytes, sizeof bytes);
    assert_int_equal(open_file("m.safetensors"), EXIT_OK);
    for (size_t length = 0; length < sizeof bytes; length++) {
        write_file("m.safetensors", bytes, length);
        assert_int_equal(open_file("m.safetensors"), EXIT_DATA);
    }
    for (size_t at = 0; at < 8 + sizeof header - 1; at++) {
        for (size_t i = 0; i < sizeof values - 1; i++) {
            char kept = bytes[at];
            bytes[at] = values[i];
            write_file("m.safetensors", bytes, sizeof bytes);
            struct rt_checkpoint *checkpoint;
            rt_status_clear();
            if (!rt_checkpoint_open(in_directory("m.safetensors"), &checkpoint))
                for (uint32_t t = 0; t < checkpoint->tensor_count; t++)
                    assert_true(checkpoint->tensors[t].offset + checkpoint->tensors[t].bytes <=
                                sizeof bytes);
            rt_checkpoint_close(checkpoint);
            bytes[at] = kept;
        }
    }
}

static void names(void **state)
{
    (void)state;
    char header[4096];
    for (int length = RT_MAX_NAME - 1; length <= RT_MAX_NAME + 1; length++) {
        char name[RT_MAX_NAME + 2];
        memset(name, 'n', sizeof name);
        name[length] = '\0';
        snprintf(header, sizeof header, "{\"%s\":" T("U8", "1", 0, 1) "}", name);
        write_tensors("n.safetensors", strlen(header), header, strlen(header), 1);
        assert_int_equal(open_file("n.safetensors"), length <= RT_MAX_NAME ? EXIT_OK : EXIT_DATA);
    }
}

static void finds(void **state)
{
    (void)state;
    static const char header[] =
        "{\"z\":" T("U8", "2", 4, 6) ",\"m\":" T("F32", "1,1", 0, 4) ",\"a\":" T(
            "U8", "", 6, 7) ",\"__metadata__\":{\"format\":\"p\\u0074\"}}";
    struct rt_checkpoint *checkpoint;
    write_tensors("f.safetensors", sizeof header - 1, header, sizeof header - 1, 7);
    assert_int_equal(rt_checkpoint_open(in_directory("f.safetensors"), &checkpoint), EXIT_OK);
    assert_int_equal(checkpoint->tensor_count, 3);
    assert_string_equal(checkpoint->tensors[0].name, "z");
    assert_string_equal(checkpoint->files[0].format, "pt");
    assert_string_equal(checkpoint->files[0].name, "f.safetensors");
    const struct rt_tensor *tensor = rt_checkpoint_find(checkpoint, "m");
    assert_non_null(tensor);
    assert_int_equal(tensor->rank, 2);
    assert_int_equal(tensor->bytes, 4);
    assert_int_equal(tensor->stored, RT_STORED_F32);
    assert_int_equal(tensor->offset, 8 + sizeof header - 1);
    assert_ptr_equal(rt_tensor_data(checkpoint, tensor), checkpoint->files[0].map + tensor->offset);
    assert_int_equal(rt_checkpoint_find(checkpoint, "a")->rank, 0);
    assert_non_null(rt_checkpoint_find(checkpoint, "z"));
    assert_null(rt_checkpoint_find(checkpoint, ""));
    assert_null(rt_checkpoint_find(checkpoint, "b"));
    assert_null(rt_checkpoint_find(checkpoint, "zz"));
    rt_checkpoint_close(checkpoint);
}

/* 200,000 tensors, in reverse order of their offsets, in well under a second a pass. */
static void many_tensors(void **state)
{
    (void)state;
    enum { COUNT = 200000, EACH = 80 };
    char *header = malloc((size_t)COUNT * EACH + 16);
    size_t length = (size_t)sprintf(header, "{");
    for (int i = COUNT - 1; i >= 0; i--)
        length += (size_t)sprintf(
            header + length, "%s\"t%d\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[%d,%d]}",
            i == COUNT - 1 ? "" : ",", i, i, i + 1);
    length += (size_t)sprintf(header + length, "}");
    write_tensors("many.safetensors", length, header, length, COUNT);
    free(header);
    clock_t start = clock();
    assert_int_equal(open_file("many.safetensors"), EXIT_OK);
    assert_true((clock() - start) / CLOCKS_PER_SEC < 5);
}

static void write_index(const char *text)
{
    write_file("model.safetensors.index.json", text, strlen(text));
}

/* Shards s1 with a, b and s2 with c. */
static void write_shards(void)
{
    static const char one[] = "{\"a\":" T("U8", "1", 0, 1) ",\"b\":" T("U8", "1", 1, 2) "}";
    static const char two[] = "{\"c\":" T("F32", "1", 0, 4) "}";
    write_tensors("s1.safetensors", sizeof one - 1, one, sizeof one - 1, 2);
    write_tensors("s2.safetensors", sizeof two - 1, two, sizeof two - 1, 4);
}

static const struct {
    const char *text;
    int code;
    const char *message;
} index_cases[] = {
    {"", EXIT_DATA, "unexpected end"},
    {"[]", EXIT_DATA, "expected an object"},
    {"{}", EXIT_DATA, "no weight_map"},
    {"{\"weight_map\":{}}", EXIT_DATA, "no weight_map"},
    {"{\"weight_map\":[]}", EXIT_DATA, "expected an object"},
    {"{\"weight_map\":{\"a\":1}}", EXIT_DATA, "expected a file name"},
    {"{\"weight_map\":{\"a\":\"s1.safetensors\"}} x", EXIT_DATA, "text after"},
    {"{\"weight_map\":{\"a\":\"../s1.safetensors\"}}", EXIT_DATA, "not a file name"},
    {"{\"weight_map\":{\"a\":\"/etc/passwd\"}}", EXIT_DATA, "not a file name"},
    {"{\"weight_map\":{\"a\":\"d/s1.safetensors\"}}", EXIT_DATA, "not a file name"},
    {"{\"weight_map\":{\"a\":\"d\\\\s1.safetensors\"}}", EXIT_DATA, "not a file name"},
    {"{\"weight_map\":{\"a\":\"..\"}}", EXIT_DATA, "not a file name"},
    {"{\"weight_map\":{\"a\":\"\"}}", EXIT_DATA, "not a file name"},
    {"{\"weight_map\":{\"a\":\"s1.safetensors\\u0000x\"}}", EXIT_DATA, "control byte"},
    {"{\"weight_map\":{\"a\":\"absent.safetensors\"}}", EXIT_FILE, "No such file"},
    {"{\"weight_map\":{\"a\":\"s1.safetensors\"}}", EXIT_DATA,
     "names 1 tensors, its shards hold 2"},
    {"{\"weight_map\":{\"a\":\"s1.safetensors\",\"x\":\"s1.safetensors\"}}", EXIT_DATA,
     "does not hold tensor 'x'"},
    {"{\"weight_map\":{\"a\":\"s1.safetensors\",\"b\":\"s2.safetensors\",\"c\":\"s2.safetensors\"}"
     "}",
     EXIT_DATA, "does not hold tensor 'b'"},
    {"{\"weight_map\":{\"a\":\"s1.safetensors\",\"a\":\"s1.safetensors\"}}", EXIT_DATA,
     "duplicate key 'a'"},
    {"{\"weight_map\":{\"a\":\"s1.safetensors\"},\"weight_map\":{\"b\":\"s1.safetensors\"}}",
     EXIT_DATA, "duplicate key 'weight_map'"},
    {"{\"metadata\":{\"total_size\":6,\"x\":[1,{}]},\"weight_map\":{\"a\":\"s1.safetensors\","
     "\"b\":\"s1.safetensors\",\"c\":\"s2.safetensors\"}}",
     EXIT_OK, ""},
};

static void indices(void **state)
{
    (void)state;
    write_shards();
    for (size_t i = 0; i < sizeof index_cases / sizeof *index_cases; i++) {
        write_index(index_cases[i].text);
        rt_status status = open_file(".");
        if (status != index_cases[i].code || !strstr(rt_status_text(), index_cases[i].message))
            fail_msg("index %zu: status %d %s", i, status, rt_status_text());
    }
}

static void shards(void **state)
{
    (void)state;
    struct rt_checkpoint *checkpoint;
    write_shards();
    write_index("{\"weight_map\":{\"c\":\"s2.safetensors\",\"a\":\"s1.safetensors\","
                "\"b\":\"s1.safetensors\"}}");
    assert_int_equal(rt_checkpoint_open(in_directory("model.safetensors.index.json"), &checkpoint),
                     EXIT_OK);
    assert_int_equal(checkpoint->file_count, 2);
    const struct rt_tensor *tensor = rt_checkpoint_find(checkpoint, "c");
    assert_string_equal(checkpoint->files[tensor->file].name, "s2.safetensors");
    rt_checkpoint_close(checkpoint);
    /* The same name in two shards. */
    write_tensors("s2.safetensors", strlen("{\"a\":" T("F32", "1", 0, 4) "}"),
                  "{\"a\":" T("F32", "1", 0, 4) "}", strlen("{\"a\":" T("F32", "1", 0, 4) "}"), 4);
    assert_int_equal(open_file("model.safetensors.index.json"), EXIT_DATA);
    assert_non_null(strstr(rt_status_text(), "duplicate key 'a'"));
}

static int make_directory(void **state)
{
    (void)state;
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
        cmocka_unit_test(headers),      cmocka_unit_test(lengths), cmocka_unit_test(places),
        cmocka_unit_test(mutations),    cmocka_unit_test(names),   cmocka_unit_test(finds),
        cmocka_unit_test(many_tensors), cmocka_unit_test(indices), cmocka_unit_test(shards),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
