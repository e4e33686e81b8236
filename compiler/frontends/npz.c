/* See npz.h. Numbers in ZIP archives are little-endian and unaligned. */
#include "compiler/frontends/npz.h"

#include "compiler/frontends/file.h"
#include "ir/base/arena.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { END_BYTES = 22, ENTRY_BYTES = 46, LOCAL_BYTES = 30, MOST_HEADER = 4096 };
enum { STORED = 0, DEFLATED = 8, ENCRYPTED = 1 };

static const size_t most_bytes = (size_t)4 << 30;

struct archive {
    struct arena *arena;
    const char *path;
    const unsigned char *bytes;
    size_t length;
};

static _Noreturn void fail(const struct archive *a, const char *what)
{
    fatal(NPZ_INVALID, what, a->path);
}

static unsigned get16(const unsigned char *at)
{
    return at[0] | (unsigned)at[1] << 8;
}

static uint32_t get32(const unsigned char *at)
{
    return get16(at) | (uint32_t)get16(at + 2) << 16;
}

/* --- archive --- */

struct member {
    const char *name;
    unsigned method;
    uint32_t sum, packed, size, local;
};

/* The end record, which a comment of up to 64 KiB may follow. */
static const unsigned char *find_end(const struct archive *a)
{
    if (a->length < END_BYTES)
        fail(a, "it is too short for an archive");
    for (size_t at = a->length - END_BYTES;; at--) {
        const unsigned char *end = a->bytes + at;
        if (get32(end) == 0x06054b50 && get16(end + 20) == a->length - at - END_BYTES)
            return end;
        if (at == 0 || a->length - at > END_BYTES + 0xffff)
            fail(a, "it is no ZIP archive, or is cut short");
    }
}

/* Where a member's packed bytes begin: its local header may have other extra fields. */
static const unsigned char *member_bytes(const struct archive *a, const struct member *m)
{
    uint64_t at = m->local;
    if (at + LOCAL_BYTES > a->length || get32(a->bytes + at) != 0x04034b50)
        fail(a, "a member is not where the directory says");
    at += LOCAL_BYTES + get16(a->bytes + at + 26) + get16(a->bytes + at + 28);
    if (at + m->packed > a->length)
        fail(a, "a member reaches beyond the file");
    return a->bytes + at;
}

static void inflate_into(const struct archive *a, const struct member *m,
                         const unsigned char *packed, unsigned char *out)
{
    z_stream stream = {.next_in = (unsigned char *)packed, .avail_in = m->packed, .next_out = out,
                       .avail_out = m->size};
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
        fatal(OUT_OF_MEMORY, (size_t)m->size);
    int end = inflate(&stream, Z_FINISH);
    bool whole = end == Z_STREAM_END && stream.avail_out == 0 && stream.avail_in == 0;
    inflateEnd(&stream);
    if (!whole)
        fail(a, "compressed data are damaged");
}

static const unsigned char *unpack(const struct archive *a, const struct member *m)
{
    const unsigned char *packed = member_bytes(a, m), *bytes = packed;
    if (m->method == DEFLATED) {
        unsigned char *out = arena_array(a->arena, unsigned char, (size_t)m->size + 1);
        inflate_into(a, m, packed, out);
        bytes = out;
    } else if (m->method != STORED || m->size != m->packed) {
        fail(a, "a member is neither stored nor deflated");
    }
    if (crc32(0, bytes, m->size) != m->sum)
        fail(a, "a checksum is wrong");
    return bytes;
}

/* Reads the directory's entry at `at` and gives the place of the next. */
static size_t read_entry(const struct archive *a, size_t at, struct member *out)
{
    const unsigned char *entry = a->bytes + at;
    if (a->length - at < ENTRY_BYTES || get32(entry) != 0x02014b50)
        fail(a, "its directory is damaged");
    size_t name = get16(entry + 28), rest = get16(entry + 30) + (size_t)get16(entry + 32);
    if (a->length - at < ENTRY_BYTES + name + rest)
        fail(a, "its directory is damaged");
    *out = (struct member){
        .name = arena_copy(a->arena, (const char *)entry + ENTRY_BYTES, name),
        .method = get16(entry + 10),
        .sum = get32(entry + 16),
        .packed = get32(entry + 20),
        .size = get32(entry + 24),
        .local = get32(entry + 42),
    };
    if (get16(entry + 8) & ENCRYPTED)
        fail(a, "a member is encrypted");
    if (out->packed == UINT32_MAX || out->size == UINT32_MAX || out->local == UINT32_MAX)
        fail(a, "a member has 4 GB or more");
    return at + ENTRY_BYTES + name + rest;
}

/* --- arrays --- */

