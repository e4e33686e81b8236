/* See check_fixtures.h. */
#include "compiler/check_fixtures.h"

#include "compiler/check_kernel.h"
#include "compiler/check_memory.h"
#include "ir/interp.h"
#include "runtime/bench_verify.h"
#include "runtime/convert.h"
#include "runtime/weights_internal.h"

#include <inttypes.h>
#include <math.h>

struct expected {
    const struct value *value;
    int64_t element;
    double number;
};

struct fixture {
    struct module *module;
    const struct fixture_options *options;
    struct str out;
    struct random random; /* which elements */
    const struct function *function;
    const struct kernel *kernel;
    size_t f, k;
    struct arena *arena; /* of the kernel */
    bool *filled;        /* by value id */
    ARRAY_OF(struct expected) expected;
};

/* --- what the kernel reads --- */

/* The value whose memory holds this one. */
static const struct value *stored_value(const struct value *value)
{
    while (value->place.kind != PLACE_ARENA && value->node->op == OP_reshape)
        value = value->node->operands[0];
    return value;
}

static uint64_t address_of(const struct value *value, int64_t element)
{
    return value->place.offset + (uint64_t)type_place(&value->type, element) *
                                     (uint64_t)(dtype_bits(value->type.dtype) / 8);
}

static double weight_number(const struct fixture *fixture, const struct node *weight,
                            int64_t element)
{
    unsigned char bytes[8];
    struct rt_weight drawn = {.dtype = weight->results[0].type.dtype,
                              .initializer = (float)node_real(weight, init),
                              .constant = (float)node_real(weight, fill),
                              .ordinal = (rt_u32)node_int(weight, ordinal)};
    weights_fill(&drawn, fixture->options->seed, (rt_u64)element, 1, bytes);
    return rt_read_number(drawn.dtype, bytes);
}

static double constant_number(const struct fixture *fixture, const struct value *value,
                              int64_t element)
{
    const struct blob *blob = module_find_blob(fixture->module, node_text(value->node, blob));
    return read_element(value->type.dtype, (const char *)blob->bytes,
                        type_place(&value->type, element));
}

static double filled_number(const struct fixture *fixture, const struct value *value,
                            int64_t element)
{
    struct rt_verify_fill fill = {.seed = fixture->options->seed,
                                  .function = (rt_u32)fixture->f,
                                  .step = (rt_u32)fixture->k,
                                  .dtype = value->type.dtype,
                                  .bound = index_bound(fixture->function, fixture->kernel, value),
                                  .single = type_elements(&value->type) == 1};
    return rt_verify_number(&fill, address_of(value, element));
}

static bool provide(void *context, const struct value *value, int64_t element, double *out_number)
{
    const struct fixture *fixture = context;
    if (value->node->kernel == fixture->kernel)
        return false;
    value = stored_value(value);
    if (value->place.kind == PLACE_ARENA)
        *out_number = filled_number(fixture, value, element);
    else if (value->place.kind == PLACE_CONSTANT)
        *out_number = constant_number(fixture, value, element);
    else if (value->node->op == OP_weight)
        *out_number = weight_number(fixture, value->node, element);
    else
        return false;
    return true;
}

/* A contiguous tensor counts as of rank 1. */
static void write_fill(void *context, const struct value *value)
{
    struct fixture *fixture = context;
    value = stored_value(value);
    const struct type *type = &value->type;
    if (value->place.kind != PLACE_ARENA || fixture->filled[value->id])
        return;
    fixture->filled[value->id] = true;
    str_printf(&fixture->out, "fill %" PRIu64 " %d %" PRId64, value->place.offset, type->dtype,
               index_bound(fixture->function, fixture->kernel, value));
    if (!type->strided) {
        str_printf(&fixture->out, " 0 1 %" PRId64 " 1\n", type_elements(type));
        return;
    }
    str_printf(&fixture->out, " %" PRId64 " %d", type->offset, type->rank);
    for (int i = 0; i < type->rank; i++)
        str_printf(&fixture->out, " %" PRId64 " %" PRId64, type->dims[i], type->strides[i]);
    str_printf(&fixture->out, "\n");
}

static void write_spoil(void *context, const struct value *value)
{
    struct fixture *fixture = context;
    str_printf(&fixture->out, "spoil %" PRIu64 " %" PRIu64 "\n", value->place.offset,
               type_storage_bytes(&value->type));
}

/* --- what it must write --- */

