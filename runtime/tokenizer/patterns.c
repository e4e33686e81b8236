/*
 * The known split patterns as hand-written scanners: one pass, no backtracking beyond a run of
 * white space, so no text makes them slow. The alternatives are tried in the order in which the
 * patterns list them.
 *
 * RUNS:     's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 * DIGITS_3: (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|
 *            ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
 * DIGIT:    the same with \p{N} for \p{N}{1,3}
 */
#include "runtime/tokenizer/text.h"
#include "runtime/tokenizer/unicode.h"

enum {
    KNOWN = RT_UNICODE_LETTER | RT_UNICODE_NUMBER | RT_UNICODE_SPACE,
    LONG_S = 0x17f /* folds to s, so the case-insensitive 's matches it */
};

struct cursor {
    const uint8_t *text;
    size_t length;
};

static unsigned class_at(struct cursor cursor, size_t at, size_t *next)
{
    struct rt_character character = rt_character_at(cursor.text, cursor.length, at);
    *next = at + character.length;
    return rt_unicode_class(character.code) & KNOWN;
}

/* The end of the run of at most `most` characters of a class (0 = none of the three). */
static size_t run_end(struct cursor cursor, size_t at, unsigned class, size_t most)
{
    for (size_t next; at < cursor.length && most > 0; at = next, most--)
        if (class_at(cursor, at, &next) != class)
            break;
    return at;
}

static bool is_newline(struct cursor cursor, size_t at)
{
    return at < cursor.length && (cursor.text[at] == '\n' || cursor.text[at] == '\r');
}

/* The end of a contraction at `at`, where an apostrophe stands; `at` if there is none. */
static size_t contraction_end(struct cursor cursor, size_t at, bool fold)
{
    size_t left = cursor.length - at - 1;
    if (left == 0)
        return at;
    uint8_t mask = fold ? 0x20 : 0; /* letters only: what it turns into one is excluded below */
    const uint8_t *text = cursor.text + at + 1;
    uint8_t first = text[0] >= 'A' && text[0] <= 'Z' ? text[0] | mask : text[0];
    if (first == 's' || first == 't' || first == 'm' || first == 'd')
        return at + 2;
    if (fold && left >= 2 && text[0] == 0xc5 && text[1] == (0x80 | (LONG_S & 0x3f)))
        return at + 3;
    if (left < 2)
        return at;
    uint8_t second = text[1] >= 'A' && text[1] <= 'Z' ? text[1] | mask : text[1];
    bool found = (first == 'r' && second == 'e') || (first == 'v' && second == 'e') ||
                 (first == 'l' && second == 'l');
    return found ? at + 3 : at;
}

/* \s+(?!\S)|\s+ : a run of white space without its last character if text follows. */
static size_t blank_end(struct cursor cursor, size_t at)
{
    size_t end = at, last = at;
    for (size_t next; end < cursor.length; end = next) {
        if (class_at(cursor, end, &next) != RT_UNICODE_SPACE)
            break;
        last = end;
    }
    return end == cursor.length || last == at ? end : last;
}

static size_t runs_end(struct cursor cursor, size_t at)
{
    if (cursor.text[at] == '\'') {
        size_t end = contraction_end(cursor, at, false);
        if (end > at)
            return end;
    }
    size_t first = at + (cursor.text[at] == ' '), next;
    if (first == cursor.length)
        return first;
    unsigned class = class_at(cursor, first, &next);
    if (class != RT_UNICODE_SPACE)
        return run_end(cursor, next, class, SIZE_MAX);
    return blank_end(cursor, at);
}

/* \s*[\r\n]+ : to the last newline of a run of white space; `at` if it holds none. */
static size_t newline_end(struct cursor cursor, size_t at)
{
    size_t found = at;
    for (size_t next; at < cursor.length; at = next) {
        if (class_at(cursor, at, &next) != RT_UNICODE_SPACE)
            break;
        if (is_newline(cursor, at))
            found = next;
    }
    return found;
}

static size_t digits_end(struct cursor cursor, size_t at, size_t digits)
{
    if (cursor.text[at] == '\'') {
        size_t end = contraction_end(cursor, at, true);
        if (end > at)
            return end;
    }
    size_t second, next;
    unsigned class = class_at(cursor, at, &second);
    if (class == RT_UNICODE_LETTER)
        return run_end(cursor, second, class, SIZE_MAX);
    if (class == RT_UNICODE_NUMBER)
        return run_end(cursor, at, class, digits);
    if (!is_newline(cursor, at) && second < cursor.length &&
        class_at(cursor, second, &next) == RT_UNICODE_LETTER)
        return run_end(cursor, next, RT_UNICODE_LETTER, SIZE_MAX);
    size_t first = at + (cursor.text[at] == ' ');
    size_t end = run_end(cursor, first, 0, SIZE_MAX);
    if (end > first) {
        while (is_newline(cursor, end))
            end++;
        return end;
    }
    end = newline_end(cursor, at);
    return end > at ? end : blank_end(cursor, at);
}

size_t rt_pattern_end(enum rt_pattern pattern, const uint8_t *text, size_t length, size_t at)
{
    struct cursor cursor = {text, length};
    if (pattern == RT_PATTERN_RUNS)
        return runs_end(cursor, at);
    return digits_end(cursor, at, pattern == RT_PATTERN_DIGITS_3 ? 3 : 1);
}
