/* See rewrite.h. */
#include "passes/rewrite.h"

#include "passes/term.h"

#include <math.h>
#include <string.h>

enum condition { CONDITION_ANY, CONDITION_FLOAT, CONDITION_RECIPROCAL };
enum { NAMES = 26 };

struct rule {
    const struct term *pattern, *result;
    enum condition condition;
};

static const struct {
    const char *pattern, *result;
    enum condition condition;
} texts[] = {
#define RULE(pattern, result, condition) {pattern, result, CONDITION_##condition},
#include "passes/rules.def"
};
enum { RULES = sizeof texts / sizeof texts[0] };

struct rewriter {
    struct rule rules[RULES];
    int first[OP_COUNT], next[RULES]; /* lists by op of the pattern's root; -1 ends */
};

/* What the names of a pattern stand for. */
struct match {
    struct value *bound[NAMES];
};

static enum op op_of(const struct term *term)
{
    enum op op;
    if (!op_parse(term->name, strlen(term->name), &op))
        fatal(INTERNAL, "a rule names an unknown op", term->name);
    return op;
}

struct rewriter *rewriter_create(struct arena *arena)
{
    struct rewriter *r = arena_new(arena, struct rewriter);
    for (int op = 0; op < OP_COUNT; op++)
        r->first[op] = -1;
    for (int i = RULES; i-- > 0;) { /* backward: lists keep the order of the table */
        r->rules[i].pattern = term_parse(arena, texts[i].pattern);
        r->rules[i].result = term_parse(arena, texts[i].result);
        r->rules[i].condition = texts[i].condition;
        enum op op = op_of(r->rules[i].pattern);
        r->next[i] = r->first[op];
        r->first[op] = i;
    }
    return r;
}

/* --- matching --- */

static bool is_scalar_constant(const struct value *value)
{
    return value->node->op == OP_const && value->type.rank == 0 && !node_text(value->node, blob) &&
           !attributes_find(&value->node->attributes, ATTRIBUTE_values);
}

static bool match_name(struct match *m, const char *name, struct value *value)
{
    int at = name[0] - 'a';
    if (name[0] == 'c' && !is_scalar_constant(value))
        return false;
    if (m->bound[at] && m->bound[at] != value)
        return false;
    m->bound[at] = value;
    return true;
}

static bool commutes(enum op op)
{
    return op == OP_add || op == OP_mul || op == OP_and || op == OP_or || op == OP_eq ||
           op == OP_ne;
}

static bool match_call(struct match *m, const struct term *term, struct value *const *operands,
                       int count);

static bool match_value(struct match *m, const struct term *term, struct value *value)
{
    switch (term->kind) {
    case TERM_NAME: return match_name(m, term->name, value);
    case TERM_NUMBER:
        return is_scalar_constant(value) && node_real(value->node, value) == term->number;
    case TERM_CALL: break;
    }
    return value->node->op == op_of(term) &&
           match_call(m, term, value->node->operands, value->node->operand_count);
}

static bool match_in_order(struct match *m, const struct term *term, struct value *const *operands,
                           int count)
{
    for (int i = 0; i < count; i++)
        if (!match_value(m, term->arguments[i], operands[i]))
            return false;
    return true;
}

static bool match_call(struct match *m, const struct term *term, struct value *const *operands,
                       int count)
{
    struct match before = *m;
    if (term->count != count)
        return false;
    if (match_in_order(m, term, operands, count))
        return true;
    *m = before;
    if (count != 2 || !commutes(op_of(term)))
        return false;
    return match_in_order(m, term, (struct value *[]){operands[1], operands[0]}, 2);
}

static bool holds(enum condition condition, const struct match *m, const struct type *type)
{
    if (condition == CONDITION_ANY)
        return true;
    if (!dtype_is_float(type->dtype))
        return false;
    if (condition == CONDITION_FLOAT)
        return true;
    int exponent;
    double value = node_real(m->bound['c' - 'a']->node, value);
    return fabs(frexp(value, &exponent)) == 0.5 && exponent > -100 && exponent < 100;
}

/* --- building --- */

static struct value *build_term(struct builder *b, const struct match *m, const struct term *term,
                                enum dtype dtype)
{
    struct value *operands[TERM_ARGUMENTS];
    if (term->kind == TERM_NAME)
        return m->bound[term->name[0] - 'a'];
    if (term->kind == TERM_NUMBER)
        return build_constant(b, dtype, term->number);
    for (int i = 0; i < term->count; i++)
        operands[i] = build_term(b, m, term->arguments[i], dtype);
    return &build_node(b, op_of(term), operands, term->count, (struct attributes){0}, NULL)
                ->results[0];
}

struct value *rewriter_apply(const struct rewriter *rewriter, struct builder *builder, enum op op,
                             struct value *const *operands, int count, const struct type *type)
{
    for (int i = rewriter->first[op]; i >= 0; i = rewriter->next[i]) {
        const struct rule *rule = &rewriter->rules[i];
        struct match match = {{0}};
        if (!match_call(&match, rule->pattern, operands, count) ||
            !holds(rule->condition, &match, type))
            continue;
        struct value *value = build_term(builder, &match, rule->result, type->dtype);
        if (!type_same_dims(&value->type, type))
            value = build_broadcast(builder, value, type->rank, type->dims);
        return value;
    }
    return NULL;
}
