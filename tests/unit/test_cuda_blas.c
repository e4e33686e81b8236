/*
 * Products by cuBLASLt in the CUDA device, on a driver and a library without a GPU: numbers of all
 * kinds of descriptions, graphs, times, what is said where the library or an algorithm is missing,
 * and that failures of every call leave nothing behind. Where a toolkit is installed, our numbers
 * and symbols are compared with its own.
 */
#include "runtime/cuda_blas.h"
#include "runtime/cuda_device.h"
#include "tests/unit/fake_driver.h"

#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#ifdef CUBLASLT_HEADERS
#include <cublasLt.h>
#endif

static const char *const blas_symbols[] = {
#define BLAS(name, symbol, returns, parameters) #symbol,
#include "runtime/cublas_symbols.def"
};
enum { SYMBOLS = sizeof blas_symbols / sizeof *blas_symbols };

/* --- programs --- */

/* Extents, and what stands beside the plain product. `pad` more elements stand in each row. */
struct product_case {
    rt_u32 multiply, result;
    int batch, m, n, k;
    bool transa, transb, shared_b, residual, bias, in_place;
    int pad;
};

static const struct product_case cases[] = {
    {RT_F32, RT_F32, 1, 5, 7, 3, false, false, false, false, false, false, 0},
    {RT_F32, RT_F32, 1, 5, 7, 3, true, false, false, true, false, false, 0},
    {RT_BF16, RT_F32, 1, 9, 4, 6, false, true, false, true, false, true, 2},
    {RT_BF16, RT_BF16, 1, 4, 8, 6, true, true, false, true, true, false, 3},
    {RT_TF32, RT_F32, 3, 4, 5, 6, false, true, false, false, true, false, 1},
    {RT_F32, RT_F32, 3, 4, 5, 6, true, false, true, true, true, false, 2},
    {RT_BF16, RT_BF16, 2, 1, 5, 6, false, true, false, true, false, false, 0},
    {RT_F32, RT_F32, 2, 6, 1, 1, true, true, false, false, false, false, 5},
};
enum { CASES = sizeof cases / sizeof *cases, OPERANDS = 6, WORKSPACE = 1 << 14 };

struct built {
    struct rt_program program;
    struct rt_function function;
    struct rt_step steps[CASES];
    struct rt_launch launches[CASES];
    struct rt_product products[CASES];
    struct rt_operand operands[CASES * OPERANDS];
    rt_u64 end; /* of the arena so far */
    unsigned char *initial;
};

static const struct rt_target target = {
    .name = "h200", .sm = 80, .multiprocessors = 108, .memory_bytes = 40ull << 30};

static int size_of(rt_u32 dtype)
{
    return dtype == RT_BF16 ? 2 : 4;
}

/* A matrix of the batch with room of its own, as operand `number` of its step. */
static struct rt_matrix add_matrix(struct built *built, struct rt_step *step, int rows,
                                   int columns, bool transposed, int batch, rt_u32 dtype, int pad)
{
    int lines = transposed ? columns : rows, run = transposed ? rows : columns;
    struct rt_matrix matrix = {.operand = step->operand_count++, .transposed = transposed,
                               .offset = pad, .pitch = run + pad};
    if (batch > 1)
        matrix.stride = (rt_i64)lines * matrix.pitch + pad;
    rt_u64 bytes = (rt_u64)((matrix.stride * batch + lines * matrix.pitch + pad) * size_of(dtype));
    built->operands[step->first_operand + matrix.operand] =
        (struct rt_operand){RT_SPACE_ARENA, 0, built->end};
    built->end += (bytes + 63) / 64 * 64;
    return matrix;
}

