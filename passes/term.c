/* See term.h. */
#include "passes/term.h"

#include "ir/base/diag.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const struct term *parse(struct arena *arena, const char *whole, const char **at);

static void skip_blanks(const char **at)
{
    while (**at == ' ')
        ++*at;
}

static const char *parse_name(struct arena *arena, const char *whole, const char **at)
{
    const char *start = *at;
    while (isalnum((unsigned char)**at) || **at == '_')
        ++*at;
    if (*at == start)
        fatal(INTERNAL, "a term of a table is malformed", whole);
    return arena_copy(arena, start, (size_t)(*at - start));
}

static void parse_call(struct arena *arena, const char *whole, const char **at, struct term *term)
{
    ++*at;
    term->kind = TERM_CALL;
    term->name = parse_name(arena, whole, at);
    for (skip_blanks(at); **at != ')'; skip_blanks(at)) {
        if (term->count == TERM_ARGUMENTS)
            fatal(INTERNAL, "a term of a table has too many arguments", whole);
        term->arguments[term->count++] = parse(arena, whole, at);
    }
    ++*at;
}

static const struct term *parse(struct arena *arena, const char *whole, const char **at)
{
    struct term *term = arena_new(arena, struct term);
    skip_blanks(at);
    if (**at == '(') {
        parse_call(arena, whole, at, term);
    } else if (isdigit((unsigned char)**at) || **at == '-') {
        char *end;
        term->kind = TERM_NUMBER;
        term->number = strtod(*at, &end);
        *at = end;
    } else {
        term->kind = TERM_NAME;
        term->name = parse_name(arena, whole, at);
    }
    return term;
}

const struct term *term_parse(struct arena *arena, const char *text)
{
    const char *at = text;
    const struct term *term = parse(arena, text, &at);
    skip_blanks(&at);
    if (*at)
        fatal(INTERNAL, "a term of a table is malformed", text);
    return term;
}
