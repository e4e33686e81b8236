/* See toy_program.h. */
#include "tests/unit/toy_program.h"

#include "runtime/roles.h"

#include <math.h>
#include <string.h>

enum { CHUNKS = 3, FIRST_CHUNK = 4, SECOND_CHUNK = 16, CLASSES = 10, PIXELS = 784, ALIGN = 64 };

struct toy_sizes {
    rt_i64 batch, length, chunk;
};

rt_i64 toy_overflow;

static unsigned toy_hash(const rt_i32 *history, rt_i64 count)
{
    unsigned hash = 17;
    for (rt_i64 i = 0; i < count; i++)
        hash = hash * 31 + (unsigned)history[i] + (unsigned)i;
    return hash ^ hash >> 15;
}

static rt_i32 next_of(unsigned hash)
{
    if (hash % 41 == 0)
        return TOY_EOS;
    return (rt_i32)(TOY_FIRST_TEXT + hash / 7 % (TOY_VOCABULARY - TOY_FIRST_TEXT));
}

rt_i32 toy_next(const rt_i32 *history, rt_i64 count)
{
    return next_of(toy_hash(history, count));
}

void toy_logits(const rt_i32 *history, rt_i64 count, float logits[TOY_VOCABULARY])
{
    unsigned hash = toy_hash(history, count);
    for (unsigned v = 0; v < TOY_VOCABULARY; v++)
        logits[v] = (float)((hash ^ v * 2654435761u) >> 8 & 0xffff) * 0x1p-16f;
    logits[next_of(hash)] += 2;
}

/* Operands: sizes, tokens, count, pos, logits, seen, cache, a weight, all_logits or nothing. */
static void feed(void *const *operands, rt_i64 begin, rt_i64 end, bool all)
{
    const struct toy_sizes *sizes = operands[0];
    const rt_i32 *tokens = operands[1], *counts = operands[2];
    rt_i32 *pos = operands[3], *cache = operands[6];
    float *logits = operands[4];
    unsigned char *seen = operands[5];
    for (rt_i64 row = begin; row < end; row++) {
        rt_i32 *history = cache + row * sizes->length;
        for (rt_i64 i = 0; i < counts[row]; i++) {
            rt_i32 token = tokens[row * sizes->chunk + i];
            history[pos[row]++] = token;
            seen[row * TOY_VOCABULARY + token] = 1;
            if (all)
                toy_logits(history, pos[row],
                           (float *)operands[8] + (row * sizes->chunk + i) * TOY_VOCABULARY);
        }
        if (counts[row] > 0)
            toy_logits(history, pos[row], logits + row * TOY_VOCABULARY);
        if (toy_overflow && pos[row] >= toy_overflow)
            logits[row * TOY_VOCABULARY + 7] = NAN;
    }
}

static void feed_kernel(void *const *operands, rt_i64 begin, rt_i64 end)
{
    feed(operands, begin, end, false);
}

static void score_kernel(void *const *operands, rt_i64 begin, rt_i64 end)
{
    feed(operands, begin, end, true);
}

/* Operands: logits, token. */
static void greedy_kernel(void *const *operands, rt_i64 begin, rt_i64 end)
{
    const float *logits = operands[0];
    rt_i32 *token = operands[1];
    for (rt_i64 row = begin; row < end; row++) {
        rt_i32 best = 0;
        for (rt_i32 v = 1; v < TOY_VOCABULARY; v++)
            if (logits[row * TOY_VOCABULARY + v] > logits[row * TOY_VOCABULARY + best])
                best = v;
        token[row] = isnan(logits[row * TOY_VOCABULARY + 7]) ? -1 : best;
    }
}

/* Operands: logits, token, seed, row, pos, temperature, seen, penalty. No real sampler: it only
 * depends on all that it is given. */
static void sample_kernel(void *const *operands, rt_i64 begin, rt_i64 end)
{
    const unsigned *seed = operands[2];
    const rt_i32 *number = operands[3], *pos = operands[4];
    const unsigned char *seen = operands[6];
    float temperature = *(const float *)operands[5], penalty = *(const float *)operands[7];
    rt_i32 *token = operands[1];
    for (rt_i64 row = begin; row < end; row++) {
        unsigned draw = seed[0] * 7919u + seed[1] * 104729u + (unsigned)number[row] * 31u
                        + (unsigned)pos[row] + (unsigned)(temperature * 16);
        draw = (draw ^ draw >> 13) * 2654435761u;
        token[row] = (rt_i32)(TOY_FIRST_TEXT + draw % (TOY_VOCABULARY - TOY_FIRST_TEXT));
        if (penalty != 1 && seen[row * TOY_VOCABULARY + token[row]])
            token[row] = TOY_EOS;
    }
}

