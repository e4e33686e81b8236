/* IDX files: see idx.h. */
#include "runtime/idx.h"

#include "runtime/files.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    MOST_FILE = 1 << 30,
    GZIP_WINDOW = 15 + 16,  /* zlib: largest window, gzip header */
    GZIP_RATIO = 1032,      /* deflate cannot shrink more (zlib's technical notes) */
    GZIP_SLACK = 4096,
};

/* The bytes of a file, inflated as they are asked for if they are a gzip stream. */
struct source {
    z_stream stream;
    bool gzip, ended;
};

static bool open_source(struct source *source, const char *text, size_t length)
{
    *source = (struct source){0};
    source->stream.next_in = (unsigned char *)text;
    source->stream.avail_in = (uInt)length;
    source->gzip = length >= 2 && memcmp(text, "\x1f\x8b", 2) == 0;
    return !source->gzip || inflateInit2(&source->stream, GZIP_WINDOW) == Z_OK;
}

static void close_source(struct source *source)
{
    if (source->gzip)
        inflateEnd(&source->stream);
}

/* A gzip file may hold several members, one after the other. */
static bool next_member(struct source *source)
{
    if (source->stream.avail_in == 0) {
        source->ended = true;
        return false;
    }
    return inflateReset(&source->stream) == Z_OK;
}

static bool inflate_some(struct source *source, unsigned char *out, uInt length)
{
    source->stream.next_out = out;
    source->stream.avail_out = length;
    while (source->stream.avail_out > 0) {
        int code = inflate(&source->stream, Z_NO_FLUSH);
        if (code == Z_STREAM_END) {
            if (source->stream.avail_out > 0 && !next_member(source))
                return false;
        } else if (code != Z_OK) {
            return false;
        }
    }
    return true;
}

/* Exactly `length` bytes; false if the source ends or is broken before. */
static bool take(struct source *source, unsigned char *out, size_t length)
{
    enum { PIECE = 1 << 30 };
    if (!source->gzip) {
        if (source->stream.avail_in < length)
            return false;
        memcpy(out, source->stream.next_in, length);
        source->stream.next_in += length;
        source->stream.avail_in -= (uInt)length;
        return true;
    }
    for (size_t done = 0; done < length;) {
        size_t piece = length - done < PIECE ? length - done : PIECE;
        if (!inflate_some(source, out + done, (uInt)piece))
            return false;
        done += piece;
    }
    return true;
}

/* Whether nothing follows; for gzip the trailer of the last member is checked by this, too. */
static bool at_end(struct source *source)
{
    unsigned char extra;
    if (!source->gzip)
        return source->stream.avail_in == 0;
    return !take(source, &extra, 1) && source->ended;
}

static size_t value_bytes(unsigned type)
{
    switch (type) {
    case RT_IDX_U8:
    case RT_IDX_I8: return 1;
    case RT_IDX_I16: return 2;
    case RT_IDX_I32:
    case RT_IDX_F32: return 4;
    case RT_IDX_F64: return 8;
    default: return 0;
    }
}

/* Reads the header; returns what is wrong, NULL if nothing is. */
static const char *read_header(struct source *source, struct rt_idx *idx, size_t *bytes)
{
    unsigned char head[4], word[4];
    if (!take(source, head, sizeof head))
        return "it ends in its header";
    size_t size = head[0] == 0 && head[1] == 0 ? value_bytes(head[2]) : 0;
    if (size == 0)
        return "it does not begin as one";
    if (head[3] < 1 || head[3] > RT_MAX_RANK)
        return "its rank is not in 1..8";
    idx->type = (enum rt_idx_type)head[2];
    idx->rank = head[3];
    idx->sample = 1;
    for (unsigned i = 0; i < idx->rank; i++) {
        if (!take(source, word, sizeof word))
            return "it ends in its header";
        idx->dims[i] = (rt_i64)word[0] << 24 | word[1] << 16 | word[2] << 8 | word[3];
        if (i > 0 && __builtin_mul_overflow(idx->sample, idx->dims[i], &idx->sample))
            return "its sizes are too large";
    }
    idx->count = idx->dims[0];
    rt_i64 values;
    if (__builtin_mul_overflow(idx->sample, idx->count, &values)
        || __builtin_mul_overflow((size_t)values, size, bytes))
        return "its sizes are too large";
    return NULL;
}

static const char *read_values(struct source *source, struct rt_idx *idx, size_t bytes,
                               size_t file_bytes)
{
    size_t most = source->gzip ? file_bytes * GZIP_RATIO + GZIP_SLACK : file_bytes;
    if (bytes > most)
        return "it is cut short";
    idx->values = malloc(bytes + 1);
    if (!idx->values)
        return "there is no memory for it";
    if (!take(source, idx->values, bytes))
        return "it is cut short or damaged";
    return at_end(source) ? NULL : "something follows its values, or its checksum is wrong";
}

rt_status rt_idx_open(struct rt_idx *idx, const char *path)
{
    char *text = NULL;
    size_t length = 0, bytes = 0;
    struct source source;
    *idx = (struct rt_idx){0};
    rt_status status = rt_read_file(path, MOST_FILE, &text, &length);
    if (status)
        return status;
    const char *wrong = open_source(&source, text, length) ? NULL : "zlib has no memory";
    if (!wrong) {
        wrong = read_header(&source, idx, &bytes);
        if (!wrong)
            wrong = read_values(&source, idx, bytes, length);
        close_source(&source);
    }
    free(text);
    if (!wrong)
        return 0;
    rt_idx_close(idx);
    return rt_fail(IDX_BAD, wrong, path);
}

void rt_idx_close(struct rt_idx *idx)
{
    free(idx->values);
    *idx = (struct rt_idx){0};
}

bool rt_idx_is_whole(const struct rt_idx *idx)
{
    return idx->type != RT_IDX_F32 && idx->type != RT_IDX_F64;
}

double rt_idx_value(const struct rt_idx *idx, rt_i64 index)
{
    size_t size = value_bytes(idx->type);
    const unsigned char *at = idx->values + (size_t)index * size;
    rt_u64 word = 0;
    float single;
    double number;
    for (size_t i = 0; i < size; i++)
        word = word << 8 | at[i];
    switch (idx->type) {
    case RT_IDX_I8: return (signed char)word;
    case RT_IDX_I16: return (short)word;
    case RT_IDX_I32: return (rt_i32)word;
    case RT_IDX_F32: {
        rt_u32 bits = (rt_u32)word;
        memcpy(&single, &bits, sizeof single);
        return single;
    }
    case RT_IDX_F64: memcpy(&number, &word, sizeof number); return number;
    default: return (double)word;
    }
}
