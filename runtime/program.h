/*
 * What the compiler emits and the runtime executes: the only contract between them.
 *
 * This file is read twice: the runtime includes it, and the compiler puts its text in front of
 * every emitted source. So it includes nothing, and holds types only. The emitted object
 * defines `const struct rt_program rt_program` (and nothing else that is global).
 *
 * An executable holds one or several programs, the same model for several targets: rt_program is
 * the first, `other` leads to the next. Each has its own functions, plan and step table; names,
 * batch, lengths, tokenizer and EOS are those of the first. A program is for a CPU (its steps
 * call C functions) or for a GPU (its steps refer to launches of device code).
 *
 * One arena holds everything but the weights: states first (kept between calls), then inputs
 * and outputs of all functions, then scratch, overlaid; of a GPU also a workspace and counters.
 * Offsets are bytes, multiples of 64.
 */
#ifndef SINTER_PROGRAM_H
#define SINTER_PROGRAM_H

typedef __UINT8_TYPE__ rt_u8;
typedef __INT32_TYPE__ rt_i32;
typedef __UINT32_TYPE__ rt_u32;
typedef __INT64_TYPE__ rt_i64;
typedef __UINT64_TYPE__ rt_u64;

enum { RT_PROGRAM_VERSION = 3, RT_MAX_RANK = 8 };

/* Element types, in the order of ir/types.def. */
enum rt_dtype { RT_F32, RT_F64, RT_BF16, RT_F16, RT_I32, RT_I64, RT_U8, RT_BOOL, RT_TF32 };

/* Where an operand of a kernel lives. */
enum rt_space {
    RT_SPACE_ARENA,    /* arena base + offset */
    RT_SPACE_WEIGHT,   /* weights[index] + offset */
    RT_SPACE_CONSTANT, /* constants[index] + offset */
    /* Of a GPU, in the arena: what the blocks of one launch hand to each other. */
    RT_SPACE_WORKSPACE, /* arena base + workspace_offset + offset: partial results */
    RT_SPACE_COUNTERS,  /* arena base + counters_offset + offset: i32, zero between launches */
};

struct rt_operand {
    rt_u32 space, index;
    rt_u64 offset;
};

/*
 * Computes tiles begin..end-1 of a kernel's grid. operands[] are resolved addresses. The grid is
 * fixed by the plan, so results do not depend on the number of threads. A kernel needs at most
 * RT_KERNEL_STACK bytes of stack.
 */
enum { RT_KERNEL_STACK = 4 << 20 };
typedef void rt_kernel(void *const *operands, rt_i64 begin, rt_i64 end);

struct rt_step {
    rt_kernel *kernel; /* of a CPU; NULL else */
    rt_i64 tiles;      /* of a GPU: blocks, as the launch says */
    rt_u32 first_operand, operand_count; /* in rt_function.operands */
    const char *name;                    /* for profiles: "layers.3.attention" */
    rt_u64 flops, bytes;
    rt_u32 launch; /* of a GPU: in rt_program.launches */
    rt_u32 predicted_ns; /* of a GPU: by the compiler's model; 0 if it has none */
};

/* Device code as the driver loads it: a cubin, or PTX text with its NUL. */
struct rt_image {
    const void *bytes;
    rt_u64 size;
    rt_u32 cuda; /* version that made it, as the driver counts: 12040 is 12.4 */
};

/*
 * A matrix in memory: element (i, j) of matrix z of a batch stands at
 * offset + z * stride + i * pitch + j elements behind the first of its operand, of a transposed
 * one at offset + z * stride + j * pitch + i.
 */
#define RT_NO_OPERAND 0xffffffffu
struct rt_matrix {
    rt_u32 operand; /* number in the step's; RT_NO_OPERAND if there is no such matrix */
    rt_u32 transposed;
    rt_i64 offset, pitch, stride;
};

/*
 * A product that a library computes: d[z][i][j] = sum over k of a[z][i][k] * b[z][k][j], and
 * c[z][i][j], and bias[j], where these are there; sums are f32. c and d are not transposed. The
 * workspace is the step's last operand.
 */
struct rt_product {
    rt_u32 multiply, result; /* types of a and b, of c, bias and d; RT_TF32 is stored as f32 */
    rt_i64 batch, m, n, k;
    struct rt_matrix a, b, c, d, bias; /* of bias only operand and offset count */
    rt_u64 workspace; /* bytes */
};

