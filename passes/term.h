/*
 * Terms in prefix form: "(mul g (sub 1 (square y)))". Rewrite rules and the gradient columns of
 * the op table are written in them. A malformed term is a defect of a table: fatal.
 */
#ifndef SINTER_TERM_H
#define SINTER_TERM_H

#include "ir/base/arena.h"

enum { TERM_ARGUMENTS = 4 };
enum term_kind { TERM_NAME, TERM_NUMBER, TERM_CALL };

struct term {
    enum term_kind kind;
    const char *name; /* of a NAME, or of what a CALL calls */
    double number;
    int count;
    const struct term *arguments[TERM_ARGUMENTS]; /* of a CALL */
};

const struct term *term_parse(struct arena *arena, const char *text);

#endif
