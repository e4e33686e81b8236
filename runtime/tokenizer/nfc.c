/*
 * Normalization form C (Unicode Standard Annex 15): decompose, order the marks, compose. The
 * text is cut into runs that begin with a starter which composes with nothing before it, and
 * each run is done on its own, so ASCII costs one comparison a byte.
 */
#include "runtime/tokenizer/unicode.h"
#include "runtime/utf8.h"

#include <stdlib.h>
#include <string.h>

enum {
    HANGUL = 0xac00,
    HANGUL_COUNT = 11172,
    LEAD = 0x1100,
    LEAD_COUNT = 19,
    VOWEL = 0x1161,
    VOWEL_COUNT = 21,
    TAIL = 0x11a7,
    TAIL_COUNT = 28
};

/* A run of decomposed characters. code holds 0x80000000 | byte for an ill-formed byte. */
struct run {
    struct mark {
        uint32_t code, combining;
    } *marks;
    size_t count, capacity;
    int failed;
};

struct rt_character rt_character_at(const uint8_t *text, size_t length, size_t at)
{
    const uint8_t *byte = text + at;
    if (byte[0] < 0x80)
        return (struct rt_character){byte[0], 1};
    static const uint8_t first_bits[] = {0, 0, 0x1f, 0x0f, 0x07};
    uint32_t bytes = (uint32_t)rt_utf8_length((const char *)byte, (const char *)text + length);
    if (bytes == 0)
        return (struct rt_character){RT_UNICODE_END, 1};
    uint32_t code = byte[0] & first_bits[bytes];
    for (uint32_t i = 1; i < bytes; i++)
        code = code << 6 | (byte[i] & 0x3f);
    return (struct rt_character){code, bytes};
}

static void add(struct run *run, uint32_t code)
{
    if (run->count == run->capacity) {
        size_t capacity = run->capacity ? run->capacity * 2 : 64;
        struct mark *grown = realloc(run->marks, capacity * sizeof *grown);
        if (!grown) {
            run->failed = 1;
            return;
        }
        run->marks = grown;
        run->capacity = capacity;
    }
    run->marks[run->count++] = (struct mark){code, rt_unicode_combining(code)};
}

static const struct rt_unicode_pair *find_decomposition(uint32_t code)
{
    size_t low = 0, high = rt_unicode_decompositions;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (rt_unicode_decomposition[middle].code < code)
            low = middle + 1;
        else
            high = middle;
    }
    const struct rt_unicode_pair *found = &rt_unicode_decomposition[low];
    return low < rt_unicode_decompositions && found->code == code ? found : NULL;
}

/* Appends the full canonical decomposition: at most four deep in any Unicode version. */
static void decompose(struct run *run, uint32_t code)
{
    if (code >= HANGUL && code < HANGUL + HANGUL_COUNT) {
        uint32_t index = code - HANGUL;
        add(run, LEAD + index / (VOWEL_COUNT * TAIL_COUNT));
        add(run, VOWEL + index % (VOWEL_COUNT * TAIL_COUNT) / TAIL_COUNT);
        if (index % TAIL_COUNT)
            add(run, TAIL + index % TAIL_COUNT);
        return;
    }
    const struct rt_unicode_pair *pair = code < 0xc0 ? NULL : find_decomposition(code);
    if (!pair) {
        add(run, code);
        return;
    }
    decompose(run, pair->first);
    if (pair->second)
        decompose(run, pair->second);
}

/* 0 if the two do not compose. */
static uint32_t compose(uint32_t first, uint32_t second)
{
    if (first >= LEAD && first < LEAD + LEAD_COUNT && second >= VOWEL &&
        second < VOWEL + VOWEL_COUNT)
        return HANGUL + ((first - LEAD) * VOWEL_COUNT + second - VOWEL) * TAIL_COUNT;
    if (first >= HANGUL && first < HANGUL + HANGUL_COUNT && (first - HANGUL) % TAIL_COUNT == 0 &&
        second > TAIL && second < TAIL + TAIL_COUNT)
        return first + second - TAIL;
    size_t low = 0, high = rt_unicode_compositions;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct rt_unicode_pair *pair = &rt_unicode_composition[middle];
        if (pair->first < first || (pair->first == first && pair->second < second))
            low = middle + 1;
        else
            high = middle;
    }
    const struct rt_unicode_pair *found = &rt_unicode_composition[low];
    if (low < rt_unicode_compositions && found->first == first && found->second == second)
        return found->code;
    return 0;
}

