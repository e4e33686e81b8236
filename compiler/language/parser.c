/* Statements and the parts of a description: see parser.h. */
#include "parser.h"

#include <string.h>

static struct block *parse_block(struct parser *p);

/* --- statements --- */

static void end_statement(struct parser *p)
{
    if (p->token->kind != TOKEN_NEWLINE && p->token->kind != TOKEN_END && !at_sign(p, '}'))
        expected(p, "the end of the statement");
    skip_newlines(p);
}

static void parse_named(struct parser *p, struct statement *s)
{
    s->name_location = p->token->location;
    s->names[s->name_count++] = expect_name(p, "a name");
}

static struct pattern *parse_annotation(struct parser *p)
{
    expect_sign(p, ':', "':'");
    return parse_pattern(p);
}

/* "repeat" name "in" expr ".." expr [ "as" name ] block */
static void parse_repeat(struct parser *p, struct statement *s)
{
    parse_named(p, s);
    expect_word(p, "in");
    s->low = parse_expr(p);
    expect_sign(p, SIGN_RANGE, "'..'");
    s->high = parse_expr(p);
    s->scope = accept_word(p, "as") ? expect_name(p, "a name") : s->names[0];
    s->body = parse_block(p);
}

/* "loop" name "in" expr ".." expr [ "as" name ] [ "carry" name { "," name } ] block */
static void parse_loop(struct parser *p, struct statement *s)
{
    parse_named(p, s);
    expect_word(p, "in");
    s->low = parse_expr(p);
    expect_sign(p, SIGN_RANGE, "'..'");
    s->high = parse_expr(p);
    s->scope = accept_word(p, "as") ? expect_name(p, "a name") : s->names[0];
    if (accept_word(p, "carry")) {
        do {
            if (s->name_count == NAMES)
                expected(p, "at most 7 names");
            parse_named(p, s);
        } while (accept_sign(p, ','));
    }
    s->body = parse_block(p);
}

/* "if" expr block [ "else" ( "if" ... | block ) ] */
static void parse_if(struct parser *p, struct statement *s)
{
    enter(p);
    s->value = parse_expr(p);
    s->body = parse_block(p);
    const struct token *after = p->token;
    skip_newlines(p);
    if (!accept_word(p, "else")) {
        p->token = after;
    } else if (!at_word(p, "if")) {
        s->otherwise = parse_block(p);
    } else {
        struct statement *next = arena_new(p->arena, struct statement);
        *next = (struct statement){.kind = STATEMENT_IF, .location = p->token++->location};
        parse_if(p, next);
        s->otherwise = arena_new(p->arena, struct block);
        array_push(p->arena, &s->otherwise->statements, next);
    }
    leave(p);
}

/* name ":" pattern [ "from" text ] [ "init" ( "random" | "constant" ) "(" expr ")" ] */
static void parse_weight(struct parser *p, struct statement *s)
{
    parse_named(p, s);
    s->pattern = parse_annotation(p);
    if (accept_word(p, "from"))
        s->tensor = parse_expr(p);
    if (!accept_word(p, "init"))
        return;
    s->random = accept_word(p, "random");
    if (!s->random && !accept_word(p, "constant"))
        expected(p, "'random' or 'constant'");
    expect_sign(p, '(', "'('");
    s->value = parse_expr(p);
    expect_sign(p, ')', "')'");
}

static void parse_input(struct parser *p, struct statement *s)
{
    parse_named(p, s);
    s->pattern = parse_annotation(p);
    if (!s->pattern->has_dtype)
        fatal_at(s->pattern->location, LANGUAGE_DTYPE_MISSING, s->names[0]);
}

static void parse_valued(struct parser *p, struct statement *s)
{
    parse_named(p, s);
    expect_sign(p, '=', "'='");
    s->value = parse_expr(p);
}

static void parse_return(struct parser *p, struct statement *s)
{
    s->value = parse_expr(p);
}

/* "require" expr "," text */
static void parse_require(struct parser *p, struct statement *s)
{
    s->value = parse_expr(p);
    expect_sign(p, ',', "','");
    s->tensor = parse_expr(p);
}

/* name { "," name } [ ":" pattern ] "=" expr */
static void parse_assign(struct parser *p, struct statement *s)
{
    do {
        if (s->name_count == NAMES)
            expected(p, "at most 8 names");
        parse_named(p, s);
    } while (accept_sign(p, ','));
    if (at_sign(p, ':'))
        s->pattern = parse_annotation(p);
    expect_sign(p, '=', "'='");
    s->value = parse_expr(p);
}

/* A word opens its statement only where a name or value follows, so that all but the reserved
 * ones can be names too. */