static struct {
    struct rt_program program;
    struct rt_function functions[8];
    struct rt_step steps[8];
    struct rt_operand operands[8][16];
    struct rt_port inputs[8][8], outputs[8][2];
    struct rt_state states[8];
    struct rt_constant constants[CHUNKS];
    struct toy_sizes sizes[CHUNKS];
    struct rt_weight weights[2];
    rt_u64 used;
} toy;

static const rt_i32 eos_ids[] = {TOY_EOS};
static const char *const no_features[] = {NULL};

static struct rt_port make_port(const char *name, rt_u32 dtype, rt_u32 rank, rt_i64 a, rt_i64 b,
                                rt_i64 c)
{
    static const unsigned sizes[] = {4, 8, 2, 2, 4, 8, 1, 1};
    struct rt_port port = {name, dtype, rank, {a, b, c}, toy.used, 0};
    rt_i64 elements = 1;
    for (rt_u32 i = 0; i < rank; i++)
        elements *= port.dims[i];
    port.bytes = (rt_u64)elements * sizes[dtype];
    toy.used += (port.bytes + ALIGN - 1) / ALIGN * ALIGN;
    return port;
}

static void add_operand(struct rt_function *function, rt_u32 space, rt_u32 index, rt_u64 offset)
{
    rt_u32 f = (rt_u32)(function - toy.functions);
    toy.operands[f][toy.steps[f].operand_count++] = (struct rt_operand){space, index, offset};
    function->operand_count = toy.steps[f].operand_count;
}

static void add_arena(struct rt_function *function, const struct rt_port *port)
{
    add_operand(function, RT_SPACE_ARENA, 0, port->offset);
}

static struct rt_function *add_function(const char *role, rt_i64 chunk, rt_kernel *kernel,
                                        rt_i64 tiles)
{
    rt_u32 f = toy.program.function_count++;
    toy.steps[f] = (struct rt_step){.kernel = kernel, .tiles = tiles, .name = role,
                                    .flops = 1000, .bytes = 1 << 20}; /* shared by the threads */
    toy.functions[f] = (struct rt_function){
        .name = role, .role = role, .chunk = chunk, .steps = &toy.steps[f],
        .operands = toy.operands[f], .inputs = toy.inputs[f], .outputs = toy.outputs[f],
        .step_count = 1,
    };
    return &toy.functions[f];
}

static const struct rt_port *add_input(struct rt_function *function, const char *name,
                                       rt_u32 dtype, rt_u32 rank, rt_i64 a, rt_i64 b)
{
    struct rt_port *port = &toy.inputs[function - toy.functions][function->input_count++];
    *port = make_port(name, dtype, rank, a, b, 1);
    return port;
}

static const struct rt_port *add_output(struct rt_function *function, const char *name,
                                        rt_u32 dtype, rt_u32 rank, rt_i64 a, rt_i64 b, rt_i64 c)
{
    struct rt_port *port = &toy.outputs[function - toy.functions][function->output_count++];
    *port = make_port(name, dtype, rank, a, b, c);
    return port;
}

static struct rt_state *add_state(const char *name, rt_u32 dtype, rt_u32 rank, rt_i64 a, rt_i64 b)
{
    struct rt_state *state = &toy.states[toy.program.state_count++];
    *state = (struct rt_state){.port = make_port(name, dtype, rank, a, b, 1), .weight = -1};
    return state;
}

static void add_feed(const char *role, int size, rt_i64 chunk)
{
    rt_i64 batch = toy.program.batch;
    bool scores = strcmp(role, RT_ROLE_SCORE) == 0;
    struct rt_function *f = add_function(role, chunk, scores ? score_kernel : feed_kernel, batch);
    toy.sizes[size] = (struct toy_sizes){batch, toy.program.max_length, chunk};
    toy.constants[size] = (struct rt_constant){&toy.sizes[size], sizeof toy.sizes[size]};
    add_operand(f, RT_SPACE_CONSTANT, (rt_u32)size, 0);
    add_arena(f, add_input(f, "tokens", RT_I32, 2, batch, chunk));
    add_arena(f, add_input(f, "count", RT_I32, 1, batch, 1));
    for (int i = 0; i < 4; i++)
        add_arena(f, &toy.states[i].port);
    add_operand(f, RT_SPACE_WEIGHT, 0, 0);
    if (scores)
        add_arena(f, add_output(f, "all_logits", RT_F32, 3, batch, chunk, TOY_VOCABULARY));
}