static const struct {
    const char *name;
    enum dtype dtype;
} dtypes[] = {
    {"<f2", DTYPE_f16}, {"<f4", DTYPE_f32}, {"<f8", DTYPE_f64},  {"<i4", DTYPE_i32},
    {"<i8", DTYPE_i64}, {"|u1", DTYPE_u8},  {"|b1", DTYPE_bool},
};

/* The text behind 'key': in a header. */
static const char *header_value(const struct archive *a, const char *header, const char *key)
{
    const char *found = strstr(header, key);
    if (!found)
        fail(a, "the header of an array lacks descr, fortran_order or shape");
    found += strlen(key);
    return found + strspn(found, " :");
}

static enum dtype read_dtype(const struct archive *a, const char *text)
{
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (*text == '\'' && strncmp(text + 1, dtypes[i].name, 3) == 0 && text[4] == '\'')
            return dtypes[i].dtype;
    fail(a, "an array has another element type than f16, f32, f64, i32, i64, u8 or bool");
}

/* "(2, 3)", "(6,)" or "()" */
static void read_shape(const struct archive *a, const char *text, struct type *type)
{
    if (*text++ != '(')
        fail(a, "the shape of an array cannot be read");
    while (*(text += strspn(text, " ,")) != ')') {
        char *end;
        long long extent = isdigit((unsigned char)*text) ? strtoll(text, &end, 10) : -1;
        if (extent < 1 || extent >= (1ll << 40) || type->rank == MAX_RANK)
            fail(a, "an array is empty, or has a dimension or a rank that is too large");
        type->dims[type->rank++] = extent;
        text = end;
    }
}

static size_t array_bytes(const struct archive *a, const struct type *type)
{
    uint64_t bytes = (uint64_t)(dtype_bits(type->dtype) / 8);
    for (int i = 0; i < type->rank; i++)
        if (__builtin_mul_overflow(bytes, (uint64_t)type->dims[i], &bytes) || bytes > most_bytes)
            fail(a, "an array is too large");
    return bytes;
}

static struct npz_array read_array(const struct archive *a, const char *name,
                                   const unsigned char *bytes, size_t size)
{
    static const unsigned char magic[] = "\x93NUMPY";
    struct npz_array array = {.name = name};
    if (size < 12 || memcmp(bytes, magic, sizeof magic - 1) != 0 || bytes[6] < 1 || bytes[6] > 3)
        fail(a, "a member is no npy file");
    size_t start = bytes[6] == 1 ? 10 : 12;
    size_t length = bytes[6] == 1 ? get16(bytes + 8) : get32(bytes + 8);
    if (length > MOST_HEADER || size - start < length)
        fail(a, "the header of an array is too long");
    const char *header = arena_copy(a->arena, (const char *)bytes + start, length);
    array.type.dtype = read_dtype(a, header_value(a, header, "'descr'"));
    if (strncmp(header_value(a, header, "'fortran_order'"), "False", 5) != 0)
        fail(a, "an array is in Fortran order");
    read_shape(a, header_value(a, header, "'shape'"), &array.type);
    if (size - start - length != array_bytes(a, &array.type))
        fail(a, "the length of an array is not that of its shape");
    array.bytes = bytes + start + length;
    return array;
}

struct npz npz_parse(struct arena *arena, const char *path, const char *bytes, size_t length)
{
    struct archive a = {arena, path, (const unsigned char *)bytes, length};
    const unsigned char *end = find_end(&a);
    size_t count = get16(end + 10), at = get32(end + 16), total = 0;
    if (count == UINT16_MAX || at == UINT32_MAX)
        fail(&a, "it is a ZIP64 archive, of 4 GB or 65,535 arrays and more");
    struct npz npz = {.path = path, .items = arena_array(arena, struct npz_array, count + 1)};
    for (; npz.count < count; npz.count++) {
        struct member member;
        if (at >= length)
            fail(&a, "its directory is damaged");
        at = read_entry(&a, at, &member);
        size_t name = strlen(member.name);
        if (name < 5 || strcmp(member.name + name - 4, ".npy") != 0)
            fail(&a, "a member is no npy file");
        total += member.size;
        if (total > most_bytes)
            fail(&a, "it holds more than 4 GB");
        npz.items[npz.count] = read_array(&a, arena_copy(arena, member.name, name - 4),
                                          unpack(&a, &member), member.size);
    }
    return npz;
}

struct npz npz_open(struct arena *arena, const char *path)
{
    size_t length;
    const char *bytes = file_read(arena, path, most_bytes, &length);
    return npz_parse(arena, path, bytes, length);
}

const struct npz_array *npz_find(const struct npz *npz, const char *name)
{
    for (size_t i = 0; i < npz->count; i++)
        if (strcmp(npz->items[i].name, name) == 0)
            return &npz->items[i];
    return NULL;
}
