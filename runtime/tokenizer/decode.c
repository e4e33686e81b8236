/*
 * From ids to text, one at a time. The decoder nodes of tokenizer.json are stages of a pipeline:
 * each takes bytes and ends of tokens and hands bytes and ends to the next, holding back only
 * what it cannot decide yet. sentencepiece has one fixed decoder of its own.
 *
 * Where the `tokenizers` library turns a whole run of byte tokens into U+FFFD because one byte
 * of it is wrong, only the wrong bytes are replaced here (as sentencepiece does): a stream
 * cannot take back what it has put out.
 */
#include "runtime/tokenizer/blob.h"
#include "runtime/tokenizer/unicode.h"
#include "runtime/utf8.h"

#include <stdlib.h>
#include <string.h>

/* The last stage slot assembles UTF-8 before the first step. */
enum { SOURCE = RT_DETOKENIZER_STAGES - 1 };

static const uint8_t mark[3] = {0xe2, 0x96, 0x81}; /* U+2581 */
static const uint8_t replacement[3] = {0xef, 0xbf, 0xbd};

static void put(struct rt_detokenizer *d, uint32_t stage, uint8_t byte);

static void put_all(struct rt_detokenizer *d, uint32_t stage, const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        put(d, stage, bytes[i]);
}

static const struct rt_step *step_at(const struct rt_detokenizer *d, uint32_t stage)
{
    return rt_section_decode(d->tokenizer) + stage;
}

static const uint8_t *from_text(const struct rt_detokenizer *d, uint32_t stage)
{
    return rt_section_text(d->tokenizer) + step_at(d, stage)->from;
}

static uint32_t stage_count(const struct rt_detokenizer *d)
{
    return (uint32_t)rt_count_decode(d->tokenizer);
}