static void add_product(struct built *built, int number)
{
    const struct product_case *c = &cases[number];
    struct rt_product *p = &built->products[number];
    struct rt_step *step = &built->steps[number];
    const struct rt_matrix none = {.operand = RT_NO_OPERAND};
    *step = (struct rt_step){.tiles = 1, .first_operand = (rt_u32)number * OPERANDS,
                             .name = "step", .launch = (rt_u32)number};
    *p = (struct rt_product){.multiply = c->multiply, .result = c->result, .batch = c->batch,
                             .m = c->m, .n = c->n, .k = c->k, .c = none, .bias = none,
                             .workspace = WORKSPACE};
    p->a = add_matrix(built, step, c->m, c->k, c->transa, c->batch, c->multiply, c->pad);
    p->b = add_matrix(built, step, c->k, c->n, c->transb, c->shared_b ? 1 : c->batch, c->multiply,
                      c->pad);
    if (c->residual)
        p->c = add_matrix(built, step, c->m, c->n, false, c->batch, c->result, c->pad);
    if (c->bias)
        p->bias = add_matrix(built, step, 1, c->n, false, 1, c->result, 0);
    p->d = c->in_place ? p->c
                       : add_matrix(built, step, c->m, c->n, false, c->batch, c->result,
                                    c->pad ? c->pad + 1 : 0);
    built->operands[step->first_operand + step->operand_count++] =
        (struct rt_operand){RT_SPACE_WORKSPACE, 0, 0};
    built->launches[number] = (struct rt_launch){.symbol = "product", .image = RT_NO_IMAGE,
                                                 .ptx = RT_NO_IMAGE, .blocks = 1, .threads = 32,
                                                 .product = p};
}

/* --- numbers --- */

static double read_number(rt_u32 dtype, const unsigned char *base, rt_i64 index)
{
    rt_u32 bits = 0;
    float value;
    if (dtype == RT_BF16) {
        memcpy((char *)&bits + 2, base + index * 2, 2);
        memcpy(&value, &bits, sizeof value);
    } else {
        memcpy(&value, base + index * 4, sizeof value);
    }
    return value;
}

/* Quarters up to 2: exact in all types, and so are sums of products in f32. */
static void fill_matrix(const struct built *built, const struct rt_step *step,
                        const struct rt_matrix *matrix, rt_u32 dtype, rt_i64 count)
{
    unsigned char *at =
        built->initial + built->operands[step->first_operand + matrix->operand].offset;
    for (rt_i64 i = 0; i < count; i++) {
        float value = (float)((i * 7 + 3 * matrix->operand + step->launch) % 17 - 8) / 4;
        if (dtype == RT_BF16)
            memcpy(at + i * 2, (char *)&value + 2, 2);
        else
            memcpy(at + i * 4, &value, 4);
    }
}

static rt_i64 extent(const struct rt_matrix *matrix, int rows, int columns, int batch)
{
    rt_i64 lines = matrix->transposed ? columns : rows;
    return matrix->offset + (batch - 1) * matrix->stride + lines * matrix->pitch;
}

static void fill(const struct built *built)
{
    for (int i = 0; i < CASES; i++) {
        const struct product_case *c = &cases[i];
        const struct rt_product *p = &built->products[i];
        const struct rt_step *s = &built->steps[i];
        fill_matrix(built, s, &p->a, c->multiply, extent(&p->a, c->m, c->k, c->batch));
        fill_matrix(built, s, &p->b, c->multiply, extent(&p->b, c->k, c->n, c->batch));
        if (c->residual)
            fill_matrix(built, s, &p->c, c->result, extent(&p->c, c->m, c->n, c->batch));
        if (c->bias)
            fill_matrix(built, s, &p->bias, c->result, c->n);
    }
}

static double element(const struct built *built, const unsigned char *arena,
                      const struct rt_step *step, const struct rt_matrix *matrix, rt_u32 dtype,
                      rt_i64 z, rt_i64 i, rt_i64 j)
{
    const unsigned char *base =
        arena + built->operands[step->first_operand + matrix->operand].offset;
    rt_i64 within = matrix->transposed ? j * matrix->pitch + i : i * matrix->pitch + j;
    return read_number(dtype, base, matrix->offset + z * matrix->stride + within);
}

