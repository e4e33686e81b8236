/*
 * The op table as data and as functions: everything here is an expansion of ops.def,
 * intrinsics.def and skeletons.def.
 */
#include "ir/ir.h"

#include "ir/intrinsics.h"

#include <string.h>

#define EW(name, arity, rule, flops, expression, ...)                      \
    static double reference_##name(double a, double b, double c, double d) \
    {                                                                      \
        (void)a, (void)b, (void)c, (void)d;                                \
        return expression;                                                 \
    }
#include "ir/ops.def"

/* Tuples stand in parentheses: UNPACK (p0, p1) is their list, TEXT (p0, p1) its text. */
#define TEXT(...) #__VA_ARGS__
#define RED(name, parts, result, identity, lift, combine, finish, ...)                  \
    static void identity_##name(double *p)                                              \
    {                                                                                   \
        const double tuple[] = {UNPACK identity};                                       \
        memcpy(p, tuple, sizeof tuple);                                                 \
    }                                                                                   \
    static void lift_##name(double *p, double a, double i)                              \
    {                                                                                   \
        (void)a, (void)i;                                                               \
        const double tuple[] = {UNPACK lift};                                           \
        memcpy(p, tuple, sizeof tuple);                                                 \
    }                                                                                   \
    static void combine_##name(double *p, const double *q)                              \
    {                                                                                   \
        const double p0 = p[0], p1 = p[1], p2 = p[2], p3 = p[3];                        \
        const double q0 = q[0], q1 = q[1], q2 = q[2], q3 = q[3];                        \
        (void)p0, (void)p1, (void)p2, (void)p3, (void)q0, (void)q1, (void)q2, (void)q3; \
        const double tuple[] = {UNPACK combine};                                        \
        memcpy(p, tuple, sizeof tuple);                                                 \
    }                                                                                   \
    static double finish_##name(const double *p)                                        \
    {                                                                                   \
        const double p0 = p[0], p1 = p[1], p2 = p[2], p3 = p[3];                        \
        (void)p0, (void)p1, (void)p2, (void)p3;                                         \
        return UNPACK finish;                                                           \
    }
#include "ir/ops.def"

/* Flags as ops.def writes them. */
#define FLAGS_0 0
#define FLAGS_VIEW OP_VIEW
#define FLAGS_INDEX OP_INDEX
#define FLAGS_SOURCE OP_SOURCE
#define FLAGS_EFFECT OP_EFFECT
#define FLAGS_LEAF OP_LEAF
#define RESULT_SAME false
#define RESULT_INDEX true

static const struct op_info infos[] = {
#define EW(row, arity, type_rule, cost, text, points, grad_a, grad_b, grad_c) \
    {.name = #row,                                                            \
     .kind = KIND_EW,                                                         \
     .operands_min = arity,                                                   \
     .operands_max = arity,                                                   \
     .results = 1,                                                            \
     .flops = cost,                                                           \
     .rule = RULE_##type_rule,                                                \
     .expression = #text,                                                     \
     .golden = points,                                                        \
     .gradient = {grad_a, grad_b, grad_c},                                    \
     .reference = reference_##row},
#define RED(row, tuple, type_result, first, element, both, last, cost, grad) \
    {.name = #row,                                                           \
     .kind = KIND_RED,                                                       \
     .operands_min = 1,                                                      \
     .operands_max = 1,                                                      \
     .results = 1,                                                           \
     .flops = cost,                                                          \
     .gradient = {grad, "-", "-"},                                           \
     .parts = tuple,                                                         \
     .index_result = RESULT_##type_result,                                   \
     .identity = TEXT first,                                                 \
     .lift = TEXT element,                                                   \
     .combine = TEXT both,                                                   \
     .finish = TEXT last,                                                    \
     .red_identity = identity_##row,                                         \
     .red_lift = lift_##row,                                                 \
     .red_combine = combine_##row,                                           \
     .red_finish = finish_##row},
#define OP(row, least, most, count, flag) \
    {.name = #row,                        \
     .kind = KIND_OP,                     \
     .operands_min = least,               \
     .operands_max = most,                \
     .results = count,                    \
     .flags = FLAGS_##flag},
#include "ir/ops.def"
};

static const struct {
    const char *name;
    enum op anchor;
    bool gpu;
} skeletons[] = {
#define OP_none OP_COUNT
#define GPU_C false
#define GPU_CUDA true
#define GPU_BOTH true
    {"none", OP_none, false},
#define SKELETON(name, anchor, where, ...) {#name, OP_##anchor, GPU_##where},
#include "ir/skeletons.def"
};

const struct op_info *op_info(enum op op)
{
    return &infos[op];
}

static bool text_is(const char *name, const char *text, size_t length)
{
    return strlen(name) == length && memcmp(name, text, length) == 0;
}

bool op_parse(const char *text, size_t length, enum op *out_op)
{
    for (int i = 0; i < OP_COUNT; i++) {
        if (text_is(infos[i].name, text, length)) {
            *out_op = (enum op)i;
            return true;
        }
    }
    return false;
}

const char *skeleton_name(enum skeleton skeleton)
{
    return skeletons[skeleton].name;
}

bool skeleton_parse(const char *text, size_t length, enum skeleton *out_skeleton)
{
    for (int i = SKELETON_none + 1; i < SKELETON_COUNT; i++) {
        if (text_is(skeletons[i].name, text, length)) {
            *out_skeleton = (enum skeleton)i;
            return true;
        }
    }
    return false;
}

enum op skeleton_anchor(enum skeleton skeleton)
{
    return skeletons[skeleton].anchor;
}

bool skeleton_on_gpu(enum skeleton skeleton)
{
    return skeletons[skeleton].gpu;
}
