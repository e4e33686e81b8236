/*
 * Passes prompts through the functions of a role (prefill, score) in chunks. A prompt is never
 * padded to the longest length a program was built for: the schedule takes the largest chunk
 * that the longest row of the batch fills, and for the rest the smallest that holds it, if it
 * would be more than half full. All chunk sizes give the same results.
 */
#ifndef SINTER_FEEDER_H
#define SINTER_FEEDER_H

#include "runtime/session.h"

enum { RT_MAX_CHUNKS = 16 };

/* The tokens of one row. */
struct rt_sequence {
    const rt_i32 *ids;
    rt_i64 count;
};

struct rt_feed_function {
    rt_u32 index;
    rt_i64 chunk;
    const struct rt_port *tokens, *count;
};

struct rt_feeder {
    struct rt_session *session;
    struct rt_feed_function functions[RT_MAX_CHUNKS]; /* largest chunk first */
    int function_count;
    rt_i32 *tokens, *counts; /* what the next launch is given: [B, largest chunk], [B] */
    rt_i64 position;         /* of the next chunk, in every row */
};

/* What one launch did. */
struct rt_fed {
    const struct rt_feed_function *function;
    rt_i64 begin;  /* position of the chunk's first token */
    rt_i64 tokens; /* valid ones, of all rows */
};

/* Finds all functions of the role. Without any: EXIT_USAGE. */
rt_status rt_feeder_open(struct rt_feeder *feeder, struct rt_session *session, const char *role);
void rt_feeder_close(struct rt_feeder *feeder);

/* Index into feeder->functions of the chunk to run when `remaining` tokens are left. */
int rt_feeder_choose(const struct rt_feeder *feeder, rt_i64 remaining);

/* Before the first chunk of a new batch. */
void rt_feeder_start(struct rt_feeder *feeder);

/* Launches the next chunk of `rows` (count of them <= batch; the other rows get no tokens).
 * Returns with fed->function NULL if nothing was left. */
rt_status rt_feeder_next(struct rt_feeder *feeder, const struct rt_sequence *rows, rt_i64 count,
                         struct rt_fed *fed);

#endif
