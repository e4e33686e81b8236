/* The inside of the driver library without a GPU: what fake_cuda.c and fake_cuda_work.c share. */
#ifndef SINTER_FAKE_CUDA_STATE_H
#define SINTER_FAKE_CUDA_STATE_H

#include "tests/fake_cuda.h"

#include "runtime/cuda.h"

#include <stdbool.h>

#define SHOWN __attribute__((visibility("default")))
#define CUDA(name, symbol, parameters) SHOWN cuda_result symbol parameters;
#include "runtime/cuda_symbols.def"

enum {
    BLOCKS_MOST = 64,   /* allocations that live at once */
    WORK_MOST = 8192,   /* queued operations */
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

struct operation {
    enum { COPY, COPY_ROWS, SET, LAUNCH, RECORD } kind;
    void *to;
    const void *from;
    size_t bytes, rows, to_pitch, from_pitch; /* of SET: bytes of the value */
    unsigned value;
    cuda_function function;
    int blocks, threads, shared;
    void *operands[OPERANDS_MOST];
    cuda_event event;
    unsigned generation; /* of the event's record */
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
    const struct fake_server *server;
};
extern struct fake_state state;

cuda_result fault(cuda_result code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

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
