/* The tables of struct rt_program (runtime/program.h), as C text for every backend. */
#ifndef SINTER_BACKENDS_PROGRAM_H
#define SINTER_BACKENDS_PROGRAM_H

#include "ir/base/str.h"
#include "ir/gpu_blas.h"
#include "ir/ir.h"

/* Device code: a cubin, or PTX text with its NUL, and the CUDA version that made it (12040). */
struct program_image {
    const void *bytes;
    size_t size;
    uint32_t cuda;
};

/* A kernel of a GPU with its grid; images by number, PROGRAM_NO_IMAGE if there is none. */
#define PROGRAM_NO_IMAGE UINT32_MAX
struct program_launch {
    const char *symbol;
    uint32_t image, ptx;
    int64_t blocks, threads, shared;
    const struct gpu_blas *product; /* a library's; NULL: device code */
    int64_t workspace;              /* of a product, bytes */
};

/* What the program of a GPU has beside the tables of all (struct rt_target of program.h). */
struct program_gpu {
    const char *name;
    uint32_t sm, multiprocessors;
    bool exact;
    uint64_t memory_bytes;
    double gflops, gbs;
    const struct program_launch *launches;
    const struct program_image *images; /* NULL: a table program_images<number> elsewhere */
    size_t launch_count, image_count;
};

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
    int number; /* among the programs of the executable; number 0 is rt_program */
    bool more;  /* program number + 1 follows; a unit of its own defines it */
    const struct program_gpu *gpu; /* NULL: for a CPU */
};

/* A step: what runs a kernel (a C function, or a launch of a GPU), and its operands. */
struct program_step {
    const char *function;
    const struct value **operands;
    size_t operand_count;
    size_t launch;
    double predicted_ns; /* of a GPU: 0 if there is no prediction */
};

/*
 * Where the GPU program's blocks meet, behind what `plan` placed: a workspace and counters that all
 * kernels share, as large as the largest `workspace` (bytes) and `counters` (number) of a kernel.
 */
struct program_spaces {
    uint64_t workspace_offset, counters_offset, counters_bytes, arena_bytes;
};
struct program_spaces program_spaces(const struct module *module);

/*
 * Appends all tables and the program's object. steps[f][k] is kernel k of function f. A kernel
 * with the attributes `workspace` or `counters` has these as its last operands, in that order.
 */
void program_print(struct str *out, struct module *module, const struct program_facts *facts,
                   struct program_step *const *steps);

/* Where a value is in memory when kernels run; fatal if it is not. `out_space` is the name of
 * an enum rt_space. */
void program_operand(struct module *module, const struct value *value, const char **out_space,
                     uint32_t *out_index, uint64_t *out_offset);

#endif