/* Stable merge sort of a block of marks: a hostile text may hold a million marks in a row. */
static void sort_marks(struct mark *marks, struct mark *scratch, size_t count)
{
    if (count < 2)
        return;
    size_t half = count / 2;
    sort_marks(marks, scratch, half);
    sort_marks(marks + half, scratch, count - half);
    memcpy(scratch, marks, half * sizeof *marks);
    size_t left = 0, right = half;
    for (size_t i = 0; left < half; i++)
        marks[i] = right < count && marks[right].combining < scratch[left].combining
                       ? marks[right++]
                       : scratch[left++];
}

static void order(struct run *run)
{
    struct mark *scratch = NULL;
    for (size_t begin = 0, end; begin < run->count && !run->failed; begin = end + 1) {
        size_t unordered = 0;
        for (end = begin; end < run->count && run->marks[end].combining; end++)
            unordered |= end > begin && run->marks[end].combining < run->marks[end - 1].combining;
        if (!unordered)
            continue;
        if (!scratch)
            scratch = malloc(run->count * sizeof *scratch);
        if (scratch)
            sort_marks(run->marks + begin, scratch, end - begin);
        run->failed |= !scratch;
    }
    free(scratch);
}

/* Composes in place (UAX 15, D117): a mark is blocked by one of the same class, or by a starter,
 * between it and the last starter. */
static void compose_run(struct run *run)
{
    size_t kept = 0, starter = SIZE_MAX;
    uint32_t previous = 0;
    for (size_t i = 0; i < run->count; i++) {
        struct mark mark = run->marks[i];
        int adjacent = starter != SIZE_MAX && kept == starter + 1;
        uint32_t composed = 0;
        if (starter != SIZE_MAX && (adjacent || (mark.combining && previous < mark.combining)))
            composed = compose(run->marks[starter].code, mark.code);
        if (composed) {
            run->marks[starter].code = composed;
            continue;
        }
        if (mark.combining == 0)
            starter = kept;
        previous = mark.combining;
        run->marks[kept++] = mark;
    }
    run->count = kept;
}

static size_t flush(struct run *run, uint8_t *out)
{
    if (run->count > 1) {
        order(run);
        compose_run(run);
    }
    size_t bytes = 0;
    for (size_t i = 0; i < run->count; i++) {
        uint32_t code = run->marks[i].code;
        if (code & 0x80000000)
            out[bytes++] = (uint8_t)code;
        else
            bytes += rt_utf8_put(code, (char *)out + bytes);
    }
    run->count = 0;
    return bytes;
}

/* Form C is at most three times as long as its source in UTF-8 (UTR 36, table 8). */
size_t rt_nfc_bound(size_t length)
{
    return length <= SIZE_MAX / 3 ? length * 3 : SIZE_MAX;
}

size_t rt_nfc(const uint8_t *text, size_t length, uint8_t *out)
{
    struct run run = {0};
    size_t bytes = 0;
    for (size_t at = 0; at < length && !run.failed;) {
        if (text[at] < 0x80) {
            bytes += flush(&run, out + bytes);
            add(&run, text[at++]);
            continue;
        }
        struct rt_character character = rt_character_at(text, length, at);
        if (character.code == RT_UNICODE_END)
            add(&run, 0x80000000 | text[at]);
        else
            decompose(&run, character.code);
        at += character.length;
    }
    bytes += flush(&run, out + bytes);
    int failed = run.failed;
    free(run.marks);
    return failed ? (size_t)-1 : bytes;
}
