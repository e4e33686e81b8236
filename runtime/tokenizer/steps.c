/*
 * The nodes of tokenizer.json that rewrite or cut a text, as the `tokenizers` library defines
 * them. Each works on one span; rt_step_apply runs it over a text.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif
#include "runtime/tokenizer/text.h"
#include "runtime/tokenizer/unicode.h"
#include "runtime/utf8.h"

#include <string.h>

/* A step at work on one span. */
struct job {
    const struct rt_step *step;
    const uint8_t *from, *to; /* the strings of the step */
    const uint8_t *text;      /* the span */
    size_t length;
    uint32_t origin;
    struct rt_text *out;
};

static bool starts_with(const struct job *job, const uint8_t *prefix, size_t length)
{
    return job->length >= length && memcmp(job->text, prefix, length) == 0;
}

/* Prepended bytes take the origin of what they stand before. */
static void prepend(const struct job *job, const uint8_t *prefix, size_t length)
{
    size_t begin = job->out->length;
    rt_text_put(job->out, prefix, length);
    rt_text_put(job->out, job->text, job->length);
    rt_text_cut(job->out, begin, job->origin ? job->origin + (uint32_t)length : 0);
}

/* Appends the text with `from` replaced by `to`; returns the origin of the result. */
static uint32_t replace(const struct job *job, const uint8_t *from, size_t from_length,
                        const uint8_t *to, size_t to_length)
{
    size_t begin = job->out->length, at = 0;
    uint32_t origin = 0;
    while (at < job->length) {
        const uint8_t *found = memmem(job->text + at, job->length - at, from, from_length);
        size_t next = found ? (size_t)(found - job->text) : job->length;
        rt_text_put(job->out, job->text + at, next - at);
        if (at < job->origin)
            origin += (uint32_t)((next < job->origin ? next : job->origin) - at);
        if (found) {
            rt_text_put(job->out, to, to_length);
            if (next + from_length <= job->origin) /* it takes the last replaced byte's */
                origin = (uint32_t)(job->out->length - begin);
        }
        at = next + (found ? from_length : 0);
    }
    return origin;
}

static void step_replace(const struct job *job)
{
    size_t begin = job->out->length;
    uint32_t origin =
        replace(job, job->from, job->step->from_length, job->to, job->step->to_length);
    rt_text_cut(job->out, begin, origin);
}

static void step_nfc(const struct job *job)
{
    size_t begin = job->out->length, first = 0;
    uint8_t *room = rt_text_reserve(job->out, rt_nfc_bound(job->length));
    if (!room)
        return;
    if (job->origin) /* a first character may become several */
        first = rt_nfc(job->text, job->origin, room);
    size_t bytes = rt_nfc(job->text, job->length, room);
    if (bytes == (size_t)-1 || first == (size_t)-1) {
        job->out->failed = true;
        return;
    }
    job->out->length += bytes;
    rt_text_cut(job->out, begin, (uint32_t)first);
}

static void step_metaspace(const struct job *job)
{
    static const uint8_t blank = ' ';
    size_t begin = job->out->length, mark = job->step->from_length;
    bool wanted = job->step->first == RT_METASPACE_ALWAYS ||
                  (job->step->first == RT_METASPACE_FIRST && job->origin);
    bool has = starts_with(job, job->from, mark) || starts_with(job, &blank, 1);
    if (wanted && !has)
        rt_text_put(job->out, job->from, mark);
    uint32_t prefix = (uint32_t)(job->out->length - begin);
    uint32_t origin = replace(job, &blank, 1, job->from, mark);
    rt_text_cut(job->out, begin, job->origin ? origin + prefix : 0);
}

/* Every byte as the printable character that byte-level tokenizers give it: the printable Latin-1
 * ones stand for themselves, the 68 others follow from U+0100. */
static uint32_t byte_character(uint8_t byte)
{
    if ((byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte != 0xad))
        return byte;
    if (byte <= ' ')
        return 0x100 + byte;
    return byte == 0xad ? 0x143u : 0x100u + 33 + (byte - 0x7fu);
}

