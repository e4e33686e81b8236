/*
 * The tree of the model language. Fat structs: one for expressions, one for statements; the
 * comment at a member names the kinds that use it.
 */
#ifndef SINTER_AST_H
#define SINTER_AST_H

#include "ir/ir.h"

enum expr_kind {
    EXPR_NONE,
    EXPR_BOOL,
    EXPR_INTEGER,
    EXPR_REAL,
    EXPR_TEXT,    /* items: pieces, EXPR_LITERAL or what stood in braces */
    EXPR_LITERAL, /* text without braces */
    EXPR_NAME,
    EXPR_LIST,      /* [items] */
    EXPR_EACH,      /* [a for text in b..c] */
    EXPR_UNARY,     /* sign a */
    EXPR_BINARY,    /* a sign b */
    EXPR_CONDITION, /* a if b else c */
    EXPR_CALL,      /* text(items) */
    EXPR_INDEX,     /* a[b] */
};

/* An item of a list or of a call; a call's may be named. */
struct item {
    const char *name; /* NULL: by position */
    struct expr *value;
};

struct expr {
    enum expr_kind kind;
    struct location location; /* of the operator, for EXPR_UNARY and EXPR_BINARY */
    int sign;                 /* UNARY, BINARY: enum sign, or one of the word operators below */
    int64_t integer;          /* INTEGER, BOOL */
    double real;              /* REAL */
    const char *text;         /* NAME, CALL, EACH, LITERAL */
    struct expr *a, *b, *c;
    ARRAY_OF(struct item) items; /* LIST, CALL, TEXT */
};

enum word_operator { WORD_AND = 512, WORD_OR, WORD_NOT };

/* A type as written: [dims], .. first for any leading axes, and a dtype before it or not. */
struct pattern {
    struct location location;
    bool has_dtype, leading;
    enum dtype dtype;
    ARRAY_OF(struct expr *) dims;
};

enum statement_kind {
    STATEMENT_ASSIGN,  /* names [: pattern] = value */
    STATEMENT_REPEAT,  /* repeat names[0] in low..high [as scope] { body } */
    STATEMENT_LOOP,    /* loop names[0] in low..high [as scope] [carry names[1..]] { body } */
    STATEMENT_COLLECT, /* collect names[0] = value */
    STATEMENT_IF,      /* if value { body } [else { otherwise }] */
    STATEMENT_RETURN,  /* return value */
    STATEMENT_WEIGHT,  /* weight names[0] : pattern [from tensor] [init value] */
    STATEMENT_STATE,   /* as weight */
    STATEMENT_UPDATE,  /* update names[0] = value */
    STATEMENT_INPUT,   /* input names[0] : pattern */
    STATEMENT_OUTPUT,  /* output names[0] = value */
    STATEMENT_REQUIRE, /* require value, tensor (the message) */
};

enum { NAMES = 8 };

struct statement {
    enum statement_kind kind;
    struct location location;
    const char *names[NAMES];
    int name_count;
    struct location name_location;
    struct pattern *pattern;
    struct expr *value, *tensor, *low, *high;
    bool random; /* WEIGHT: value is a standard deviation, not a constant */
    const char *scope;
    struct block *body, *otherwise;
};

struct block {
    ARRAY_OF(struct statement *) statements;
};

struct parameter {
    const char *name;
    struct location location;
    struct pattern *pattern; /* or NULL */
    struct expr *fallback;   /* or NULL: must be given */
};

struct builtin;

struct definition { /* fn or entry */
    const char *name;
    struct location location;
    struct description *unit;
    ARRAY_OF(struct parameter) parameters;
    struct expr *result;           /* fn f(x) = result */
    struct block *body;            /* fn f(x) { body } */
    const struct builtin *builtin; /* fn f(x) = builtin, in the prelude */
};

/* A row of a value map: from a literal (or null) to an expression. */
struct mapping {
    struct location location;
    struct expr *from; /* EXPR_NONE: null */
    struct expr *to;
};

struct config_entry {
    const char *name;
    struct location location;
    struct expr *fallback;
    ARRAY_OF(const char *) paths;
    ARRAY_OF(struct mapping) map;
};

struct serves {
    const char *type;
    struct location location;
    ARRAY_OF(struct config_entry *) overrides;
};

struct description {
    const char *name;
    struct location location;
    struct description *prelude; /* NULL for the prelude itself */
    ARRAY_OF(struct serves) serves;
    const char *const *types; /* their names, NULL-terminated */
    ARRAY_OF(struct config_entry *) config;
    ARRAY_OF(struct statement *)
        requires;
    struct map functions; /* struct definition */
    ARRAY_OF(struct definition *) entries;
};

/* parser.c: the text of a source; `prelude` is NULL for the prelude. */
struct description *parse_description(struct arena *arena, uint32_t source,
                                      struct description *prelude);

/* The C part of `fn NAME(...) = builtin`; NULL if there is none. builtins.c */
const struct builtin *builtin_find(const char *name);

#endif
