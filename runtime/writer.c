/* Text of a generated row: see writer.h. */
#include "runtime/writer.h"

#include <stdlib.h>

enum { EXPECTED_PIECE = 8, TEXT_AT_START = 4096 };

rt_status rt_writer_open(struct rt_writer *writer, const struct rt_tokenizer *tokenizer,
                         const struct rt_list *stops)
{
    *writer = (struct rt_writer){.tokenizer = tokenizer};
    rt_stops_open(&writer->stops, stops);
    writer->bound = rt_detokenizer_bound(tokenizer);
    writer->piece = malloc(writer->bound);
    return writer->piece ? 0 : rt_fail(OUT_OF_MEMORY, writer->bound);
}

void rt_writer_close(struct rt_writer *writer)
{
    rt_stops_close(&writer->stops);
    free(writer->piece);
    *writer = (struct rt_writer){0};
}

rt_status rt_writer_start(struct rt_writer *writer, struct rt_sequence prompt, rt_i64 most)
{
    size_t dropped, expected;
    rt_status status = 0;
    writer->taken = 0;
    rt_stops_start(&writer->stops);
    rt_detokenizer_init(&writer->detokenizer, writer->tokenizer, 0);
    for (rt_i64 i = 0; i < prompt.count && !status; i++)
        status = rt_detokenizer_push(&writer->detokenizer, prompt.ids[i], writer->piece,
                                     writer->bound, &dropped);
    if (status)
        return status;
    if (__builtin_mul_overflow((size_t)most, EXPECTED_PIECE, &expected))
        return rt_fail(OUT_OF_MEMORY, (size_t)most);
    return rt_stops_reserve(&writer->stops, expected + TEXT_AT_START);
}

rt_status rt_writer_push(struct rt_writer *writer, rt_i32 token, bool *stop)
{
    size_t length = 0;
    rt_status status = rt_detokenizer_push(&writer->detokenizer, token, writer->piece,
                                           writer->bound, &length);
    if (!status)
        status = rt_stops_push(&writer->stops, writer->piece, length);
    *stop = writer->stops.matched;
    return status;
}

rt_status rt_writer_finish(struct rt_writer *writer)
{
    size_t length = 0;
    rt_status status = 0;
    if (!writer->stops.matched)
        status = rt_detokenizer_finish(&writer->detokenizer, writer->piece, writer->bound,
                                       &length);
    if (!status)
        status = rt_stops_push(&writer->stops, writer->piece, length);
    rt_stops_finish(&writer->stops);
    return status;
}

const char *rt_writer_take(struct rt_writer *writer, size_t *length)
{
    const char *text = writer->stops.text + writer->taken;
    *length = writer->stops.settled - writer->taken;
    writer->taken = writer->stops.settled;
    return text;
}
