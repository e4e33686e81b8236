/* The inside of the driver library without a GPU: what fake_cuda.c, fake_cuda_work.c and
 * fake_cublas.c share. */
#ifndef SINTER_FAKE_CUDA_STATE_H
#define SINTER_FAKE_CUDA_STATE_H

#include "tests/fake_cuda.h"

#include "runtime/cuda.h"
#include "runtime/cuda_blas.h"

#include <stdbool.h>

#define SHOWN __attribute__((visibility("default")))
#define CUDA(name, symbol, parameters) SHOWN cuda_result symbol parameters;
#include "runtime/cuda_symbols.def"
#define BLAS(name, symbol, returns, parameters) SHOWN returns symbol parameters;
#include "runtime/cublas_symbols.def"

enum {
    BLOCKS_MOST = 64,   /* allocations that live at once */
    WORK_MOST = 8192,   /* queued operations */
    ALGORITHMS_MOST = 4096,
    OPERANDS_MOST = 32,
    TEXT = 1 << 16,
    SHARED_MOST = 163 << 10,
    INVALID_VALUE = 1,
    INVALID_IMAGE = 200,
    INVALID_CONTEXT = 201,
    NOT_FOUND = 500,
    NOT_READY = 600,
    CAPTURE_WRONG = 900,
};

struct cuda_context_object {
    int users;
};

struct cuda_module_object {
    const struct fake_image *image; /* NULL: of the server */
    const void *bytes;
};

struct cuda_function_object {
    const struct fake_kernel *kernel;
    struct fake_kernel served; /* what `kernel` is if the server runs it */
    int shared;                /* that was asked for */
};

/* A product as cuBLASLt describes it: by columns. */
struct fake_operation {
    int compute, transpose_a, transpose_b, epilogue;
    const void *bias;
};

struct fake_layout {
    int type;
    rt_i64 rows, columns, pitch;
    rt_i32 batch;
    rt_i64 stride;
};

struct fake_product {
    struct fake_operation operation;
    struct fake_layout a, b, c, d;
    const void *at[3]; /* a, b, c */
    void *result, *workspace;
    float beta;
};

struct operation {
    enum { COPY, COPY_ROWS, SET, LAUNCH, RECORD, PRODUCT } kind;
    void *to;
    const void *from;
    size_t bytes, rows, to_pitch, from_pitch; /* of SET: bytes of the value */
    unsigned value;
    cuda_function function;
    int blocks, threads, shared;
    void *operands[OPERANDS_MOST];
    cuda_event event;
    unsigned generation; /* of the event's record */
    struct fake_product product;
};

struct cuda_stream_object {
    struct operation *work;
    size_t count;
    cuda_graph capture; /* NULL: operations are queued */
};

struct cuda_event_object {
    unsigned recorded, done; /* generations */
    cuda_stream stream;
    double time;
    bool timed;
};

struct cuda_graph_object {
    struct operation *work;
    size_t count;
};

struct cuda_executable_object {
    struct operation *work;
    size_t count;
};

struct fake_state {
    struct cuda_context_object context;
    cuda_context current;
    cuda_stream stream; /* the last one */
    struct {
        char *at;
        size_t bytes;
        bool device;
    } blocks[BLOCKS_MOST];
    size_t used;
    int objects;
    char faults[TEXT], log[TEXT];
    double clock;
    int calls_left; /* of FAKE_CUDA_FAIL; 0: not armed */
    int recording;  /* streams that are */
    int algorithms; /* that cuBLASLt has given, and those that have computed something */
    bool loaded[ALGORITHMS_MOST];
    const struct fake_server *server;
};
extern struct fake_state state;

cuda_result fault(cuda_result code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Whether so many bytes are of one allocation on the device. */
bool in_device(const void *at, size_t bytes);

cuda_result fake_queue_product(cuda_stream stream, const struct fake_product *product);
void fake_compute_product(const struct fake_product *product);

/* A number of the environment. */
long pretended(const char *name, long standard);

/* The error that FAKE_CUDA_FAIL asks for, counting the calls of its symbol. */
cuda_result ordered(const char *symbol);

/* Every entry that needs a context begins so. */
#define ENTER(symbol)                                                        \
    do {                                                                     \
        cuda_result order = ordered(symbol);                                 \
        if (order)                                                           \
            return order;                                                    \
        if (state.current != &state.context || state.context.users == 0)     \
            return fault(INVALID_CONTEXT, "%s: no context; ", symbol);       \
    } while (0)

/* The same for what gives something back: that happens even where it reports a failure. */
#define ENTER_TO_FREE(symbol)                                            \
    cuda_result order = ordered(symbol);                                 \
    if (state.current != &state.context || state.context.users == 0)     \
        return fault(INVALID_CONTEXT, "%s: no context; ", symbol)

#endif
