/*
 * The structured loop: %finals.., %stacked.. = loop %carried.., %sliced.., %others.. {body trips
 * carried sliced reverse}. Iteration i, from 0 to trips-1 or backward with `reverse`, calls the
 * function `body` (role "body", which stands before its users) with
 *   i (i32[]), the carried values, part i of axis 0 of each sliced operand, the other operands.
 * Its first outputs are the carried values of the next iteration; the loop gives those of the last.
 * The outputs behind them are stacked along a new axis 0, each at its i. A body uses neither
 * weights nor states: they come in as operands. It lives until pass_unroll.
 */
#ifndef SINTER_LOOP_H
#define SINTER_LOOP_H

#include "ir/build.h"

#define LOOP_ROLE "body"

struct loop {
    struct function *body;
    int64_t trips;
    int carried, sliced, others; /* operands, in this order */
    int stacked;                 /* results behind the carried ones */
    bool reverse;
};

/* What a loop node says; its shape rule holds. */
struct loop loop_of(const struct node *node);

/* The number of results of any op with these attributes. */
int result_count_of(enum op op, const struct attributes *attributes);

/* A new function of role "body" in front of `user`. */
struct function *loop_body(struct module *module, const struct function *user, const char *name);

/* A loop as `like` says; its `others` and `stacked` follow from the operands and the body. */
struct node *build_loop(struct builder *b, const struct loop *like, struct value *const *operands,
                        int count, const char *name);

/*
 * Copies of the nodes of a function, at the end of the builder's, with `arguments` in the place of
 * its params. out_outputs[k] is what its output number k has become. Names, places in the model
 * text and scopes are those of the copied nodes, the scope with `.iteration` behind it, unless
 * iteration is -1. `map` is a side table over all value ids of the function.
 */
void inline_function(struct builder *b, const struct function *function,
                     struct value *const *arguments, int64_t iteration, struct value **map,
                     struct value **out_outputs);

/* Whether a function is the body of loops. */
bool is_loop_body(const struct function *function);

#endif
