/* Tokens of IR text: see text.h. */
#include "ir/text.h"

#include "ir/names.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct location here(const struct lexer *lexer, const char *at)
{
    return (struct location){lexer->file, lexer->line, (uint32_t)(at - lexer->line_start) + 1};
}

static bool is_name_byte(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '.';
}

/* Bytes of reals: signs only after an exponent, so that "3+128" is three tokens. */
static bool is_number_byte(const char *start, const char *at)
{
    bool hexadecimal = start[0] == '0' && at > start && (start[1] == 'x' || at[0] == 'x');
    if ((*at == '+' || *at == '-') && !hexadecimal)
        return at > start && (at[-1] == 'e' || at[-1] == 'E');
    return isalnum((unsigned char)*at) || *at == '.';
}

static void take_span(struct lexer *lexer, enum token_kind kind, const char *end)
{
    lexer->token.kind = kind;
    lexer->token.length = (size_t)(end - lexer->at);
    lexer->token.text = arena_copy(lexer->arena, lexer->at, lexer->token.length);
    lexer->at = end;
}

static void skip_blanks(struct lexer *lexer)
{
    while (lexer->at < lexer->end && (*lexer->at == ' ' || *lexer->at == '\t'))
        lexer->at++;
    if (lexer->at < lexer->end && *lexer->at == ';')
        while (lexer->at < lexer->end && *lexer->at != '\n')
            lexer->at++;
}

static void start_line(struct lexer *lexer)
{
    lexer->line_start = ++lexer->at;
    lexer->line++;
}

static int hex_digit(char c)
{
    return isdigit((unsigned char)c)    ? c - '0'
           : isxdigit((unsigned char)c) ? (c | 32) - 'a' + 10
                                        : -1;
}

/* One character of a string, after a backslash: returns how many bytes it took, 0 if wrong. */
static int unescape(const char *at, const char *end, char *out)
{
    if (at < end && (*at == '"' || *at == '\\')) {
        *out = *at;
        return 1;
    }
    if (end - at < 3 || *at != 'x' || hex_digit(at[1]) < 0 || hex_digit(at[2]) < 0)
        return 0;
    *out = (char)(hex_digit(at[1]) * 16 + hex_digit(at[2]));
    return *out ? 3 : 0;
}

static void take_string(struct lexer *lexer)
{
    const char *at = lexer->at + 1;
    const char *close = at;
    while (close < lexer->end && *close != '"' && *close != '\n')
        close += *close == '\\' && close + 1 < lexer->end && close[1] != '\n' ? 2 : 1;
    if (close >= lexer->end || *close != '"')
        fatal_at(lexer->token.location, IR_EXPECTED, "a closing '\"' on this line");
    char *text = arena_array(lexer->arena, char, (size_t)(close - at) + 1);
    size_t length = 0;
    while (at < close) {
        if (*at == '\0')
            fatal_at(here(lexer, at), IR_EXPECTED, "no zero byte in a string");
        if (*at != '\\') {
            text[length++] = *at++;
            continue;
        }
        int taken = unescape(at + 1, close, &text[length]);
        if (!taken)
            fatal_at(here(lexer, at), IR_EXPECTED, "\\\\, \\\" or \\xNN (not 00)");
        length++;
        at += 1 + taken;
    }
    lexer->token.kind = TOKEN_STRING;
    lexer->token.text = text;
    lexer->token.length = length;
    lexer->at = close + 1;
}

static void take_name(struct lexer *lexer, enum token_kind kind)
{
    const char *end = lexer->at;
    while (end < lexer->end && is_name_byte(*end))
        end++;
    take_span(lexer, kind, end);
    if (!name_valid(lexer->token.text, lexer->token.length))
        fatal_at(lexer->token.location, IR_EXPECTED,
                 "a name: letters, digits and '_', parts joined by '.'");
}

static void take_number(struct lexer *lexer)
{
    const char *end = lexer->at;
    end += *end == '-';
    const char *start = end;
    while (end < lexer->end && is_number_byte(start, end))
        end++;
    take_span(lexer, TOKEN_NUMBER, end);
}

