/* The tables of struct rt_program (runtime/program.h), as C text for every backend. */
#ifndef SINTER_BACKENDS_PROGRAM_H
#define SINTER_BACKENDS_PROGRAM_H

#include "ir/base/str.h"
#include "ir/ir.h"

/* What the program's table says beside the module. */
struct program_facts {
    const char *compiler, *task, *dtype, *cpu, *weights_path;
    int64_t batch, max_length;
    bool random_weights;
    uint64_t random_seed;
    const void *tokenizer; /* a compiled tokenizer, or NULL */
    size_t tokenizer_bytes;
    const int32_t *eos_ids;
    size_t eos_count;
    int32_t bos_id;                  /* -1 if none */
    const char *const *cpu_features; /* NULL-terminated; NULL (as cpu): those of the target */
};

/* A step: the C function that runs a kernel, and its operands. */
struct program_step {
    const char *function;
    const struct value **operands;
    size_t operand_count;
};

/* Appends all tables and the object rt_program. steps[f][k] is kernel k of function f. */
void program_print(struct str *out, struct module *module, const struct program_facts *facts,
                   struct program_step *const *steps);

/* Where a value is in memory when kernels run; fatal if it is not. `out_space` is the name of
 * an enum rt_space. */
void program_operand(struct module *module, const struct value *value, const char **out_space,
                     uint32_t *out_index, uint64_t *out_offset);

#endif
