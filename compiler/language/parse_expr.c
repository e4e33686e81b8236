/* Expressions and type patterns of the model language: see parser.h. */
#include "parser.h"

#include <string.h>

static const char *const reserved[] = {"and",    "or", "not",    "if",    "else",
                                       "for",    "in", "true",   "false", "none",
                                       "return", "fn", "repeat", "as",    "from"};

bool at_sign(const struct parser *p, int sign)
{
    return p->token->kind == TOKEN_SIGN && p->token->sign == sign;
}

bool at_word(const struct parser *p, const char *word)
{
    return p->token->kind == TOKEN_NAME && p->token->length == strlen(word) &&
           memcmp(p->token->start, word, p->token->length) == 0;
}

bool accept_sign(struct parser *p, int sign)
{
    bool found = at_sign(p, sign);
    p->token += found;
    return found;
}

bool accept_word(struct parser *p, const char *word)
{
    bool found = at_word(p, word);
    p->token += found;
    return found;
}

void expected(const struct parser *p, const char *what)
{
    const struct token *t = p->token;
    const char *found = t->kind == TOKEN_END       ? "the end of the text"
                        : t->kind == TOKEN_NEWLINE ? "the end of the line"
                        : t->kind == TOKEN_TEXT
                            ? "a string"
                            : arena_printf(p->arena, "'%.*s'", (int)t->length, t->start);
    fatal_at(t->location, LANGUAGE_EXPECTED, what, found);
}

void expect_sign(struct parser *p, int sign, const char *shown)
{
    if (!accept_sign(p, sign))
        expected(p, shown);
}

void expect_word(struct parser *p, const char *word)
{
    if (!accept_word(p, word))
        expected(p, arena_printf(p->arena, "'%s'", word));
}

const char *expect_name(struct parser *p, const char *what)
{
    if (p->token->kind != TOKEN_NAME)
        expected(p, what);
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
        if (at_word(p, reserved[i]))
            expected(p, what);
    const char *name = arena_copy(p->arena, p->token->start, p->token->length);
    p->token++;
    return name;
}

void skip_newlines(struct parser *p)
{
    while (p->token->kind == TOKEN_NEWLINE)
        p->token++;
}

void enter(struct parser *p)
{
    if (++p->depth > NESTING)
        fatal_at(p->token->location, LANGUAGE_DEEP, (int)NESTING);
}

void leave(struct parser *p)
{
    p->depth--;
}

static struct expr *new_expr(struct parser *p, enum expr_kind kind, struct location location)
{
    struct expr *e = arena_new(p->arena, struct expr);
    e->kind = kind;
    e->location = location;
    return e;
}

/* --- text --- */

static void add_literal(struct parser *p, struct expr *text, const char *bytes, size_t length)
{
    if (length == 0)
        return;
    struct expr *piece = new_expr(p, EXPR_LITERAL, text->location);
    piece->text = arena_copy(p->arena, bytes, length);
    struct item item = {NULL, piece};
    array_push(p->arena, &text->items, item);
}

/* The expression between the braces that stand at start..end of the token. */
static void add_braces(struct parser *p, struct expr *text, const struct token *token, size_t start,
                       size_t end)
{
    struct location location = token->location;
    location.column += (uint32_t)start + 1;
    struct tokens inner = lex(p->arena, location, token->start + start, end - start);
    const struct token *outer = p->token;
    p->token = inner.list.items;
    enter(p);
    struct item item = {NULL, parse_expr(p)};
    leave(p);
    if (p->token->kind != TOKEN_END)
        expected(p, "'}'");
    p->token = outer;
    array_push(p->arena, &text->items, item);
}

/* text = '"' { character | "{" expr "}" } '"' */
static struct expr *parse_text(struct parser *p)
{
    const struct token *token = p->token++;
    struct expr *text = new_expr(p, EXPR_TEXT, token->location);
    size_t from = 0;
    for (size_t i = 0; i < token->length; i++) {
        char c = token->start[i];
        if (c != '\\' && c != '{')
            continue;
        add_literal(p, text, token->start + from, i - from);
        from = i + 1;
        if (c == '{') {
            const char *close = memchr(token->start + from, '}', token->length - from);
            if (!close)
                fatal_at(token->location, LANGUAGE_TEXT, "no '}' after '{'");
            i = (size_t)(close - token->start);
            add_braces(p, text, token, from, i);
            from = i + 1;
        } else if (++i >= token->length || !strchr("\"\\{", token->start[i])) {
            fatal_at(token->location, LANGUAGE_TEXT, "only \\\", \\\\ and \\{ are escapes");
        }
    }
    add_literal(p, text, token->start + from, token->length - from);
    return text;
}