static const struct {
    const char *word;
    enum statement_kind kind;
    bool reserved;
    void (*parse)(struct parser *p, struct statement *s);
} openers[] = {
    {"repeat", STATEMENT_REPEAT, true, parse_repeat},
    {"loop", STATEMENT_LOOP, false, parse_loop},
    {"collect", STATEMENT_COLLECT, false, parse_valued},
    {"if", STATEMENT_IF, true, parse_if},
    {"return", STATEMENT_RETURN, true, parse_return},
    {"weight", STATEMENT_WEIGHT, false, parse_weight},
    {"state", STATEMENT_STATE, false, parse_weight},
    {"update", STATEMENT_UPDATE, false, parse_valued},
    {"input", STATEMENT_INPUT, false, parse_input},
    {"output", STATEMENT_OUTPUT, false, parse_valued},
    {"require", STATEMENT_REQUIRE, false, parse_require},
};

static bool opens_assignment(const struct token *token)
{
    return token->kind == TOKEN_SIGN &&
           (token->sign == '=' || token->sign == ':' || token->sign == ',');
}

static struct statement *parse_statement(struct parser *p)
{
    struct statement *s = arena_new(p->arena, struct statement);
    s->kind = STATEMENT_ASSIGN;
    s->location = p->token->location;
    for (size_t i = 0; i < sizeof openers / sizeof *openers; i++)
        if (at_word(p, openers[i].word) &&
            (openers[i].reserved || !opens_assignment(p->token + 1))) {
            s->kind = openers[i].kind;
            p->token++;
            openers[i].parse(p, s);
            end_statement(p);
            return s;
        }
    parse_assign(p, s);
    end_statement(p);
    return s;
}

/* block = "{" { statement } "}" */
static struct block *parse_block(struct parser *p)
{
    struct block *block = arena_new(p->arena, struct block);
    enter(p);
    expect_sign(p, '{', "'{'");
    skip_newlines(p);
    while (!accept_sign(p, '}')) {
        struct statement *s = parse_statement(p);
        array_push(p->arena, &block->statements, s);
    }
    leave(p);
    return block;
}

/* --- configuration --- */

/* path = name { "." name } */
static const char *parse_path(struct parser *p)
{
    const char *path = expect_name(p, "a key of the configuration");
    while (accept_sign(p, '.'))
        path = arena_printf(p->arena, "%s.%s", path, expect_name(p, "a key"));
    return path;
}

/* map = "{" ( "null" | literal ) "->" expr { ( "," | newline ) ... } "}" */
static void parse_map(struct parser *p, struct config_entry *entry)
{
    skip_newlines(p);
    while (!accept_sign(p, '}')) {
        struct mapping row = {.location = p->token->location};
        if (accept_word(p, "null"))
            row.from = arena_new(p->arena, struct expr);
        else
            row.from = parse_expr(p);
        expect_sign(p, SIGN_ARROW, "'->'");
        row.to = parse_expr(p);
        array_push(p->arena, &entry->map, row);
        if (!accept_sign(p, ',') && p->token->kind != TOKEN_NEWLINE && !at_sign(p, '}'))
            expected(p, "',' or '}'");
        skip_newlines(p);
    }
}

/* entry = name "=" expr [ "from" path { "or" path } ] [ map ] */
static struct config_entry *parse_config_entry(struct parser *p)
{
    struct config_entry *entry = arena_new(p->arena, struct config_entry);
    entry->location = p->token->location;
    entry->name = expect_name(p, "the name of a configuration value");
    expect_sign(p, '=', "'='");
    entry->fallback = parse_expr(p);
    if (accept_word(p, "from"))
        do {
            const char *path = parse_path(p);
            array_push(p->arena, &entry->paths, path);
        } while (accept_word(p, "or"));
    if (accept_sign(p, '{'))
        parse_map(p, entry);
    end_statement(p);
    return entry;
}

static struct config_entry *find_entry(struct parser *p, const char *name)
{
    for (size_t i = 0; i < p->unit->config.count; i++)
        if (strcmp(p->unit->config.items[i]->name, name) == 0)
            return p->unit->config.items[i];
    return NULL;
}

/* config = "config" "{" { entry } "}" */
static void parse_config(struct parser *p)
{
    expect_sign(p, '{', "'{'");
    skip_newlines(p);
    while (!accept_sign(p, '}')) {
        struct config_entry *entry = parse_config_entry(p);
        if (find_entry(p, entry->name))
            fatal_at(entry->location, LANGUAGE_TWICE, entry->name);
        array_push(p->arena, &p->unit->config, entry);
    }
}

