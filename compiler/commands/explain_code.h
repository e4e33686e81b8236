/* The part of `sinter explain` that tells of compiled code. */
#ifndef SINTER_EXPLAIN_CODE_H
#define SINTER_EXPLAIN_CODE_H

#include "compiler/device_program.h"
#include "runtime/json_write.h"

/* Prints what is in each compiled kernel, or writes it as the array "code" of an open object. */
void explain_code(const struct device_program *program, struct rt_json_writer *json);

#endif