/* --- primaries --- */

/* arguments = "(" [ [ name "=" ] expr { "," [ name "=" ] expr } ] ")" */
static void parse_arguments(struct parser *p, struct expr *call)
{
    expect_sign(p, '(', "'('");
    while (!at_sign(p, ')')) {
        struct item item = {0};
        const struct token *next = p->token + 1; /* a NAME is never the last token */
        if (p->token->kind == TOKEN_NAME && next->kind == TOKEN_SIGN && next->sign == '=') {
            item.name = expect_name(p, "the name of an argument");
            p->token++;
        }
        item.value = parse_expr(p);
        array_push(p->arena, &call->items, item);
        if (!accept_sign(p, ','))
            break;
    }
    expect_sign(p, ')', "',' or ')'");
}

/* list = "[" [ expr { "," expr } ] "]" | "[" expr "for" name "in" expr ".." expr "]" */
static struct expr *parse_list(struct parser *p)
{
    struct expr *list = new_expr(p, EXPR_LIST, p->token->location);
    p->token++;
    while (!at_sign(p, ']')) {
        struct item item = {NULL, parse_expr(p)};
        array_push(p->arena, &list->items, item);
        if (list->items.count == 1 && accept_word(p, "for")) {
            list->kind = EXPR_EACH;
            list->a = item.value;
            list->text = expect_name(p, "a name");
            expect_word(p, "in");
            list->b = parse_expr(p);
            expect_sign(p, SIGN_RANGE, "'..'");
            list->c = parse_expr(p);
            break;
        }
        if (!accept_sign(p, ','))
            break;
    }
    expect_sign(p, ']', "',' or ']'");
    return list;
}

static struct expr *parse_number(struct parser *p)
{
    const struct token *token = p->token++;
    bool real = token->kind == TOKEN_REAL;
    struct expr *e = new_expr(p, real ? EXPR_REAL : EXPR_INTEGER, token->location);
    e->integer = token->integer;
    e->real = token->real;
    return e;
}

/* word = "true" | "false" | "none" | name [ arguments ] */
static struct expr *parse_word(struct parser *p)
{
    struct location location = p->token->location;
    if (at_word(p, "true") || at_word(p, "false")) {
        struct expr *e = new_expr(p, EXPR_BOOL, location);
        e->integer = at_word(p, "true");
        p->token++;
        return e;
    }
    if (accept_word(p, "none"))
        return new_expr(p, EXPR_NONE, location);
    struct expr *e = new_expr(p, EXPR_NAME, location);
    e->text = expect_name(p, "an expression");
    if (at_sign(p, '(')) {
        e->kind = EXPR_CALL;
        parse_arguments(p, e);
    }
    return e;
}

/* primary = number | text | word | list | "(" expr ")" */
static struct expr *parse_primary(struct parser *p)
{
    switch (p->token->kind) {
    case TOKEN_INTEGER:
    case TOKEN_REAL: return parse_number(p);
    case TOKEN_TEXT: return parse_text(p);
    case TOKEN_NAME: return parse_word(p);
    default: break;
    }
    if (at_sign(p, '['))
        return parse_list(p);
    if (!accept_sign(p, '('))
        expected(p, "an expression");
    struct expr *e = parse_expr(p);
    expect_sign(p, ')', "')'");
    return e;
}

/* --- operators --- */

static struct expr *new_binary(struct parser *p, int sign, struct location location, struct expr *a,
                               struct expr *b)
{
    struct expr *e = new_expr(p, EXPR_BINARY, location);
    e->sign = sign;
    e->a = a;
    e->b = b;
    return e;
}

/* postfix = primary { "[" expr "]" } */
static struct expr *parse_postfix(struct parser *p)
{
    struct expr *e = parse_primary(p);
    while (at_sign(p, '[')) {
        struct expr *index = new_expr(p, EXPR_INDEX, p->token->location);
        p->token++;
        index->a = e;
        index->b = parse_expr(p);
        expect_sign(p, ']', "']'");
        e = index;
    }
    return e;
}

/* unary = "-" unary | postfix */
static struct expr *parse_unary(struct parser *p)
{
    if (!at_sign(p, '-'))
        return parse_postfix(p);
    struct expr *e = new_expr(p, EXPR_UNARY, p->token->location);
    p->token++;
    e->sign = '-';
    enter(p);
    e->a = parse_unary(p);
    leave(p);
    return e;
}

