/* The command line of sinter, from the tables verbs.def and options.def. */
#ifndef SINTER_COMPILER_OPTIONS_H
#define SINTER_COMPILER_OPTIONS_H

#include "runtime/command_line.h"

enum command {
#define VERB(id, ...) COMMAND_##id,
#include "compiler/verbs.def"
    COMMAND_COUNT
};

struct options {
    COMMAND_LINE_FIELDS; /* verb: enum command */
#define COMMON(...)
#define OPTION(field, name, letter, kind, ...) rt_option_##kind field;
#include "compiler/options.def"
};

/* Choices of options, in the order of the table; 0 is "not given". */
enum { CHOICE_TASK_generate = 1, CHOICE_TASK_predict, CHOICE_TASK_fit };
enum { CHOICE_DTYPE_f32 = 1, CHOICE_DTYPE_bf16, CHOICE_DTYPE_tf32 };
enum { CHOICE_BLAS_never = 1, CHOICE_BLAS_auto, CHOICE_BLAS_always };
enum { CHOICE_INIT_random = 1 };
enum { CHOICE_FORMAT_text = 1, CHOICE_FORMAT_dot };
enum { CHOICE_DEVICE_emulated = 1, CHOICE_DEVICE_cuda };

extern const struct command_table compiler_command_table;

/* The commands: each ends by returning the exit code; failures are fatal. */
#define VERB(id, ...) int command_##id(const struct options *options);
#include "compiler/verbs.def"

#endif