void lexer_next(struct lexer *lexer)
{
    bool fresh = lexer->token.kind == TOKEN_LINE; /* empty lines are not told */
    skip_blanks(lexer);
    while (fresh && lexer->at < lexer->end && *lexer->at == '\n') {
        start_line(lexer);
        skip_blanks(lexer);
    }
    lexer->token.location = here(lexer, lexer->at);
    if (lexer->at >= lexer->end) {
        lexer->token = (struct token){TOKEN_END, "", 0, lexer->token.location};
        return;
    }
    char c = *lexer->at;
    if (c == '\n') {
        lexer->token = (struct token){TOKEN_LINE, "", 0, lexer->token.location};
        start_line(lexer);
    } else if (c == '"') {
        take_string(lexer);
    } else if (c == '%') {
        lexer->at++;
        take_name(lexer, TOKEN_VALUE);
    } else if (isalpha((unsigned char)c) || c == '_') {
        take_name(lexer, TOKEN_WORD);
    } else if (isdigit((unsigned char)c) || c == '-') {
        take_number(lexer);
    } else if (c && strchr("{}[]=,:@!^+/", c)) {
        take_span(lexer, TOKEN_PUNCTUATION, lexer->at + 1);
    } else {
        lexer_expected(lexer, "no such character here");
    }
}

struct lexer lexer_open(struct arena *arena, uint32_t file)
{
    const struct source *source = diag_source(file);
    struct lexer lexer = {.arena = arena, .file = file, .line = 1};
    lexer.at = lexer.line_start = source->text;
    lexer.end = source->text + source->length;
    lexer.token.kind = TOKEN_LINE;
    lexer_next(&lexer);
    return lexer;
}

bool lexer_is(const struct lexer *lexer, const char *text)
{
    enum token_kind kind = lexer->token.kind;
    return (kind == TOKEN_PUNCTUATION || kind == TOKEN_WORD) &&
           strcmp(lexer->token.text, text) == 0;
}

bool lexer_take(struct lexer *lexer, const char *text)
{
    if (!lexer_is(lexer, text))
        return false;
    lexer_next(lexer);
    return true;
}

void lexer_expected(const struct lexer *lexer, const char *what)
{
    fatal_at(lexer->token.location, IR_EXPECTED, what);
}

void lexer_need(struct lexer *lexer, const char *text)
{
    if (!lexer_take(lexer, text))
        lexer_expected(lexer, arena_printf(lexer->arena, "'%s'", text));
}

void lexer_need_line(struct lexer *lexer)
{
    if (lexer->token.kind != TOKEN_LINE && lexer->token.kind != TOKEN_END)
        lexer_expected(lexer, "the end of the line");
    lexer_next(lexer);
}

const char *lexer_word(struct lexer *lexer)
{
    const char *text = lexer->token.text;
    if (lexer->token.kind != TOKEN_WORD && lexer->token.kind != TOKEN_STRING)
        lexer_expected(lexer, "a word or a quoted string");
    lexer_next(lexer);
    return text;
}

const char *lexer_value_name(struct lexer *lexer)
{
    const char *text = lexer->token.text;
    if (lexer->token.kind != TOKEN_VALUE)
        lexer_expected(lexer, "a value: '%' and a name");
    lexer_next(lexer);
    return text;
}

int64_t lexer_integer(struct lexer *lexer)
{
    char *end = NULL;
    errno = 0;
    long long value = strtoll(lexer->token.text, &end, 10);
    if (lexer->token.kind != TOKEN_NUMBER || *end || errno)
        lexer_expected(lexer, "an integer of 64 bits");
    lexer_next(lexer);
    return value;
}

uint64_t lexer_unsigned(struct lexer *lexer, uint64_t limit)
{
    char *end = NULL;
    errno = 0;
    bool hexadecimal = strncmp(lexer->token.text, "0x", 2) == 0;
    unsigned long long value = strtoull(lexer->token.text, &end, hexadecimal ? 16 : 10);
    bool negative = lexer->token.text[0] == '-';
    if (lexer->token.kind != TOKEN_NUMBER || *end || errno || negative || value > limit)
        lexer_expected(lexer, arena_printf(lexer->arena, "a number from 0 to %llu",
                                           (unsigned long long)limit));
    lexer_next(lexer);
    return value;
}

/* Reals may be "nan", "inf" and "-inf": strtod reads these spellings too. */
double lexer_real(struct lexer *lexer)
{
    bool word = lexer_is(lexer, "nan") || lexer_is(lexer, "inf");
    char *end = NULL;
    double value = strtod(lexer->token.text, &end);
    if ((!word && lexer->token.kind != TOKEN_NUMBER) || *end)
        lexer_expected(lexer, "a number");
    lexer_next(lexer);
    return value;
}

int lexer_list(struct lexer *lexer, int64_t *items, int limit)
{
    int count = 0;
    lexer_need(lexer, "[");
    while (!lexer_is(lexer, "]")) {
        if (count)
            lexer_need(lexer, ",");
        if (count == limit)
            lexer_expected(lexer, arena_printf(lexer->arena, "at most %d items", limit));
        items[count++] = lexer_integer(lexer);
    }
    lexer_next(lexer);
    return count;
}
