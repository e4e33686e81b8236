/* The verifier: each invariant, broken on purpose in a module that was right. */
#include "ir/build.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct arena *arena;
static struct module *module;
static struct function *function;
static struct value *x, *w, *state_value;
static struct node *product, *scaled;

static int begin(void **state)
{
    (void)state;
    arena = arena_create();
    module = module_create(arena, "test");
    function = module_add_function(module, "main");
    struct builder b = {module, function, {0}, ""};
    int64_t dims[] = {4, 4};
    x = build_param(&b, "x", type_make(DTYPE_f32, 2, dims));
    w = build_weight(&b, "w", type_make(DTYPE_f32, 2, dims), (struct attributes){0});
    state_value = build_state(&b, "s", type_make(DTYPE_f32, 2, dims), (struct attributes){0});
    product = build_matmul(&b, x, w, false, true)->node;
    scaled = build_unary(&b, OP_exp, &product->results[0])->node;
    build_output(&b, "y", &scaled->results[0]);
    build_store(&b, state_value, &product->results[0]);
    return 0;
}

static int end(void **state)
{
    (void)state;
    arena_destroy(arena);
    return 0;
}

/* The verifier's message, NULL if it is content. */
static const char *verdict(void)
{
    jmp_buf trap;
    volatile bool failed = true;
    if (setjmp(trap) == 0) {
        diag_set_trap(&trap);
        ir_verify(module, "test", false);
        failed = false;
    }
    diag_set_trap(NULL);
    return failed ? diag_last_message() : NULL;
}

static void assert_broken(const char *rule)
{
    const char *message = verdict();
    if (!message || !strstr(message, rule) || !strstr(message, "after pass test"))
        fail_msg("%s, not '%s'", message ? message : "nothing was said", rule);
}

static void order_and_names(void **state)
{
    (void)state;
    assert_null(verdict());
    function->nodes.items[0] = scaled;
    function->nodes.items[1] = product;
    assert_broken("operands stand before their uses");
    function->nodes.items[0] = product;
    function->nodes.items[1] = scaled;
    scaled->results[0].name = product->results[0].name;
    assert_broken("names are unique");
    scaled->results[0].name = "w";
    assert_broken("no value has the name of a weight");
    scaled->results[0].name = "a b";
    assert_broken("a name is letters");
}

static void types_and_attributes(void **state)
{
    (void)state;
    scaled->results[0].type.dims[1] = 5;
    assert_broken("the type is what the shape rule gives");
    scaled->results[0].type.dims[1] = 4;
    scaled->op = OP_not;
    assert_broken("not needs an operand of element type bool");
    scaled->op = OP_add;
    assert_broken("the number of operands is the op's");
    scaled->op = OP_exp;
    struct attribute items[] = {{.id = ATTRIBUTE_axis, .integer = 1},
                                {.id = ATTRIBUTE_value, .real = 1}};
    scaled->attributes = (struct attributes){items, 2};
    assert_broken("attributes stand in the order of the table");
    items[0].integer = 0;
    scaled->attributes.count = 1;
    assert_broken("attributes that have their default are absent");
    scaled->attributes.count = 0;
    assert_null(verdict());
}

static void bindings(void **state)
{
    (void)state;
    function->bindings.items[1].value = &scaled->results[0];
    assert_null(verdict());
    struct binding twice = function->bindings.items[0];
    array_push(arena, &function->bindings, twice);
    assert_broken("each output and each state is given once");
    function->bindings.count--;
    function->bindings.items[1].state = w;
    assert_broken("what is stored to is a state");
    function->bindings.items[1].state = state_value;
    state_value->type.dims[0] = 5;
    assert_broken("a state's next value has the state's type");
    state_value->type.dims[0] = 4;
    attributes_set_text(arena, &state_value->node->attributes, ATTRIBUTE_source, "x");
    assert_broken("a state's source is a weight");
}

static void strides(void **state)
{
    (void)state;
    struct type *type = &scaled->results[0].type;
    type->strided = true;
    type->strides[0] = 4;
    type->strides[1] = 1;
    assert_broken("stored values are contiguous or have rows of one pitch");
    scaled->op = OP_reshape;
    attributes_set_list(arena, &scaled->attributes, ATTRIBUTE_dims, (int64_t[]){4, 4}, 2);
    assert_null(verdict());
    type->offset = 1;
    assert_broken("a view lies inside");
    type->offset = 12;
    type->strides[0] = -4;
    assert_null(verdict());
    type->strides[0] = INT64_MIN;
    assert_broken("a view lies inside");
}

static struct kernel *add_kernel(const char *name, enum skeleton skeleton, struct node *node)
{
    struct kernel *kernel = arena_new(arena, struct kernel);
    kernel->name = name;
    kernel->skeleton = skeleton;
    node->kernel = kernel;
    array_push(arena, &function->kernels, kernel);
    return kernel;
}