static double expected(const struct built *built, int number, rt_i64 z, rt_i64 i, rt_i64 j)
{
    const struct product_case *c = &cases[number];
    const struct rt_product *p = &built->products[number];
    const struct rt_step *s = &built->steps[number];
    double sum = 0;
    for (rt_i64 k = 0; k < c->k; k++)
        sum += element(built, built->initial, s, &p->a, c->multiply, z, i, k)
               * element(built, built->initial, s, &p->b, c->multiply, z, k, j);
    if (c->residual)
        sum += element(built, built->initial, s, &p->c, c->result, z, i, j);
    if (c->bias)
        sum += element(built, built->initial, s, &p->bias, c->result, 0, 0, j);
    return sum;
}

static void compare(const struct built *built, const unsigned char *arena)
{
    for (int number = 0; number < CASES; number++) {
        const struct product_case *c = &cases[number];
        for (int z = 0; z < c->batch; z++)
            for (int i = 0; i < c->m; i++)
                for (int j = 0; j < c->n; j++) {
                    double got = element(built, arena, &built->steps[number],
                                         &built->products[number].d, c->result, z, i, j);
                    double right = expected(built, number, z, i, j);
                    double limit = c->result == RT_BF16 ? 0.004 * (right < 0 ? -right : right) : 0;
                    if (got - right > limit || right - got > limit)
                        fail_msg("product %d, (%d, %d, %d): %g, not %g", number, z, i, j, got,
                                 right);
                }
    }
}

static struct built *build(void)
{
    struct built *built = calloc(1, sizeof *built);
    for (int i = 0; i < CASES; i++)
        add_product(built, i);
    rt_u64 workspace = (built->end + 255) / 256 * 256;
    built->function = (struct rt_function){.name = "main", .role = "predict",
                                           .steps = built->steps, .operands = built->operands,
                                           .step_count = CASES,
                                           .operand_count = CASES * OPERANDS};
    built->program = (struct rt_program){
        .version = RT_PROGRAM_VERSION, .compiler = "test", .model = "products", .task = "predict",
        .dtype = "f32", .cpu = "", .arena_bytes = workspace + WORKSPACE,
        .functions = &built->function, .function_count = 1, .gpu = &target,
        .launches = built->launches, .launch_count = CASES, .workspace_offset = workspace};
    built->initial = calloc(1, built->end);
    fill(built);
    return built;
}

static void drop(struct built *built)
{
    free(built->initial);
    free(built);
}

/* --- uses --- */

static rt_status open_device(const struct built *built, struct rt_device **device)
{
    static const struct rt_device_options options = {.threads = 1};
    static const void *const no_weights[1];
    rt_status status = rt_device_cuda.open(device, &options);
    return status ? status : rt_device_cuda.bind(*device, &built->program, no_weights);
}

static void run_and_compare(struct rt_device *device, const struct built *built)
{
    unsigned char *arena = malloc(built->end);
    assert_int_equal(rt_device_cuda.write(device, 0, built->initial, built->end), 0);
    assert_int_equal(rt_device_cuda.launch(device, 0), 0);
    assert_int_equal(rt_device_cuda.read(device, 0, arena, built->end), 0);
    compare(built, arena);
    free(arena);
}

static int occurrences(const char *text, const char *word)
{
    int count = 0;
    for (text = strstr(text, word); text; text = strstr(text + 1, word))
        count++;
    return count;
}

/* Run step by step and recorded, then as a graph. */
static void products_are_computed(void **unused)
{
    struct built *built = build();
    struct rt_device *device;
    (void)unused;
    assert_int_equal(open_device(built, &device), 0);
    run_and_compare(device, built);
    assert_int_equal(occurrences(said(), "launch:product "), CASES);
    assert_int_equal(occurrences(said(), "record:product "), CASES);
    for (int i = 0; i < 2; i++) {
        reset();
        run_and_compare(device, built);
        assert_null(strstr(said(), ":product "));
        assert_non_null(strstr(said(), "graph:"));
    }
    rt_device_cuda.close(device);
    drop(built);
    check_clean();
}

