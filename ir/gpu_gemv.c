/* See gpu_gemv.h. */
#include "ir/gpu_gemv.h"

#define attribute(kernel, name) attributes_int(&(kernel)->attributes, ATTRIBUTE_##name)

static int64_t ratio_up(int64_t value, int64_t by)
{
    return value / by + (value % by != 0);
}

/* --- operands --- */

/* The weights of a product under casts, where they are rows of K elements in memory. */
static const struct value *stored_weights(const struct kernel *kernel, const struct node *anchor)
{
    const struct value *value = anchor->operands[1];
    bool rows = node_int(anchor, transb);
    while (value->node->kernel == kernel) {
        enum op op = value->node->op;
        if (op != OP_cast && op != OP_transpose && op != OP_reshape)
            return NULL;
        rows ^= op == OP_transpose;
        value = value->node->operands[0];
        if (op != OP_cast && value->type.rank != 2)
            return NULL;
    }
    return rows ? value : NULL;
}

/* Weights of one stored type stream as they are; others are computed where they are used. */
static bool find_weights(const struct kernel *kernel, struct few_operands *out)
{
    bool direct = true;
    out->stored = out->used;
    for (int s = 0; s < out->layout.count; s++) {
        const struct product_segment *segment = &out->layout.segments[s];
        for (int p = 0; p < segment->count; p++) {
            const struct node *anchor = segment->anchors[p];
            if (anchor->op != OP_matmul || anchor->operands[1]->type.rank != 2 ||
                anchor->operands[1]->type.dtype != out->used || segment->count != out->partners)
                return false;
            const struct value *stored = stored_weights(kernel, anchor);
            direct = direct && stored && (s + p == 0 || stored->type.dtype == out->stored);
            out->stored = stored ? stored->type.dtype : out->stored;
        }
    }
    enum dtype stored = out->stored;
    out->decoded = !direct || (stored != DTYPE_f32 && stored != DTYPE_bf16 && stored != DTYPE_f16);
    if (out->decoded)
        out->stored = out->used;
    return out->used == DTYPE_f32 || out->used == DTYPE_tf32 || dtype_bits(out->used) == 16;
}

/* A reduction over the last axes, whose elements are those of a row of %a. */
static bool reduces_rows(const struct few_operands *o, const struct node *node)
{
    const struct type *from = &node->operands[0]->type;
    int count;
    const int64_t *axes = node_list(node, axes, &count);
    int64_t reduced = 1;
    for (int i = 0; i < count; i++) {
        reduced *= from->dims[axes[i]];
        for (int k = (int)axes[i] + 1; k < from->rank; k++)
            if (from->dims[k] != 1 && (i + 1 == count || axes[i + 1] != k))
                return false;
    }
    return reduced == o->k && type_elements(from) == o->m * o->k && op_info(node->op)->parts <= 3 &&
           dtype_is_float(from->dtype) && from->dtype != DTYPE_f64;
}

/* What a block reads of a tensor, where it computes M x K elements. */
static int64_t read_bytes(const struct few_operands *o, const struct value *value)
{
    int64_t elements = type_elements(&value->type);
    if (elements > o->m * o->k)
        elements = o->m * o->k;
    return elements * dtype_bits(value->type.dtype) / 8;
}

/* By node: whether %a needs it. Adds up what these nodes read. */
static int64_t find_row_bytes(struct arena *arena, const struct kernel *kernel,
                              const struct few_operands *o, const struct value *a)
{
    const struct product_layout *layout = &o->layout;
    bool *needed = arena_array(arena, bool, (size_t)layout->node_count + 1);
    ARRAY_OF(const struct value *) read = {0};
    if (a->node->kernel != kernel)
        return read_bytes(o, a);
    for (int i = layout->node_count - 1; i >= 0; i--) {
        const struct node *node = layout->nodes[i];
        needed[i] |= node == a->node;
        for (int k = 0; needed[i] && k < node->operand_count; k++) {
            const struct value *operand = node->operands[k];
            for (int j = 0; j < i; j++)
                needed[j] |= layout->nodes[j] == operand->node;
            bool known = operand->node->kernel == kernel;
            for (size_t j = 0; j < read.count; j++)
                known |= read.items[j] == operand;
            if (!known)
                array_push(arena, &read, operand);
        }
    }
    int64_t bytes = 0;
    for (size_t i = 0; i < read.count; i++)
        bytes += read_bytes(o, read.items[i]);
    return bytes;
}

