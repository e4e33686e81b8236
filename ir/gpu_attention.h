/*
 * How the GPU kernels of attention use a block: what passes/tile*.c must know to choose their
 * tiles, and backends/cuda to print them. Both sides derive it here from the attributes.
 *
 * `attention`: a block is one batch row, one query head and `rows` queries. Each of its warps_m
 * warps owns rows / warps_m of them for all keys, which pass through `stages` buffers in blocks
 * of `keys`, counted from slot 0. Attributes: tiles = batch * heads * query tiles, threads,
 * rows, keys (attention_keys), warps_m, stages. Without spills on sm_80 and sm_90a are, as rows /
 * warps, 128/8, 64/4, 32/2 and 16/1 at every head size (2 stages or more), 128/4 and 64/2 up to
 * 128 but for 96. A warp with 32 rows reads half as much shared memory for each product: the
 * choice for long chunks.
 *
 * `split_attention`: one query a batch row; a block is one batch row, one key head with its
 * query heads (at most 8 of them in f32) and one of `split` parts of the keys, whose warps_n
 * warps take keys / warps_n keys of each block of `keys`. Attributes: tiles = batch * key heads *
 * parts of the group * split, threads, keys, warps_n, split, and stages where the tensor cores
 * multiply. Does well: 128 keys / 4 warps / 2 stages, at head size 256 64/4/2.
 */
#ifndef SINTER_GPU_ATTENTION_H
#define SINTER_GPU_ATTENTION_H

#include "ir/gpu.h"
#include "ir/ir.h"

/* What multiplies. */
enum attention_form {
    ATTENTION_BF16, /* mma m16n8k16 */
    ATTENTION_F16,
    ATTENTION_F32, /* FFMA; also of mixed types */
};

/* How a line (a row of queries, keys or values in shared memory) avoids bank conflicts. */
enum line_kind {
    LINE_ODD,  /* an odd number of 16-byte chunks */
    LINE_XOR4, /* 64 bytes: chunk ^ (line >> 1 & 3) */
    LINE_XOR8, /* a multiple of 128 bytes: chunk ^ (line & 7) */
};

enum { ATTENTION_SLAB = 32 }; /* columns of the result that leave through shared memory at once */

struct attention_layout {
    const struct node *node;
    enum attention_form form;
    int64_t batch, queries, heads, groups, share, slots, size; /* share = heads / groups */
    int64_t rows, keys, stages, split; /* rows: of all warps, a multiple of 16 */
    int64_t warps_m, warps_n, threads;
    int64_t row_tiles;     /* query tiles */
    int64_t parts;         /* of the query heads of a key head */
    int64_t part_heads;    /* query heads of a block of split_attention */
    int64_t tiles;         /* what attribute tiles has to be */
    int64_t depth;         /* the head size padded to 16 */
    int64_t element;       /* bytes of an element in a line */
    int64_t pitch, chunks; /* of a line: bytes, and 16-byte chunks that hold elements or padding */
    enum line_kind line;
    int64_t mt;                   /* 16-row blocks of a warp */
    int64_t warp_keys;            /* keys of a block that a warp multiplies */
    int64_t key_wide, value_wide; /* 8-column tiles that are multiplied together: 2 or 4; f32: 1 */
    /* split_attention in f32: a lane has chunks of 8 columns; key_lanes lanes have a key's. A warp
     * reads key_lanes' worth of 32 / key_lanes keys at once, `ahead` times before it multiplies. */
    int64_t key_lanes, lane_chunks, ahead;
    bool skips; /* a warp passes over a block of keys that none of its queries sees */
    /* shared memory: offsets and sizes in bytes */
    int64_t stage_bytes, queries_at, weights_at, weights_pitch, shared_bytes;
    int64_t result_pitch; /* bytes of a row of results on their way out */
};

/* The block of keys of all `attention` kernels of this head size and type, so that chunks of any
 * length sum in the same order: 64 up to a head size of 96, else 32; f32: 32 up to 128, else 16.
 */
int64_t attention_keys(const struct node *node);

/* False if the attributes do not fit together. The kernel's skeleton is attention or
 * split_attention. */
bool attention_layout(const struct function *function, const struct kernel *kernel,
                      struct attention_layout *out);

bool gpu_attention_facts(const struct function *function, const struct kernel *kernel,
                         struct gpu_facts *out);
bool gpu_split_attention_facts(const struct function *function, const struct kernel *kernel,
                               struct gpu_facts *out);

/* What split_attention asks for: attributes `workspace` (bytes) and `counters`; 0 if split = 1. */
void gpu_split_attention_workspace(const struct attention_layout *layout, int64_t *out_bytes,
                                   int64_t *out_counters);

#endif