/* A kernel with its grid, or a product. The kernel's parameters are pointers, in the order of the
 * step's operands. */
#define RT_NO_IMAGE 0xffffffffu
struct rt_launch {
    const char *symbol;
    rt_u32 image, ptx; /* in rt_program.images; RT_NO_IMAGE if there is none */
    rt_u32 blocks, threads, shared; /* shared: dynamic shared memory, bytes */
    const struct rt_product *product; /* NULL: device code */
};

/* An input, an output or a state: a contiguous tensor in the arena. */
struct rt_port {
    const char *name;
    rt_u32 dtype, rank;
    rt_i64 dims[RT_MAX_RANK];
    rt_u64 offset, bytes;
};

/*
 * A straight list of kernels. The role tells the runtime when to run it (runtime/roles.h lists
 * the ports that each role must have).
 */
struct rt_function {
    const char *name, *role;
    rt_i64 chunk; /* new positions for each row; 0 where that means nothing */
    const struct rt_step *steps;
    const struct rt_operand *operands;
    const struct rt_port *inputs, *outputs;
    rt_u32 step_count, operand_count, input_count, output_count;
};

/* A tensor of the checkpoint, as its file stores it; used in place. */
struct rt_weight {
    const char *name; /* in the file */
    const char *file; /* base name */
    rt_u32 dtype, rank;
    rt_i64 dims[RT_MAX_RANK];
    rt_u64 offset, bytes; /* of the data in the file */
    /* --init random: w = initializer * sqrt(3) * (2u - 1), rounded to bf16; or all `constant`. */
    float initializer, constant;
    rt_u32 ordinal; /* the tensor's number for the generator (runtime/philox.h) */
    /* Where the device pads: that many rows of row_bytes, each `pitch` after the one before. */
    rt_u64 rows, row_bytes, pitch; /* 0 where the bytes stand as in the file */
};

struct rt_state {
    struct rt_port port;
    float initial; /* filled with this value before the first step */
    rt_i32 weight; /* or copied from this weight (trained parameters); -1 if none */
    rt_i64 slots;  /* a KV cache: positions it holds for each row; 0 for all other states */
};

struct rt_constant {
    const void *bytes;
    rt_u64 size;
};

struct rt_fact {
    const char *name, *value;
}; /* for `info`: model_type, parameters, ... */

/* The GPU that a program was planned for. */
struct rt_target {
    const char *name;        /* "a100-80" */
    rt_u32 sm, exact;        /* 80; exact: runs on no other architecture (sm_90a) */
    rt_u32 multiprocessors;
    rt_u64 memory_bytes;
    double gflops, gbs; /* of the data sheet, gflops in the type of the products */
};

struct rt_program {
    rt_u32 version;
    const char *compiler; /* "sinter 0.1.0" */
    const char *model, *task, *dtype, *cpu;
    const char *const *cpu_features; /* cpuid names that the code needs; NULL-terminated */
    rt_i64 batch, max_length;
    rt_u64 arena_bytes, state_bytes;
    const struct rt_function *functions;
    const struct rt_weight *weights;
    const struct rt_state *states;
    const struct rt_constant *constants;
    const struct rt_fact *facts;
    rt_u32 function_count, weight_count, state_count, constant_count, fact_count;
    const char *weights_path; /* the model directory at build time; "" if random */
    rt_u32 random_weights;    /* 1: --init random with this seed */
    rt_u64 random_seed;
    const void *tokenizer; /* a compiled tokenizer (runtime/tokenizer.h), or NULL */
    rt_u64 tokenizer_bytes;
    const rt_i32 *eos_ids;
    rt_u32 eos_count;
    rt_i32 bos_id; /* -1 if none */

    const struct rt_program *other; /* the same model for another target; NULL after the last */
    const struct rt_target *gpu;    /* NULL: a program for the CPU */
    const struct rt_launch *launches;
    const struct rt_image *images;
    rt_u32 launch_count, image_count;
    rt_u64 workspace_offset, counters_offset, counters_bytes;
};

/* Visible outside a shared library, so that kernels can be opened without the runtime. */
extern const struct rt_program rt_program __attribute__((visibility("default")));

#endif
