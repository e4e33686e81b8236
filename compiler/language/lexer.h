/*
 * Model text to tokens. The whole text is cut at once; a newline is a token only where it can
 * end a statement: not inside ( or [, and not after an operator, a comma or an opening brace.
 */
#ifndef SINTER_LEXER_H
#define SINTER_LEXER_H

#include "ir/base/arena.h"
#include "ir/base/diag.h"

#include <stdint.h>

enum token_kind {
    TOKEN_END,
    TOKEN_NEWLINE, /* also ';' */
    TOKEN_NAME,
    TOKEN_INTEGER,
    TOKEN_REAL,
    TOKEN_TEXT, /* start..length: between the quotes, as written */
    TOKEN_SIGN, /* one of the signs below */
};

enum sign {
    SIGN_NONE,
    /* the characters themselves: ( ) [ ] { } + - * / % @ = < > , : . */
    SIGN_RANGE = 256, /* .. */
    SIGN_ARROW,       /* -> */
    SIGN_FLOOR,       /* // */
    SIGN_EQUAL,       /* == */
    SIGN_UNEQUAL,     /* != */
    SIGN_AT_MOST,     /* <= */
    SIGN_AT_LEAST,    /* >= */
};

struct token {
    enum token_kind kind;
    int sign;
    struct location location;
    const char *start;
    size_t length;
    int64_t integer;
    double real;
};

struct tokens {
    ARRAY_OF(struct token) list; /* ends with TOKEN_END */
};

/* Cuts text[0..length), which stands at `location` of its source. */
struct tokens lex(struct arena *arena, struct location location, const char *text, size_t length);

#endif
