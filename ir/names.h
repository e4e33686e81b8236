/*
 * Names of values: identifiers joined by dots, unique among the values of a function and the
 * leaves of its module. Used by what makes nodes (build.c, rebuild.c, parse.c).
 */
#ifndef SINTER_NAMES_H
#define SINTER_NAMES_H

#include "ir/ir.h"

/* "layers.0.q": parts of letters, digits and '_', the first not starting with a digit. */
bool name_valid(const char *text, size_t length);

/* Gives `value` a free name: `wanted` made valid, or with a suffix ".2", ".3", ... `function`
 * is NULL for a leaf; a body value that has a leaf's name gives way. */
void name_value(struct module *module, struct function *function, struct value *value,
                const char *wanted);

/* The same for a result of a new body node; `wanted` may be NULL: after the op. A wanted name may
 * be taken over from a value that a rebuild is about to drop. */
void name_result(struct module *module, struct function *function, struct value *value,
                 const char *wanted);

/* Enters a value under the name that it has; false if the name is taken by another one. */
bool name_keep(struct module *module, struct function *function, struct value *value);

/* Forgets names of values that are gone. */
void names_refresh(struct module *module, struct function *function);

/* A node without operands, attributes and types, entered nowhere; its results have ids. */
struct node *node_create(struct module *module, enum op op, int operand_count);
/* The same with a number of results of its own: a loop. */
struct node *node_create_results(struct module *module, enum op op, int operand_count,
                                 int result_count);

#endif