/* serves = "serves" name [ "{" { entry } "}" ], after the config */
static void parse_serves(struct parser *p)
{
    struct serves serves = {.location = p->token->location};
    serves.type = expect_name(p, "a model type");
    for (size_t i = 0; i < p->unit->serves.count; i++)
        if (strcmp(p->unit->serves.items[i].type, serves.type) == 0)
            fatal_at(serves.location, LANGUAGE_TWICE, serves.type);
    if (accept_sign(p, '{')) {
        skip_newlines(p);
        while (!accept_sign(p, '}')) {
            struct config_entry *entry = parse_config_entry(p);
            if (!find_entry(p, entry->name))
                fatal_at(entry->location, LANGUAGE_NO_OVERRIDE, entry->name);
            array_push(p->arena, &serves.overrides, entry);
        }
    }
    array_push(p->arena, &p->unit->serves, serves);
}

/* --- functions and entries --- */

/* parameters = "(" [ name [ ":" pattern ] [ "=" expr ] { "," ... } ] ")" */
static void parse_parameters(struct parser *p, struct definition *d)
{
    expect_sign(p, '(', "'('");
    while (!at_sign(p, ')')) {
        struct parameter parameter = {.location = p->token->location};
        parameter.name = expect_name(p, "the name of a parameter");
        for (size_t i = 0; i < d->parameters.count; i++)
            if (strcmp(d->parameters.items[i].name, parameter.name) == 0)
                fatal_at(parameter.location, LANGUAGE_TWICE, parameter.name);
        if (at_sign(p, ':'))
            parameter.pattern = parse_annotation(p);
        if (accept_sign(p, '='))
            parameter.fallback = parse_expr(p);
        array_push(p->arena, &d->parameters, parameter);
        if (!accept_sign(p, ','))
            break;
    }
    expect_sign(p, ')', "',' or ')'");
}

/* fn = "fn" name parameters ( "=" expr | block ); in the prelude also "=" "builtin" */
static void parse_function(struct parser *p)
{
    struct definition *d = arena_new(p->arena, struct definition);
    d->location = p->token->location;
    d->unit = p->unit;
    d->name = expect_name(p, "the name of a function");
    parse_parameters(p, d);
    if (!accept_sign(p, '=')) {
        d->body = parse_block(p);
    } else if (!p->unit->prelude && at_word(p, "builtin")) {
        p->token++;
        d->builtin = builtin_find(d->name);
        if (!d->builtin)
            fatal_at(d->location, LANGUAGE_NO_FUNCTION, d->name);
    } else {
        d->result = parse_expr(p);
    }
    if (map_get(&p->unit->functions, d->name))
        fatal_at(d->location, LANGUAGE_TWICE, d->name);
    map_set(&p->unit->functions, d->name, d);
}

/* entry = "entry" name block */
static void parse_entry(struct parser *p)
{
    struct definition *d = arena_new(p->arena, struct definition);
    d->location = p->token->location;
    d->unit = p->unit;
    d->name = expect_name(p, "the name of an entry");
    for (size_t i = 0; i < p->unit->entries.count; i++)
        if (strcmp(p->unit->entries.items[i]->name, d->name) == 0)
            fatal_at(d->location, LANGUAGE_TWICE, d->name);
    d->body = parse_block(p);
    array_push(p->arena, &p->unit->entries, d);
}

static void parse_top_require(struct parser *p)
{
    struct statement *s = arena_new(p->arena, struct statement);
    s->kind = STATEMENT_REQUIRE;
    s->location = p->token->location;
    parse_require(p, s);
    array_push(p->arena, &p->unit->requires, s);
}

static const struct {
    const char *word;
    void (*parse)(struct parser *p);
} parts[] = {
    {"config", parse_config}, {"serves", parse_serves}, {"require", parse_top_require},
    {"fn", parse_function},   {"entry", parse_entry},
};

/* part = config | serves | require | fn | entry */
static void parse_part(struct parser *p)
{
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (accept_word(p, parts[i].word)) {
            parts[i].parse(p);
            end_statement(p);
            return;
        }
    expected(p, "'config', 'serves', 'require', 'fn' or 'entry'");
}

static void list_types(struct arena *arena, struct description *unit)
{
    const char **types = arena_array(arena, const char *, unit->serves.count + 1);
    for (size_t i = 0; i < unit->serves.count; i++)
        types[i] = unit->serves.items[i].type;
    unit->types = types;
}

/* description = "model" name { part } */
struct description *parse_description(struct arena *arena, uint32_t source,
                                      struct description *prelude)
{
    const struct source *text = diag_source(source);
    struct description *unit = arena_new(arena, struct description);
    struct location start = {source, 1, 1};
    struct tokens tokens = lex(arena, start, text->text, text->length);
    struct parser p = {arena, tokens.list.items, 0, unit};
    unit->prelude = prelude;
    unit->functions = map_create(arena);
    skip_newlines(&p);
    expect_word(&p, "model");
    unit->location = p.token->location;
    unit->name = expect_name(&p, "the model's name");
    end_statement(&p);
    while (p.token->kind != TOKEN_END)
        parse_part(&p);
    list_types(arena, unit);
    return unit;
}
