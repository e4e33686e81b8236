/*
 * Generation: prefill, then decode and sample until every row of a batch has stopped. Works on
 * token ids only; text is the business of whoever listens. Rows that stopped, and rows without
 * a prompt, take no further part (their count is 0), and never change what the others get.
 */
#ifndef SINTER_GENERATOR_H
#define SINTER_GENERATOR_H

#include "runtime/feeder.h"

#include <stdbool.h>

/* See runtime/roles.h; temperature 0 takes the likeliest token. */
struct rt_sampling {
    double temperature, top_p, min_p, penalty;
    rt_i64 top_k;
    rt_u64 seed;
    bool ignore_eos;
};

enum rt_stop_reason { RT_STOP_LENGTH, RT_STOP_EOS, RT_STOP_TEXT };

struct rt_row {
    struct rt_sequence prompt; /* at least one token */
    rt_i64 most;               /* new tokens, at least 1 */
    rt_i64 number;             /* of the sample in the whole run */
    rt_i32 *ids;               /* the caller's storage for `most` new tokens */
    rt_i64 count;              /* of ids */
    enum rt_stop_reason reason;
    bool done;
};

/* Hears every new token but EOS; sets *stop to end the row with RT_STOP_TEXT. */
typedef rt_status rt_listener(void *context, rt_i64 row, rt_i32 token, bool *stop);

/* What the last run took, for bench. Times are nanoseconds, as the device tells them. */
struct rt_generation_times {
    rt_u64 prefill, decode;
    rt_i64 prefill_tokens, decode_steps;
    double prefill_flops; /* of the valid tokens */
    double cache_bytes;   /* of stored positions, summed over the decode steps */
};

struct rt_generator {
    struct rt_session *session;
    struct rt_sampling sampling;
    struct rt_feeder prompts;
    struct rt_feed_function decode;
    rt_u32 sampler; /* function `greedy` or `sample` */
    const struct rt_port *token, *row;
    struct rt_sequence *sequences; /* [B] */
    rt_i32 *tokens, *counts, *numbers; /* [B] each */
    bool ahead; /* the next step is launched before a token is read */
    struct rt_generation_times times;
};

rt_status rt_generator_open(struct rt_generator *generator, struct rt_session *session,
                            const struct rt_sampling *sampling);
void rt_generator_close(struct rt_generator *generator);

/* Generates for rows 0..count-1, count <= batch. Ends early with a failure on SIGINT; what was
 * generated until then stands in the rows. `listener` may be NULL. */
rt_status rt_generator_run(struct rt_generator *generator, struct rt_row *rows, rt_i64 count,
                           rt_listener *listener, void *context);

#endif
