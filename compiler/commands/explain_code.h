/* The part of `sinter explain` that compiles. */
#ifndef SINTER_EXPLAIN_CODE_H
#define SINTER_EXPLAIN_CODE_H

#include "compiler/job.h"
#include "runtime/json_write.h"

/* Compiles the kernels of a job planned for a GPU and prints what is in each, or writes it as the
 * array "code" of an open object. */
void explain_code(struct job *job, struct rt_json_writer *json);

#endif
