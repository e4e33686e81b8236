/*
 * The text of one generated row: tokens in, settled text out, stop strings applied. After
 * rt_writer_start nothing is allocated until the row ends.
 */
#ifndef SINTER_WRITER_H
#define SINTER_WRITER_H

#include "runtime/feeder.h"
#include "runtime/stops.h"
#include "runtime/tokenizer.h"

struct rt_writer {
    const struct rt_tokenizer *tokenizer;
    struct rt_detokenizer detokenizer;
    struct rt_stops stops;
    char *piece; /* one push's output */
    size_t bound;
    size_t taken; /* bytes of settled text that rt_writer_take gave out */
};

/* The tokenizer and the list of stop strings must outlive the writer. */
rt_status rt_writer_open(struct rt_writer *writer, const struct rt_tokenizer *tokenizer,
                         const struct rt_list *stops);
void rt_writer_close(struct rt_writer *writer);

/* Begins a row that continues `prompt` with at most `most` tokens. */
rt_status rt_writer_start(struct rt_writer *writer, struct rt_sequence prompt, rt_i64 most);

/* One more token; *stop if a stop string is complete. */
rt_status rt_writer_push(struct rt_writer *writer, rt_i32 token, bool *stop);

/* The row has ended: what was held back is text. */
rt_status rt_writer_finish(struct rt_writer *writer);

/* The settled text that was not taken before; valid until the next call. */
const char *rt_writer_take(struct rt_writer *writer, size_t *length);

#endif
