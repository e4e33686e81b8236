/*
 * A hand-written program with kernels in plain C, for tests of the runtime without the compiler.
 * Its "model" is a hash of the whole history of a row, positions included, so any mistake in
 * the schedule of prompts, in counts or in positions changes every later token.
 */
#ifndef SINTER_TOY_PROGRAM_H
#define SINTER_TOY_PROGRAM_H

#include "runtime/program.h"

#include <stdbool.h>

enum { TOY_VOCABULARY = 512, TOY_EOS = 2, TOY_BOS = 1, TOY_FIRST_TEXT = 259 };

/* A generate program of that batch and length; chunks 4 and 16. The tokenizer may be NULL. Valid
 * until the next call. */
const struct rt_program *toy_generate_program(rt_i64 batch, rt_i64 length, const void *tokenizer,
                                              rt_u64 tokenizer_bytes);

/* From this number of tokens on a logit of every row is NaN; 0: never. */
extern rt_i64 toy_overflow;

/* What the model says after a history: the logits, and the greedy token. */
void toy_logits(const rt_i32 *history, rt_i64 count, float logits[TOY_VOCABULARY]);
rt_i32 toy_next(const rt_i32 *history, rt_i64 count);

/* A fit program: y = softmax(x W + b), cross-entropy, SGD with momentum; x f32 [batch, 784], label
 * i32 [batch], 10 classes. If `broken`, the loss of the third step is NaN. */
const struct rt_program *toy_fit_program(rt_i64 batch, bool broken);

/* The same; if `unapplied` is not 0 with the output `finite`, which is false in step i of the run
 * if bit i is set; such a step changes no weights. */
const struct rt_program *toy_gated_program(rt_i64 batch, bool broken, rt_u64 unapplied);

#endif
