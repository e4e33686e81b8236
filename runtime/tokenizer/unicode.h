/*
 * Unicode as the pinned `tokenizers` package sees it, so that token ids agree: the classes
 * behind its split patterns and whole-word rule, and normalization form C. The two come from
 * different Unicode versions, because they do so in that package (unicode/generate.py).
 *
 * The class tables have two levels of 256 code points: index[code >> 8] names a block; a class
 * block packs two code points into a byte, the even one in the low half.
 */
#ifndef SINTER_TOKENIZER_UNICODE_H
#define SINTER_TOKENIZER_UNICODE_H

#include <stddef.h>
#include <stdint.h>

enum {
    RT_UNICODE_LETTER = 1, /* \p{L} */
    RT_UNICODE_NUMBER = 2, /* \p{N} */
    RT_UNICODE_SPACE = 4,  /* \s */
    RT_UNICODE_WORD = 8,   /* \w */
    RT_UNICODE_END = 0x110000
};

/* code decomposes canonically to first and second (0: to first alone). */
struct rt_unicode_pair {
    uint32_t code, first, second;
};

extern const uint8_t rt_unicode_class_index[], rt_unicode_class_block[][128];
extern const uint8_t rt_unicode_combining_index[], rt_unicode_combining_block[][256];
extern const struct rt_unicode_pair rt_unicode_decomposition[]; /* by code */
extern const struct rt_unicode_pair rt_unicode_composition[];   /* by first, then second */
extern const size_t rt_unicode_decompositions, rt_unicode_compositions;

/* One character of a text that may not be valid UTF-8: an ill-formed byte is a character of its
 * own, of no class. */
struct rt_character {
    uint32_t code; /* RT_UNICODE_END for an ill-formed byte */
    uint32_t length;
};

/* The character at text[at], at < length. */
struct rt_character rt_character_at(const uint8_t *text, size_t length, size_t at);

/* The classes of a code point (RT_UNICODE_ bits), 0 from RT_UNICODE_END on. */
static inline unsigned rt_unicode_class(uint32_t code)
{
    if (code >= RT_UNICODE_END)
        return 0;
    uint8_t both = rt_unicode_class_block[rt_unicode_class_index[code >> 8]][(code & 255) >> 1];
    return code & 1 ? both >> 4 : both & 15;
}

static inline unsigned rt_unicode_combining(uint32_t code)
{
    if (code < 0x300 || code >= RT_UNICODE_END)
        return 0;
    return rt_unicode_combining_block[rt_unicode_combining_index[code >> 8]][code & 255];
}

/*
 * Normalization form C of text[0..length), into out, which holds rt_nfc_bound(length) bytes;
 * ill-formed bytes stay as they are and combine with nothing. Returns the bytes written, or
 * (size_t)-1 if memory ran out.
 */
size_t rt_nfc(const uint8_t *text, size_t length, uint8_t *out);
size_t rt_nfc_bound(size_t length);

#endif