static void steps_are_run_and_timed_alone(void **unused)
{
    static const rt_u32 steps[] = {1, 2};
    struct built *built = build();
    struct rt_device *device;
    struct rt_step_time time;
    (void)unused;
    assert_int_equal(open_device(built, &device), 0);
    assert_int_equal(rt_device_cuda.write(device, 0, built->initial, built->end), 0);
    assert_int_equal(rt_device_cuda.run_step(device, 0, 3), 0);
    assert_int_equal(occurrences(said(), "launch:product "), 1);
    reset();
    assert_int_equal(rt_device_cuda.time_steps(device, 0, steps, 2, 20, &time), 0);
    assert_int_equal(occurrences(said(), "record:product "), 20);
    assert_int_equal(occurrences(said(), "record:nothing "), 20);
    rt_device_cuda.close(device);
    drop(built);
    check_clean();
}

/* --- what may be missing --- */

static const char *library_name;

static rt_status open_with_library(void)
{
    struct rt_device *device;
    setenv("SINTER_CUBLASLT_LIBRARY", library_name, 1);
    return open_device(build(), &device);
}

/* What is said, and the exit code. */
static int open_in_child(const char *library, char *text, size_t size)
{
    library_name = library;
    return act_in_child(open_with_library, FAKE_CUDA, text, size);
}

/* Before another test has opened the library. */
static void a_missing_library_is_told(void **unused)
{
    char text[1024];
    (void)unused;
    assert_int_equal(open_in_child("/nowhere/libcublasLt.so", text, sizeof text), EXIT_DEVICE);
    assert_non_null(strstr(text, "needs libcublasLt.so.12 or .13"));
    assert_non_null(strstr(text, "/nowhere/libcublasLt.so"));
    assert_non_null(strstr(text, "--blas never"));
    assert_int_equal(open_in_child("libm.so.6", text, sizeof text), EXIT_DEVICE);
    assert_non_null(strstr(text, "too old; it has no cublasLtCreate"));
}

static void programs_without_products_need_no_library(void **unused)
{
    struct built *built = build();
    struct rt_device *device;
    (void)unused;
    built->program.launch_count = 0;
    built->function.step_count = 0;
    assert_int_equal(open_device(built, &device), 0);
    assert_null(cuda_of(device)->blas);
    rt_device_cuda.close(device);
    drop(built);
    check_clean();
}

static void a_product_without_an_algorithm_is_told(void **unused)
{
    struct built *built = build();
    struct rt_device *device;
    (void)unused;
    setenv("FAKE_CUBLAS_NONE", "1", 1);
    assert_int_equal(open_device(built, &device), EXIT_DEVICE);
    check_text("no algorithm for product 'product' of 5 x 3 by 7 numbers; "
               "CUBLAS_STATUS_NOT_SUPPORTED (15)");
    rt_device_cuda.close(device);
    drop(built);
    check_clean();
}

static rt_status use(void)
{
    static const rt_u32 steps[] = {0, 1};
    struct built *built = build();
    struct rt_device *device = NULL;
    struct rt_step_time time;
    rt_status status = open_device(built, &device);
    for (int i = 0; i < 3 && !status; i++)
        status = rt_device_cuda.launch(device, 0);
    if (!status)
        status = rt_device_cuda.run_step(device, 0, 2);
    if (!status)
        status = rt_device_cuda.time_steps(device, 0, steps, 2, 2, &time);
    if (device)
        rt_device_cuda.close(device);
    drop(built);
    return status;
}

/* The N-th call of each function fails. */
static void every_failure_is_told_and_leaves_nothing(void **unused)
{
    static const int numbers[] = {1, 2, 3, 5, 9, 12, 20};
    int failures = 0;
    (void)unused;
    assert_int_equal(use(), 0);
    for (size_t i = 0; i < SYMBOLS; i++)
        for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++) {
            char order[128];
            begin(NULL);
            snprintf(order, sizeof order, "%s:%d:14", blas_symbols[i], numbers[k]);
            setenv("FAKE_CUDA_FAIL", order, 1);
            rt_status status = use();
            unsetenv("FAKE_CUDA_FAIL");
            check_clean();
            failures += status != 0;
            if (status && (status != EXIT_DEVICE || !strstr(rt_status_text(), "(14)")))
                fail_msg("%s: %d, '%s'", order, status, rt_status_text());
        }
    if (failures < 30)
        fail_msg("only %d failures showed", failures);
}