static void kernels(void **state)
{
    (void)state;
    struct kernel *first = add_kernel("k1", SKELETON_matmul, product);
    assert_broken("nodes stand kernel by kernel");
    struct kernel *second = add_kernel("k2", SKELETON_loop, scaled);
    assert_null(verdict());
    second->name = "k1";
    assert_broken("names of kernels are unique");
    second->name = "k2";
    first->skeleton = SKELETON_loop;
    assert_broken("this op cannot stand in a kernel of this skeleton");
    first->skeleton = SKELETON_gemv;
    second->skeleton = SKELETON_gemv;
    assert_broken("a kernel holds the op that its skeleton is built around");
    second->skeleton = SKELETON_loop;
    function->kernels.count = 0;
    assert_broken("kernels are listed");
}

static void places(void **state)
{
    (void)state;
    scaled->results[0].place.kind = PLACE_REG;
    assert_broken("values have no places before there are kernels");
    add_kernel("k1", SKELETON_matmul, product);
    add_kernel("k2", SKELETON_loop, scaled);
    assert_broken("a value that leaves its kernel is not in registers");
    scaled->results[0].place = (struct place){PLACE_ARENA, 0};
    assert_broken("offsets come from the plan");
    module->arena_bytes = 128;
    assert_null(verdict());
    scaled->results[0].place.offset = 32;
    assert_broken("places in the arena are aligned and inside");
    scaled->results[0].place.offset = 128;
    assert_broken("places in the arena are aligned and inside");
    scaled->results[0].place.offset = UINT64_MAX - 63;
    assert_broken("places in the arena are aligned and inside");
    scaled->results[0].place = (struct place){PLACE_WEIGHT, 0};
    assert_broken("only weights are in the checkpoint");
}

static void text_errors_have_a_caret(void **state)
{
    (void)state;
    static const char text[] = "ir 1\nmodule t stage=lower\nstate %s : f32[2]\nfunc f\n"
                               "  param %x : f32[2]\n  store %s = %x\n  store %s = %x\nend\n";
    jmp_buf trap;
    volatile int code = 0;
    uint32_t file = diag_add_source("text.ir", text, strlen(text));
    struct module *parsed = ir_parse(arena, file);
    diag_set_trap(&trap);
    if ((code = setjmp(trap)) == 0)
        ir_verify(parsed, NULL, true);
    diag_set_trap(NULL);
    assert_int_equal(code, EXIT_MODEL);
    assert_non_null(strstr(diag_last_message(), "function 'f', value '%x'"));
    assert_int_equal(parsed->text_locations.items[1].line, 5);
}

/* The verdict on a text; NULL if it is right. */
static const char *text_verdict(const char *text)
{
    jmp_buf trap;
    volatile bool failed = true;
    uint32_t file = diag_add_source("text.ir", text, strlen(text));
    if (setjmp(trap) == 0) {
        diag_set_trap(&trap);
        ir_verify(ir_parse(arena, file), NULL, true);
        failed = false;
    }
    diag_set_trap(NULL);
    return failed ? diag_last_message() : NULL;
}

static void stages_have_what_they_must(void **state)
{
    (void)state;
    static const char body[] = "func f\n  param %%x : f32[4]%s\n%s    %%y = exp %%x : f32[4]%s\n"
                               "  return %%y as y\nend\n";
    static const struct {
        const char *head, *param, *kernel, *place, *message;
    } cases[] = {
        {"lower", "", "", "", NULL},
        {"lower", "", "  kernel k loop\n", "", "there are no kernels at this stage"},
        {"fuse", "", "  kernel k loop\n", "", NULL},
        {"tile", "", "", "", "from fuse on all nodes stand in kernels"},
        {"plan arena=0x80 state=0x0", " @ a+0x0", "  kernel k loop\n", " @ a+0x40", NULL},
        {"plan arena=0x80 state=0x0", "", "  kernel k loop\n", " @ a+0x40", "has a place"},
        {"plan arena=0x80 state=0x0", " @ a+0x0", "  kernel k loop\n", "", "has a place"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[512];
        int head = snprintf(text, sizeof text, "ir 1\nmodule t stage=%s\n", cases[i].head);
        snprintf(text + head, sizeof text - (size_t)head, body, cases[i].param, cases[i].kernel,
                 cases[i].place);
        const char *message = text_verdict(text);
        bool right = cases[i].message ? message && strstr(message, cases[i].message) : !message;
        if (!right)
            fail_msg("%s: %s", text, message ? message : "accepted");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(order_and_names, begin, end),
        cmocka_unit_test_setup_teardown(types_and_attributes, begin, end),
        cmocka_unit_test_setup_teardown(bindings, begin, end),
        cmocka_unit_test_setup_teardown(strides, begin, end),
        cmocka_unit_test_setup_teardown(kernels, begin, end),
        cmocka_unit_test_setup_teardown(places, begin, end),
        cmocka_unit_test_setup_teardown(text_errors_have_a_caret, begin, end),
        cmocka_unit_test_setup_teardown(stages_have_what_they_must, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
