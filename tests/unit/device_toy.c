/*
 * Functions of the toy: TOY_MAIN computes y[i] = 2 x[i] + w[i mod 15] and adds the constant 3 to
 * state[0]; TOY_EMPTY has no steps; TOY_SPACES writes counters[0] to y[0], stores 7 to the
 * workspace, and reads it back to y[1].
 */
#include "tests/unit/device_toy.h"

#include "tests/fake_cuda.h"

#include <string.h>

enum { PITCH = 8, STEP = 3, WEIGHTS = TOY_ROWS * TOY_COLUMNS };

const float toy_weight[WEIGHTS] = {1, 2, 3, 4, 5, 10, 20, 30, 40, 50, 100, 200, 300, 400, 500};
static const rt_i32 step_constant = STEP;

const void *const *toy_weights(void)
{
    static const void *const weights[] = {toy_weight};
    return weights;
}

float toy_expected(float x, int i)
{
    return 2 * x + toy_weight[i % WEIGHTS];
}

/* --- on the CPU --- */

static void combine(void *const *operands, rt_i64 begin, rt_i64 end)
{
    const float *x = operands[0], *w = operands[1];
    float *y = operands[2];
    for (rt_i64 i = begin * 64; i < end * 64; i++)
        y[i] = 2 * x[i] + w[i % WEIGHTS];
}

static void count(void *const *operands, rt_i64 begin, rt_i64 end)
{
    rt_i32 *state = operands[0];
    const rt_i32 *more = operands[1];
    for (; begin < end; begin++)
        state[0] += more[0];
}

/* --- on the driver without a GPU --- */

static void fake_combine(void *const *operands, int blocks)
{
    const float *x = operands[0], *w = operands[1];
    float *y = operands[2];
    for (int i = 0; i < blocks * 64; i++)
        y[i] = 2 * x[i] + w[i % WEIGHTS / TOY_COLUMNS * PITCH + i % WEIGHTS % TOY_COLUMNS];
}

static void fake_count(void *const *operands, int blocks)
{
    count(operands, 0, blocks);
}

static void fake_spaces(void *const *operands, int blocks)
{
    float *y = operands[0], *workspace = operands[1];
    rt_i32 *counters = operands[2];
    y[0] = (float)counters[0];
    workspace[0] = 7 * (float)blocks;
    y[1] = workspace[0];
}

static const struct fake_kernel fake_kernels[] = {
    {"combine", 3, fake_combine}, {"count", 2, fake_count}, {"spaces", 3, fake_spaces}, {0}};
static const struct fake_image fake_image = {FAKE_MAGIC, fake_kernels};

/* --- as PTX --- */

static const char ptx[] =
    ".version 7.0\n.target sm_80\n.address_size 64\n"
    ".visible .entry combine(.param .u64 px, .param .u64 pw, .param .u64 py)\n{\n"
    ".reg .u64 %d<8>; .reg .u32 %r<8>; .reg .f32 %f<4>;\n"
    "ld.param.u64 %d0, [px]; ld.param.u64 %d1, [pw]; ld.param.u64 %d2, [py];\n"
    "mov.u32 %r0, %ctaid.x; mov.u32 %r1, %ntid.x; mov.u32 %r2, %tid.x;\n"
    "mad.lo.u32 %r0, %r0, %r1, %r2; mul.wide.u32 %d3, %r0, 4;\n"
    "add.u64 %d0, %d0, %d3; add.u64 %d2, %d2, %d3; ld.global.f32 %f0, [%d0];\n"
    "rem.u32 %r3, %r0, 15; div.u32 %r4, %r3, 5; mul.lo.u32 %r5, %r4, 5;\n"
    "sub.u32 %r3, %r3, %r5; mad.lo.u32 %r3, %r4, 8, %r3; mul.wide.u32 %d3, %r3, 4;\n"
    "add.u64 %d1, %d1, %d3; ld.global.f32 %f1, [%d1]; fma.rn.f32 %f2, %f0, 0f40000000, %f1;\n"
    "st.global.f32 [%d2], %f2; ret;\n}\n"
    ".visible .entry count(.param .u64 ps, .param .u64 pc)\n{\n"
    ".reg .u64 %d<4>; .reg .u32 %r<4>; .reg .pred %p<2>;\n"
    "mov.u32 %r0, %tid.x; setp.ne.u32 %p0, %r0, 0; @%p0 ret;\n"
    "ld.param.u64 %d0, [ps]; ld.param.u64 %d1, [pc];\n"
    "ld.global.u32 %r1, [%d0]; ld.global.u32 %r2, [%d1]; add.u32 %r1, %r1, %r2;\n"
    "st.global.u32 [%d0], %r1; ret;\n}\n"
    ".visible .entry spaces(.param .u64 py, .param .u64 pw, .param .u64 pc)\n{\n"
    ".reg .u64 %d<4>; .reg .u32 %r<4>; .reg .f32 %f<4>; .reg .pred %p<2>;\n"
    "mov.u32 %r0, %tid.x; setp.ne.u32 %p0, %r0, 0; @%p0 ret;\n"
    "ld.param.u64 %d0, [py]; ld.param.u64 %d1, [pw]; ld.param.u64 %d2, [pc];\n"
    "ld.global.u32 %r1, [%d2]; cvt.rn.f32.u32 %f0, %r1; st.global.f32 [%d0], %f0;\n"
    "mov.f32 %f1, 0f40E00000; st.global.f32 [%d1], %f1; ld.global.f32 %f2, [%d1];\n"
    "st.global.f32 [%d0+4], %f2; ret;\n}\n";

