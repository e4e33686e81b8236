/* In the place of zlib's header where there is none: packed files are refused. */
#ifndef SINTER_WITHOUT_ZLIB_H
#define SINTER_WITHOUT_ZLIB_H

typedef unsigned uInt;
typedef unsigned char Bytef;

typedef struct {
    Bytef *next_in, *next_out;
    uInt avail_in, avail_out;
} z_stream;

enum { Z_OK = 0, Z_STREAM_END = 1, Z_STREAM_ERROR = -2, Z_NO_FLUSH = 0 };

static inline int inflateInit2(z_stream *stream, int window)
{
    (void)stream;
    (void)window;
    return Z_STREAM_ERROR;
}

static inline int inflate(z_stream *stream, int flush)
{
    (void)stream;
    (void)flush;
    return Z_STREAM_ERROR;
}

static inline int inflateReset(z_stream *stream)
{
    (void)stream;
    return Z_STREAM_ERROR;
}

static inline int inflateEnd(z_stream *stream)
{
    (void)stream;
    return Z_OK;
}

#endif
