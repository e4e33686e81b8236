/* Loops in the interpreter: one iteration after the other. */
#include "ir/interp_demand.h"
#include "ir/loop.h"

#include <stdlib.h>
#include <string.h>

static size_t bytes_of(const struct type *type)
{
    return (size_t)type_elements(type) * sizeof(double);
}

/* The numbers of part i of axis 0. */
static const double *part(const double *numbers, const struct type *part_type, int64_t i)
{
    return numbers + i * type_elements(part_type);
}

static void bind_params(struct interp *run, const struct loop *loop, const double *const *now,
                        int64_t i)
{
    double index = (double)i;
    interp_bind(run, &loop->body->params.items[0]->results[0], &index);
    for (int k = 0; k < loop->carried + loop->sliced + loop->others; k++) {
        const struct value *param = &loop->body->params.items[k + 1]->results[0];
        bool sliced = k >= loop->carried && k < loop->carried + loop->sliced;
        interp_bind(run, param, sliced ? part(now[k], &param->type, i) : now[k]);
    }
}

/* Carried outputs to the loop's results, by way of `next` since one may be another's param. */
static void take_outputs(const struct interp_call *call, struct interp *run,
                         const struct loop *loop, double *const *next, int64_t i)
{
    for (int k = 0; k < loop->carried + loop->stacked; k++) {
        const struct value *value = loop->body->bindings.items[k].value;
        const double *from = interp_value(run, value);
        double *to = k < loop->carried ? next[k] : call->out[k] + i * type_elements(&value->type);
        memcpy(to, from, bytes_of(&value->type));
    }
    for (int k = 0; k < loop->carried; k++)
        memcpy(call->out[k], next[k], bytes_of(&call->node->results[k].type));
}

static double *space(const struct type *type)
{
    double *numbers = malloc(bytes_of(type) + sizeof(double));
    if (!numbers)
        fatal(OUT_OF_MEMORY, bytes_of(type));
    return numbers;
}

void interpret_loop(const struct interp_call *call)
{
    const struct loop loop = loop_of(call->node);
    const double *now[64];
    double *next[MAX_RESULTS];
    struct interp *run = interp_create((struct module *)call->module, call->mode);
    for (int k = 0; k < call->node->operand_count; k++)
        now[k] = call->in[k];
    for (int k = 0; k < loop.carried; k++) {
        memcpy(call->out[k], call->in[k], bytes_of(&call->node->results[k].type));
        now[k] = call->out[k];
        next[k] = space(&call->node->results[k].type);
    }
    for (int64_t n = 0; n < loop.trips; n++) {
        int64_t i = loop.reverse ? loop.trips - 1 - n : n;
        bind_params(run, &loop, now, i);
        interp_body(run, loop.body);
        take_outputs(call, run, &loop, next, i);
    }
    for (int k = 0; k < loop.carried; k++)
        free(next[k]);
    interp_destroy(run);
}

/* On demand, a loop is computed whole: loops end with pass_unroll, long before `check`. */
double element_loop(struct demand *d, const struct node *node, int result, int64_t flat)
{
    double *in[64], *out[MAX_RESULTS];
    for (int i = 0; i < node->operand_count; i++) {
        in[i] = space(&node->operands[i]->type);
        for (int64_t e = 0; e < type_elements(&node->operands[i]->type); e++)
            in[i][e] = demand_operand(d, node, i, e);
    }
    for (int k = 0; k < node->result_count; k++)
        out[k] = space(&node->results[k].type);
    interp_node(d->module, d->mode, node, (const double *const *)in, out);
    double number = out[result][flat];
    for (int i = 0; i < node->operand_count; i++)
        free(in[i]);
    for (int k = 0; k < node->result_count; k++)
        free(out[k]);
    return number;
}