static bool find_prologue(struct arena *arena, const struct kernel *kernel,
                          struct few_operands *out)
{
    const struct product_layout *layout = &out->layout;
    const struct value *a = layout->segments[0].anchors[0]->operands[0];
    while (a->node->kernel == kernel && a->node->op == OP_reshape)
        a = a->node->operands[0];
    out->computed = a->node->kernel == kernel;
    out->row_bytes = find_row_bytes(arena, kernel, out, a);
    for (int i = 0; i < layout->node_count; i++) {
        const struct node *node = layout->nodes[i];
        if (op_info(node->op)->kind != KIND_RED)
            continue;
        if (layout->reach[i] || ++out->reductions > FEW_REDUCTIONS || !reduces_rows(out, node))
            return false;
    }
    return true;
}

bool few_operands(struct arena *arena, const struct function *function, const struct kernel *kernel,
                  struct few_operands *out)
{
    *out = (struct few_operands){0};
    if (!product_segments(arena, function, kernel, &out->layout))
        return false;
    const struct product_extents *e = &out->layout.e;
    const struct node *anchor = out->layout.segments[0].anchors[0];
    out->m = e->m;
    out->k = e->k;
    out->partners = out->layout.segments[0].count;
    out->used = anchor->operands[0]->type.dtype;
    return e->batch == 1 && e->m > 0 && e->k > 0 && find_weights(kernel, out) &&
           find_prologue(arena, kernel, out);
}

/* --- gemv --- */

/* Rows of %a in 16 bits where both operands are, else in f32. */
static enum dtype staged_type(const struct few_operands *o)
{
    bool half = o->stored == o->used && dtype_bits(o->stored) == 16;
    return half ? o->used : DTYPE_f32;
}

static bool find_columns(const struct kernel *kernel, struct gemv_shape *s)
{
    enum { IN_FLIGHT = 4 };
    int64_t cols = attribute(kernel, cols), threads = attribute(kernel, threads);
    int64_t partners = s->operands.partners;
    if (cols <= 0 || cols > 4096 || threads < 32 || threads > GPU_BLOCK_THREADS || threads % 32)
        return false;
    s->warps = threads / 32;
    int64_t each = ratio_up(cols, s->warps),
            most = IN_FLIGHT / partners > 1 ? IN_FLIGHT / partners : 1;
    s->columns = attribute(kernel, nr) > 0 ? attribute(kernel, nr) : each < most ? each : most;
    s->groups = ratio_up(each, s->columns);
    int64_t loads = IN_FLIGHT / (s->columns * partners);
    s->loads = attribute(kernel, stages) > 0 ? attribute(kernel, stages) : loads > 1 ? loads : 1;
    return s->columns <= 16 && s->loads <= 16 && s->columns * s->loads * partners <= 32;
}

bool gemv_shape(struct arena *arena, const struct function *function, const struct kernel *kernel,
                struct gemv_shape *out)
{
    struct gemv_shape s = {0};
    struct few_operands *o = &s.operands;
    if (!few_operands(arena, function, kernel, o) || o->m > GEMV_ROWS ||
        attribute(kernel, split) > 1 || !find_columns(kernel, &s))
        return false;
    s.staged = staged_type(o);
    s.vector = 128 / dtype_bits(o->stored);
    int64_t batch = s.loads * 32 * s.vector;
    s.batches = ratio_up(o->k, batch);
    s.depth = s.batches * batch;
    if (s.depth > 1 << 20)
        return false;
    s.team = s.warps;
    for (int64_t rows = 1; rows < o->m && s.team % 2 == 0; rows *= 2)
        s.team /= 2;
    s.statistics_at = o->m * s.depth * dtype_bits(s.staged) / 8;
    s.results_at = s.statistics_at + o->reductions * o->m * s.team * FEW_PARTS * 4;
    s.shared_bytes = s.results_at + o->partners * o->m * o->layout.cols * 4;
    *out = s;
    return true;
}

bool gpu_gemv_facts(const struct function *function, const struct kernel *kernel,
                    struct gpu_facts *out)
{
    struct arena *arena = arena_create();
    struct gemv_shape s;
    bool fits = gemv_shape(arena, function, kernel, &s);
    if (fits) {
        /* Fitted to ptxas 13.0 over 60 shapes: most within 20 %, the worst 48 % above. */
        int64_t columns = s.columns * s.operands.partners;
        int64_t registers = 4 + columns * (13 + 6 * s.loads) + 9 * s.operands.m +
                            (s.groups > 1 ? 8 : 0) + (s.operands.decoded ? 24 : 0);
        *out = (struct gpu_facts){.shared_bytes = s.shared_bytes, .registers = (int)registers};
        if (out->registers > GPU_THREAD_REGISTERS)
            out->registers = GPU_THREAD_REGISTERS;
    }
    arena_destroy(arena);
    return fits;
}
