/* What generator.c and generator_ahead.c share. */
#ifndef SINTER_GENERATOR_INTERNAL_H
#define SINTER_GENERATOR_INTERNAL_H

#include "runtime/generator.h"

/* Stamps of the device: before and after the prompts, after the first token, at the end. */
enum generator_stamp { GENERATOR_BEGIN, GENERATOR_FED, GENERATOR_FIRST, GENERATOR_END };

rt_status generator_stamp(struct rt_generator *generator, enum generator_stamp which);

/* The samples' numbers, where the sampler wants them. */
rt_status generator_write_numbers(struct rt_generator *generator, const struct rt_row *rows,
                                  rt_i64 count);

/* Gives generator->tokens to the rows that go on. */
rt_status generator_accept(struct rt_generator *generator, struct rt_row *rows, rt_i64 count,
                           rt_listener *listener, void *context);

/* Counts a decode step of the rows that go on. */
void generator_count_step(struct rt_generator *generator, const struct rt_row *rows,
                          rt_i64 count);

/* From the prompts' logits to the end of all rows, see generator_ahead.c. */
rt_status generator_run_ahead(struct rt_generator *generator, struct rt_row *rows, rt_i64 count,
                              rt_listener *listener, void *context);

#endif
