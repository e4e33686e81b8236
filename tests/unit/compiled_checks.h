/* What test_compiled asks of every compiled checkpoint; each fails by CMocka's fail_msg. */
#ifndef SINTER_COMPILED_CHECKS_H
#define SINTER_COMPILED_CHECKS_H

#include "tests/compiled.h"
#include "tests/reference.h"

/* All checkpoints are compiled for this batch and length. */
enum { CHECKED_BATCH = 4, CHECKED_LENGTH = 80 };

/* Bit identity of rows whatever the other rows, the padding, the caches and the threads. */
void check_rows(const struct compiled *compiled, const struct reference *reference);

/* Logits against Transformers in float64; with f32 also that a changed weight shows. */
void check_logits(const struct compiled *compiled, const struct reference *reference);

#endif