static void add_samplers(void)
{
    rt_i64 batch = toy.program.batch;
    struct rt_function *f = add_function(RT_ROLE_GREEDY, 0, greedy_kernel, batch);
    add_arena(f, &toy.states[1].port);
    add_arena(f, add_output(f, "token", RT_I32, 1, batch, 1, 1));
    f = add_function(RT_ROLE_SAMPLE, 0, sample_kernel, batch);
    add_arena(f, &toy.states[1].port);
    add_arena(f, add_output(f, "token", RT_I32, 1, batch, 1, 1));
    add_arena(f, add_input(f, "seed", RT_I32, 1, 2, 1));
    add_arena(f, add_input(f, "row", RT_I32, 1, batch, 1));
    add_arena(f, &toy.states[0].port);
    add_arena(f, add_input(f, "temperature", RT_F32, 0, 1, 1));
    add_arena(f, &toy.states[2].port);
    add_arena(f, add_input(f, "penalty", RT_F32, 0, 1, 1));
    add_input(f, "top_k", RT_I32, 0, 1, 1);
    add_input(f, "top_p", RT_F32, 0, 1, 1);
    add_input(f, "min_p", RT_F32, 0, 1, 1);
}

static void begin(const char *task, rt_i64 batch, rt_i64 length)
{
    memset(&toy, 0, sizeof toy);
    toy.program = (struct rt_program){
        .version = RT_PROGRAM_VERSION, .compiler = "sinter test", .model = "toy", .task = task,
        .dtype = "f32", .cpu = "any", .cpu_features = no_features, .batch = batch,
        .max_length = length, .functions = toy.functions, .weights = toy.weights,
        .states = toy.states, .constants = toy.constants, .weights_path = "",
        .random_weights = 1, .random_seed = 1, .eos_ids = eos_ids, .eos_count = 1,
        .bos_id = TOY_BOS,
    };
}

static void add_weight(const char *name, rt_i64 rows, rt_i64 columns, float initializer)
{
    rt_u32 i = toy.program.weight_count++;
    toy.weights[i] = (struct rt_weight){
        .name = name, .file = "", .dtype = RT_F32, .rank = 2, .dims = {rows, columns},
        .bytes = (rt_u64)(rows * columns) * 4, .initializer = initializer, .ordinal = i,
    };
}

const struct rt_program *toy_generate_program(rt_i64 batch, rt_i64 length, const void *tokenizer,
                                              rt_u64 tokenizer_bytes)
{
    begin("generate", batch, length);
    toy.program.tokenizer = tokenizer;
    toy.program.tokenizer_bytes = tokenizer_bytes;
    add_weight("table", TOY_VOCABULARY, 64, 0.02f);
    add_state("pos", RT_I32, 1, batch, 1);
    add_state("logits", RT_F32, 2, batch, TOY_VOCABULARY);
    add_state("seen", RT_BOOL, 2, batch, TOY_VOCABULARY);
    add_state("cache", RT_I32, 2, batch, length)->slots = length;
    toy.program.state_bytes = toy.used;
    add_feed(RT_ROLE_PREFILL, 0, FIRST_CHUNK);
    add_feed(RT_ROLE_PREFILL, 1, SECOND_CHUNK);
    add_feed(RT_ROLE_DECODE, 2, 1);
    add_feed(RT_ROLE_SCORE, 1, SECOND_CHUNK);
    add_feed(RT_ROLE_SCORE, 0, FIRST_CHUNK);
    add_samplers();
    toy.program.arena_bytes = toy.used;
    return &toy.program;
}

struct toy_model {
    rt_i64 batch;
    bool broken;
    rt_u64 unapplied; /* bit i: step i is not applied */
};

static struct toy_model toy_model;

/* Probabilities of one row from x, W [784, 10] and b [10]. */
static void forward(const float *x, const float *w, const float *b, float out[CLASSES])
{
    float sum = 0, most = -INFINITY;
    for (int c = 0; c < CLASSES; c++) {
        out[c] = b[c];
        for (int i = 0; i < PIXELS; i++)
            out[c] += x[i] * w[i * CLASSES + c];
        most = out[c] > most ? out[c] : most;
    }
    for (int c = 0; c < CLASSES; c++)
        sum += out[c] = expf(out[c] - most);
    for (int c = 0; c < CLASSES; c++)
        out[c] /= sum;
}

