/*
 * How the GPU kernels without products use a block: what passes/tile*.c must know to choose their
 * attributes, and backends/cuda to print them. Both sides derive it here.
 *
 * `loop`, `update`, `scatter_add`: tiles, threads, vector; any numbers do, the threads of the
 * grid take units of `vector` elements in turn. `mark`: tiles = batch rows, threads.
 *
 * `rows` where the last axis is reduced: a block takes `rows` rows at once, threads / rows (a
 * power of two) for each; its threads hold their elements in registers up to ROWS_REGISTERS of
 * them and read them again for each level beyond that. tiles = ceil(kept / rows) * split.
 * `rows` where the last axis is kept: a block takes `cols` columns (a multiple of vector, cols /
 * vector divides threads); the threads of a column share its reduced elements. tiles = outer *
 * ceil(columns / cols) * split. With split > 1 that many blocks share the reduced elements: worth
 * it where a kernel has few rows or columns; of a kernel with several levels only the first is
 * shared, the last block does the rest.
 *
 * `sort`: a block sorts `keys` elements (a power of two, at least 2 * threads), the last of two
 * that are done merges. tiles = lines * ceil(count / keys).
 * `cumsum`: split blocks for each line, each also sums what is before its part; vector elements
 * of a thread in a row. tiles = lines * split.
 */
#ifndef SINTER_GPU_ROWS_H
#define SINTER_GPU_ROWS_H

#include "ir/gpu.h"
#include "ir/ir.h"

enum { ROWS_REGISTERS = 32 };

/* The domain of a kernel of skeleton `rows`. */
struct rows_domain {
    struct type type;
    bool columns;     /* the last axis (of more than one element) is kept */
    int64_t kept, reduced; /* type's elements are kept * reduced */
    int64_t run;      /* extent of the last axes of one role */
    int reductions;
    int parts;        /* accumulators of all reductions */
    int bytes;        /* of these */
    bool wide;        /* some are f64: no split */
};

/* The lines of a kernel of skeleton `sort` or `cumsum`. */
struct gpu_lines {
    const struct node *node;
    int64_t lines, count, pieces; /* pieces: blocks of a line */
    int64_t words; /* sort: of workspace for a line; levels of merges use two sets in turn */
};

/* False if there is no reduction (no such node), or the attributes do not fit together. */
bool rows_domain(const struct function *function, const struct kernel *kernel,
                 struct rows_domain *out);
bool gpu_lines(const struct function *function, const struct kernel *kernel,
               struct gpu_lines *out);

/* Of loop, rows, update, mark, scatter_add, sort and cumsum. */
bool gpu_rows_facts(const struct function *function, const struct kernel *kernel,
                    struct gpu_facts *out);

/* What attributes `workspace` and `counters` have to be; 0 where nothing is handed over. */
void gpu_rows_workspace(const struct function *function, const struct kernel *kernel,
                        int64_t *out_bytes, int64_t *out_counters);

/* How often a rows kernel goes over its elements: once for each level of reductions, and once for
 * results that need them all. */
int rows_passes(const struct function *function, const struct kernel *kernel);

/* Whether the threads of a row keep its elements from one pass to the next. */
bool rows_are_kept(const struct rows_domain *domain, const struct kernel *kernel);

/* Blocks of a rows kernel without its split; of threads that are `vector` wide. */
int64_t rows_blocks(const struct rows_domain *domain, const struct kernel *kernel);

#endif
