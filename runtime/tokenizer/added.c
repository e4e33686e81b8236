/*
 * Added tokens in a text, as the `tokenizers` library takes them out: leftmost first, then
 * longest; then the rules of whole words and of blanks that a token swallows. A special token
 * that the caller did not ask for is text, and still hides shorter tokens inside it.
 */
#include "runtime/tokenizer/text.h"
#include "runtime/tokenizer/unicode.h"

/* The classes of the character that ends at text[at], and where it begins. */
static unsigned class_before(const uint8_t *text, size_t at, size_t *begin)
{
    for (size_t length = 1; length <= 4 && length <= at; length++) {
        struct rt_character character = rt_character_at(text, at, at - length);
        if (character.code != RT_UNICODE_END && character.length == length) {
            *begin = at - length;
            return rt_unicode_class(character.code);
        }
    }
    *begin = at - 1;
    return 0;
}

static unsigned class_after(const uint8_t *text, size_t length, size_t at, size_t *end)
{
    struct rt_character character = rt_character_at(text, length, at);
    *end = at + character.length;
    return rt_unicode_class(character.code);
}

static bool is_whole_word(const uint8_t *text, size_t length, size_t begin, size_t end)
{
    size_t unused;
    bool before = begin > 0 && (class_before(text, begin, &unused) & RT_UNICODE_WORD);
    bool after = end < length && (class_after(text, length, end, &unused) & RT_UNICODE_WORD);
    return !before && !after;
}

static size_t skip_blanks_back(const uint8_t *text, size_t at, size_t least)
{
    for (size_t begin; at > least; at = begin)
        if (!(class_before(text, at, &begin) & RT_UNICODE_SPACE))
            break;
    return at < least ? least : at;
}

static size_t skip_blanks(const uint8_t *text, size_t length, size_t at)
{
    for (size_t end; at < length; at = end)
        if (!(class_after(text, length, at, &end) & RT_UNICODE_SPACE))
            break;
    return at;
}

static void put_span(const struct rt_text *in, const struct rt_span *span, size_t begin,
                     size_t end, struct rt_text *out)
{
    size_t start = out->length;
    rt_text_put(out, in->bytes + span->begin + begin, end - begin);
    rt_text_cut(out, start, span->origin > begin ? span->origin - (uint32_t)begin : 0);
}

/* A token at begin..end of the span: appends the text since *settled and the token. */
static void take(const struct rt_text *in, const struct rt_span *span,
                 const struct rt_added *added, size_t begin, size_t end, size_t *settled,
                 struct rt_text *out)
{
    const uint8_t *text = in->bytes + span->begin;
    size_t length = span->end - span->begin;
    if ((added->flags & RT_ADDED_WHOLE_WORD) && !is_whole_word(text, length, begin, end))
        return;
    if (added->flags & RT_ADDED_STRIP_LEFT)
        begin = skip_blanks_back(text, begin, *settled);
    if (added->flags & RT_ADDED_STRIP_RIGHT)
        end = skip_blanks(text, length, end);
    if (*settled < begin)
        put_span(in, span, *settled, begin, out);
    if (begin < end) /* else the token before swallowed all of it */
        rt_text_token(out, added->id);
    *settled = end;
}

void rt_added_split(const struct rt_tokenizer *tokenizer, const struct rt_trie_node *trie,
                    size_t nodes, unsigned flags, const struct rt_text *in, struct rt_text *out)
{
    rt_text_clear(out);
    const struct rt_added *tokens = rt_section_added(tokenizer);
    for (size_t i = 0; i < in->count && !out->failed; i++) {
        const struct rt_span *span = &in->spans[i];
        if (span->id >= 0) {
            rt_text_token(out, span->id);
            continue;
        }
        const uint8_t *text = in->bytes + span->begin;
        size_t length = span->end - span->begin, settled = 0;
        int32_t which = -1;
        for (size_t at = 0, bytes; at < length; at += bytes ? bytes : 1) {
            bytes = rt_trie_longest(trie, nodes, text + at, length - at, &which);
            if (bytes == 0)
                continue;
            const struct rt_added *added = &tokens[which];
            if (!(added->flags & RT_ADDED_SPECIAL) || (flags & RT_TOKENIZER_SPECIAL))
                take(in, span, added, at, at + bytes, &settled, out);
        }
        if (settled < length)
            put_span(in, span, settled, length, out);
    }
}
