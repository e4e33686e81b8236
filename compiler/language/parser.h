/* What parse_expr.c and parser.c share. The parser is recursive descent over the token list;
 * the grammar rule stands above each function. */
#ifndef SINTER_PARSER_H
#define SINTER_PARSER_H

#include "compiler/language/ast.h"
#include "compiler/language/lexer.h"

enum { NESTING = 100 }; /* levels of blocks and parentheses */

struct parser {
    struct arena *arena;
    const struct token *token; /* the next one */
    int depth;
    struct description *unit;
};

bool at_sign(const struct parser *p, int sign);
bool at_word(const struct parser *p, const char *word);
bool accept_sign(struct parser *p, int sign);
bool accept_word(struct parser *p, const char *word);
void expect_sign(struct parser *p, int sign, const char *shown);
void expect_word(struct parser *p, const char *word);
const char *expect_name(struct parser *p, const char *what);
_Noreturn void expected(const struct parser *p, const char *what);
void skip_newlines(struct parser *p);
void enter(struct parser *p);
void leave(struct parser *p);

struct expr *parse_expr(struct parser *p);
struct pattern *parse_pattern(struct parser *p);

#endif