/* --- the toolkit --- */

static void *open_toolkit(void)
{
    static const char *const places[] = {
        "libcublasLt.so.13", "libcublasLt.so.12", "/usr/local/cuda/lib64/libcublasLt.so",
        "/usr/local/cuda/lib/libcublasLt.so"};
    void *library = NULL;
    for (size_t i = 0; i < sizeof places / sizeof *places && !library; i++)
        library = dlopen(places[i], RTLD_LAZY | RTLD_LOCAL);
    return library;
}

static void destroy(void *library, const char *symbol, void *object)
{
    blas_status (*function)(void *) = NULL;
    *(void **)&function = dlsym(library, symbol);
    assert_int_equal(function(object), BLAS_OK);
}

/* Layouts, operations and preferences need no GPU: values of our sizes are taken. */
static void check_sizes(void *library)
{
    blas_status (*create)(blas_layout *, int, rt_u64, rt_u64, rt_i64) = NULL;
    blas_status (*set)(blas_layout, int, const void *, size_t) = NULL;
    blas_status (*prefer)(blas_preference *) = NULL;
    blas_status (*prefer_set)(blas_preference, int, const void *, size_t) = NULL;
    blas_layout layout;
    blas_preference preference;
    rt_i32 batch = 2;
    rt_i64 stride = 12;
    rt_u64 workspace = 4096;
    rt_u32 alignment = 16;
    *(void **)&create = dlsym(library, "cublasLtMatrixLayoutCreate");
    *(void **)&set = dlsym(library, "cublasLtMatrixLayoutSetAttribute");
    *(void **)&prefer = dlsym(library, "cublasLtMatmulPreferenceCreate");
    *(void **)&prefer_set = dlsym(library, "cublasLtMatmulPreferenceSetAttribute");
    assert_int_equal(create(&layout, BLAS_TYPE_BF16, 3, 4, 5), BLAS_OK);
    assert_int_equal(set(layout, BLAS_LAYOUT_BATCH, &batch, sizeof batch), BLAS_OK);
    assert_int_equal(set(layout, BLAS_LAYOUT_STRIDE, &stride, sizeof stride), BLAS_OK);
    assert_int_not_equal(set(layout, BLAS_LAYOUT_STRIDE, &batch, sizeof batch), BLAS_OK);
    assert_int_equal(prefer(&preference), BLAS_OK);
    assert_int_equal(prefer_set(preference, BLAS_PREFERENCE_WORKSPACE, &workspace,
                                sizeof workspace), BLAS_OK);
    for (int i = BLAS_PREFERENCE_ALIGNMENT_A; i <= BLAS_PREFERENCE_ALIGNMENT_D; i++)
        assert_int_equal(prefer_set(preference, i, &alignment, sizeof alignment), BLAS_OK);
    destroy(library, "cublasLtMatrixLayoutDestroy", layout);
    destroy(library, "cublasLtMatmulPreferenceDestroy", preference);
}

static void check_operation(void *library)
{
    blas_status (*create)(blas_operation *, int, int) = NULL;
    blas_status (*set)(blas_operation, int, const void *, size_t) = NULL;
    blas_operation operation;
    int value = BLAS_TRANSPOSED, epilogue = BLAS_EPILOGUE_BIAS;
    cuda_pointer bias = 256;
    *(void **)&create = dlsym(library, "cublasLtMatmulDescCreate");
    *(void **)&set = dlsym(library, "cublasLtMatmulDescSetAttribute");
    assert_int_equal(create(&operation, BLAS_COMPUTE_TF32, BLAS_TYPE_F32), BLAS_OK);
    assert_int_equal(set(operation, BLAS_OPERATION_TRANSPOSE_A, &value, sizeof value), BLAS_OK);
    assert_int_equal(set(operation, BLAS_OPERATION_TRANSPOSE_B, &value, sizeof value), BLAS_OK);
    assert_int_equal(set(operation, BLAS_OPERATION_EPILOGUE, &epilogue, sizeof epilogue), BLAS_OK);
    assert_int_equal(set(operation, BLAS_OPERATION_BIAS, &bias, sizeof bias), BLAS_OK);
    destroy(library, "cublasLtMatmulDescDestroy", operation);
}

