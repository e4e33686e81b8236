/*
 * The roles of emitted functions, and the ports that the runtime reads and writes by name.
 * B = batch, C = chunk, V = vocabulary, L = rt_program.max_length. All are contiguous.
 *
 * Task `generate`: states `pos` i32[B] (tokens stored so far in each row) and `logits` f32[B,V],
 * `seen` bool[B,V] (for the repetition penalty) and the KV caches, which the runtime does not
 * touch. A new batch begins by filling all states but the caches (rt_state.slots > 0) with their
 * initial values: what stands beyond pos in a cache is never read.
 *
 *   prefill  inputs tokens i32[B,C], count i32[B] (valid tokens of each row in this chunk, 0..C).
 *            Stores count new positions, advances pos by count; where count > 0, `logits` row b
 *            becomes the logits of position count-1 of the chunk; marks tokens as seen.
 *   decode   as prefill with C = 1; for generated tokens only.
 *   score    as prefill, and output all_logits f32[B,C,V]: the logits of every position.
 *   greedy   output token i32[B]: arg-max of logits, lowest id on ties; -1 for a row whose logits
 *            are not all finite.
 *   sample   inputs seed i32[2] (low and high half), temperature f32[], top_k i32[] (0 = off),
 *            top_p f32[] (1 = off), min_p f32[] (0 = off), penalty f32[] (1 = off), row i32[B]
 *            (number of the sample in the whole run); output token i32[B], likewise.
 *
 * Task `predict` (and `fit` executables, for their verb predict):
 *   predict  the model's inputs by the names of the description; its outputs by theirs.
 * Task `fit`:
 *   fit      the model's inputs (labels included), learning_rate f32[], momentum f32[]; output
 *            loss f32[]. Where numbers are drawn (dropout) also random.seed i32[2] (low and high
 *            half) and random.step i32[] (steps before this one). Parameters, moments and running
 *            statistics are states. Where there are gradients, output finite bool[]: false if the
 *            loss or the norm of the gradient is not finite, and then no state has changed. A
 *            program may lack it.
 */
#ifndef SINTER_ROLES_H
#define SINTER_ROLES_H

#define RT_ROLE_PREFILL "prefill"
#define RT_ROLE_DECODE "decode"
#define RT_ROLE_SCORE "score"
#define RT_ROLE_GREEDY "greedy"
#define RT_ROLE_SAMPLE "sample"
#define RT_ROLE_PREDICT "predict"
#define RT_ROLE_FIT "fit"

#define RT_OUTPUT_FINITE "finite"
#define RT_INPUT_SEED "random.seed"
#define RT_INPUT_STEP "random.step"

#endif
