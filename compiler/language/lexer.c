/* Cutting of model text: see lexer.h. Columns count bytes, as diag.h wants them. */
#include "lexer.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_LENGTH = 40 };

struct lexer {
    struct arena *arena;
    struct location location;
    const char *at, *end;
    int depth; /* open ( and [ */
    struct tokens *out;
};

static const struct {
    char text[3];
    enum sign sign;
} double_signs[] = {
    {"..", SIGN_RANGE},   {"->", SIGN_ARROW},   {"//", SIGN_FLOOR},    {"==", SIGN_EQUAL},
    {"!=", SIGN_UNEQUAL}, {"<=", SIGN_AT_MOST}, {">=", SIGN_AT_LEAST},
};

static bool is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static char peek(const struct lexer *l, size_t ahead)
{
    return ahead < (size_t)(l->end - l->at) ? l->at[ahead] : '\0';
}

static void advance(struct lexer *l, size_t count)
{
    l->at += count;
    l->location.column += (uint32_t)count;
}

static struct token *push(struct lexer *l, enum token_kind kind, size_t length)
{
    struct token token = {.kind = kind, .location = l->location, .start = l->at, .length = length};
    array_push(l->arena, &l->out->list, token);
    advance(l, length);
    return &l->out->list.items[l->out->list.count - 1];
}

/* Whether a newline after the last token ends a statement. */
static bool newline_counts(const struct lexer *l)
{
    if (l->depth > 0 || l->out->list.count == 0)
        return false;
    const struct token *last = &l->out->list.items[l->out->list.count - 1];
    if (last->kind == TOKEN_SIGN)
        return last->sign == ')' || last->sign == ']' || last->sign == '}';
    return last->kind != TOKEN_NEWLINE;
}

static void lex_newline(struct lexer *l)
{
    if (newline_counts(l))
        push(l, TOKEN_NEWLINE, 1);
    else
        l->at++;
    l->location.line++;
    l->location.column = 1;
}

/* number = digits [ "." digits ] [ ("e" | "E") [ "+" | "-" ] digits ] */
static size_t number_length(const struct lexer *l, bool *out_real)
{
    size_t n = 0;
    *out_real = false;
    while (is_digit(peek(l, n)))
        n++;
    if (peek(l, n) == '.' && is_digit(peek(l, n + 1))) {
        *out_real = true;
        for (n++; is_digit(peek(l, n));)
            n++;
    }
    size_t e = n + 1;
    if (peek(l, n) != 'e' && peek(l, n) != 'E')
        return n;
    if (peek(l, e) == '+' || peek(l, e) == '-')
        e++;
    if (!is_digit(peek(l, e)))
        return n;
    *out_real = true;
    while (is_digit(peek(l, e)))
        e++;
    return e;
}

static void lex_number(struct lexer *l)
{
    bool real;
    size_t length = number_length(l, &real);
    char copy[NUMBER_LENGTH + 1];
    if (length > NUMBER_LENGTH || is_name_start(peek(l, length)))
        fatal_at(l->location, LANGUAGE_NUMBER, "malformed or too long");
    memcpy(copy, l->at, length);
    copy[length] = '\0';
    struct location location = l->location;
    struct token *token = push(l, real ? TOKEN_REAL : TOKEN_INTEGER, length);
    errno = 0;
    token->real = strtod(copy, NULL);
    if (!real)
        token->integer = strtoll(copy, NULL, 10);
    if (errno == ERANGE && (!real || token->real > 1))
        fatal_at(location, LANGUAGE_NUMBER, "out of range");
}

/* text = '"' { character | "\\" ( '"' | "\\" | "{" ) } '"', on one line */
static void lex_text(struct lexer *l)
{
    struct location start = l->location;
    advance(l, 1);
    size_t n = 0;
    while (l->at + n < l->end && l->at[n] != '"' && l->at[n] != '\n')
        n += l->at[n] == '\\' && l->at + n + 1 < l->end && l->at[n + 1] != '\n' ? 2 : 1;
    if (peek(l, n) != '"')
        fatal_at(start, LANGUAGE_TEXT, "no closing quote on this line");
    push(l, TOKEN_TEXT, n)->location = start;
    advance(l, 1);
}

static void lex_sign(struct lexer *l)
{
    for (size_t i = 0; i < sizeof double_signs / sizeof *double_signs; i++)
        if (peek(l, 0) == double_signs[i].text[0] && peek(l, 1) == double_signs[i].text[1]) {
            push(l, TOKEN_SIGN, 2)->sign = double_signs[i].sign;
            return;
        }
    char c = *l->at;
    if (c == '\0' || !strchr("()[]{}+-*/%@=<>,:.", c))
        fatal_at(l->location, LANGUAGE_CHARACTER, (unsigned)(unsigned char)c);
    if (c == '(' || c == '[')
        l->depth++;
    if ((c == ')' || c == ']') && l->depth > 0)
        l->depth--;
    push(l, TOKEN_SIGN, 1)->sign = c;
}

static void lex_one(struct lexer *l)
{
    char c = *l->at;
    if (c == '\n') {
        lex_newline(l);
    } else if (c == ' ' || c == '\t' || c == '\r') {
        advance(l, 1);
    } else if (c == '#') {
        while (l->at < l->end && *l->at != '\n')
            advance(l, 1);
    } else if (c == ';') {
        push(l, TOKEN_NEWLINE, 1);
    } else if (is_digit(c)) {
        lex_number(l);
    } else if (c == '"') {
        lex_text(l);
    } else if (is_name_start(c)) {
        size_t n = 1;
        while (is_name_start(peek(l, n)) || is_digit(peek(l, n)))
            n++;
        push(l, TOKEN_NAME, n);
    } else {
        lex_sign(l);
    }
}

struct tokens lex(struct arena *arena, struct location location, const char *text, size_t length)
{
    struct tokens out = {0};
    struct lexer l = {arena, location, text, text + length, 0, &out};
    while (l.at < l.end)
        lex_one(&l);
    push(&l, TOKEN_END, 0);
    return out;
}
