/* See draft.h. */
#include "compiler/tokenizer/draft.h"

#include "ir/base/diag.h"
#include "runtime/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { DRAFT_GAP = 65536, SHOWN = 40, MESSAGE_BYTES = 512 };

struct draft draft_create(struct arena *arena, const char *file)
{
    struct draft draft = {.arena = arena, .file = file, .bos = -1, .unknown = -1};
    draft.ids = map_create(arena);
    draft.text = str_create(arena);
    memset(draft.byte_ids, -1, sizeof draft.byte_ids);
    return draft;
}

/* Gaps between ids are allowed, but not more than a real vocabulary may have. */
void draft_expect(struct draft *draft, size_t count)
{
    int64_t limit = count < DRAFT_IDS / 4 ? (int64_t)count * 4 + DRAFT_GAP : DRAFT_IDS;
    draft->id_limit = limit < DRAFT_IDS ? limit : DRAFT_IDS;
}

void draft_unsupported(const struct draft *draft, const char *format, ...)
{
    char text[MESSAGE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fatal(TOKENIZER_UNSUPPORTED, text, draft->file);
}

void draft_invalid(const struct draft *draft, const char *format, ...)
{
    char text[MESSAGE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fatal(TOKENIZER_INVALID, text, draft->file);
}

const char *draft_show(const struct draft *draft, const char *text, size_t length)
{
    struct str shown = str_create(draft->arena);
    for (size_t at = 0, bytes; at < length; at += bytes) {
        bytes = rt_utf8_length(text + at, text + length);
        if (shown.length + 4 > SHOWN) {
            str_printf(&shown, "...");
            break;
        }
        bool printable = bytes > 0 && (unsigned char)text[at] >= ' ' && text[at] != 0x7f;
        str_bytes(&shown, printable ? text + at : "?", printable ? bytes : 1);
        bytes += bytes == 0;
    }
    return shown.text;
}

static void check_piece(const struct draft *draft, int64_t id, const char *text, size_t length)
{
    const char *shown = draft_show(draft, text, length);
    if (id < 0 || id >= draft->id_limit)
        draft_invalid(draft, "the id of '%s' is %lld, not from 0 to %lld", shown, (long long)id,
                      (long long)draft->id_limit - 1);
    if (length > RT_TOKENIZER_PIECE_BYTES)
        draft_unsupported(draft, "piece %lld of %zu bytes, at most %d", (long long)id, length,
                          RT_TOKENIZER_PIECE_BYTES);
    for (size_t at = 0, bytes; at < length; at += bytes)
        if ((bytes = rt_utf8_length(text + at, text + length)) == 0)
            draft_invalid(draft, "piece %lld is not valid UTF-8", (long long)id);
    if (map_find(&draft->ids, text, length))
        draft_invalid(draft, "piece '%s' has two ids", shown);
}

void draft_add_piece(struct draft *draft, int64_t id, const char *text, size_t length,
                     uint32_t attributes, float score)
{
    check_piece(draft, id, text, length);
    while (draft->pieces.count <= (size_t)id)
        array_push(draft->arena, &draft->pieces, (struct draft_piece){0});
    struct draft_piece *piece = &draft->pieces.items[id];
    if (piece->attributes)
        draft_invalid(draft, "id %lld has two pieces, '%s' and '%s'", (long long)id,
                      draft_show(draft, piece->text, piece->length),
                      draft_show(draft, text, length));
    *map_insert(&draft->ids, text, length) = (void *)(uintptr_t)(id + 1);
    *piece = (struct draft_piece){arena_copy(draft->arena, text, length), (uint32_t)length,
                                  attributes | RT_PIECE_PRESENT, score, false};
}

int32_t draft_find(const struct draft *draft, const char *text, size_t length)
{
    void **found = map_find(&draft->ids, text, length);
    return found ? (int32_t)(uintptr_t)*found - 1 : -1;
}

uint32_t draft_string(struct draft *draft, const char *text, size_t length, size_t most)
{
    if (length > most)
        draft_unsupported(draft, "a string of %zu bytes ('%s'), at most %zu", length,
                          draft_show(draft, text, length), most);
    uint32_t offset = (uint32_t)draft->text.length;
    str_bytes(&draft->text, text, length);
    return offset;
}

int draft_find_bytes(struct draft *draft)
{
    int found = 0;
    for (int byte = 0; byte < 256; byte++) {
        char name[8];
        int length = snprintf(name, sizeof name, "<0x%02X>", byte);
        draft->byte_ids[byte] = draft_find(draft, name, (size_t)length);
        found += draft->byte_ids[byte] >= 0;
    }
    return found;
}