static void step_bytes(const struct job *job)
{
    size_t begin = job->out->length;
    uint8_t *room = rt_text_reserve(job->out, 2 * job->length);
    if (!room)
        return;
    size_t bytes = 0, origin = 0;
    for (size_t i = 0; i < job->length; i++) {
        bytes += rt_utf8_put(byte_character(job->text[i]), (char *)room + bytes);
        if (i < job->origin)
            origin = bytes;
    }
    job->out->length += bytes;
    rt_text_cut(job->out, begin, (uint32_t)origin);
}

/* The next match of the step's pattern from `at` on: its begin, and its end in *end. Without
 * one, both are the length. */
static size_t next_match(const struct job *job, size_t at, size_t *end)
{
    if (job->step->pattern != RT_PATTERN_LITERAL) {
        *end = rt_pattern_end((enum rt_pattern)job->step->pattern, job->text, job->length, at);
        return at;
    }
    const uint8_t *found =
        memmem(job->text + at, job->length - at, job->from, job->step->from_length);
    size_t begin = found ? (size_t)(found - job->text) : job->length;
    *end = found ? begin + job->step->from_length : begin;
    return begin;
}

static bool joins(enum rt_behavior behavior, bool previous, bool match)
{
    switch (behavior) {
    case RT_BEHAVIOR_PREVIOUS: return match && !previous;
    case RT_BEHAVIOR_NEXT: return previous && !match;
    case RT_BEHAVIOR_CONTIGUOUS: return previous == match;
    default: return false;
    }
}

/* What a split has put out so far: the last piece is open, since the next may join it. */
struct pieces {
    const struct job *job;
    size_t begin; /* of the open piece, in the span */
    bool open, match;
};

static void close_piece(struct pieces *pieces, size_t end)
{
    const struct job *job = pieces->job;
    if (!pieces->open || (pieces->match && job->step->first == RT_BEHAVIOR_REMOVED))
        return;
    size_t begin = job->out->length;
    rt_text_put(job->out, job->text + pieces->begin, end - pieces->begin);
    rt_text_cut(job->out, begin,
                job->origin > pieces->begin ? job->origin - (uint32_t)pieces->begin : 0);
}

static void add_piece(struct pieces *pieces, size_t begin, size_t end, bool match)
{
    if (begin == end)
        return;
    match ^= pieces->job->step->second != 0;
    enum rt_behavior behavior = (enum rt_behavior)pieces->job->step->first;
    if (!pieces->open || !joins(behavior, pieces->match, match)) {
        close_piece(pieces, begin);
        pieces->begin = begin;
    }
    pieces->open = true;
    pieces->match = match;
}

static void step_split(const struct job *job)
{
    struct pieces pieces = {.job = job};
    for (size_t at = 0, end; at < job->length; at = end) {
        size_t begin = next_match(job, at, &end);
        add_piece(&pieces, at, begin, false);
        add_piece(&pieces, begin, end, true);
    }
    close_piece(&pieces, job->length);
}

static void run(const struct job *job)
{
    switch ((enum rt_step_kind)job->step->kind) {
    case RT_STEP_PREPEND: prepend(job, job->from, job->step->from_length); break;
    case RT_STEP_REPLACE: step_replace(job); break;
    case RT_STEP_NFC: step_nfc(job); break;
    case RT_STEP_BLANK:
        prepend(job, (const uint8_t *)" ", !starts_with(job, (const uint8_t *)" ", 1));
        break;
    case RT_STEP_METASPACE: step_metaspace(job); break;
    case RT_STEP_SPLIT: step_split(job); break;
    case RT_STEP_BYTES: step_bytes(job); break;
    default: break; /* steps of decoding never stand here */
    }
}

void rt_step_apply(const struct rt_step *step, const uint8_t *strings, const struct rt_text *in,
                   struct rt_text *out)
{
    rt_text_clear(out);
    for (size_t i = 0; i < in->count && !out->failed; i++) {
        const struct rt_span *span = &in->spans[i];
        if (span->id >= 0) {
            rt_text_token(out, span->id);
            continue;
        }
        struct job job = {step,
                          strings + step->from,
                          strings + step->to,
                          in->bytes + span->begin,
                          span->end - span->begin,
                          span->origin,
                          out};
        run(&job);
    }
}