/* Whether a step is applied: its output `finite`, where there is one. */
static bool is_applied(const struct toy_model *model, rt_i32 step)
{
    return step >= 64 || !(model->unapplied >> step & 1);
}

/* Operands: model, x, label, learning_rate, momentum, W, b, their moments, step, loss, finite. */
static void fit_kernel(void *const *operands, rt_i64 first, rt_i64 end)
{
    enum { WEIGHTS = PIXELS * CLASSES };
    const struct toy_model *model = operands[0];
    const float *x = operands[1];
    const rt_i32 *label = operands[2];
    float rate = *(const float *)operands[3], momentum = *(const float *)operands[4];
    float *w = operands[5], *b = operands[6], *wm = operands[7], *bm = operands[8];
    float gradient[WEIGHTS + CLASSES] = {0}, out[CLASSES], loss = 0;
    (void)first;
    (void)end;
    for (rt_i64 row = 0; row < model->batch; row++) {
        forward(x + row * PIXELS, w, b, out);
        loss -= logf(out[label[row]]) / (float)model->batch;
        for (int c = 0; c < CLASSES; c++) {
            float d = (out[c] - (float)(c == label[row])) / (float)model->batch;
            for (int i = 0; i < PIXELS; i++)
                gradient[i * CLASSES + c] += d * x[row * PIXELS + i];
            gradient[WEIGHTS + c] += d;
        }
    }
    rt_i32 step = (*(rt_i32 *)operands[9])++;
    bool applied = is_applied(model, step);
    for (int i = 0; i < WEIGHTS && applied; i++)
        w[i] -= rate * (wm[i] = momentum * wm[i] + gradient[i]);
    for (int c = 0; c < CLASSES && applied; c++)
        b[c] -= rate * (bm[c] = momentum * bm[c] + gradient[WEIGHTS + c]);
    *(float *)operands[10] = model->broken && step == 2 ? NAN : loss;
    if (model->unapplied)
        *(bool *)operands[11] = applied;
}

/* Operands: x, W, b, probabilities. */
static void predict_kernel(void *const *operands, rt_i64 first, rt_i64 end)
{
    for (rt_i64 row = first; row < end; row++)
        forward((const float *)operands[0] + row * PIXELS, operands[1], operands[2],
                (float *)operands[3] + row * CLASSES);
}

const struct rt_program *toy_fit_program(rt_i64 batch, bool broken)
{
    return toy_gated_program(batch, broken, 0);
}

const struct rt_program *toy_gated_program(rt_i64 batch, bool broken, rt_u64 unapplied)
{
    begin("fit", batch, 0);
    toy_model = (struct toy_model){batch, broken, unapplied};
    toy.constants[0] = (struct rt_constant){&toy_model, sizeof toy_model};
    add_weight("w", PIXELS, CLASSES, 0.1f);
    add_weight("b", 1, CLASSES, 0);
    add_state("w", RT_F32, 2, PIXELS, CLASSES)->weight = 0;
    add_state("b", RT_F32, 2, 1, CLASSES)->weight = 1;
    add_state("w.moment", RT_F32, 2, PIXELS, CLASSES);
    add_state("b.moment", RT_F32, 2, 1, CLASSES);
    add_state("step", RT_I32, 0, 1, 1);
    struct rt_function *f = add_function(RT_ROLE_FIT, 0, fit_kernel, 1);
    add_operand(f, RT_SPACE_CONSTANT, 0, 0);
    add_arena(f, add_input(f, "x", RT_F32, 2, batch, PIXELS));
    add_arena(f, add_input(f, "label", RT_I32, 1, batch, 1));
    add_arena(f, add_input(f, "learning_rate", RT_F32, 0, 1, 1));
    add_arena(f, add_input(f, "momentum", RT_F32, 0, 1, 1));
    for (int i = 0; i < 5; i++)
        add_arena(f, &toy.states[i].port);
    add_arena(f, add_output(f, "loss", RT_F32, 0, 1, 1, 1));
    if (unapplied)
        add_arena(f, add_output(f, "finite", RT_BOOL, 0, 1, 1, 1));
    f = add_function(RT_ROLE_PREDICT, 0, predict_kernel, batch);
    add_arena(f, add_input(f, "x", RT_F32, 2, batch, PIXELS));
    add_arena(f, &toy.states[0].port);
    add_arena(f, &toy.states[1].port);
    add_arena(f, add_output(f, "probabilities", RT_F32, 2, batch, CLASSES, 1));
    toy.program.arena_bytes = toy.used;
    return &toy.program;
}
