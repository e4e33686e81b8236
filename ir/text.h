/*
 * The grammar of IR text, shared by its two sides: ir_print (print.c) and ir_parse (parse*.c).
 * One line is one thing; the full grammar stands in docs/ir.md.
 */
#ifndef SINTER_TEXT_H
#define SINTER_TEXT_H

#include "ir/ir.h"

#include "ir/base/str.h"

enum { IR_TEXT_VERSION = 1 };

/* --- printing (print_item.c) --- */

/* A bare word where it is a valid name, else a quoted string: any byte but printable ASCII is
 * written \xNN. */
void print_word(struct str *out, const char *text);
void print_quoted(struct str *out, const char *text);
/* " {axis=1 dims=[2,3]}", nothing if there are none. */
void print_attributes(struct str *out, const struct attributes *attributes);
void print_base64(struct str *out, const unsigned char *bytes, size_t size);

/* --- parsing (lexer.c) --- */

enum token_kind {
    TOKEN_END,
    TOKEN_LINE,
    TOKEN_WORD,
    TOKEN_STRING,
    TOKEN_NUMBER,
    TOKEN_VALUE,
    TOKEN_PUNCTUATION
};

/*
 * WORD: a name. VALUE: % and a name; text is without the sigil. NUMBER: digits and what makes
 * reals and hexadecimals of them. STRING: text is unescaped and never holds a zero byte. LINE: the
 * end of a line; comments and empty lines are skipped. PUNCTUATION: one byte of "{}[]=,:@!^+/".
 */
struct token {
    enum token_kind kind;
    const char *text; /* terminated */
    size_t length;
    struct location location;
};

struct lexer {
    struct arena *arena;
    const char *at, *end, *line_start;
    uint32_t file, line;
    struct token token; /* the current one */
};

struct lexer lexer_open(struct arena *arena, uint32_t file);
void lexer_next(struct lexer *lexer);

/* The current token is this punctuation or word; `take` also moves on, `need` is fatal if not. */
bool lexer_is(const struct lexer *lexer, const char *text);
bool lexer_take(struct lexer *lexer, const char *text);
void lexer_need(struct lexer *lexer, const char *text);
void lexer_need_line(struct lexer *lexer); /* the end of the line */
_Noreturn void lexer_expected(const struct lexer *lexer, const char *what);

const char *lexer_word(struct lexer *lexer); /* WORD or STRING */
const char *lexer_value_name(struct lexer *lexer);
int64_t lexer_integer(struct lexer *lexer);
uint64_t lexer_unsigned(struct lexer *lexer, uint64_t limit); /* also 0x... */
double lexer_real(struct lexer *lexer);
/* "[1,2]" of at most `limit` items. */
int lexer_list(struct lexer *lexer, int64_t *items, int limit);

/* --- parsing of parts (parse_item.c) --- */

struct type parse_type(struct lexer *lexer);
struct attributes parse_attributes(struct lexer *lexer); /* none without "{" */
struct place parse_place(struct lexer *lexer);
void parse_base64(struct lexer *lexer, unsigned char *bytes, size_t size);

#endif