/* The bytes of the sequence that starts with `first`, 0 if none does. */
static uint32_t sequence_length(uint8_t first)
{
    if (first < 0x80)
        return 1;
    if (first < 0xc2 || first > 0xf4)
        return 0;
    return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* Whether a byte may follow the held ones (Unicode Standard, table 3-7). */
static bool continues(const struct rt_detokenizer_stage *state, uint8_t byte)
{
    uint8_t first = state->held[0], low = 0x80, high = 0xbf;
    if (state->count == 1) {
        low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
        high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    }
    return byte >= low && byte <= high;
}

/* Gives up an unfinished sequence: one U+FFFD, or one for each of its bytes. */
static void drop_sequence(struct rt_detokenizer *d, struct rt_detokenizer_stage *state,
                          bool each, uint32_t next)
{
    for (uint32_t i = 0; i < (each ? state->count : state->count > 0); i++)
        put_all(d, next, replacement, sizeof replacement);
    state->count = 0;
}

/* Passes complete UTF-8 sequences on to stage `next`. */
static void assemble(struct rt_detokenizer *d, struct rt_detokenizer_stage *state, bool each,
                     uint32_t next, uint8_t byte)
{
    if (state->count > 0 && !continues(state, byte))
        drop_sequence(d, state, each, next);
    if (state->count == 0 && sequence_length(byte) == 0) {
        put_all(d, next, replacement, sizeof replacement);
        return;
    }
    state->held[state->count++] = byte;
    if (state->count < sequence_length(state->held[0]))
        return;
    put_all(d, next, state->held, state->count);
    state->count = 0;
}

/* Replaces a string: holds the longest end of the text that starts the string. */
static void put_replace(struct rt_detokenizer *d, uint32_t stage, uint8_t byte)
{
    struct rt_detokenizer_stage *state = &d->stages[stage];
    const struct rt_step *step = step_at(d, stage);
    const uint8_t *from = from_text(d, stage);
    state->held[state->count++] = byte;
    while (state->count > 0 && memcmp(state->held, from, state->count) != 0) {
        put(d, stage + 1, state->held[0]);
        memmove(state->held, state->held + 1, --state->count);
    }
    if (state->count == step->from_length) {
        state->count = 0;
        put_all(d, stage + 1, rt_section_text(d->tokenizer) + step->to, step->to_length);
    }
}

static bool hold_character(struct rt_detokenizer_stage *state, uint8_t byte)
{
    state->held[state->count++] = byte;
    return state->count >= sequence_length(state->held[0]);
}

static bool is_from(const struct rt_detokenizer *d, uint32_t stage)
{
    const struct rt_detokenizer_stage *state = &d->stages[stage];
    return state->count == step_at(d, stage)->from_length &&
           memcmp(state->held, from_text(d, stage), state->count) == 0;
}

/* number: how many were dropped at the start, UINT32_MAX once another character came;
 * pending: how many stand at the end and may be dropped there. */
static void put_strip(struct rt_detokenizer *d, uint32_t stage, uint8_t byte)
{
    struct rt_detokenizer_stage *state = &d->stages[stage];
    const struct rt_step *step = step_at(d, stage);
    if (!hold_character(state, byte))
        return;
    bool same = is_from(d, stage);
    if (same && state->number < step->first) {
        state->number++;
        state->count = 0;
        return;
    }
    state->number = UINT32_MAX;
    for (; state->pending > 0 && (!same || state->pending == step->second); state->pending--)
        put_all(d, stage + 1, from_text(d, stage), step->from_length);
    if (same && step->second > 0)
        state->pending++;
    else
        put_all(d, stage + 1, state->held, state->count);
    state->count = 0;
}

/* number: tokens have ended. */
static void put_unmetaspace(struct rt_detokenizer *d, uint32_t stage, uint8_t byte)
{
    struct rt_detokenizer_stage *state = &d->stages[stage];
    if (!hold_character(state, byte))
        return;
    if (!is_from(d, stage))
        put_all(d, stage + 1, state->held, state->count);
    else if (state->number > 0 || !step_at(d, stage)->first)
        put(d, stage + 1, ' ');
    state->count = 0;
}

enum { BYTE_TOKEN = 6, TOKEN_AT = 8 }; /* held[0..4): the sequence; held[8..14): the token */

/* pending: bytes of this token held, BYTE_TOKEN + 1 once it is longer; number: a run of byte
 * tokens is open. */
static void close_run(struct rt_detokenizer *d, uint32_t stage);

static void put_fallback(struct rt_detokenizer *d, uint32_t stage, uint8_t byte)
{
    struct rt_detokenizer_stage *state = &d->stages[stage];
    if (state->pending < BYTE_TOKEN) {
        state->held[TOKEN_AT + state->pending++] = byte;
        return;
    }
    if (state->pending == BYTE_TOKEN) {
        close_run(d, stage);
        put_all(d, stage + 1, state->held + TOKEN_AT, BYTE_TOKEN);
        state->pending++;
    }
    put(d, stage + 1, byte);
}

static void put(struct rt_detokenizer *d, uint32_t stage, uint8_t byte)
{
    if (stage == stage_count(d)) {
        if (d->length < d->capacity)
            d->out[d->length] = (char)byte;
        d->length++;
        return;
    }
    switch ((enum rt_step_kind)step_at(d, stage)->kind) {
    case RT_STEP_REPLACE: put_replace(d, stage, byte); break;
    case RT_STEP_STRIP: put_strip(d, stage, byte); break;
    case RT_STEP_UNMETASPACE: put_unmetaspace(d, stage, byte); break;
    case RT_STEP_FALLBACK: put_fallback(d, stage, byte); break;
    default: put(d, stage + 1, byte); break;
    }
}

static void end_token(struct rt_detokenizer *d, uint32_t stage);

static void close_run(struct rt_detokenizer *d, uint32_t stage)
{
    struct rt_detokenizer_stage *state = &d->stages[stage];
    drop_sequence(d, state, true, stage + 1);
    if (state->number)
        end_token(d, stage + 1);
    state->number = 0;
}

static int hexadecimal(uint8_t digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    digit |= 0x20;
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* The byte that a piece like <0x0A> stands for, -1 if it is none. */
static int piece_byte(const uint8_t *piece, size_t length)
{
    if (length != BYTE_TOKEN || memcmp(piece, "<0x", 3) != 0 || piece[5] != '>')
        return -1;
    int high = piece[3] == '+' ? 0 : hexadecimal(piece[3]), low = hexadecimal(piece[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static void end_fallback(struct rt_detokenizer *d, uint32_t stage)
{
    struct rt_detokenizer_stage *state = &d->stages[stage];
    uint32_t length = state->pending;
    state->pending = 0;
    int byte = piece_byte(state->held + TOKEN_AT, length);
    if (byte >= 0) {
        state->number = 1;
        assemble(d, state, true, stage + 1, (uint8_t)byte);
        return;
    }
    if (length <= BYTE_TOKEN) {
        close_run(d, stage);
        put_all(d, stage + 1, state->held + TOKEN_AT, length);
    }
    end_token(d, stage + 1);
}

/* A token is complete: what was held back within it is decided. */
static void end_token(struct rt_detokenizer *d, uint32_t stage)
{
    if (stage == stage_count(d))
        return;
    struct rt_detokenizer_stage *state = &d->stages[stage];
    switch ((enum rt_step_kind)step_at(d, stage)->kind) {
    case RT_STEP_FALLBACK: end_fallback(d, stage); return;
    case RT_STEP_FUSE: return;
    case RT_STEP_STRIP: state->number = state->pending = 0; break;
    case RT_STEP_UNMETASPACE: state->number = 1; break;
    default: break;
    }
    put_all(d, stage + 1, state->held, state->count);
    state->count = 0;
    end_token(d, stage + 1);
}

/* The end of the text: stages that fuse or gather tokens end theirs. */
static void end_text(struct rt_detokenizer *d)
{
    bool fused = d->tokenizer->header->facts & RT_FACT_BYTE_PIECES;
    drop_sequence(d, &d->stages[SOURCE], !fused, 0);
    if (fused)
        end_token(d, 0);
    for (uint32_t stage = 0; stage < stage_count(d); stage++) {
        uint32_t kind = step_at(d, stage)->kind;
        if (kind == RT_STEP_FALLBACK)
            close_run(d, stage);
        if (kind == RT_STEP_FUSE)
            end_token(d, stage + 1);
    }
}

/* The byte behind a character of the printable alphabet, -1 if it is none. */
static int character_byte(uint32_t code)
{
    if ((code >= '!' && code <= '~') || (code >= 0xa1 && code <= 0xff && code != 0xad))
        return (int)code;
    if (code >= 0x100 && code <= 0x120)
        return (int)code - 0x100;
    if (code >= 0x121 && code <= 0x142)
        return (int)code - 0x121 + 0x7f;
    return code == 0x143 ? 0xad : -1;
}

/* A token that holds any other character stands for its own text. */
static void push_byte_piece(struct rt_detokenizer *d, const uint8_t *piece, size_t length)
{
    bool mapped = true;
    struct rt_character character;
    for (size_t at = 0; at < length; at += character.length) {
        character = rt_character_at(piece, length, at);
        mapped &= character_byte(character.code) >= 0;
    }
    for (size_t at = 0; at < length; at += character.length) {
        character = rt_character_at(piece, length, at);
        if (!mapped)
            character.length = 1;
        uint8_t byte = mapped ? (uint8_t)character_byte(character.code) : piece[at];
        assemble(d, &d->stages[SOURCE], false, 0, byte);
    }
}

static void push_pairs(struct rt_detokenizer *d, const uint8_t *piece, size_t length)
{
    uint32_t facts = d->tokenizer->header->facts;
    if ((facts & RT_FACT_JOIN) && d->started)
        put(d, 0, ' ');
    d->started = true;
    if (facts & RT_FACT_BYTE_PIECES) {
        push_byte_piece(d, piece, length);
        return;
    }
    put_all(d, 0, piece, length);
    end_token(d, 0);
}

/* U+2581 becomes a blank, but for one at the start of the text that stands for the dummy
 * prefix (with `squeeze`, one in every piece until there is text). */
static void push_sentencepiece(struct rt_detokenizer *d, int32_t id, const uint8_t *piece,
                               size_t length, bool shown)
{
    const struct rt_tokenizer *tokenizer = d->tokenizer;
    uint8_t attributes = rt_section_attributes(tokenizer)[id];
    size_t before = d->length, at = shown ? 0 : length;
    if (attributes & RT_PIECE_BYTE) {
        assemble(d, &d->stages[SOURCE], true, 0, (uint8_t)piece_byte(piece, length));
        d->started |= d->length > before;
        return;
    }
    drop_sequence(d, &d->stages[SOURCE], true, 0);
    d->started |= d->length > before;
    bool consumed = false;
    if (shown && (attributes & RT_PIECE_UNKNOWN)) {
        put_all(d, 0, rt_section_unknown_text(tokenizer), rt_count_unknown_text(tokenizer));
        at = length;
    } else if (!(attributes & RT_PIECE_CONTROL) && !d->started && length >= at + sizeof mark &&
               (tokenizer->header->facts & (RT_FACT_PREFIX | RT_FACT_SQUEEZE)) &&
               memcmp(piece, mark, sizeof mark) == 0) {
        at = sizeof mark;
        consumed = !(tokenizer->header->facts & RT_FACT_SQUEEZE);
    }
    while (at < length) {
        bool blank = length - at >= sizeof mark && memcmp(piece + at, mark, sizeof mark) == 0;
        put(d, 0, blank ? ' ' : piece[at]);
        at += blank ? sizeof mark : 1;
    }
    d->started |= consumed || d->length > before;
}

/* What a token says: its piece, or the text that stands for it. */
static const uint8_t *text_of(const struct rt_tokenizer *tokenizer, int32_t id, size_t *length)
{
    const char *piece = rt_tokenizer_piece(tokenizer, id, length);
    if (!piece || !(rt_section_attributes(tokenizer)[id] & RT_PIECE_SHOWN))
        return (const uint8_t *)piece;
    const struct rt_shown *shown = rt_section_shown(tokenizer);
    size_t low = 0, high = rt_count_shown(tokenizer) - 1;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (shown[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    *length = shown[low].from_length;
    return rt_section_text(tokenizer) + shown[low].from;
}

void rt_detokenizer_init(struct rt_detokenizer *detokenizer, const struct rt_tokenizer *tokenizer,
                         unsigned flags)
{
    memset(detokenizer, 0, sizeof *detokenizer);
    detokenizer->tokenizer = tokenizer;
    detokenizer->flags = flags;
}

size_t rt_detokenizer_bound(const struct rt_tokenizer *tokenizer)
{
    return (size_t)tokenizer->header->decode_bound;
}

static void begin(struct rt_detokenizer *d, char *buffer, size_t capacity)
{
    d->out = buffer;
    d->capacity = capacity;
    d->length = 0;
}

static rt_status end(struct rt_detokenizer *d, size_t *out_length)
{
    *out_length = d->length <= d->capacity ? d->length : 0;
    if (d->length > d->capacity)
        return rt_fail(INTERNAL, "the buffer for decoded text is too small", __func__);
    return EXIT_OK;
}

rt_status rt_detokenizer_push(struct rt_detokenizer *detokenizer, int32_t id, char *buffer,
                              size_t capacity, size_t *out_length)
{
    const struct rt_tokenizer *tokenizer = detokenizer->tokenizer;
    size_t length;
    const uint8_t *piece = text_of(tokenizer, id, &length);
    begin(detokenizer, buffer, capacity);
    bool shown = (detokenizer->flags & RT_TOKENIZER_SPECIAL) ||
                 !rt_tokenizer_is_special(tokenizer, id);
    if (piece && tokenizer->header->kind == RT_TOKENIZER_SENTENCEPIECE)
        push_sentencepiece(detokenizer, id, piece, length, shown);
    else if (piece && shown)
        push_pairs(detokenizer, piece, length);
    return end(detokenizer, out_length);
}

rt_status rt_detokenizer_finish(struct rt_detokenizer *detokenizer, char *buffer,
                                size_t capacity, size_t *out_length)
{
    begin(detokenizer, buffer, capacity);
    end_text(detokenizer);
    return end(detokenizer, out_length);
}

/* Moves the bytes of one push to the end of a growing text. */
static rt_status decode_one(struct rt_detokenizer *d, const int32_t *id, char **text,
                            size_t *length, size_t *capacity)
{
    size_t room = rt_detokenizer_bound(d->tokenizer), written;
    if (*capacity - *length <= room) {
        size_t larger = *capacity * 2 + room + 1;
        char *grown = realloc(*text, larger);
        if (!grown)
            return rt_fail(OUT_OF_MEMORY, larger);
        *text = grown;
        *capacity = larger;
    }
    rt_status status = id ? rt_detokenizer_push(d, *id, *text + *length, room, &written)
                          : rt_detokenizer_finish(d, *text + *length, room, &written);
    *length += written;
    return status;
}

rt_status rt_tokenizer_decode(const struct rt_tokenizer *tokenizer, const int32_t *ids,
                              size_t count, unsigned flags, char **out_text, size_t *out_length)
{
    struct rt_detokenizer detokenizer;
    rt_detokenizer_init(&detokenizer, tokenizer, flags);
    char *text = NULL;
    size_t length = 0, capacity = 0;
    rt_status status = EXIT_OK;
    for (size_t i = 0; i <= count && !status; i++)
        status = decode_one(&detokenizer, i < count ? &ids[i] : NULL, &text, &length, &capacity);
    if (status) {
        free(text);
        text = NULL;
        length = 0;
    } else {
        text[length] = '\0';
    }
    *out_text = text;
    *out_length = length;
    return status;
}
