/*
 * The reductions of a kernel of skeleton `rows`: which there are, in which pass each can run,
 * and the texts of their accumulators. All reduce the same axes of the same dims (the domain).
 */
#ifndef SINTER_BACKENDS_ELEMENT_REDUCTIONS_H
#define SINTER_BACKENDS_ELEMENT_REDUCTIONS_H

#include "backends/element/value.h"

enum { KEPT, REDUCED, REDUCTIONS = 32 }; /* roles of variables; most reductions of a kernel */

struct reduction {
    const struct node *node;
    int level; /* the number of passes that must have run before it can */
    int parts; /* accumulators */
    const char *type, *suffix; /* of the accumulators: "float", "f32" */
    const char *names[4];      /* of the skeleton: accumulators (arrays, if it likes) */
    const char *result;        /* of the skeleton */
    bool done;                 /* the result is there */
};

struct reductions {
    struct reduction items[REDUCTIONS];
    int count, levels;
    struct type domain;
};

void reductions_find(struct generator *g, struct reductions *out);

/* Adds the domain's variables: neighbouring axes of one role become one. */
void reductions_variables(struct generator *g, const struct reductions *r);

/* The reduction that gives the value; NULL if none does. */
struct reduction *reductions_of(struct reductions *r, const struct value *value);

/* Whether the index names the row that is open: the only one there is, or that of the open kept
 * variables. Fatal if it names another. */
void reductions_check_row(struct generator *g, const struct reduction *r,
                          const struct value *value, struct index index);

/* Lines "to = combine(p, q);" for all parts; p may be to. */
void reduction_combine(struct generator *g, const struct reduction *r, const char *const to[4],
                       const char *const p[4], const char *const q[4]);

/* The operand's element at the open variables, as accumulators of its own. */
void reduction_lift(struct generator *g, const struct reduction *r, const char *out_q[4]);

/* The initial value of accumulator k. */
const char *reduction_identity(struct generator *g, const struct reduction *r, int k);

/* The result of accumulators p, rounded to its type. */
const char *reduction_finish(struct generator *g, const struct reduction *r,
                             const char *const p[4]);

/* Live-outs: one for each row; or with the domain's elements, of which some need no reduction. */
enum reductions_outs { OUTS_ROW, OUTS_FULL, OUTS_EARLY, OUTS_LATE };

/* Whether there are such. */
bool reductions_has_outs(struct generator *g, struct reductions *r, enum reductions_outs outs);

/* Stores them: at the open variables, or those of the rows at the open kept ones. */
void reductions_store(struct generator *g, struct reductions *r, enum reductions_outs outs);

#endif
