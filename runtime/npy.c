/* .npy files: see npy.h. */
#include "runtime/npy.h"

#include "runtime/files.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { PREFIX = 10, MOST_BYTES = 1 << 30 };

static const char magic[] = "\x93NUMPY";

void rt_npy_header(FILE *file, rt_i64 rows, rt_i64 columns)
{
    char text[RT_NPY_HEADER - PREFIX + 1];
    int length = snprintf(text, sizeof text,
                          "{'descr': '<f4', 'fortran_order': False, 'shape': (%lld, %lld), }",
                          (long long)rows, (long long)columns);
    memset(text + length, ' ', sizeof text - 1 - (size_t)length);
    text[sizeof text - 2] = '\n';
    fwrite(magic, 1, sizeof magic - 1, file);
    fputc(1, file);
    fputc(0, file);
    fputc(RT_NPY_HEADER - PREFIX, file);
    fputc(0, file);
    fwrite(text, 1, sizeof text - 1, file);
}

/* The text behind "'key':" in a header, NULL if the key is not there. */
static const char *entry(const char *header, const char *key)
{
    const char *found = strstr(header, key);
    if (!found)
        return NULL;
    found += strlen(key);
    return found + strspn(found, " :");
}

/* The product of "(2, 3)", "(6,)" or "()"; -1 if it is none or too large. */
static rt_i64 shape_product(const char *shape)
{
    rt_i64 product = 1;
    char *end;
    if (*shape++ != '(')
        return -1;
    while (*(shape += strspn(shape, " ,")) != ')') {
        long long size = strtoll(shape, &end, 10);
        if (end == shape || size < 0 || __builtin_mul_overflow(product, size, &product))
            return -1;
        shape = end;
    }
    return product;
}

/* Checks a header that describes `bytes` of data; NULL if they are int32 in C order. */
static const char *check_header(const char *header, size_t bytes, rt_i64 *count)
{
    const char *type = entry(header, "'descr'"), *order = entry(header, "'fortran_order'");
    const char *shape = entry(header, "'shape'");
    if (!type || !order || !shape)
        return "its header has no descr, fortran_order or shape";
    if (strncmp(type, "'<i4'", 5) != 0)
        return "it does not hold int32";
    if (strncmp(order, "False", 5) != 0)
        return "it is in Fortran order";
    *count = shape_product(shape);
    if (*count < 0)
        return "its shape cannot be read";
    if ((size_t)*count != bytes / 4 || bytes % 4 != 0)
        return "its length is not that of its shape";
    return NULL;
}

static const char *parse(const char *text, size_t length, size_t *data, rt_i64 *count)
{
    char header[1024];
    const unsigned char *bytes = (const unsigned char *)text;
    if (length < PREFIX || memcmp(text, magic, sizeof magic - 1) != 0)
        return "it does not begin as one";
    size_t header_length = bytes[8] | (size_t)bytes[9] << 8;
    if (bytes[6] != 1 || header_length >= sizeof header || length < PREFIX + header_length)
        return "its header is too long or of another version";
    memcpy(header, text + PREFIX, header_length);
    header[header_length] = '\0';
    *data = PREFIX + header_length;
    return check_header(header, length - *data, count);
}

rt_status rt_npy_read_i32(const char *path, rt_i32 **values, rt_i64 *count)
{
    char *text = NULL;
    size_t length = 0, data = 0;
    rt_status status = rt_read_file(path, MOST_BYTES, &text, &length);
    if (status)
        return status;
    const char *wrong = parse(text, length, &data, count);
    *values = wrong ? NULL : malloc((size_t)*count * sizeof **values + 1);
    if (*values)
        memcpy(*values, text + data, (size_t)*count * sizeof **values);
    free(text);
    if (wrong)
        return rt_fail(NPY_BAD, wrong, path);
    return *values ? 0 : rt_fail(OUT_OF_MEMORY, (size_t)*count * sizeof **values);
}
