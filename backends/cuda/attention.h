/*
 * What the skeletons `attention` and `split_attention` share: where operands stand, how lines of
 * them reach shared memory, which keys a block runs over, masks, and how results leave. The
 * layout of a block is ir/gpu_attention.h's; names of emitted code: batch, head, group, query,
 * key (first slot of the block of keys), lane, warp, scores, sums, top, sum.
 */
#ifndef SINTER_BACKENDS_CUDA_ATTENTION_H
#define SINTER_BACKENDS_CUDA_ATTENTION_H

#include "backends/cuda/skeletons.h"
#include "backends/element/operand.h"
#include "ir/gpu_attention.h"

struct attention {
    struct attention_layout l; /* sizes in bytes unless said */
    bool causal, ring, cached;
    bool split; /* rows are the heads of one query */
    int64_t window;
    double scale;
    const struct value *position, *bias; /* NULL where there is none */
    struct matrix operands[3];           /* queries, keys, values: rows of memory where `direct` */
    bool direct[3];
    const char *result; /* the text of a result in f32 at the open column */
    struct index here;  /* its index */
    /* variables */
    int v_batch, v_query, v_head, v_group, v_slot, v_column, v_lane;
};

/* Reads the kernel's anchor and attributes; sets it as the skeleton of `g`, whose variables it
 * makes. To be called at the beginning of every attempt. */
struct attention *attention_begin(struct generator *g);

/* "bf16", "f16" or "f32": the element type of lines. */
const char *attention_form_name(const struct attention *a);

/* Opens a variable: "const int NAME = TEXT;" in the innermost scope. */
struct index attention_open(struct generator *g, int variable, const char *name, const char *text);

/* Lines of queries (0), keys (1) or values (2) on their way to shared memory. */
struct line_block {
    int which;
    const char *to;    /* shared address of the first one */
    const char *first; /* first query, first slot, or with `heads` first head */
    const char *count; /* lines that have a source; the others become zeros */
    int64_t lines;
    bool heads; /* lines are heads of one query */
};
void attention_fill(struct generator *g, struct attention *a, const struct line_block *block);

/* --- the loop over blocks of keys (attention_loop.c) --- */

const char *attention_at(struct generator *g, int64_t offset); /* "shared + OFFSET" */

/* Starts the copies of the queries and of the first stages, blocks begin.. of begin..end-1. */
void attention_copies(struct generator *g, struct attention *a, const struct line_block *queries);

/* The loop, which declares for its body "key", the warp's first slot, and "keys", where in shared
 * memory its keys begin. */
void attention_loop(struct generator *g, struct attention *a);

/* --- keys and masks (attention_mask.c) --- */

/* Declares start (the position of query 0) and, for rings, newest. */
void attention_start(struct generator *g, struct attention *a);

/* Of the keys that queries first..last (texts of indices) can see, in whole blocks: declares
 * first_key and last_key (exclusive). */
void attention_range(struct generator *g, struct attention *a, const char *first, const char *last);

/* Whether some key may be invisible; the condition under which one is visible, in terms of
 * "slot" and of what attention_ahead declares: "ahead" (query position - key position) and, for
 * rings, "position" (of the key). */
bool attention_masks(const struct attention *a);
void attention_ahead(struct generator *g, struct attention *a, const char *query);
const char *attention_visible(struct generator *g, struct attention *a);

/* The condition under which some query of the warp may see a key of the block; NULL: unknown. */
const char *attention_seen(struct generator *g, struct attention *a);

/* Mask and bias of the warp's scores: a tile of mma results or, in f32, columns lane & 3 and
 * every fourth. */
void attention_mask(struct generator *g, struct attention *a);
void attention_bias_scores(struct generator *g, struct attention *a);

/* Element of the bias at the open batch. */
struct element attention_bias(struct generator *g, struct attention *a, struct index head,
                              struct index query, struct index slot);

/* Whether the scores are already in powers of two (attention_bias_scores) when softmax begins,
 * or are to be multiplied by attention_scale. */
bool attention_scaled(const struct attention *a);
const char *attention_scale(struct generator *g, const struct attention *a);

/* --- products and results --- */

/* Prints the stores of the columns 4 * chunk.. of the result at the open batch, query and head;
 * `a->result` is the text of column `u` of them. */
void attention_store(struct generator *g, struct attention *a, const char *chunk);

/* A scope with UNROLL before its head. */
void attention_close_unrolled(struct generator *g, const char *head);

/* Declares sums, top and sum of the warp's rows. */
void attention_sums(struct generator *g, struct attention *a);

/* Turns scores into weights, declares factor and updates top and sum. */
void attention_softmax(struct generator *g, struct attention *a);

/* Divides sums by the sum of the weights. */
void attention_shares(struct generator *g, struct attention *a);

/* On the tensor cores (attention_tensor.c). The fragments of all queries, from the lines at
 * queries_at; the block of keys at shared address "keys"; the results, for `attention`. */
void attention_tensor_queries(struct generator *g, struct attention *a);
void attention_tensor_block(struct generator *g, struct attention *a);
void attention_tensor_result(struct generator *g, struct attention *a);

/* Writes `tiles` 8-column tiles of sums, from `first` (text) on, to rows of result_pitch bytes at
 * "result". */
void attention_tensor_columns(struct generator *g, struct attention *a, const char *first,
                              int64_t tiles);

/* The same in f32, for `attention` (attention_scalar.c). */
void attention_scalar_block(struct generator *g, struct attention *a);
void attention_scalar_result(struct generator *g, struct attention *a);

#endif
