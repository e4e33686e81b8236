/*
 * A row of a product on a GPU does not depend on the other rows of the batch, bit for bit: the
 * kernels gemv and skinny run twice, with other numbers in all rows but one.
 */
#include "backends/cuda/emit.h"
#include "passes/passes.h"
#include "tests/unit/few_kernels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { KEPT_ROW = 1 };

struct few_kernel {
    const struct cuda_kernel *kernel;
    const struct cuda_step *step;
    struct emulation_unit *unit;
};

static struct few_kernel open_kernel(struct arena *arena, const char *skeleton,
                                     const struct few_case *c)
{
    struct few_text text = few_text(arena, skeleton);
    few_add(&text, c);
    const char *whole = few_whole(&text);
    struct module *module = ir_parse(arena, diag_add_source("few.ir", whole, strlen(whole)));
    few_derive(module, NULL);
    pass_plan(module);
    struct cuda_emit_options options = {.target = target_find("a100")};
    struct cuda_emit_result *emitted = arena_new(arena, struct cuda_emit_result);
    *emitted = backend_cuda_emit(module, &options);
    struct few_kernel result = {.kernel = &emitted->kernels[0], .step = &emitted->steps[0][0]};
    result.unit = emulation_unit_open(emitted->emulated, emitted->emulated_length, false, NULL);
    assert_non_null(result.unit);
    return result;
}

/* Rows of %x and %r: those of a batch. Weights have no such axis. */
static bool is_of_batch(const struct value *value, int rows)
{
    return value->node->op == OP_param && value->type.dims[0] == rows;
}

/* Elements in memory, with the padding of rows. */
static int64_t element_count(const struct type *type)
{
    return type->strided ? type->strides[0] * type->dims[0] : type_elements(type);
}

static void fill(const struct value *value, char *bytes, int rows, int seed)
{
    int64_t count = element_count(&value->type);
    int64_t per_row = count / (is_of_batch(value, rows) ? rows : 1);
    for (int64_t i = 0; i < count; i++) {
        bool other = is_of_batch(value, rows) && i / per_row != KEPT_ROW;
        uint32_t mixed =
            (uint32_t)(i * 2654435761u + value->id * 40503u + (other ? (uint32_t)seed : 0) * 97u);
        dtype_store(value->type.dtype, bytes, i, (double)(mixed >> 8 & 0xffff) / 65536 - 0.5);
    }
}

/* The kept row of the one result after a run, and the whole result. */
static char *run_once(struct arena *arena, const struct few_kernel *k, int rows, int seed,
                      size_t *out_bytes, char **out_whole)
{
    size_t count = k->step->step.operand_count, extra = (size_t)k->kernel->workspace * 2;
    void **operands = arena_array(arena, void *, count + 2);
    struct emulation_region *regions = arena_array(arena, struct emulation_region, count + 2);
    char *result = NULL;
    for (size_t i = 0; i < count + extra; i++) {
        const struct value *value = i < count ? k->step->step.operands[i] : NULL;
        size_t bytes = 1 << 20;
        if (value)
            bytes = (size_t)(element_count(&value->type) * dtype_bits(value->type.dtype) / 8);
        operands[i] = aligned_alloc(64, (bytes + 63) / 64 * 64);
        memset(operands[i], 0, bytes);
        bool out = value && value->node->op != OP_param && value->node->op != OP_weight;
        if (value && !out)
            fill(value, operands[i], rows, seed);
        regions[i] = (struct emulation_region){operands[i], bytes, out || !value, false, 4};
        if (!out)
            continue;
        *out_bytes = bytes / (size_t)rows;
        *out_whole = operands[i];
        result = (char *)operands[i] + *out_bytes * KEPT_ROW;
    }
    struct emulation_launch launch = {.kernel = k->kernel->name,
                                      .blocks = (int)k->kernel->blocks,
                                      .threads = (int)k->kernel->threads,
                                      .shared = k->kernel->shared,
                                      .operands = operands,
                                      .regions = regions,
                                      .region_count = count + extra};
    struct emulation *emulation = emulation_create();
    struct emulation_report report;
    emulation_run(emulation, k->unit, &launch, &(struct emulation_options){0}, &report);
    if (report.error)
        fail_msg("%s", report.text);
    emulation_destroy(emulation);
    return result;
}

static void check_case(const char *skeleton, const struct few_case *c)
{
    struct arena *arena = arena_create();
    struct few_kernel k = open_kernel(arena, skeleton, c);
    size_t bytes;
    char *whole[2];
    char *one = run_once(arena, &k, c->rows, 1, &bytes, &whole[0]);
    char *two = run_once(arena, &k, c->rows, 2, &bytes, &whole[1]);
    assert_memory_equal(one, two, bytes);
    assert_memory_not_equal(whole[0], whole[1], bytes); /* row 0 did change */
    emulation_unit_close(k.unit);
    arena_destroy(arena);
}

static void test_gemv(void **state)
{
    static const struct few_case cases[] = {
        {FEW_LINEAR, FEW_RMS, 3, 264, 40, "bf16", "bf16", "cols=8 threads=64"},
        {FEW_LINEAR, FEW_LAYER, 4, 130, 24, "f32", "f32", "cols=8 threads=128"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_case("gemv", &cases[i]);
}

static void test_skinny(void **state)
{
    static const struct few_case cases[] = {
        {FEW_LINEAR, FEW_PLAIN, 20, 256, 64, "bf16", "bf16",
         "cols=64 kc=64 stages=3 threads=128 split=2"},
        {FEW_LINEAR, FEW_RMS, 6, 200, 64, "f32", "f32",
         "cols=32 kc=32 stages=3 threads=64 split=2"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_case("skinny", &cases[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gemv),
        cmocka_unit_test(test_skinny),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