static bool at_any(const struct parser *p, const int *signs)
{
    for (; *signs; signs++)
        if (at_sign(p, *signs))
            return true;
    return false;
}

/* product = unary { ( "*" | "/" | "//" | "%" | "@" ) unary } */
static struct expr *parse_product(struct parser *p)
{
    static const int signs[] = {'*', '/', SIGN_FLOOR, '%', '@', 0};
    struct expr *e = parse_unary(p);
    while (at_any(p, signs)) {
        const struct token *sign = p->token++;
        e = new_binary(p, sign->sign, sign->location, e, parse_unary(p));
    }
    return e;
}

/* sum = product { ( "+" | "-" ) product } */
static struct expr *parse_sum(struct parser *p)
{
    static const int signs[] = {'+', '-', 0};
    struct expr *e = parse_product(p);
    while (at_any(p, signs)) {
        const struct token *sign = p->token++;
        e = new_binary(p, sign->sign, sign->location, e, parse_product(p));
    }
    return e;
}

/* comparison = sum [ ( "==" | "!=" | "<" | "<=" | ">" | ">=" ) sum ] */
static struct expr *parse_comparison(struct parser *p)
{
    static const int signs[] = {SIGN_EQUAL, SIGN_UNEQUAL, '<', SIGN_AT_MOST, '>', SIGN_AT_LEAST, 0};
    struct expr *e = parse_sum(p);
    if (at_any(p, signs)) {
        const struct token *sign = p->token++;
        e = new_binary(p, sign->sign, sign->location, e, parse_sum(p));
    }
    return e;
}

/* negation = "not" negation | comparison */
static struct expr *parse_negation(struct parser *p)
{
    if (!at_word(p, "not"))
        return parse_comparison(p);
    struct expr *e = new_expr(p, EXPR_UNARY, p->token->location);
    p->token++;
    e->sign = WORD_NOT;
    enter(p);
    e->a = parse_negation(p);
    leave(p);
    return e;
}

/* conjunction = negation { "and" negation } */
static struct expr *parse_conjunction(struct parser *p)
{
    struct expr *e = parse_negation(p);
    while (at_word(p, "and")) {
        struct location location = p->token++->location;
        e = new_binary(p, WORD_AND, location, e, parse_negation(p));
    }
    return e;
}

/* disjunction = conjunction { "or" conjunction } */
static struct expr *parse_disjunction(struct parser *p)
{
    struct expr *e = parse_conjunction(p);
    while (at_word(p, "or")) {
        struct location location = p->token++->location;
        e = new_binary(p, WORD_OR, location, e, parse_conjunction(p));
    }
    return e;
}

/* expr = disjunction [ "if" disjunction "else" expr ] */
struct expr *parse_expr(struct parser *p)
{
    enter(p);
    struct expr *e = parse_disjunction(p);
    if (at_word(p, "if")) {
        struct expr *condition = new_expr(p, EXPR_CONDITION, p->token->location);
        p->token++;
        condition->a = e;
        condition->b = parse_disjunction(p);
        expect_word(p, "else");
        condition->c = parse_expr(p);
        e = condition;
    }
    leave(p);
    return e;
}

/* pattern = [ dtype ] "[" [ ".." [ "," ] ] [ expr { "," expr } ] "]" */
struct pattern *parse_pattern(struct parser *p)
{
    struct pattern *pattern = arena_new(p->arena, struct pattern);
    pattern->location = p->token->location;
    if (p->token->kind == TOKEN_NAME) {
        pattern->has_dtype = dtype_parse(p->token->start, p->token->length, &pattern->dtype);
        if (!pattern->has_dtype)
            expected(p, "an element type or '['");
        p->token++;
    }
    expect_sign(p, '[', "'['");
    if (accept_sign(p, SIGN_RANGE)) {
        pattern->leading = true;
        accept_sign(p, ',');
    }
    while (!at_sign(p, ']')) {
        struct expr *dim = parse_expr(p);
        array_push(p->arena, &pattern->dims, dim);
        if (!accept_sign(p, ','))
            break;
    }
    expect_sign(p, ']', "',' or ']'");
    if (pattern->dims.count > MAX_RANK)
        fatal_at(pattern->location, LANGUAGE_RANK, (int)MAX_RANK);
    return pattern;
}
