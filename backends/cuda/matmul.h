/*
 * What the files of the skeletons matmul and conv2d share. A block copies tiles of both operands
 * into a ring of stages in shared memory, multiplies the oldest stage while younger ones are on
 * their way (one barrier a stage), and hands the sums through shared memory to the epilogue.
 *
 * Names in the emitted text: m0, n0 first row and column of the tile (n0 in its segment); v_batch
 * the batch; tile the column tile of the kernel; get and put the stages that are read and filled;
 * sums the accumulators; thread, lane, warp_row, warp_column.
 */
#ifndef SINTER_BACKENDS_CUDA_MATMUL_H
#define SINTER_BACKENDS_CUDA_MATMUL_H

#include "backends/cuda/skeletons.h"
#include "backends/element/operand.h"
#include "ir/gpu_matmul.h"

/* How chunks of 16 bytes come into shared memory. */
enum copy_way {
    COPY_ASYNC,    /* as they stand, by asynchronous copies of 16, 8 or 4 bytes */
    COPY_CONVERT,  /* vectors of another type, through registers */
    COPY_ELEMENTS, /* element by element, through registers */
};

/* How threads share a tile of `rows` x `chunks`: thread t begins at row t / lanes, chunk
 * t % lanes, and takes row_count x part_count chunks, row_step rows and `lanes` chunks apart. */
struct copy_shape {
    int64_t rows, chunks, lanes, row_step, row_count, part_count;
    int64_t row_bytes;
    const char *swizzle; /* function of the device library */
};

/* One operand of one tile; a partner's right operand has its own. */
struct tile_operand {
    const char *name; /* "a", "b0", "b1" */
    bool left;
    int product;        /* partner, of a right operand */
    int64_t extent;     /* rows (columns) of the tile */
    int64_t stage_from; /* bytes from the start of a stage */
    bool along_k;       /* rows of the tile in shared memory run along K */
    enum copy_way way;
    int64_t piece; /* COPY_ASYNC: elements of a copy; chunks of 16 bytes may take several */
    bool gathered; /* a left operand whose source declares and copies it */
    bool rounds; /* to TF32, in registers */
    struct matrix matrices[PRODUCTS_MOST]; /* by segment; a left operand has one */
    struct copy_shape shape;
};

struct gpu_product {
    struct product_layout layout;
    struct gpu_tile tile;
    struct tile_operand left, right[PRODUCTS_MOST];
    int64_t element_bytes, chunk; /* of shared memory; elements of 16 bytes */
    bool batch_inside;            /* the result is [m, batch, n] */
    /* The settled variables of each segment's epilogue. */
    struct {
        struct variable variables[VARIABLES];
        bool may_split[VARIABLES];
        int count;
    } settled[PRODUCTS_MOST];
    int segment;    /* whose epilogue is printed */
    int64_t vector; /* neighbours of a thread there */
    struct index row, batch; /* there: of the result */
    bool grouped;
    struct index group; /* where `grouped`: the column / vector */
    const struct node *update; /* whose rows are stored, */
    struct index slot;         /* at this row of the state */
    /* Not NULL: the left operand is no matrix (conv.c). */
    const struct left_source *source;
    void *context;
};

/* The left operand of a convolution: pixels and taps instead of rows of a matrix. */
struct left_source {
    /* Where it is gathered: what stands before the pipeline; and the copies of a stage from step
     * `fill` of K, to `put`, or with COPY_ELEMENTS to `a_next`. */
    void (*declare)(struct generator *g);
    void (*copy)(struct generator *g);
    /* Else, with COPY_ELEMENTS: sets `x` to element k of row `outer`. */
    void (*element)(struct generator *g);
};

#define product_of(g) ((struct gpu_product *)(g)->skeleton)

/* --- matmul.c --- */
/* Prints the kernel whose layout, tile and operands are known. */
void emit_gpu_product(struct generator *g, struct gpu_product *p);
void product_tile_or_die(struct generator *g, struct gpu_product *p);

/* --- matmul_operand.c --- */
/* Finds where the operands stand and how they are copied. */
void find_left_operand(struct generator *g, struct gpu_product *p);
void find_right_operands(struct generator *g, struct gpu_product *p);
/* The element at (batch, outer, step) of the left or the right operand, row-major. */
struct index left_index(struct generator *g, const struct gpu_product *p, struct index batch,
                        struct index row, struct index step);
struct index right_index(struct generator *g, const struct node *anchor, struct index batch,
                         struct index column, struct index step);
/* How the threads of the block share a tile; fatal if they cannot. */
struct copy_shape copy_shape(struct generator *g, const struct gpu_product *p, int64_t extent,
                             bool along_k);

/* --- matmul_copy.c --- */
/* "8192 + ", or nothing: where the operand begins in a stage. */
const char *stage_text(struct generator *g, const struct tile_operand *o);
/* What a thread copies, before the pipeline starts at step `first`. */
void emit_copy_declarations(struct generator *g, struct gpu_product *p);
/* Starts the copies of one stage to `put` and moves on to the next; what goes through registers
 * is fetched by emit_fetches and stored by emit_stores. */
void emit_copies(struct generator *g, struct gpu_product *p);
void emit_fetches(struct generator *g, struct gpu_product *p);
void emit_fetched_stores(struct generator *g, struct gpu_product *p);
bool any_operand(const struct gpu_product *p, bool async);

/* --- matmul_multiply.c --- */
void emit_multiply_declarations(struct generator *g, struct gpu_product *p);
/* Multiplies the stage `get`. */
void emit_multiply(struct generator *g, struct gpu_product *p);
/* The part of the sums that belongs to a slab, stored at `slab`. */
void emit_slab_stores(struct generator *g, struct gpu_product *p);

/* --- matmul_epilogue.c --- */
/* Finds the variables of every segment's epilogue, before the kernel is printed. */
void settle_epilogues(struct generator *g, struct gpu_product *p);
void emit_epilogues(struct generator *g, struct gpu_product *p);

/* "(tile < 4 ? A : tile < 6 ? B : C)": texts by segment, or the one that all share. */
const char *by_segment(struct generator *g, const struct gpu_product *p, const char *const *texts);
#define text_of(g, number) arena_printf((g)->arena, "%lld", (long long)(number))

#endif