/* --- tables --- */

static const struct rt_operand main_operands[] = {
    {RT_SPACE_ARENA, 0, TOY_X},     {RT_SPACE_WEIGHT, 0, 0},   {RT_SPACE_ARENA, 0, TOY_Y},
    {RT_SPACE_ARENA, 0, TOY_STATE}, {RT_SPACE_CONSTANT, 0, 0},
};
static const struct rt_step main_steps[] = {
    {combine, TOY_COUNT / 64, 0, 3, "combine", 512, 2048, 0, 0},
    {count, 1, 3, 2, "count", 1, 8, 1, 0},
};
static const struct rt_operand space_operands[] = {
    {RT_SPACE_ARENA, 0, TOY_Y}, {RT_SPACE_WORKSPACE, 0, 0}, {RT_SPACE_COUNTERS, 0, 0}};
static const struct rt_step space_steps[] = {{NULL, 1, 0, 3, "spaces", 1, 8, 2, 0}};

static const struct rt_function functions[] = {
    {.name = "main", .role = "predict", .steps = main_steps, .operands = main_operands,
     .step_count = 2, .operand_count = 5},
    {.name = "empty", .role = "none"},
    {.name = "spaces", .role = "spaces", .steps = space_steps, .operands = space_operands,
     .step_count = 1, .operand_count = 3},
};
static const struct rt_constant constants[] = {{&step_constant, sizeof step_constant}};
static const struct rt_weight weight = {.name = "w", .file = "", .dtype = RT_F32, .rank = 2,
                                        .dims = {TOY_ROWS, TOY_COLUMNS},
                                        .bytes = sizeof toy_weight};
static const struct rt_weight padded = {.name = "w", .file = "", .dtype = RT_F32, .rank = 2,
                                        .dims = {TOY_ROWS, TOY_COLUMNS},
                                        .bytes = sizeof toy_weight, .rows = TOY_ROWS,
                                        .row_bytes = TOY_COLUMNS * 4, .pitch = PITCH * 4};

#define COMMON                                                                               \
    .version = RT_PROGRAM_VERSION, .compiler = "test", .model = "toy", .task = "predict",     \
    .dtype = "f32", .cpu = "x86-64", .batch = 1, .functions = functions,                      \
    .constants = constants, .weight_count = 1, .constant_count = 1, .random_weights = 1

const struct rt_program *toy_cpu_program(void)
{
    static const struct rt_program program = {
        COMMON, .arena_bytes = TOY_ARENA, .weights = &weight, .function_count = 2};
    return &program;
}

static const struct rt_target target = {
    .name = "a100", .sm = 80, .multiprocessors = 108, .memory_bytes = 40ull << 30};

#define GPU                                                                                \
    COMMON, .arena_bytes = TOY_ARENA + 512, .weights = &padded, .function_count = 3,        \
    .gpu = &target, .launch_count = 3, .image_count = 1, .workspace_offset = TOY_ARENA,     \
    .counters_offset = TOY_ARENA + 256, .counters_bytes = 4

const struct rt_program *toy_fake_program(void)
{
    static const struct rt_launch launches[] = {
        {"combine", 0, RT_NO_IMAGE, TOY_COUNT / 64, 64, 0, NULL},
        {"count", 0, RT_NO_IMAGE, 1, 32, 100 << 10, NULL},
        {"spaces", 0, RT_NO_IMAGE, 1, 32, 0, NULL},
    };
    static const struct rt_image images[] = {{&fake_image, sizeof fake_image, 13000}};
    static const struct rt_program program = {GPU, .launches = launches, .images = images};
    return &program;
}

const struct rt_program *toy_ptx_program(void)
{
    static const struct rt_launch launches[] = {
        {"combine", 0, 0, TOY_COUNT / 64, 64, 0, NULL},
        {"count", 0, 0, 1, 32, 100 << 10, NULL},
        {"spaces", 0, 0, 1, 32, 0, NULL},
    };
    static const struct rt_image images[] = {{ptx, sizeof ptx, 12000}};
    static const struct rt_program program = {GPU, .launches = launches, .images = images};
    return &program;
}