static double compute(struct fixture *fixture, const struct value *value, int64_t element)
{
    return interp_element(fixture->module, INTERP_ROUNDED, value, element, provide, fixture);
}

static void add_expected(struct fixture *fixture, const struct value *value, int64_t element)
{
    struct expected expected = {value, element, compute(fixture, value, element)};
    array_push(fixture->arena, &fixture->expected, expected);
}

static bool add_changed(struct fixture *fixture, const struct value *value, int64_t element)
{
    const struct value *before = value->node->operands[0];
    double number = compute(fixture, value, element);
    if (number == compute(fixture, before, element))
        return false;
    array_push(fixture->arena, &fixture->expected, ((struct expected){value, element, number}));
    return true;
}

/* Of a result that changes its operand in place: elements that differ from what was there. Where
 * tries at random find none, the first ones, as far as that is done soon. */
static void sample_changes(struct fixture *fixture, const struct value *value)
{
    enum { TRIES = 64, SCANNED = 1 << 20 };
    int64_t count = type_elements(&value->type), samples = fixture->options->samples, found = 0;
    for (int64_t i = 0; count > 0 && found < samples && i < TRIES * samples; i++)
        found += add_changed(fixture, value, draw_below(&fixture->random, count));
    if (found > 0)
        return;
    for (int64_t i = 0; i < count && found < samples && i < SCANNED; i++)
        found += add_changed(fixture, value, i);
}

static void sample_result(void *context, const struct value *value)
{
    struct fixture *fixture = context;
    int64_t count = type_elements(&value->type), samples = fixture->options->samples;
    if (op_info(value->node->op)->flags & OP_EFFECT)
        sample_changes(fixture, value);
    for (int64_t i = 0; i < count && i < samples; i++)
        add_expected(fixture, value, count <= samples ? i : draw_below(&fixture->random, count));
}

/* The root mean square of all, which is the unit of those that are smaller. */
static double typical_number(const struct fixture *fixture)
{
    double squares = 0;
    for (size_t i = 0; i < fixture->expected.count; i++) {
        double number = fixture->expected.items[i].number;
        squares += isfinite(number) ? number * number : 0;
    }
    return sqrt(squares / (double)fixture->expected.count);
}

static void write_expected(struct fixture *fixture)
{
    double typical = typical_number(fixture);
    double limit = kernel_check_limit(fixture->function, fixture->kernel);
    for (size_t i = 0; i < fixture->expected.count; i++) {
        const struct expected *e = &fixture->expected.items[i];
        double unit = isfinite(e->number) ? fmax(typical, fabs(e->number)) : typical;
        str_printf(&fixture->out, "expect %" PRIu64 " %d %a %a\n", address_of(e->value, e->element),
                   e->value->type.dtype, e->number, limit * (unit > 0 ? unit : 1));
    }
}

/* --- all --- */

/* False for a kernel that writes nothing. */
static bool write_kernel(struct fixture *fixture)
{
    fixture->arena = arena_create();
    fixture->expected.count = fixture->expected.capacity = 0;
    fixture->expected.items = NULL;
    fixture->filled = arena_array(fixture->arena, bool, fixture->module->next_value + 1);
    kernel_each_result(fixture->function, fixture->kernel, sample_result, fixture);
    bool any = fixture->expected.count > 0;
    if (any) {
        str_printf(&fixture->out, "kernel %zu %zu %s\n", fixture->f, fixture->k,
                   fixture->kernel->name);
        /* Results first: they may share memory with inputs. */
        kernel_each_result(fixture->function, fixture->kernel, write_spoil, fixture);
        kernel_each_input(fixture->function, fixture->kernel, write_fill, fixture);
        write_expected(fixture);
    }
    arena_destroy(fixture->arena);
    return any;
}

struct str check_fixtures(struct module *module, const struct fixture_options *options)
{
    struct fixture fixture = {.module = module,
                              .options = options,
                              .out = str_create(module->arena),
                              .random = {options->seed, 0}};
    size_t count = 0;
    str_printf(&fixture.out, "program %s %" PRIu64 "\n", options->target, options->seed);
    for (fixture.f = 0; fixture.f < module->functions.count; fixture.f++) {
        fixture.function = module->functions.items[fixture.f];
        for (fixture.k = 0; fixture.k < fixture.function->kernels.count; fixture.k++) {
            fixture.kernel = fixture.function->kernels.items[fixture.k];
            count += write_kernel(&fixture);
        }
    }
    str_printf(&fixture.out, "end %zu\n", count);
    return fixture.out;
}
