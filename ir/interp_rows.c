/*
 * Elementwise ops and reductions on whole tensors: one compiled loop for each row of ops.def.
 */
#include "ir/interp_internal.h"

#include "ir/intrinsics.h"

#include <string.h>

/* --- elementwise --- */

struct ew_operands {
    const double *a, *b, *c, *d;
    int64_t step[4];
};

#define EW(name, arity, rule, flops, expression, ...)                              \
    static void loop_##name(double *y, const struct ew_operands *o, int64_t count) \
    {                                                                              \
        for (int64_t i = 0; i < count; i++) {                                      \
            const double a = o->a[i * o->step[0]], b = o->b[i * o->step[1]];       \
            const double c = o->c[i * o->step[2]], d = o->d[i * o->step[3]];       \
            (void)a, (void)b, (void)c, (void)d;                                    \
            y[i] = expression;                                                     \
        }                                                                          \
    }
#include "ir/ops.def"

typedef void ew_loop(double *y, const struct ew_operands *o, int64_t count);
static ew_loop *const ew_loops[OP_COUNT] = {
#define EW(name, ...) [OP_##name] = loop_##name,
#include "ir/ops.def"
};

/* The one row with an attribute: the site of the draw. */
static void draw(double *y, const struct ew_operands *o, int64_t count, uint32_t site)
{
    for (int64_t i = 0; i < count; i++)
        y[i] = philox_uniform(o->a[i * o->step[0]], o->b[i * o->step[1]], o->c[i * o->step[2]],
                              o->d[i * o->step[3]], site);
}

void interp_ew(const struct interp_call *call)
{
    static const double zero = 0;
    const double *data[4] = {&zero, &zero, &zero, &zero};
    struct ew_operands o = {.step = {0}};
    int64_t count = type_elements(call_result(call));
    for (int i = 0; i < call->node->operand_count; i++) {
        data[i] = call->in[i];
        o.step[i] = call_type(call, i)->rank > 0;
    }
    o.a = data[0], o.b = data[1], o.c = data[2], o.d = data[3];
    if (op_info(call->node->op)->rule == RULE_DRAW)
        draw(call->out[0], &o, count, (uint32_t)node_int(call->node, site));
    else
        ew_loops[call->node->op](call->out[0], &o, count);
}

/* --- reductions --- */

/* Takes `count` elements in steps of `stride` into the accumulator; `first` is the flat index. */
#define RED(name, parts, result, identity, lift, combine, ...)                           \
    static void run_##name(double *p, const double *x, int64_t count, int64_t stride,    \
                           int64_t first)                                                \
    {                                                                                    \
        double p0 = p[0], p1 = p[1], p2 = p[2], p3 = p[3];                               \
        for (int64_t n = 0; n < count; n++) {                                            \
            const double a = x[n * stride], i = (double)(first + n);                     \
            (void)a, (void)i;                                                            \
            const double lifted[4] = {UNPACK lift};                                      \
            const double q0 = lifted[0], q1 = lifted[1], q2 = lifted[2], q3 = lifted[3]; \
            (void)q0, (void)q1, (void)q2, (void)q3;                                      \
            const double tuple[4] = {UNPACK combine};                                    \
            p0 = tuple[0], p1 = tuple[1], p2 = tuple[2], p3 = tuple[3];                  \
        }                                                                                \
        p[0] = p0, p[1] = p1, p[2] = p2, p[3] = p3;                                      \
    }
#include "ir/ops.def"

typedef void red_run(double *p, const double *x, int64_t count, int64_t stride, int64_t first);
static red_run *const red_runs[OP_COUNT] = {
#define RED(name, ...) [OP_##name] = run_##name,
#include "ir/ops.def"
};

/* The axes of a reduction, split: kept ones make the result, reduced ones are run over. */
struct split {
    int kept, reduced;
    int64_t kept_dims[MAX_RANK], kept_strides[MAX_RANK];
    int64_t dims[MAX_RANK], strides[MAX_RANK];
};

static struct split split_axes(const struct interp_call *call)
{
    struct split s = {0};
    int64_t strides[MAX_RANK];
    int count;
    const int64_t *axes = node_list(call->node, axes, &count);
    const struct type *type = call_type(call, 0);
    row_major(type, strides);
    for (int axis = 0, next = 0; axis < type->rank; axis++) {
        if (next < count && axes[next] == axis) {
            s.dims[s.reduced] = type->dims[axis];
            s.strides[s.reduced++] = strides[axis];
            next++;
        } else {
            s.kept_dims[s.kept] = type->dims[axis];
            s.kept_strides[s.kept++] = strides[axis];
        }
    }
    return s;
}

static int64_t product(const int64_t *dims, int count)
{
    int64_t result = 1;
    for (int i = 0; i < count; i++)
        result *= dims[i];
    return result;
}

/* The offset of a flat row-major index over some axes. */
static int64_t offset_of(int64_t flat, const int64_t *dims, const int64_t *strides, int count)
{
    int64_t offset = 0;
    for (int i = count - 1; i >= 0; i--) {
        offset += flat % dims[i] * strides[i];
        flat /= dims[i];
    }
    return offset;
}

static double reduce_one(const struct op_info *info, red_run *run, const struct split *s,
                         const double *x)
{
    double p[4] = {0};
    info->red_identity(p);
    int inner = s->reduced - 1;
    int64_t length = inner < 0 ? 1 : s->dims[inner];
    int64_t runs = inner < 0 ? 1 : product(s->dims, inner);
    for (int64_t r = 0; r < runs; r++)
        run(p, x + offset_of(r, s->dims, s->strides, inner), length,
            inner < 0 ? 0 : s->strides[inner], r * length);
    return info->red_finish(p);
}

void interp_red(const struct interp_call *call)
{
    const struct op_info *info = op_info(call->node->op);
    struct split s = split_axes(call);
    int64_t count = type_elements(call_result(call));
    for (int64_t i = 0; i < count; i++)
        call->out[0][i] =
            reduce_one(info, red_runs[call->node->op], &s,
                       call->in[0] + offset_of(i, s.kept_dims, s.kept_strides, s.kept));
}
