/* Types, attributes, places and bytes of IR text: see text.h. */
#include "ir/text.h"

#include <string.h>

enum { LIST_LIMIT = 64 };

static enum dtype parse_dtype(struct lexer *lexer)
{
    enum dtype dtype;
    if (lexer->token.kind != TOKEN_WORD ||
        !dtype_parse(lexer->token.text, lexer->token.length, &dtype))
        lexer_expected(lexer, "an element type: f32, f64, bf16, f16, i32, i64, u8 or bool");
    lexer_next(lexer);
    return dtype;
}

/* "/[256,1]+128" */
static void parse_strides(struct lexer *lexer, struct type *type)
{
    struct location location = lexer->token.location;
    type->strided = true;
    if (lexer_list(lexer, type->strides, MAX_RANK) != type->rank)
        fatal_at(location, IR_EXPECTED, "one stride for each dimension");
    if (lexer_take(lexer, "+"))
        type->offset = (int64_t)lexer_unsigned(lexer, INT64_MAX);
}

struct type parse_type(struct lexer *lexer)
{
    struct location location = lexer->token.location;
    struct type type = {.dtype = parse_dtype(lexer)};
    type.rank = lexer_list(lexer, type.dims, MAX_RANK);
    if (!type_dims_valid(type.dtype, type.rank, type.dims))
        fatal_at(location, SHAPE_TOO_LARGE, "this line");
    if (lexer_take(lexer, "/"))
        parse_strides(lexer, &type);
    return type;
}

static void parse_attribute_value(struct lexer *lexer, struct attributes *attributes,
                                  enum attribute_id id)
{
    int64_t items[LIST_LIMIT];
    switch (attribute_info(id)->kind) {
    case KIND_FLAG: attributes_set_int(lexer->arena, attributes, id, 1); break;
    case KIND_INT: attributes_set_int(lexer->arena, attributes, id, lexer_integer(lexer)); break;
    case KIND_REAL: attributes_set_real(lexer->arena, attributes, id, lexer_real(lexer)); break;
    case KIND_TEXT: attributes_set_text(lexer->arena, attributes, id, lexer_word(lexer)); break;
    case KIND_TYPE: attributes_set_int(lexer->arena, attributes, id, parse_dtype(lexer)); break;
    case KIND_LIST: {
        int count = lexer_list(lexer, items, LIST_LIMIT);
        attributes_set_list(lexer->arena, attributes, id, items, count);
    }
    }
}

struct attributes parse_attributes(struct lexer *lexer)
{
    struct attributes attributes = {0};
    if (!lexer_take(lexer, "{"))
        return attributes;
    while (!lexer_take(lexer, "}")) {
        enum attribute_id id;
        if (lexer->token.kind != TOKEN_WORD ||
            !attribute_parse(lexer->token.text, lexer->token.length, &id))
            lexer_expected(lexer, "the name of an attribute, or '}'");
        if (attributes_find(&attributes, id))
            lexer_expected(lexer, "each attribute once");
        lexer_next(lexer);
        if (attribute_info(id)->kind != KIND_FLAG)
            lexer_need(lexer, "=");
        parse_attribute_value(lexer, &attributes, id);
    }
    return attributes;
}

struct place parse_place(struct lexer *lexer)
{
    static const struct {
        const char *word;
        enum place_kind kind;
    } kinds[] = {{"none", PLACE_NONE}, {"reg", PLACE_REG},  {"view", PLACE_VIEW},
                 {"a", PLACE_ARENA},   {"w", PLACE_WEIGHT}, {"c", PLACE_CONSTANT}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (!lexer_take(lexer, kinds[i].word))
            continue;
        struct place place = {.kind = kinds[i].kind};
        if (place.kind < PLACE_ARENA)
            return place;
        lexer_need(lexer, "+");
        place.offset = lexer_unsigned(lexer, INT64_MAX);
        return place;
    }
    lexer_expected(lexer, "a place: none, reg, view, a+N, w+N or c+N");
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

void parse_base64(struct lexer *lexer, unsigned char *bytes, size_t size)
{
    const char *text = lexer->token.text;
    size_t groups = size / 3 + (size % 3 != 0);
    if (lexer->token.kind != TOKEN_STRING || lexer->token.length != groups * 4)
        lexer_expected(lexer, "a string with this many bytes in base64");
    for (size_t i = 0; i < groups; i++, text += 4) {
        size_t rest = size - i * 3;
        uint32_t bits = 0;
        for (int k = 0; k < 4; k++) {
            bool padding = rest < 3 && (size_t)k > rest;
            int digit = padding ? (text[k] == '=' ? 0 : -1) : base64_digit(text[k]);
            if (digit < 0)
                lexer_expected(lexer, "base64: A-Z a-z 0-9 + / and = at the end");
            bits = bits << 6 | (uint32_t)digit;
        }
        for (size_t k = 0; k < 3 && k < rest; k++)
            bytes[i * 3 + k] = (unsigned char)(bits >> (16 - 8 * k));
    }
    lexer_next(lexer);
}