static void the_toolkit_has_every_symbol(void **unused)
{
    void *library = open_toolkit();
    (void)unused;
    if (!library) {
        printf("SKIPPED %d symbols of cuBLASLt: no library of a toolkit\n", (int)SYMBOLS);
        return;
    }
    for (size_t i = 0; i < SYMBOLS; i++)
        if (!dlsym(library, blas_symbols[i]))
            fail_msg("the toolkit's library has no %s", blas_symbols[i]);
    check_sizes(library);
    check_operation(library);
}

static void numbers_are_those_of_the_header(void **unused)
{
    (void)unused;
#ifdef CUBLASLT_HEADERS
#define SAME(ours, theirs) assert_int_equal(ours, theirs)
    SAME(BLAS_OK, CUBLAS_STATUS_SUCCESS);
    SAME(BLAS_TYPE_F32, CUDA_R_32F);
    SAME(BLAS_TYPE_F16, CUDA_R_16F);
    SAME(BLAS_TYPE_BF16, CUDA_R_16BF);
    SAME(BLAS_COMPUTE_F32, CUBLAS_COMPUTE_32F);
    SAME(BLAS_COMPUTE_TF32, CUBLAS_COMPUTE_32F_FAST_TF32);
    SAME(BLAS_PLAIN, CUBLAS_OP_N);
    SAME(BLAS_TRANSPOSED, CUBLAS_OP_T);
    SAME(BLAS_OPERATION_TRANSPOSE_A, CUBLASLT_MATMUL_DESC_TRANSA);
    SAME(BLAS_OPERATION_TRANSPOSE_B, CUBLASLT_MATMUL_DESC_TRANSB);
    SAME(BLAS_OPERATION_EPILOGUE, CUBLASLT_MATMUL_DESC_EPILOGUE);
    SAME(BLAS_OPERATION_BIAS, CUBLASLT_MATMUL_DESC_BIAS_POINTER);
    SAME(BLAS_EPILOGUE_BIAS, CUBLASLT_EPILOGUE_BIAS);
    SAME(BLAS_LAYOUT_BATCH, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT);
    SAME(BLAS_LAYOUT_STRIDE, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET);
    SAME(BLAS_PREFERENCE_WORKSPACE, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES);
    SAME(BLAS_PREFERENCE_ALIGNMENT_A, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES);
    SAME(BLAS_PREFERENCE_ALIGNMENT_B, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES);
    SAME(BLAS_PREFERENCE_ALIGNMENT_C, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES);
    SAME(BLAS_PREFERENCE_ALIGNMENT_D, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES);
    SAME(sizeof(struct blas_algorithm), sizeof(cublasLtMatmulAlgo_t));
    SAME(sizeof(struct blas_choice), sizeof(cublasLtMatmulHeuristicResult_t));
    SAME(offsetof(struct blas_choice, workspace),
         offsetof(cublasLtMatmulHeuristicResult_t, workspaceSize));
    SAME(offsetof(struct blas_choice, state), offsetof(cublasLtMatmulHeuristicResult_t, state));
#undef SAME
#else
    printf("SKIPPED 24 numbers of cuBLASLt: no headers of a toolkit\n");
#endif
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup(function, begin)
    const struct CMUnitTest tests[] = {
        TEST(a_missing_library_is_told),
        TEST(programs_without_products_need_no_library),
        TEST(products_are_computed),
        TEST(steps_are_run_and_timed_alone),
        TEST(a_product_without_an_algorithm_is_told),
        TEST(every_failure_is_told_and_leaves_nothing),
        TEST(the_toolkit_has_every_symbol),
        TEST(numbers_are_those_of_the_header),
    };
    setenv("SINTER_CUBLASLT_LIBRARY", FAKE_CUDA, 1);
    if (fake_driver_open(FAKE_CUDA))
        return 1;
    return cmocka_run_group_tests_name("cuda_blas", tests, NULL, NULL);
}
